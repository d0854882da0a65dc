"""Ops on text. Scalar text ops map over lists at any depth; null in, null out, unless an op says otherwise.

Text is Unicode code points. Case mapping is the simple one (one code point to one), as Arrow's.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at
from pydantic import Field, field_validator

from tasksource_reg.nested import interleave, plain, relist
from tasksource_reg.ops.checks import as_string, require_one_text, require_text, text_hint, text_kernel, text_result
from tasksource_reg.ops.conditions import blank
from tasksource_reg.ops.expression import Expression, ListOf, Spread
from tasksource_reg.ops.frame import Frame
from tasksource_reg.ops.types import TEXT, Type, TypeMismatch, text_of
from tasksource_reg.text_kernels.assemble import outside_ascii, patched
from tasksource_reg.text_kernels.pieces import join_columns, join_lists, replace_by


class TextOp(Expression):
    """Base of ops that turn one text into one text, below any lists."""

    group: ClassVar[str] = "text"
    of: Expression

    def infer(self) -> Type:
        """Text below the same lists."""
        require_text(self.of, self.key)
        return text_result(self.of)

    def kernel(self, array: pa.Array) -> pa.Array:
        """The op on a flat string array."""
        raise NotImplementedError

    def run(self, frame: Frame) -> pa.Array:
        """The kernel over the flat values of the batch."""
        return text_kernel(frame.evaluate(self.of), self.kernel)


class Strip(TextOp):
    """Removes white space, or any of `chars`, from both ends.

    Example:
        {strip: answer, chars: " ."}
    """

    key: ClassVar[str] = "strip"
    chars: str | None = None

    def kernel(self, array: pa.Array) -> pa.Array:
        """Trims."""
        return pc.utf8_trim_whitespace(array) if self.chars is None else pc.utf8_trim(array, characters=self.chars)


class Squeeze(TextOp):
    """Turns every run of white space into one space and strips the ends.

    Example:
        {squeeze: paragraph}
    """

    key: ClassVar[str] = "squeeze"

    def kernel(self, array: pa.Array) -> pa.Array:
        """One regex replacement and a trim."""
        return pc.utf8_trim_whitespace(pc.replace_substring_regex(array, r"[\s\pZ\x0b\x1c-\x1f\x{85}]+", " "))


class Case(TextOp):
    """Changes case: `lower`, `upper`, `title`, `capitalized` (first letter up, the rest as it is).

    Example:
        {case: sentence, to: capitalized}
    """

    key: ClassVar[str] = "case"
    to: Literal["lower", "upper", "title", "capitalized"]

    def infer(self) -> Type:
        """Known values change case too."""
        require_text(self.of, self.key)
        leaf = self.of.type.leaf()
        if leaf.values is None:
            return text_result(self.of)
        return self.of.type.with_leaf(text_of(self.kernel(pa.array(leaf.values, pa.string())).to_pylist()))

    def kernel(self, array: pa.Array) -> pa.Array:
        """Arrow's case kernels."""
        if self.to == "capitalized":
            first, rest = pc.utf8_slice_codeunits(array, 0, 1), pc.utf8_slice_codeunits(array, 1)
            return pc.binary_join_element_wise(pc.utf8_upper(first), rest, "")
        return {"lower": pc.utf8_lower, "upper": pc.utf8_upper, "title": pc.utf8_title}[self.to](array)


class Replace(TextOp):
    """Replaces literal substrings, one pair after the other in the order written.

    Example:
        {replace: number, pairs: {",": ""}}
    """

    key: ClassVar[str] = "replace"
    pairs: dict[str, str] = Field(min_length=1)

    @field_validator("pairs")
    @classmethod
    def _not_empty(cls, pairs: dict[str, str]) -> dict[str, str]:
        if "" in pairs:
            raise ValueError("an empty text cannot be replaced")
        return pairs

    def kernel(self, array: pa.Array) -> pa.Array:
        """One kernel call a pair."""
        for old, new in self.pairs.items():
            array = pc.replace_substring(array, pattern=old, replacement=new)
        return array


class Unescape(TextOp):
    """Resolves HTML character references (`&amp;`, `&#39;`), once.

    Example:
        {unescape: tweet}
    """

    key: ClassVar[str] = "unescape"

    def kernel(self, array: pa.Array) -> pa.Array:
        """Resolves each distinct reference of the batch once."""
        return replace_by(array, r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]{1,31};?)", _resolve)


class Repair(TextOp):
    """Undoes mojibake: text that was written in one encoding and read in another, by ftfy.

    Only texts with characters outside ASCII are looked at, and of these only suspicious ones change; a batch of plain
    ASCII costs nothing.

    Example:
        {repair: tweet}
    """

    key: ClassVar[str] = "repair"

    def kernel(self, array: pa.Array) -> pa.Array:
        """`ftfy.fix_encoding` of the texts that are not plain ASCII."""
        suspects = outside_ascii(array)
        if suspects is None:
            return array
        from ftfy import fix_encoding

        return patched(array, array, suspects, fix_encoding)


def _resolve(reference: str) -> str:
    """What a character reference stands for; numbers beyond all code points are left as they are."""
    return html.unescape(reference) if len(reference) <= 40 else reference


class Format(Expression):
    """Text with `{path}` slots; `let` names expressions for the slots; `{{` and `}}` are braces.

    Null: null if any slot is null. Numbers are written as `cast` to string writes them.

    Example:
        {format: "{who}: {text}"}
    """

    key: ClassVar[str] = "format"
    group: ClassVar[str] = "text"
    pieces: tuple[Any, ...]  # text and expressions

    def infer(self) -> Type:
        """Text."""
        for piece in self.pieces:
            if isinstance(piece, Expression) and not piece.type.scalar:
                raise TypeMismatch(f"a slot takes text or a number, this is {piece.type.named}", text_hint(piece.type))
        return TEXT

    def run(self, frame: Frame) -> pa.Array:
        """One join over the columns."""
        columns = [as_text(frame.evaluate(p)) if isinstance(p, Expression) else pa.scalar(p) for p in self.pieces]
        return join_columns(columns, "", frame.length)


class Join(Expression):
    """A list of texts as one text, with `sep` between.

    Null: null if the list or an element is null; with `skip_blank: true` null and blank elements are left out. No
    element gives the empty text.

    Example:
        {join: [title, abstract], sep: "\\n", skip_blank: true}
    """

    key: ClassVar[str] = "join"
    group: ClassVar[str] = "text"
    of: Expression
    sep: str = ""
    skip_blank: bool = False

    def infer(self) -> Type:
        """Text."""
        t = self.of.type
        if t.kind not in ("list", "any", "null"):
            hint = "list the texts that are joined: {join: [title, body]}" if t.scalar else None
            raise TypeMismatch(f"join takes a list, this is {t.named}", hint)
        if t.item and t.item.kind not in ("text", "any", "null"):
            hint = "join the inner lists first, with each" if t.item.kind == "list" else text_hint(t.item)
            raise TypeMismatch(f"join takes a list of text, this is {t.named}", hint)
        return TEXT

    def run(self, frame: Frame) -> pa.Array:
        """Element-wise for a written list, else one join over flat values."""
        written = isinstance(self.of, ListOf) and not any(isinstance(e, Spread) for e in self.of.items)
        if isinstance(self.of, ListOf) and written and self.of.items and not self.skip_blank:
            columns = [as_string(frame.evaluate(e)) for e in self.of.items]
            return join_columns(columns, self.sep, frame.length)
        lists = frame.evaluate(self.of)
        return join_lists(lists, self.sep, skip_blank=self.skip_blank)


class Sections(Expression):
    """Titled parts, `Title: text`, one below the other; blank parts are left out.

    Null: a null part is blank; null if all are.

    Example:
        {sections: {Context: passage, Question: question}}
    """

    key: ClassVar[str] = "sections"
    group: ClassVar[str] = "text"
    of: dict[str, Expression] = Field(min_length=1)

    def infer(self) -> Type:
        """Text."""
        for title, part in self.of.items():
            require_one_text(part, f'section "{title}"')
        return TEXT

    def run(self, frame: Frame) -> pa.Array:
        """One join over flat lines."""
        columns = []
        for title, part in self.of.items():
            text = as_string(frame.evaluate(part))
            line = pc.binary_join_element_wise(pa.scalar(title), text, ": ")
            columns.append(pc.if_else(blank(text), pa.scalar(None, pa.string()), line))
        offsets = np.arange(frame.length + 1, dtype=np.int64) * len(columns)
        result = join_lists(relist(offsets, interleave(columns)), "\n", skip_blank=True)
        return pc.if_else(pc.equal(result, ""), pa.scalar(None, pa.string()), result)


class ToJson(Expression):
    """Any value as compact JSON text, keys in the order of the source.

    Null: null for null; nulls inside become `null`, and so do NaN and infinity. Dates and times are in ISO form.

    Example:
        {to_json: tests}
    """

    key: ClassVar[str] = "to_json"
    group: ClassVar[str] = "text"
    of: Expression

    def infer(self) -> Type:
        """Text."""
        return TEXT

    def run(self, frame: Frame) -> pa.Array:
        """Through Python's encoder: no Arrow kernel writes JSON."""
        array = frame.evaluate(self.of)
        convert = _json_form(array.type)
        values = (convert(v) if v is not None else None for v in array.to_pylist())
        dump = [None if v is None else json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in values]
        return pa.array(dump, pa.string())


def _json_form(kind: pa.DataType) -> Callable[[Any], Any]:
    """What turns a non-null Python value of an Arrow type into what the JSON encoder takes."""
    if at.is_list(kind):
        item = _json_form(kind.value_type)
        return lambda values: [None if v is None else item(v) for v in values]
    if at.is_struct(kind):
        fields = {f.name: _json_form(f.type) for f in kind}
        return lambda record: {n: None if record[n] is None else form(record[n]) for n, form in fields.items()}
    if at.is_map(kind):
        value = _json_form(kind.item_type)
        return lambda pairs: {str(k): None if v is None else value(v) for k, v in pairs}
    if at.is_floating(kind):
        return lambda number: number if math.isfinite(number) else None
    if at.is_decimal(kind):
        return float
    if at.is_temporal(kind):
        return lambda moment: moment.isoformat() if hasattr(moment, "isoformat") else str(moment)
    if at.is_string(kind) or at.is_integer(kind) or at.is_boolean(kind) or at.is_null(kind):
        return lambda value: value
    raise TypeMismatch(f"{kind} has no JSON form")


def as_text(array: pa.Array) -> pa.Array:
    """Scalars as text: numbers in their shortest form, true and false for booleans."""
    return plain(array if at.is_string(array.type) else array.cast(pa.string()))


TEXT_OPS: dict[str, type[Expression]] = {
    "format": Format,
    "join": Join,
    "sections": Sections,
    "strip": Strip,
    "squeeze": Squeeze,
    "case": Case,
    "replace": Replace,
    "unescape": Unescape,
    "repair": Repair,
    "to_json": ToJson,
}
