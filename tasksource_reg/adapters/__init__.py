"""Mixtures as the loaders of other libraries want them; each module imports its library, and is imported when used."""
