"""The row path: a template's syntax tree as one generated Python function over column lists.

The function runs over the rows itself and gives None for a row that is for Jinja to judge: one that a filter refuses,
that is empty or blank, or that spends so much that a budget may be near. What a row spends (characters and items of
filters, parts of loop bodies, characters of loops) is one sum held against the smallest budget, so that counting is
cheap; that a row is over a budget, and over which, only Jinja says.

No name and no text of a template becomes code. The source is written from fixed pieces and names that the writer makes
up itself (`v1`, `t2`, `c3`); every constant, filter and name of a part stands in the function's namespace as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from tasksource_reg.prompting.environment import (
    COMPARISONS,
    ENVIRONMENT,
    MAX_OUTPUT,
    MAX_STEPS,
    MAX_WORK,
    PLAIN_FILTERS,
    ROW_ERRORS,
)
from tasksource_reg.prompting.filters import TESTS, BudgetError, RowError, list_of, text_of

LIMIT = min(MAX_OUTPUT, MAX_STEPS, MAX_WORK)
"""What a row may spend here, in all; rows that spend more are for Jinja to judge."""

_JOINED_AT_ONCE = 16
"""Pieces of a text that are joined before their size is looked at."""

_OPERATORS = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}
assert _OPERATORS.keys() == COMPARISONS.keys()

_TEXTS = frozenset(
    {"~", "one_of", "lettered", "numbered", "bulleted", "then", "lines", "json", "join", "trim", "lower", "upper"}
    | {"capitalize", "lower_first", "replace", "rounded", "bracketed", "zip_lines", ".strip", ".lstrip", ".rstrip"}
    | {".upper", ".lower", ".title", ".replace", ".join"}
)
"""Filters that give text or raise."""


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list)) else 0


def _refuse() -> None:
    raise RowError("for Jinja to judge")


def _over() -> None:
    raise BudgetError("for Jinja to judge")


_HELPERS = {
    "limit": LIMIT,
    "refuse": _refuse,
    "over": _over,
    "size": _size,
    "text_of": text_of,
    "list_of": list_of,
    "part_of": ENVIRONMENT.getattr,
    "item_of": ENVIRONMENT.getitem,
    "join": "".join,
    "row_errors": ROW_ERRORS,
    "__builtins__": {f.__name__: f for f in (dict, enumerate, len, list, range, str, type, zip)},
}
"""What generated functions use beside filters and constants."""


class RowText:
    """One text as a function of columns.

    Args:
        tree: its normalized tree.
        names: the names of the scope that differ from row to row; the tree may use a few of them only.
        constants: the other names of the scope, with their values.

    Attributes:
        names: the names whose columns `render` takes.
        source: the generated function, for people who look for a fault.
    """

    def __init__(self, tree: nodes.Template, names: Iterable[str], constants: Mapping[str, Any]) -> None:
        writer = _Writer(tree, names, constants)
        self.names = writer.columns
        self.source = "\n".join(writer.function)
        namespace: dict[str, Any] = _HELPERS | writer.values
        exec(compile(self.source, "<row text>", "exec"), namespace)
        self._render: Callable[[int, list[Sequence[Any]]], list[str | None]] = namespace["render"]

    def render(self, columns: Mapping[str, Sequence[Any]], n: int) -> list[str | None]:
        """The text of each row; None where Jinja must render the row, or say why it cannot.

        Args:
            columns: for each of `names`, n plain values.
            n: how many rows.
        """
        return self._render(n, [columns[name] for name in self.names])


@dataclass(frozen=True, slots=True)
class _Operand:
    """A value as generated code.

    Attributes:
        code: an expression without effects; a plain name unless it is computed from such.
        is_text: whether it is certainly text.
        constant: whether it is the same for every row; then `value` is that.
    """

    code: str
    is_text: bool = False
    constant: bool = False
    value: Any = None


def _stored(parts: Iterable[nodes.Node]) -> list[str]:
    """Names that statements set, those in loops apart."""
    found: dict[str, None] = {}
    for node in parts:
        if isinstance(node, nodes.Assign):
            assert isinstance(node.target, nodes.Name)
            found[node.target.name] = None
        elif isinstance(node, nodes.If):
            found |= dict.fromkeys(_stored([*node.body, *node.elif_, *node.else_]))
    return list(found)


class _Writer:
    """Writes the function of a tree, statement by statement.

    Attributes:
        function: its lines.
        columns: the names of the template that are its columns.
        values: its namespace, helpers apart.
    """

    def __init__(self, tree: nodes.Template, names: Iterable[str], constants: Mapping[str, Any]) -> None:
        self.values: dict[str, Any] = {}
        self._constants = constants
        self._made = 0
        self._lines: list[str] = []
        self._spent = 0  # by the block at hand, whatever the row
        used = {node.name for node in tree.find_all(nodes.Name)}
        self.columns = [name for name in names if name in used]
        self._scope = {name: self._new("v") for name in self.columns}
        targets = "".join(f"{self._scope[name]}, " for name in self.columns)
        stored = _stored(tree.body)
        for name in stored:
            self._own(name)
        text, size = self._counted(tree.body)
        head = f"for {targets}in zip(*columns):" if targets else "for _ in range(n):"
        checked = f"{text.code} if {text.code} and spent + len({text.code}) <= limit and not {text.code}.isspace()"
        row = [f"spent = {size}", *self._lines, f"add({checked} else None)"]
        tried = ["try:", *_indented(row), "except row_errors:", " add(None)"]
        self.function = [
            "def render(n, columns):",
            *_indented(["out = []", "add = out.append", head, *_indented(tried), "return out"]),
        ]

    # Lines and names

    def _new(self, letter: str) -> str:
        self._made += 1
        return f"{letter}{self._made}"

    def _line(self, line: str) -> None:
        self._lines.append(line)

    def _temporary(self, code: str) -> str:
        name = self._new("t")
        self._line(f"{name} = {code}")
        return name

    def _constant(self, value: Any) -> _Operand:
        name = self._new("c")
        self.values[name] = value
        return _Operand(name, type(value) is str, True, value)

    def _plain(self, operand: _Operand) -> str:
        """A name for an operand, so that it may stand several times."""
        return operand.code if operand.code.isidentifier() else self._temporary(operand.code)

    def _own(self, name: str) -> None:
        """A variable of the block for a name that it sets; it starts with what the name means around the block."""
        outer = self._scope.get(name)
        if outer is None:
            outer = self._constant(self._constants.get(name, ENVIRONMENT.undefined(name=name))).code
        self._scope[name] = self._temporary(outer)

    def _block(self, write: Callable[[], Any]) -> tuple[Any, list[str]]:
        """What `write` gives, and its lines, indented."""
        outer, self._lines = self._lines, []
        out = write()
        inner, self._lines = self._lines, outer
        return out, _indented(inner)

    # Budgets

    def _counted(self, parts: Sequence[nodes.Node]) -> tuple[_Operand, int]:
        """The text of statements, and what they spend whatever the row."""
        outer, self._spent = self._spent, 0
        text = self._text(parts)
        spent, self._spent = self._spent, outer
        return text, spent

    def _spend(self, *sizes: str) -> None:
        self._line(f"spent += {' + '.join(sizes)}")
        self._line("if spent > limit: over()")

    def _spend_on(self, *operands: _Operand) -> None:
        """Counts values that are built or read; those that are neither text nor lists count nothing."""
        self._spent += sum(_size(operand.value) for operand in operands if operand.constant)
        sizes = [f"{'len' if o.is_text else 'size'}({o.code})" for o in operands if not o.constant]
        if sizes:
            self._spend(*sizes)

    # Statements

    def _text(self, parts: Sequence[nodes.Node]) -> _Operand:
        """Statements one after the other; their text is certainly text."""
        pieces: list[_Operand] = []
        for node in parts:
            if isinstance(node, nodes.Assign):
                assert isinstance(node.target, nodes.Name)
                self._line(f"{self._scope[node.target.name]} = {self._expression(node.node).code}")
                continue
            for child in node.nodes if isinstance(node, nodes.Output) else [node]:
                piece = self._statement(child)
                if piece.constant and pieces and pieces[-1].constant:
                    piece = self._constant(pieces.pop().value + piece.value)
                pieces.append(piece)
                if len(pieces) >= _JOINED_AT_ONCE:
                    pieces = [self._joined(pieces)]
                    self._spend_on(pieces[0])
        return self._joined(pieces)

    def _joined(self, pieces: list[_Operand]) -> _Operand:
        if len(pieces) < 2:
            return pieces[0] if pieces else self._constant("")
        return _Operand(self._temporary(f"join(({', '.join(piece.code for piece in pieces)}))"), True)

    def _statement(self, node: nodes.Node) -> _Operand:
        if isinstance(node, nodes.If):
            return self._if(node)
        if isinstance(node, nodes.For):
            return self._for(node)
        operand = self._expression(node)
        if operand.is_text:
            return operand
        if operand.constant:
            try:
                return self._constant(text_of(operand.value))
            except ROW_ERRORS:
                self._line("refuse()")
                return self._constant("")
        code = self._plain(operand)
        return _Operand(self._temporary(f"{code} if type({code}) is str else text_of({code})"), True)

    def _if(self, node: nodes.If) -> _Operand:
        out = self._new("t")
        cases, other = [(case.test, case.body) for case in (node, *node.elif_)], node.else_

        def branch(body: list[nodes.Node]) -> None:
            self._line(f"{out} = {self._text(body).code}")

        def chain() -> None:
            """Written flat, however many cases there are: the first that holds breaks out."""
            for test, body in cases:
                condition = self._expression(test).code
                _, lines = self._block(lambda body=body: branch(body))  # type: ignore[misc]
                self._lines += [f"if {condition}:", *lines, " break"]
            branch(other)
            self._line("break")

        _, lines = self._block(chain)
        self._lines += ["while True:", *lines]
        return _Operand(out, True)

    def _for(self, node: nodes.For) -> _Operand:
        assert isinstance(node.iter, nodes.Filter) and node.iter.node is not None
        assert isinstance(node.iter.args[0], nodes.Const) and isinstance(node.target, nodes.Name)
        items = self._temporary(self._expression(node.iter.node).code)
        out, value, number = self._temporary("[]"), self._new("v"), self._new("v")
        scope, target = self._scope, node.target.name

        def each() -> int:
            for name in _stored(node.body):
                if name != target:
                    self._own(name)
            text, spent = self._counted(node.body)
            self._spend(f"len({text.code})")
            self._line(f"{out}.append({text.code})")
            return spent

        counters = {".index": number, ".first": f"({number} == 1)", ".last": f"({number} == len({items}))"}
        self._scope = {**scope, **counters, target: value}
        spent, lines = self._block(each)
        self._scope = scope
        self._line(f'if type({items}) is not list: {items} = list_of({items}, "a loop")')
        self._spend(f"len({items}) * {int(node.iter.args[0].value) + spent}")
        self._lines += [f"for {number}, {value} in enumerate({items}, 1):", *lines]
        return _Operand(self._temporary(f"join({out})"), True)

    # Expressions

    def _expression(self, node: nodes.Node) -> _Operand:
        if isinstance(node, nodes.Name):
            if node.name in self._scope:
                return _Operand(self._scope[node.name])
            return self._constant(self._constants[node.name])
        if isinstance(node, nodes.Const):
            return self._constant(node.value)
        if isinstance(node, nodes.TemplateData):
            return self._constant(node.data)
        if isinstance(node, nodes.Filter):
            return self._filter(node)
        if isinstance(node, nodes.Getattr):
            return self._attribute(node)
        if isinstance(node, nodes.Getitem):
            value, key = self._expression(node.node), self._expression(node.arg)
            return _Operand(self._temporary(f"item_of({value.code}, {key.code})"))
        if isinstance(node, (nodes.And, nodes.Or)):
            return self._either(node)
        if isinstance(node, nodes.Not):
            return _Operand(self._temporary(f"not {self._expression(node.node).code}"))
        if isinstance(node, nodes.Test):
            test = self._constant(TESTS[node.name])
            return _Operand(self._temporary(f"{test.code}({self._expression(node.node).code})"))
        assert isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const)
        return self._constant(-node.node.value)

    def _either(self, node: nodes.And | nodes.Or) -> _Operand:
        left = self._expression(node.left)
        out = self._temporary(left.code)

        def other() -> bool:
            right = self._expression(node.right)
            self._line(f"{out} = {right.code}")
            return right.is_text

        is_text, lines = self._block(other)
        self._lines += [f"if {out}:" if isinstance(node, nodes.And) else f"if not {out}:", *lines]
        return _Operand(out, left.is_text and is_text)

    def _attribute(self, node: nodes.Getattr) -> _Operand:
        if isinstance(node.node, nodes.Name) and node.node.name == "loop":
            return _Operand(self._scope[f".{node.attr}"])
        value, name = self._plain(self._expression(node.node)), self._constant(node.attr).code
        found = f"{value}[{name}] if type({value}) is dict and {name} in {value} else part_of({value}, {name})"
        return _Operand(self._temporary(found))

    def _filter(self, node: nodes.Filter) -> _Operand:
        assert node.node is not None
        function = PLAIN_FILTERS[node.name]
        value, *arguments = [self._expression(part) for part in (node.node, *node.args)]
        operator = _OPERATORS.get(node.name[1:]) if node.name[0] == "." else None
        if value.constant and all(argument.constant for argument in arguments):
            try:  # computed once; refused for each row
                out = self._constant(function(value.value, *(argument.value for argument in arguments)))
            except ROW_ERRORS:
                self._line("refuse()")
                out = self._constant("")
        elif operator is not None:
            out = _Operand(self._temporary(f"{value.code} {operator} {arguments[0].code}"))
            self._spend_on(arguments[0])  # a comparison reads its right side
            return out
        else:
            called = self._constant(function).code
            given = ", ".join(operand.code for operand in (value, *arguments))
            out = _Operand(self._temporary(f"{called}({given})"), node.name in _TEXTS)
        self._spend_on(*([out] if out.is_text else [value, *arguments, out]))
        return out


def _indented(lines: Iterable[str]) -> list[str]:
    return [f" {line}" for line in lines]
