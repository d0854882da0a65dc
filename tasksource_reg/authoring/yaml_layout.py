"""YAML in one layout: what `tsr fmt` writes, from a tree that knows its comments.

Indentation 2; a mapping or list stands on one line if it fits into 120 columns and no comment or block text is inside
it, else one entry a line; text is quoted only where the strict reader, or a reader that knows less, would take it for
something else; no blank lines. The layout depends on the content alone, but for block text (`|`), which stays what it
was written as. Comments belong to entries: those before it, the one at the end of its line, those after the last entry
of a block. `read_tree` finds them in the gaps between scalars, so entries can move and take theirs along; round-trip
emitters hang comments on the token before, from where a moved entry takes its neighbour's.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasksource_reg.yaml_reader import FORBIDDEN, safe_loader
from tasksource_reg.yaml_scalars import Plain, resolve

WIDTH = 120
STEP = 2


@dataclass(slots=True)
class Leaf:
    """A scalar: its value, how a number was written, and whether it is block text."""

    value: Plain
    written: str = ""
    block: bool = False


@dataclass(slots=True)
class Item:
    """An entry of a mapping (with a key) or of a list, and its comments, each with its `#`."""

    key: Leaf | None
    value: Leaf | Branch
    before: list[str] = field(default_factory=list)
    beside: str | None = None

    @property
    def name(self) -> Plain:
        """The key's value; None for the entry of a list."""
        return self.key.value if self.key is not None else None


@dataclass(slots=True)
class Branch:
    """A mapping or list; `tall` ones have one entry a line however short they are, `end` is what stands below them."""

    mapping: bool
    items: list[Item]
    tall: bool = False
    end: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Tree:
    """A document: the comments above everything, and the root."""

    header: list[str]
    root: Leaf | Branch


# Reading.


@dataclass(slots=True)
class _Spot:
    """Where an entry was written, for finding the entry that a comment belongs to."""

    item: Item
    branch: Branch
    start: int
    line: int
    column: int  # of the branch
    outer: _Spot | None
    in_flow: bool
    on_one_line: bool  # inside a flow collection that opens and closes on one line


@dataclass(slots=True)
class _Reader:
    text: str
    spots: list[_Spot] = field(default_factory=list)
    flows: list[tuple[int, int, Branch]] = field(default_factory=list)  # flow collections over several lines
    scalars: list[tuple[int, int]] = field(default_factory=list)

    def branch(self, node: Any, outer: _Spot | None) -> Leaf | Branch:
        if not isinstance(node.value, list):
            return self.leaf(node)
        mapping = node.id == "mapping"
        out = Branch(mapping, [])
        start, end = node.start_mark, node.end_mark
        on_one_line = bool(node.flow_style) and start.line == end.line
        if node.flow_style and not on_one_line:
            self.flows.append((start.index, end.index, out))
        for child in node.value:
            key, value = child if mapping else (None, child)
            mark = (value if key is None else key).start_mark
            item = Item(None if key is None else self.leaf(key), Leaf(None))
            spot = _Spot(item, out, mark.index, mark.line, start.column, outer, bool(node.flow_style), on_one_line)
            self.spots.append(spot)
            item.value = self.branch(value, spot)
            out.items.append(item)
        return out

    def leaf(self, node: Any) -> Leaf:
        start, end = node.start_mark.index, node.end_mark.index
        if node.style in ("|", ">"):
            header = self.text.find("\n", start)
            comment = self.text.find(" #", start, header if header >= 0 else len(self.text))
            self.scalars.append((start, comment if comment >= 0 else header))
            self.scalars.append((max(header, 0), end))
            return Leaf(node.value, block=node.style == "|" or "\n" in node.value)
        self.scalars.append((start, end))
        if node.style:
            return Leaf(node.value)
        return Leaf(resolve(node.value)[0], node.value)

    def comments(self) -> Iterator[tuple[int, str]]:
        """Start and text of every comment: what follows a `#` between scalars."""
        at = 0
        for start, end in [*sorted(self.scalars), (len(self.text), len(self.text))]:
            for match in re.finditer(r"#[^\n]*", self.text[at:start]):
                yield at + match.start(), match[0].rstrip()
            at = max(at, end)


def read_tree(text: str) -> Tree:
    """The tree of a text that the strict reader accepts.

    Args:
        text: one YAML document without problems.
    """
    import yaml

    text = text.replace("\r\n", "\n").replace("\r", "\n")
    reader = _Reader(text)
    root = reader.branch(yaml.compose(text, Loader=safe_loader()), None)
    header: list[str] = []
    for start, comment in reader.comments():
        line_start = text.rfind("\n", 0, start) + 1
        left = text[line_start:start].strip()
        if not any(spot.start < start for spot in reader.spots):
            header.append(comment)
        elif not left:
            _attach_line(reader, start, start - line_start, comment)
        else:
            _attach_beside(reader, start, text.count("\n", 0, start), left, comment)
    return Tree(header, root)


def _attach_beside(reader: _Reader, start: int, line: int, left: str, comment: str) -> None:
    """A comment behind something: it belongs to the entry that starts on its line, else to the last one before it."""
    later = next((s for s in reader.spots if s.start > start), None)
    if set(left) <= set("- ") and later is not None:  # `- # comment`, the entry on the next line
        later.item.before.append(comment)
        return
    before = [s for s in reader.spots if s.start < start and not s.on_one_line] or reader.spots[:1]
    here = [s for s in before if s.line == line]
    item = (here or before)[-1].item
    if item.beside is None:
        item.beside = comment
    else:
        item.before.append(comment)


def _attach_line(reader: _Reader, start: int, column: int, comment: str) -> None:
    """A comment on a line of its own: it belongs to the next entry, or ends the block in whose column it stands."""
    around = [flow for flow in reader.flows if flow[0] < start < flow[1]]
    later = next((s for s in reader.spots if s.start > start), None)
    if around:
        _, end, branch = max(around, key=lambda flow: flow[0])
        if later is not None and later.start < end:
            later.item.before.append(comment)
        elif branch.items:
            branch.end.append(comment)
        else:
            [s for s in reader.spots if s.start < start][-1].item.before.append(comment)
        return
    least = -1 if later is None else later.column
    spot: _Spot | None = [s for s in reader.spots if s.start < start][-1]
    while spot is not None and (spot.in_flow or spot.column > max(column, 0)):
        spot = spot.outer
    if spot is not None and spot.column > least:
        spot.branch.end.append(comment)
    elif later is not None:
        later.item.before.append(comment)
    else:
        reader.spots[0].branch.end.append(comment)


# Scalars.

_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_JOINERS = "\u200c\u200d"  # part of the spelling of many scripts, and of emoji
_FLOW = frozenset(",[]{}?")  # `?` since some readers end a plain scalar there


def scalar(leaf: Leaf, *, flow: bool) -> str:
    """A scalar on one line.

    Args:
        leaf: the scalar.
        flow: whether it stands inside `{...}` or `[...]`.
    """
    if isinstance(leaf.value, str):
        return leaf.value if is_plain(leaf.value, flow=flow) else quoted(leaf.value)
    if isinstance(leaf.value, bool) or leaf.value is None or not leaf.written:
        return json.dumps(leaf.value)
    return leaf.written


def is_plain(text: str, *, flow: bool) -> bool:
    """Whether a text can stand without quotes: every reader takes it for this text."""
    if not text or text != text.strip() or resolve(text) != (text, None) or text == "<<":
        return False
    if text[0] in "?:,[]{}#&*!|>'\"%@`" or text.startswith(("- ", "---", "...")) or text == "-":
        return False
    if ":" in text or " #" in text or "\\" in text or _escaped(text.replace('"', "")):
        return False  # most colons and all backslashes stand for themselves, which few people remember
    return not (flow and (_FLOW & set(text) or text[0] == "-"))


def quoted(text: str) -> str:
    """A text in double quotes; in single ones where it holds double quotes and nothing that needs an escape there."""
    if '"' in text and "'" not in text and not _escaped(text.replace('"', "").replace("\\", "")):
        return f"'{text}'"
    return '"' + "".join(_escape(c, before) or c for before, c in zip(" " + text, text, strict=False)) + '"'


def _escaped(text: str) -> bool:
    """Whether double quotes hold an escape for a character of the text."""
    return any(_escape(c, before) for before, c in zip(" " + text, text, strict=False))


def _escape(char: str, before: str) -> str | None:
    """How a character must be written in double quotes behind another one; None if it stands for itself."""
    if char in _ESCAPES:
        return _ESCAPES[char]
    if FORBIDDEN.match(char) or not (char.isprintable() or char in _JOINERS) or (before == " " and _is_mark(char)):
        code = ord(char)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return None


def _is_mark(char: str) -> bool:
    """Whether a character changes the one before it, and cannot be seen by itself."""
    return char in _JOINERS or unicodedata.category(char) in ("Mn", "Me")


def _block_text(text: str) -> tuple[str, list[str]] | None:
    """The header and the lines of a text as a literal block; None if it cannot stand so."""
    body = text.rstrip("\n")
    if not body.strip() or FORBIDDEN.search(text) or "\r" in text or body.split("\n")[0].startswith("\t"):
        return None
    breaks = len(text) - len(body)
    lines = body.split("\n") + [""] * (breaks - 1)
    indicator = str(STEP) if text[0] in " \n" else ""
    return f"|{indicator}{('-', '')[breaks] if breaks < 2 else '+'}", lines


# Writing.


def tree_of(value: Any) -> Leaf | Branch:
    """Plain data as a tree."""
    if isinstance(value, Mapping):
        return Branch(True, [Item(Leaf(key), tree_of(inner)) for key, inner in value.items()])
    if isinstance(value, list | tuple):
        return Branch(False, [Item(None, tree_of(inner)) for inner in value])
    return Leaf(value)


def write_tree(tree: Tree) -> str:
    """The text of a tree, with a line end at its end."""
    _raise_comments(tree.root)
    if isinstance(tree.root, Leaf):
        return "\n".join([*tree.header, scalar(tree.root, flow=False), ""])
    lines = _block(tree.root, 0) if tree.root.items else [flow_text(tree.root)]
    return "\n".join([*tree.header, *lines, ""])


def _raise_comments(value: Leaf | Branch) -> None:
    """Gives comments before the first entry of a list's entry to that entry: they stand above its dash."""
    if isinstance(value, Leaf):
        return
    for item in value.items:
        _raise_comments(item.value)
        if item.key is None and isinstance(item.value, Branch) and item.value.items:
            first = item.value.items[0]
            item.before, first.before = [*item.before, *first.before], []


def flow_text(value: Leaf | Branch) -> str:
    """A value on one line."""
    if isinstance(value, Leaf):
        return scalar(value, flow=True)
    inner = ", ".join(
        flow_text(i.value) if i.key is None else f"{scalar(i.key, flow=True)}: {flow_text(i.value)}"
        for i in value.items
    )
    return f"{{{inner}}}" if value.mapping else f"[{inner}]"


def _is_tall(value: Leaf | Branch) -> bool:
    """Whether a value cannot stand on one line, however short it is."""
    if isinstance(value, Leaf):
        return value.block and _block_text(str(value.value)) is not None
    return value.tall or bool(value.end) or any(i.before or i.beside or _is_tall(i.value) for i in value.items)


def _block(branch: Branch, indent: int) -> list[str]:
    lines: list[str] = []
    for item in branch.items:
        lines += _item(item, indent)
    return lines + [" " * indent + comment for comment in branch.end]


def _item(item: Item, indent: int) -> list[str]:
    pad = " " * indent
    head = f"{pad}-" if item.key is None else f"{pad}{scalar(item.key, flow=False)}:"
    beside = f" {item.beside}" if item.beside else ""
    before = [pad + comment for comment in item.before]
    value = item.value
    if isinstance(value, Leaf):
        block = _block_text(str(value.value)) if value.block else None
        if block is None:
            return [*before, f"{head} {scalar(value, flow=False)}{beside}"]
        inner = " " * (indent + STEP)
        return [*before, f"{head} {block[0]}{beside}", *[line and inner + line for line in block[1]]]
    if not value.items or not _is_tall(value):
        line = f"{head} {flow_text(value)}"
        if len(line) <= WIDTH or not value.items:
            return [*before, line + beside]
    body = _block(value, indent + STEP)
    if item.key is not None:
        return [*before, head + beside, *body]
    # The first entry of the inner block stands behind the dash; a comment beside the dash moves above it.
    moved = [pad + item.beside] if item.beside else []
    return [*before, *moved, head + " " + body[0].lstrip(), *body[1:]]
