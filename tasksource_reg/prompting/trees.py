"""Jinja's trees within budgets: reading a text, walking what was read, putting other nodes in the place of some.

What is wrong with a text is a `Finding`, never an exception: the text is a contributor's, or from another project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from tasksource_reg.errors import excerpt

MAX_BYTES = 64 * 1024
MAX_NODES = 4_000
MAX_DEPTH = 60
MAX_BLOCKS = 12
MAX_CASES = 100
MAX_BITS = 64
"""Budgets of one text: UTF-8 bytes, nodes, nested expressions, nested `for` and `if`, `elif`s of one `if`, bits of a
number."""

_BLOCKS = (nodes.For, nodes.If, nodes.With, nodes.AssignBlock, nodes.FilterBlock)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong in a text: an error code, a sentence, what to do, the 1-based line, a word to look for there."""

    code: str
    message: str
    fix: str | None = None
    line: int = 1
    word: str | None = None


class _Counted(Extension):
    """Stops the parser where a text has more tokens than `MAX_NODES` parts could have."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """The tokens, counted as the parser asks for them."""
        for count, token in enumerate(stream):
            if count > 3 * MAX_NODES:
                raise OverBudget(f"more than {MAX_NODES:,} parts", token.lineno)
            yield token


def parser(**options: bool) -> jinja2.Environment:
    """An environment for `parsed`, with options of Jinja's."""
    return jinja2.Environment(extensions=[_Counted], **options)  # type: ignore[arg-type]


def parsed(environment: jinja2.Environment, source: str) -> nodes.Template | Finding:
    """The tree of a text, or why there is none; content never raises.

    Args:
        environment: from `parser`.
        source: the template's text.
    """
    if not is_text(source):
        return Finding("TSR-T001", "half a surrogate pair stands in the text")
    if len(source.encode()) > MAX_BYTES:
        return Finding("TSR-T005", f"the text is larger than {MAX_BYTES // 1024} KiB")
    try:
        return environment.parse(source)
    except OverBudget as exc:
        return exc.finding
    except jinja2.TemplateSyntaxError as exc:
        return Finding("TSR-T001", f"Jinja: {exc.message}", line=exc.lineno)
    except RecursionError:
        return Finding("TSR-T005", "expressions nest too deep")
    except ValueError as exc:  # a number of thousands of digits
        return Finding("TSR-T001", f"a literal that cannot be read: {excerpt(str(exc))}")


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in value) if not value.isascii() else True


def is_huge(node: nodes.Node) -> bool:
    """Whether a node is a whole number that Python may refuse to write out again, such as one in 60,000 hex digits."""
    return isinstance(node, nodes.Const) and isinstance(node.value, int) and node.value.bit_length() > MAX_BITS


class OverBudget(Exception):
    """A tree that is over a budget of texts, as a finding."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.finding = Finding("TSR-T005", message, line=line)


def walk(tree: nodes.Template, known: tuple[type[nodes.Node], ...]) -> Iterator[tuple[nodes.Node, nodes.Node]]:
    """The nodes of a tree, each with its parent, in order and without recursion, so that depth is a finding, no crash.

    Args:
        tree: what was parsed.
        known: kinds of nodes that are looked into; others are given, and what they hold is not.

    Raises:
        OverBudget: the tree is too large or too deep.
    """
    stack: list[tuple[nodes.Node, nodes.Node, int, int]] = [(tree, tree, 0, 0)]
    count = 0
    while stack:
        node, parent, depth, blocks = stack.pop()
        count += 1
        blocks += isinstance(node, _BLOCKS)
        depth = depth + 1 if isinstance(node, nodes.Expr) else 0
        if count > MAX_NODES:
            raise OverBudget(f"more than {MAX_NODES:,} parts", node.lineno)
        if depth > MAX_DEPTH or blocks > MAX_BLOCKS:
            raise OverBudget(f"{'expressions' if depth > MAX_DEPTH else 'blocks'} nest too deep", node.lineno)
        if isinstance(node, nodes.If) and len(node.elif_) > MAX_CASES:
            raise OverBudget(f"an if with more than {MAX_CASES} elif", node.lineno)
        yield node, parent
        if isinstance(node, known):
            stack += [(child, node, depth, blocks) for child in reversed(list(node.iter_child_nodes()))]


def rewrite(tree: nodes.Node, replaced: Callable[[nodes.Node], nodes.Node]) -> None:
    """Puts in the place of each node below `tree` what `replaced` makes of it, innermost nodes first."""
    for name in tree.fields:
        value = getattr(tree, name)
        if isinstance(value, nodes.Node):
            rewrite(value, replaced)
            setattr(tree, name, replaced(value))
        elif isinstance(value, list):
            for child in value:
                if isinstance(child, nodes.Node):
                    rewrite(child, replaced)
            setattr(tree, name, [replaced(child) if isinstance(child, nodes.Node) else child for child in value])
