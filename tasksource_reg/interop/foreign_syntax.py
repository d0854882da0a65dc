"""The closed syntax of templates that were written for other projects: wider than ours, and as closed.

Everything that only computes a text passes: filters, tests and methods of plain values, literals, arithmetic, inline
ifs, `set`, `namespace`, loops over several names. What reaches other files, defines code or walks Python objects is
refused when the text is read. `prepared` then rewrites methods, `~` and the list of a loop as filters, so that nothing
that runs looks up an attribute to call it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import jinja2
from jinja2 import nodes

from tasksource_reg.errors import did_you_mean, excerpt
from tasksource_reg.prompting.trees import MAX_BITS, Finding, OverBudget, is_huge, parsed, parser, rewrite, walk

CALLABLE = ("dict", "namespace", "range", "zip")
"""Names that may be called; a mention without a call means the row's own value of that name."""

CALLED = "_called_"
"""Stands before such names where they are called."""

FILTERS = (
    *("abs", "capitalize", "choice", "count", "d", "default", "dictsort", "first", "float", "format"),
    *("int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "most_frequent", "random"),
    *("reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr", "sort", "string", "sum", "title"),
    *("trim", "truncate", "unique", "upper", "wordcount"),
)
TESTS = (
    *("!=", "<", "<=", "==", ">", ">=", "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float"),
    *("ge", "greaterthan", "gt", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none"),
    *("number", "odd", "sameas", "sequence", "string", "true", "undefined", "upper"),
)
METHODS: dict[type, tuple[str, ...]] = {
    str: (
        *("capitalize", "count", "endswith", "find", "format", "index", "isalnum", "isalpha", "isdigit", "islower"),
        *("isnumeric", "isspace", "isupper", "join", "lower", "lstrip", "partition", "removeprefix", "removesuffix"),
        *("replace", "rfind", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title"),
        "upper",
    ),
    list: ("append", "copy", "count", "index", "insert", "pop", "remove", "reverse", "sort"),
    tuple: ("count", "index"),
    dict: ("copy", "get", "items", "keys", "pop", "setdefault", "update", "values"),
    jinja2.runtime.LoopContext: ("changed", "cycle"),
}
"""Methods of plain values, by their type."""

GROWING = frozenset({"append", "insert"})
"""Methods that let a loop run on, where its list grows while it runs."""

_LAZY = frozenset({"items", "map", "reject", "rejectattr", "select", "selectattr", "unique"})
_NAMES = frozenset(name for methods in METHODS.values() for name in methods)
_RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs"})

_KNOWN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.AssignBlock, nodes.With,
    nodes.FilterBlock, nodes.Name, nodes.NSRef, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair,
    nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword, nodes.Getattr, nodes.Getitem, nodes.Slice,
    nodes.Compare, nodes.Operand, nodes.Concat, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow,
)  # fmt: skip

_PARSER = parser()


@dataclass(frozen=True, slots=True)
class Foreign:
    """A text that was read: the tree (None where it cannot be rendered), the names it mentions, and what is wrong."""

    tree: nodes.Template | None
    names: frozenset[str]
    findings: tuple[Finding, ...]


def read(source: str) -> Foreign:
    """Parses a text and checks it against the closed syntax; content never raises.

    Args:
        source: the template's text, as Jinja takes it with its own defaults.
    """
    tree = parsed(_PARSER, source)
    if isinstance(tree, Finding):
        return Foreign(None, frozenset(), (tree,))
    findings: list[Finding] = []
    try:
        for node, parent in walk(tree, _KNOWN):
            findings += _wrong(node, parent)
    except OverBudget as exc:
        findings.append(exc.finding)
    if findings:
        return Foreign(None, frozenset(), tuple(sorted(findings, key=lambda finding: finding.line)))
    return Foreign(tree, frozenset(node.name for node in tree.find_all(nodes.Name)), ())


def _wrong(node: nodes.Node, parent: nodes.Node) -> list[Finding]:
    if not isinstance(node, _KNOWN):
        return [_refused(node, f"the construct {type(node).__name__}")]
    if is_huge(node):
        return [_refused(node, f"a number of more than {MAX_BITS} bits")]
    if isinstance(node, (nodes.Filter, nodes.Call)) and (node.dyn_args is not None or node.dyn_kwargs is not None):
        return [_refused(node, "an unpacked argument")]
    if isinstance(node, nodes.Filter):
        return _unknown("filter", node.name, FILTERS, node)
    if isinstance(node, nodes.Test):
        return _unknown("test", node.name, TESTS, node)
    if isinstance(node, nodes.Call):
        if isinstance(node.node, nodes.Getattr):
            return _unknown("method", node.node.attr, _NAMES, node)
        if isinstance(node.node, nodes.Name):
            return _unknown("function", node.node.name, CALLABLE, node)
        return [_refused(node, "a call of something that is no method")]
    if isinstance(node, nodes.Name) and node.name in _RESERVED:
        return [_refused(node, f'the name "{node.name}"')]
    if isinstance(node, nodes.Name) and node.name.startswith(("__", CALLED)):
        return [_refused(node, f'the name "{excerpt(node.name, 30)}"')]
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        return [_refused(node, f'the name "{excerpt(node.attr, 30)}"')]
    if isinstance(node, nodes.Output):
        return [
            _refused(part, "a lazy list that is printed, not made with `list` or joined,")
            for part in node.nodes
            if _is_lazy(part)
        ]
    if isinstance(node, nodes.For) and node.recursive:
        return [_refused(node, "a recursive loop")]
    return []


def _is_lazy(node: nodes.Node) -> bool:
    """Whether a value prints as an object at an address of the memory."""
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Name) and node.node.name == "zip"
    return isinstance(node, nodes.Filter) and node.name in _LAZY


def _refused(node: nodes.Node, what: str) -> Finding:
    return Finding("TSR-T002", f"{what} may not stand in an imported template", line=node.lineno)


def _unknown(kind: str, name: str, known: Collection[str], node: nodes.Node) -> list[Finding]:
    if name in known:
        return []
    message = f'imported templates have no {kind} "{excerpt(name, 40)}"'
    return [Finding("TSR-T004", message, did_you_mean(name, known), node.lineno, name)]


def prepared(tree: nodes.Template) -> nodes.Template:
    """The tree with methods, `~` and the lists of loops as filters; changes the tree in place and returns it.

    Args:
        tree: a tree that `read` let pass.
    """
    growing = any(
        isinstance(call.node, nodes.Getattr) and call.node.attr in GROWING for call in tree.find_all(nodes.Call)
    )
    for loop in list(tree.find_all(nodes.For)):
        weight: list[nodes.Node] = [nodes.Const(1 + sum(1 for part in loop.body for _ in part.find_all(nodes.Node)))]
        counters = None if growing or loop.test is not None else _counters(loop)
        if counters is None:
            loop.iter = nodes.Filter(loop.iter, ".each", [*weight, nodes.Const(growing)], [], None, None)
        else:
            loop.iter = nodes.Filter(loop.iter, ".counters", weight, [], None, None)
            names: list[nodes.Node] = [nodes.Name(name, "store") for name in (_NUMBER, _OF_ALL)]
            loop.target = nodes.Tuple([loop.target, *names], "store")
            rewrite(loop, lambda node, counters=counters: counters.get(id(node), node))  # type: ignore[misc]
    rewrite(tree, _replaced)
    return tree


_NUMBER, _OF_ALL = "_number", "_of_all"
_COUNTED: dict[str, Callable[[nodes.Expr, nodes.Expr], nodes.Expr]] = {
    "index": lambda number, of_all: number,
    "index0": lambda number, of_all: nodes.Sub(number, nodes.Const(1)),
    "revindex": lambda number, of_all: nodes.Sub(of_all, nodes.Sub(number, nodes.Const(1))),
    "revindex0": lambda number, of_all: nodes.Sub(of_all, number),
    "first": lambda number, of_all: nodes.Compare(number, [nodes.Operand("eq", nodes.Const(1))]),
    "last": lambda number, of_all: nodes.Compare(number, [nodes.Operand("eq", of_all)]),
    "length": lambda number, of_all: of_all,
}
"""What a loop says of itself, computed from the item's number and the number of all items."""


def _counters(loop: nodes.For) -> dict[int, nodes.Expr] | None:
    """What stands for each mention of a loop's counters, by the mention's id; None where a loop object is needed."""
    if any(name.name in {_NUMBER, _OF_ALL} for name in loop.find_all(nodes.Name)):
        return None
    found: dict[int, nodes.Expr] = {}
    stack: list[nodes.Node] = list(loop.body)
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "loop":
            if node.attr not in _COUNTED:
                return None
            found[id(node)] = _COUNTED[node.attr](nodes.Name(_NUMBER, "load"), nodes.Name(_OF_ALL, "load"))
        elif isinstance(node, nodes.Name) and node.name == "loop":
            return None
        elif isinstance(node, nodes.For):  # its body speaks of itself
            stack += [node.iter, *node.else_]
        else:
            stack += node.iter_child_nodes()
    return found or None


def _replaced(node: nodes.Node) -> nodes.Node:
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        method = node.node
        return nodes.Filter(method.node, f".{method.attr}", node.args, node.kwargs, None, None, lineno=node.lineno)
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        node.node.name = CALLED + node.node.name
    if isinstance(node, nodes.Concat):
        return nodes.Filter(node.nodes[0], "~", node.nodes[1:], [], None, None, lineno=node.lineno)
    return node
