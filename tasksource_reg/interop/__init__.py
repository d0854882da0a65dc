"""Formats of other projects: what was written for them is read, rendered or written here."""
