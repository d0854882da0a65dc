"""The words of a template, and how alike two templates are.

The words are those that the texts print, in order and in lower case: what stands between the tags, the constants that a
tag may print, and for each tag the names that it takes from the scope, such as `{options}`. Filters, tests and the
constants that a condition compares with are no words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import cache

from jinja2 import nodes

from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.syntax import inspect

ALIKE = 0.8
"""How alike the words of two templates of one language may be (see `likeness`)."""

_WORD = re.compile(r"\{\w+\}|[㐀-鿿]|[^\W_㐀-鿿]+(?:['’\u0300-\u036f\u064b-\u0652\u0900-\u097f]+[^\W_㐀-鿿]*)*")
"""A name of the scope; a character of Chinese; letters and digits with the marks that vowels are written as."""


@cache
def words(template: Template) -> tuple[str, ...]:
    """The words of a template: of its system line, its prompt and its response, in this order."""
    texts = (template.system, template.prompt, template.response)
    spoken = " ".join(piece for text in texts if text for piece in _pieces(text, with_names=True))
    return tuple(_WORD.findall(spoken.casefold()))


@cache
def printed(text: str) -> str:
    """What a text may print whatever the row is: all but the values of names, its pieces parted by line ends."""
    return "\n".join(_pieces(text, with_names=False))


def likeness(one: Template, other: Template) -> float:
    """How alike two templates are, between 0 and 1.

    The larger of two overlaps of their words: as sets (those in common by all of both: Jaccard), and in order (twice
    the longest common blocks by the words of both: difflib's ratio).
    """
    first, second = words(one), words(other)
    sets = set(first), set(second)
    overlap = len(sets[0] & sets[1]) / (len(sets[0] | sets[1]) or 1)
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return overlap if matcher.quick_ratio() <= overlap else max(overlap, matcher.ratio())


def _pieces(text: str, *, with_names: bool) -> Iterator[str]:
    tree = inspect(text).tree
    if tree is not None:
        yield from _spoken(tree, with_names)


def _spoken(node: nodes.Node, with_names: bool) -> Iterator[str]:
    """Texts and names below a node, in the order of the template; a condition gives its names alone."""
    if isinstance(node, nodes.TemplateData):
        yield node.data
    elif isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, nodes.Name) and with_names:
        yield f"{{{node.name}}}"
    for child in node.iter_child_nodes():
        condition = (isinstance(node, nodes.If) and child is node.test) or isinstance(node, nodes.Compare)
        yield from _names(child, with_names) if condition else _spoken(child, with_names)


def _names(node: nodes.Node, with_names: bool) -> Iterator[str]:
    found = [node] if isinstance(node, nodes.Name) else node.find_all(nodes.Name)
    for name in found if with_names else ():
        yield f"{{{name.name}}}"
