"""The columnar path: a template's syntax tree said in Arrow kernels, for a slice of a batch at once.

`evaluate` and `body` walk the normalized tree once a slice; each node becomes a few kernel calls, whatever the number
of rows. What is the same for every row of a task (its options, its labels) is computed once by the filters themselves,
and an `if` on such a value costs nothing. Both branches of other `if`s are computed for all rows, and count for theirs.
Loops run over a frame with a row for each element. Types are known from the schema, so that a walk over an empty slice
(`checked`) finds out whether a template can be said at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from jinja2 import Undefined, nodes

from tasksource_reg.nested import Mask, valid_of
from tasksource_reg.prompting.column_lists import LIST_KERNELS
from tasksource_reg.prompting.column_parts import PART_KERNELS, item, part
from tasksource_reg.prompting.column_text import BY_PYTHON, TEXT_KERNELS, Kernel
from tasksource_reg.prompting.columns import by_python, choose, text, truth, value_of
from tasksource_reg.prompting.environment import ENVIRONMENT, MAX_OUTPUT, PLAIN_FILTERS, ROW_ERRORS
from tasksource_reg.prompting.frames import MAX_BYTES, CannotSay, Column, Frame, Run, TooBig, Value
from tasksource_reg.prompting.scope import Constant
from tasksource_reg.text_kernels.assemble import (
    Piece,
    as_array,
    byte_sizes,
    chosen,
    glued,
    is_blank,
    runs_glued,
    total_bytes,
)

KERNELS: dict[str, Kernel] = TEXT_KERNELS | LIST_KERNELS | PART_KERNELS
"""Filters of the normalized tree that have kernels."""

_UNROLLED = 64
"""A loop over a constant list of at most so many items runs item by item."""

Columns = Callable[[str], Column]


def render_slice(
    trees: Mapping[str, nodes.Template], columns: Columns, n: int
) -> tuple[dict[str, pa.StringArray], Mask, frozenset[str]]:
    """Renders n rows.

    Args:
        trees: the normalized tree of each text.
        columns: gives the column of a name of the scope.
        n: how many rows.

    Returns:
        for each text a string array of n without nulls; the rows in doubt, which another path must render; the names of
        the filters that went value by value.

    Raises:
        CannotSay: a construct that no kernel says.
        TooBig: the slice is too large to be sure of its budgets.
    """
    doubtful = np.zeros(n, dtype=bool)
    out: dict[str, pa.StringArray] = {}
    by_value: set[str] = set()
    for name, tree in trees.items():
        run = Run()
        frame = Frame(n, run, columns)
        array = as_array(body(tree.body, frame), n)
        if frame.doubtful is not None:
            doubtful |= frame.doubtful
        doubtful |= byte_sizes(array) > MAX_OUTPUT
        if not _shows_ink(tree):
            doubtful |= is_blank(array)
        by_value |= run.by_value
        out[name] = array
    return out, doubtful, frozenset(by_value)


def _shows_ink(tree: nodes.Template) -> bool:
    """Whether a text holds visible characters of the template's own, whatever the row."""
    texts = (child for node in tree.body if isinstance(node, nodes.Output) for child in node.nodes)
    return any(isinstance(child, nodes.TemplateData) and not child.data.isspace() for child in texts)


def body(parts: list[nodes.Node], frame: Frame) -> Piece:
    """The text of statements, one after the other."""
    pieces: list[Piece] = []
    for node in parts:
        try:
            if isinstance(node, nodes.Output):
                pieces += [_printed(child, frame) for child in node.nodes]
            elif isinstance(node, nodes.If):
                pieces.append(_if(node, node.elif_, frame))
            elif isinstance(node, nodes.For):
                pieces.append(_for(node, frame))
            elif isinstance(node, nodes.Assign):
                assert isinstance(node.target, nodes.Name)
                frame.own[node.target.name] = evaluate(node.node, frame)
            else:
                raise CannotSay(f"the construct {type(node).__name__}")
        except CannotSay as exc:
            exc.line = exc.line or node.lineno
            raise
    size = sum(len(p) * frame.size if isinstance(p, str) else total_bytes(p) for p in pieces)
    if size > min(MAX_BYTES, 4 * MAX_OUTPUT * frame.size):
        raise TooBig
    return glued(pieces)


def _printed(node: nodes.Expr, frame: Frame) -> Piece:
    if isinstance(node, nodes.TemplateData):
        return node.data
    try:
        return text(frame, evaluate(node, frame))
    except CannotSay as exc:
        exc.line = exc.line or node.lineno
        raise


def _if(node: nodes.If, others: list[nodes.If], frame: Frame) -> Piece:
    """An `if` whose further conditions are `others`: the rest of a chain is the `else` of its head."""
    test = condition(node.test, frame)
    if test is True:
        return body(node.body, frame)
    if test is False:
        return _else(node, others, frame)
    assert not isinstance(test, bool)
    if frame.size and test.all():
        return body(node.body, frame)
    if frame.size and not test.any():
        return _else(node, others, frame)
    yes, no = frame.branch(), frame.branch()
    piece = chosen(test, body(node.body, yes), _else(node, others, no))
    frame.close(yes, test)
    frame.close(no, ~test)
    for name in sorted({*yes.own, *no.own}):
        try:
            frame.own[name] = choose(frame, test, yes.lookup(name), no.lookup(name))
        except KeyError:  # set in one branch, and read nowhere else
            continue
    return piece


def _else(node: nodes.If, others: list[nodes.If], frame: Frame) -> Piece:
    if not others:
        return body(node.else_, frame)
    head = nodes.If(others[0].test, others[0].body, [], node.else_, lineno=others[0].lineno)
    return _if(head, others[1:], frame)


def _for(node: nodes.For, frame: Frame) -> Piece:
    assert isinstance(node.iter, nodes.Filter) and node.iter.node is not None and isinstance(node.target, nodes.Name)
    weight = node.iter.args[0]
    assert isinstance(weight, nodes.Const)
    lists = evaluate(node.iter.node, frame)
    if isinstance(lists, Constant):
        items = lists.value
        if not isinstance(items, list):
            frame.doubt_all()
            return ""
        frame.step(lists, weight.value)
        if len(items) <= _UNROLLED:
            return _unrolled(node, node.target.name, items, frame)
    value = value_of(lists, frame.size)
    if not pa.types.is_list(value.array.type):
        raise CannotSay("a loop over something that is no list")
    frame.step(value, weight.value)
    inner, offsets = frame.elements(node.target.name, value)
    piece = as_array(body(node.body, inner), inner.size)
    frame.close(inner)
    return runs_glued(piece, offsets)


def _unrolled(node: nodes.For, name: str, items: list[object], frame: Frame) -> Piece:
    """A loop over items that are the same for every row."""
    pieces: list[Piece] = []
    for index, value in enumerate(items):
        inner = frame.branch()
        inner.own[name] = Constant(value)
        inner.own[".index"] = Constant(index + 1)
        inner.own[".first"] = Constant(index == 0)
        inner.own[".last"] = Constant(index + 1 == len(items))
        pieces.append(body(node.body, inner))
        frame.close(inner)
    return glued(pieces)


def condition(node: nodes.Node, frame: Frame) -> Mask | bool:
    """Whether an expression counts as true; `and`, `or` and `not` need no values of one kind here."""
    if isinstance(node, nodes.Not):
        inner = condition(node.node, frame)
        return not inner if isinstance(inner, bool) else ~inner
    if not isinstance(node, (nodes.And, nodes.Or)):
        return truth(frame, evaluate(node, frame))
    left = condition(node.left, frame)
    goes_on = isinstance(node, nodes.And)  # `and` looks at its right side where the left one is true
    if isinstance(left, bool):
        return condition(node.right, frame) if left == goes_on else left
    needed = left if goes_on else ~left
    inner_frame = frame.branch()
    right = condition(node.right, inner_frame)
    frame.close(inner_frame, needed)
    if isinstance(right, bool):
        right = np.full(frame.size, right)
    return left & right if goes_on else left | right


def evaluate(node: nodes.Node, frame: Frame) -> Column:
    """The values of an expression."""
    if isinstance(node, nodes.Name):
        return frame.lookup(node.name)
    if isinstance(node, nodes.Const):
        return Constant(node.value)
    if isinstance(node, nodes.TemplateData):
        return Constant(node.data)
    if isinstance(node, nodes.Filter):
        return _filter(node, frame)
    if isinstance(node, nodes.Getattr):
        return _attribute(node, frame)
    if isinstance(node, nodes.Getitem):
        return _item(node, frame)
    if isinstance(node, (nodes.And, nodes.Or)):
        return _either(node, frame)
    if isinstance(node, nodes.Not):
        inner = condition(node.node, frame)
        return Constant(not inner) if isinstance(inner, bool) else Value(pa.array(~inner))
    if isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const):
        return Constant(-node.node.value)
    if isinstance(node, nodes.Test):
        return _test(node, frame)
    raise CannotSay(f"the construct {type(node).__name__}")


def _either(node: nodes.And | nodes.Or, frame: Frame) -> Column:
    left = evaluate(node.left, frame)
    test = truth(frame, left)
    if isinstance(test, bool):
        return evaluate(node.right, frame) if test == isinstance(node, nodes.And) else left
    inner = frame.branch()
    right = evaluate(node.right, inner)
    if isinstance(node, nodes.And):
        frame.close(inner, test)
        return choose(frame, test, right, left)
    frame.close(inner, ~test)
    return choose(frame, test, left, right)


def _filter(node: nodes.Filter, frame: Frame) -> Column:
    assert node.node is not None
    value = evaluate(node.node, frame)
    arguments = [evaluate(argument, frame) for argument in node.args]
    if isinstance(value, Constant) and all(isinstance(a, Constant) for a in arguments):
        try:
            out: Column = Constant(PLAIN_FILTERS[node.name](value.value, *(a.value for a in arguments)))  # type: ignore[union-attr]
        except ROW_ERRORS:
            frame.doubt_all()
            return Constant("")
    elif node.name in KERNELS:
        out = KERNELS[node.name](frame, value, arguments)
    elif node.name in BY_PYTHON:
        function, result = BY_PYTHON[node.name]
        out = by_python(frame, node.name.lstrip("."), function, result, [value, *arguments])
    else:
        raise CannotSay(f"the filter {node.name}")
    frame.spend(out)
    if node.name in PART_KERNELS:  # comparisons read their right side
        frame.spend(arguments[0])
    elif node.name == ".split" or (
        isinstance(out.value, bool) if isinstance(out, Constant) else pa.types.is_boolean(out.array.type)
    ):
        frame.spend(value)  # and so do filters that cut their value up, or say yes or no of it
    return out


def _attribute(node: nodes.Getattr, frame: Frame) -> Column:
    if isinstance(node.node, nodes.Name) and node.node.name == "loop":
        return frame.lookup(f".{node.attr}")
    value = evaluate(node.node, frame)
    if isinstance(value, Value):
        return part(frame, value, node.attr)
    try:
        return Constant(ENVIRONMENT.getattr(value.value, node.attr))
    except ROW_ERRORS:
        frame.doubt_all()
        return Constant("")


def _item(node: nodes.Getitem, frame: Frame) -> Column:
    value, key = evaluate(node.node, frame), evaluate(node.arg, frame)
    if isinstance(value, Value) or isinstance(key, Value):
        return item(frame, value, key)
    try:
        return Constant(ENVIRONMENT.getitem(value.value, key.value))
    except ROW_ERRORS:
        frame.doubt_all()
        return Constant("")


def _test(node: nodes.Test, frame: Frame) -> Column:
    value = evaluate(node.node, frame)
    if isinstance(value, Constant):
        found = not isinstance(value.value, Undefined) if node.name == "defined" else value.value is None
        return Constant(found)
    undefined = np.zeros(frame.size, dtype=bool) if value.undefined is None else value.undefined
    if node.name == "defined":
        return Value(pa.array(~undefined))
    return Value(pa.array(~valid_of(value.array) & ~undefined))


def checked(trees: Mapping[str, nodes.Template], columns: Columns) -> tuple[str | None, frozenset[str]]:
    """Whether texts can be said in kernels.

    Args:
        trees: the normalized tree of each text.
        columns: gives columns of an empty batch.

    Returns:
        what cannot be said and where, None if all can; the names of the filters that go value by value.
    """
    by_value: frozenset[str] = frozenset()
    for name, tree in trees.items():
        try:
            by_value |= render_slice({name: tree}, columns, 0)[2]
        except CannotSay as exc:
            return f"{name}, line {exc.line}: {exc}", by_value
        except TooBig:
            return f"{name}: budgets that a task's own lists use up", by_value
    return None, by_value
