"""The closed syntax of templates: Jinja's parser, then a walk over its tree that lets only known nodes pass.

`inspect` reports every construct that templates may not use, every unknown name, and the budgets that a text is over;
nothing is compiled or run before it passes. `normalized` rewrites the tree so that the code that Jinja generates holds
no calls, no attributes of Python objects and no unmeasured work: methods of text, slices, comparisons, `~` and the list
of a loop become filters (`.strip`, `.slice`, `.eq`, `~`, `.each`), which the environment implements with its budgets.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import meta, nodes

from tasksource_reg.errors import did_you_mean, excerpt
from tasksource_reg.prompting.filters import FILTERS, METHODS, TESTS, Filter
from tasksource_reg.prompting.trees import (
    MAX_BITS,
    Finding,
    OverBudget,
    is_huge,
    is_text,
    parsed,
    parser,
    rewrite,
    walk,
)

LOOP_ATTRIBUTES = ("index", "first", "last")
RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs", "loop"})

_EXPRESSIONS = (
    nodes.Name, nodes.Const, nodes.Filter, nodes.Test, nodes.Call, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Neg,
    nodes.Not, nodes.And, nodes.Or, nodes.Compare, nodes.Operand, nodes.Concat, nodes.TemplateData,
)  # fmt: skip
_VARYING = (nodes.Name, nodes.Filter, nodes.Call, nodes.Compare, nodes.Concat, nodes.Slice)
"""What stands in an expression that Jinja does not compute while it compiles."""
_STATEMENTS = (nodes.Template, nodes.Output, nodes.If, nodes.For, nodes.Assign)

_REFUSED: dict[type[nodes.Node], tuple[str, str]] = {
    nodes.Import: ("import", "write the text out"),
    nodes.FromImport: ("import", "write the text out"),
    nodes.Include: ("include", "write the text out"),
    nodes.Extends: ("extends", "write the text out"),
    nodes.Block: ("block", "write the text out"),
    nodes.Macro: ("macro", "write the text out"),
    nodes.CallBlock: ("a call block", "write the text out"),
    nodes.FilterBlock: ("a filter block", "use the filter on a value: {{ value | filter }}"),
    nodes.AssignBlock: ("a set block", "use {% set name = value %}"),
    nodes.With: ("with", "use {% set name = value %}"),
    nodes.CondExpr: ("an inline if", "use {% if ... %}...{% else %}...{% endif %}"),
    nodes.List: ("a list", "compare one by one with =="),
    nodes.Tuple: ("a tuple", "compare one by one with =="),
    nodes.Dict: ("a mapping", "use `answers`, or if and elif"),
    nodes.NSRef: ("namespace", "use a plain name in {% set %}"),
}


@dataclass(frozen=True, slots=True)
class Inspection:
    """The tree (None where the text cannot be read), the names that it takes from the scope, and what is wrong."""

    tree: nodes.Template | None
    names: frozenset[str]
    findings: tuple[Finding, ...]


@jinja2.pass_context
def _never(*_: object) -> None:
    """Stands for every filter while names are looked up; needing the context keeps it from being run then."""


_PARSER = parser(keep_trailing_newline=True)
_PARSER.filters = dict.fromkeys(FILTERS, _never)
_PARSER.tests = dict(TESTS)


def inspect(source: str, scope: Collection[str] | None = None) -> Inspection:
    """Parses a text and checks it against the closed syntax; content never raises.

    Args:
        source: the template's text.
        scope: the names that may stand free; None leaves names unchecked.
    """
    if "\r" in source:
        return _broken(Finding("TSR-T002", "a carriage return may not stand in a template"))
    tree = parsed(_PARSER, source)
    if isinstance(tree, Finding):
        return _broken(tree)
    check = _Walk()
    check.run(tree)
    if not check.findings:
        check.parts_of_constants(tree)
    if check.findings:
        return Inspection(None, frozenset(), tuple(check.findings))
    names = _free_names(tree)
    findings = []
    for name in sorted(names - set(scope)) if scope is not None else ():
        found = [n for n in tree.find_all(nodes.Name) if n.name == name]
        line = next((n.lineno for n in found if n.ctx == "load"), 1)
        message, fix = f'there is no "{name}" in the scope of this template', did_you_mean(name, scope or ())
        if any(n.ctx == "store" for n in found):
            message, fix = (
                f'"{name}" is set inside an if or a loop, and used outside',
                "set it before the if, and outside the loop",
            )
        findings.append(Finding("TSR-T003", message, fix, line, name))
    return Inspection(None if findings else tree, names, tuple(findings))


def _free_names(tree: nodes.Template) -> frozenset[str]:
    """The names that a text takes from its scope."""
    if tree.find(nodes.For) is not None or tree.find(nodes.Assign) is not None:
        return frozenset(meta.find_undeclared_variables(tree))
    return frozenset(name.name for name in tree.find_all(nodes.Name))  # the same, and faster: nothing is set


def _broken(finding: Finding) -> Inspection:
    return Inspection(None, frozenset(), (finding,))


class _Walk:
    """What is wrong in a tree."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def run(self, tree: nodes.Template) -> None:
        """Visits every node."""
        known = (*_EXPRESSIONS, *_STATEMENTS)
        try:
            for node, parent in walk(tree, known):
                if isinstance(node, known):
                    self._node(node, parent)
                else:
                    self._refuse_kind(node)
            self.findings.sort(key=lambda f: f.line)
        except OverBudget as exc:
            self.findings.append(exc.finding)

    def parts_of_constants(self, tree: nodes.Template) -> None:
        """Refuses what Jinja would compute while it compiles, where an item that is not there is no error of a row.

        Args:
            tree: a tree that is not too deep.
        """
        methods = {id(call.node) for call in tree.find_all(nodes.Call)}
        for node in tree.find_all((nodes.Getitem, nodes.Getattr)):
            assert isinstance(node, (nodes.Getitem, nodes.Getattr))
            if id(node) in methods or (isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)):
                continue
            if not any(isinstance(part, _VARYING) for part in [node.node, *node.node.find_all(nodes.Node)]):
                self._refuse(node, "a part of a constant", "write out the part")

    def _refuse_kind(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.BinExpr):
            operator = getattr(node, "operator", "?")
            self._refuse(node, f'the operator "{operator}"', "compute numbers in the annotation; join text with ~")
            return
        what, fix = _REFUSED.get(type(node), (f"the construct {type(node).__name__}", None))
        self._refuse(node, what, fix)

    def _refuse(self, node: nodes.Node, what: str, fix: str | None = None, word: str | None = None) -> None:
        self.findings.append(Finding("TSR-T002", f"{what} may not stand in a template", fix, node.lineno, word))

    def _node(self, node: nodes.Node, parent: nodes.Node) -> None:
        if isinstance(node, nodes.Name):
            self._name(node, parent)
        elif isinstance(node, nodes.Const):
            if is_huge(node):
                self._refuse(node, f"a number of more than {MAX_BITS} bits")
            elif not isinstance(node.value, (str, int, type(None))):
                self._refuse(node, f"the constant {excerpt(node.value, 20)}", "use whole numbers and text")
            elif isinstance(node.value, str) and not is_text(node.value):
                self._refuse(node, "half a surrogate pair", "write the character itself")
        elif isinstance(node, nodes.Filter):
            self._named("filter", FILTERS, node.name, node, node)
        elif isinstance(node, nodes.Call):
            if isinstance(node.node, nodes.Getattr):
                self._named("method", METHODS, node.node.attr, node, node)
            else:
                self._refuse(node, "a call", "only methods of text can be called", getattr(node.node, "name", None))
        elif isinstance(node, nodes.Test):
            if node.name not in TESTS:
                self._unknown("test", node.name, TESTS, node)
            elif node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
                self._refuse(node, f'an argument of the test "{node.name}"')
        elif isinstance(node, nodes.Getattr):
            self._attribute(node, parent)
        elif isinstance(node, nodes.Getitem):
            key = node.arg
            if isinstance(key, nodes.Const) and isinstance(key.value, str) and key.value.startswith("_"):
                self._refuse(node, f'the name "{excerpt(key.value, 30)}"', "names do not start with _")
        elif isinstance(node, nodes.Compare) and len(node.ops) > 1:
            self._refuse(node, "a chain of comparisons", "join two comparisons with `and`")
        elif isinstance(node, nodes.Neg):
            if not (isinstance(node.node, nodes.Const) and type(node.node.value) is int):
                self._refuse(node, 'the operator "-"', "minus stands before a whole number only")
        elif isinstance(node, nodes.For):
            if node.test is not None or node.recursive or node.else_:
                self._refuse(node, "a loop with if, else or recursive", "put an if inside or around the loop")
            if not isinstance(node.target, nodes.Name):
                self._refuse(node, "a loop over several names", "use one name and its parts")
            if isinstance(node.iter, nodes.Const):
                self._refuse(node, "a loop over a constant", "loop over a list of the row")
        elif isinstance(node, nodes.Assign) and not isinstance(node.target, nodes.Name):
            self._refuse(node, "setting anything but a plain name", "use {% set name = value %}")

    def _name(self, node: nodes.Name, parent: nodes.Node) -> None:
        in_loop_attribute = node.name == "loop" and node.ctx == "load" and isinstance(parent, nodes.Getattr)
        if node.name.startswith("_"):
            self._refuse(node, f'the name "{excerpt(node.name, 30)}"', "names do not start with _", node.name)
        elif node.name in RESERVED and not in_loop_attribute:
            fix = "use loop.index, loop.first or loop.last" if node.name == "loop" else "use another name"
            self._refuse(node, f'the name "{node.name}"', fix, node.name)

    def _attribute(self, node: nodes.Getattr, parent: nodes.Node) -> None:
        if node.attr.startswith("_"):
            self._refuse(node, f'the name "{excerpt(node.attr, 30)}"', "names do not start with _", node.attr)
        elif isinstance(node.node, nodes.Name) and node.node.name == "loop" and node.attr not in LOOP_ATTRIBUTES:
            fix = did_you_mean(node.attr, LOOP_ATTRIBUTES)
            self._refuse(node, f"loop.{excerpt(node.attr, 30)}", fix, node.attr)
        elif node.attr in METHODS and not isinstance(parent, nodes.Call):
            self._refuse(node, f"the method {node.attr} without a call", f"write {node.attr}()", node.attr)

    def _named(
        self, kind: str, known: dict[str, Filter], name: str, node: nodes.Node, call: nodes.Filter | nodes.Call
    ) -> None:
        if name not in known:
            self._unknown(kind, name, known, node)
            return
        if call.kwargs or call.dyn_args is not None or call.dyn_kwargs is not None:
            self._refuse(node, f'a named or unpacked argument of "{name}"', "write the arguments in order", name)
            return
        entry = known[name]
        if not entry.least <= len(call.args) <= entry.most:
            many = str(entry.least) if entry.least == entry.most else f"{entry.least} to {entry.most}"
            message = f'the {kind} "{name}" takes {many} argument{"s" * (many != "1")}, and got {len(call.args)}'
            self.findings.append(Finding("TSR-T004", message, f"{name}: {entry.doc}", node.lineno, name))

    def _unknown(self, kind: str, name: str, known: Collection[str], node: nodes.Node) -> None:
        message = f'there is no {kind} "{excerpt(name, 40)}"'
        self.findings.append(Finding("TSR-T004", message, did_you_mean(name, known), node.lineno, name))


def normalized(tree: nodes.Template) -> nodes.Template:
    """The tree with methods, slices, comparisons, `~` and loops as filters; changes the tree in place and returns it.

    Args:
        tree: a tree that `inspect` let pass.
    """
    for loop in list(tree.find_all(nodes.For)):
        weight = 1 + sum(1 for part in loop.body for _ in part.find_all(nodes.Node))
        loop.iter = _as_filter(loop.iter, ".each", [nodes.Const(weight, lineno=loop.lineno)])
    rewrite(tree, _replaced)
    return tree


def _replaced(node: nodes.Node) -> nodes.Node:
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        return _as_filter(node.node.node, f".{node.node.attr}", node.args)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        parts = (node.arg.start, node.arg.stop, node.arg.step)
        none = nodes.Const(None, lineno=node.lineno)
        return _as_filter(node.node, ".slice", [part or none for part in parts])
    if isinstance(node, nodes.Compare):
        return _as_filter(node.expr, f".{node.ops[0].op}", [node.ops[0].expr])
    if isinstance(node, nodes.Concat):
        return _as_filter(node.nodes[0], "~", node.nodes[1:])
    return node


def _as_filter(value: nodes.Node, name: str, arguments: list[Any]) -> nodes.Filter:
    return nodes.Filter(value, name, arguments, [], None, None, lineno=value.lineno)


def read_before_set(tree: nodes.Node) -> frozenset[str]:
    """Names that a loop mentions before a `set` around the loop first gives them a value.

    Jinja decides for a whole block whether a name is the block's own, so that the loop sees no value there, not even
    that of the row. Templates that do this are left to Jinja itself.

    Args:
        tree: a template, or a loop in it.
    """
    in_loops: set[str] = set()
    seen: set[str] = set()
    found: set[str] = set()
    stack = list(reversed(tree.body)) if isinstance(tree, (nodes.Template, nodes.For)) else []
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.For):
            in_loops |= {name.name for part in node.body for name in _names_in(part)}
            found |= read_before_set(node)
            stack.append(node.iter)
        elif isinstance(node, nodes.Assign):
            assert isinstance(node.target, nodes.Name)
            seen |= {name.name for name in _names_in(node.node)}
            if node.target.name in in_loops - seen:
                found.add(node.target.name)
            seen.add(node.target.name)
        elif isinstance(node, nodes.Name):
            seen.add(node.name)
        else:
            stack += reversed(list(node.iter_child_nodes()))
    return frozenset(found)


def _names_in(node: nodes.Node) -> list[nodes.Name]:
    return [node] if isinstance(node, nodes.Name) else list(node.find_all(nodes.Name))
