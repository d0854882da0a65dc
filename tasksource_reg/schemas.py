"""The twelve unified task schemas: named fields with Arrow types.

A field's type is written in the small language that the docs use (`string`, `int64`, `class`, `list<...>`,
`struct<name: type, ...>`), so that listing and showing schemas needs no Arrow. `class` is int64: the index into the
task's labels. `Schema.arrow()` gives the Arrow schema that every harmonized batch of the task has, whatever its source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

MESSAGES = "list<struct<role: string, content: string>>"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `required` fields are never null in a harmonized row."""

    name: str
    type: str
    required: bool
    doc: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A unified task schema. `gold` are the fields of which at least one must be mapped: what is to be predicted."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    gold: tuple[str, ...]

    def field(self, name: str) -> Field | None:
        """The field of this name, common ones included; None if there is none."""
        return next((f for f in self.all_fields if f.name == name), None)

    @property
    def all_fields(self) -> tuple[Field, ...]:
        """The schema's own fields, then the common ones."""
        return self.fields + COMMON

    def arrow(self) -> pa.Schema:
        """The Arrow schema of harmonized batches (class fields as int64)."""
        return _arrow_schema(self.name)


@dataclass(frozen=True, slots=True)
class TaskProfile:
    """What rendering needs to know of a task beside its rows.

    Attributes:
        id: the task's id.
        schema: a key of `SCHEMAS`.
        family: the task's family, None if it has none.
        languages: BCP-47 tags.
        labels: names of the class ids, in order; empty for schemas without classes.
        entity_labels: names of the class ids of `entities.label` in the schema `relations`.
        range: lowest and highest score.
        levels: names of the score levels, lowest first.
        scheme: BIO, BIOES, IO or plain, for token tags.
        row_languages: whether rows say which of the languages they are in.
    """

    id: str
    schema: str
    family: str | None = None
    languages: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    entity_labels: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    levels: tuple[str, ...] = ()
    scheme: str | None = None
    row_languages: bool = False


COMMON: tuple[Field, ...] = (
    Field("ask", "string", False, "the decision asked, when the inputs do not show it"),
    Field("rationale", "string", False, "why the gold answer is right, as the source says it"),
    Field("language", "string", False, "BCP-47 tag of this row, where rows differ"),
    Field("carried", "string", False, "columns that travel along, as one JSON object"),
)

_TEXT = Field("text", "string", True, "the text, or the first of a pair")
_PAIR = Field("text_pair", "string", False, "the second text of a pair")


def _schema(name: str, doc: str, gold: tuple[str, ...], *fields: Field) -> tuple[str, Schema]:
    return name, Schema(name, doc, fields, gold)


SCHEMAS: dict[str, Schema] = dict(
    (
        _schema(
            "classification",
            "one label out of a closed set",
            ("label",),
            _TEXT,
            _PAIR,
            Field("label", "class", True, "index into the task's labels"),
            Field("label_dist", "list<float32>", False, "probability of each label, in label order"),
        ),
        _schema(
            "multi_label",
            "any number of labels out of a closed set",
            ("labels",),
            _TEXT,
            _PAIR,
            Field("labels", "list<class>", True, "indices into the task's labels; empty: none applies"),
        ),
        _schema(
            "score",
            "a number on a scale; the task declares `range`",
            ("score",),
            _TEXT,
            _PAIR,
            Field("score", "float64", True, "the number, within the task's range"),
        ),
        _schema(
            "multiple_choice",
            "one of several options of this row",
            ("gold", "golds"),
            Field("question", "string", False, "the data's own question"),
            Field("context", "string", False, "what the question is about"),
            Field("choices", "list<string>", True, "the options"),
            Field("gold", "int64", False, "index of the right option"),
            Field("golds", "list<int64>", False, "indices, where several options are right"),
            Field("choice_dist", "list<float32>", False, "probability of each option"),
        ),
        _schema(
            "token_tags",
            "one tag for each token; the task declares `scheme`",
            ("tags",),
            Field("tokens", "list<string>", True, "the tokens"),
            Field("tags", "list<class>", True, "indices into the task's labels, one a token"),
        ),
        _schema(
            "spans",
            "labelled stretches of a text",
            ("spans",),
            Field("text", "string", True, "the text"),
            Field(
                "spans",
                "list<struct<start: int32, end: int32, label: class>>",
                True,
                "code points, half-open; empty: none",
            ),
        ),
        _schema(
            "relations",
            "labelled pairs of entities in a text",
            ("relations",),
            Field("text", "string", True, "the text"),
            Field(
                "entities",
                "list<struct<id: string, start: int32, end: int32, label: class>>",
                True,
                "code points, half-open; `id` is unique in the row; labels by the task's entity_labels",
            ),
            Field(
                "relations",
                "list<struct<head: string, tail: string, label: class>>",
                True,
                "`head` and `tail` are ids of entities",
            ),
        ),
        _schema(
            "extractive_qa",
            "a question answered by a stretch of the context",
            ("answers",),
            Field("context", "string", True, "the passage"),
            Field("question", "string", True, "the question"),
            Field(
                "answers",
                "list<struct<text: string, start: int32>>",
                True,
                "alternatives; `start` in code points or null; empty: unanswerable",
            ),
        ),
        _schema(
            "generation",
            "a text from a text",
            ("target",),
            Field("input", "string", True, "what is given"),
            Field("context", "string", False, "what the input is about"),
            Field("target", "string", True, "what is wanted"),
            Field("references", "list<string>", False, "all right outputs, the target included"),
            Field("input_language", "string", False, "BCP-47 tag of the input"),
            Field("target_language", "string", False, "BCP-47 tag of the target"),
        ),
        _schema(
            "chat",
            "a conversation; the last assistant turn is what is to be said",
            ("messages",),
            Field("messages", MESSAGES, True, "turns in order"),
        ),
        _schema(
            "preference",
            "two answers, one of them preferred",
            ("chosen",),
            Field("prompt", MESSAGES, True, "turns before the answers"),
            Field("chosen", MESSAGES, True, "the preferred answer"),
            Field("rejected", MESSAGES, True, "the other answer"),
            Field("margin", "float32", False, "how much it is preferred"),
        ),
        _schema(
            "ranking",
            "documents by relevance to a query",
            ("relevance",),
            Field("query", "string", True, "the query"),
            Field("documents", "list<string>", True, "the candidates"),
            Field("relevance", "list<float32>", True, "one grade a document; higher is more relevant"),
        ),
    )
)


@cache
def _arrow_schema(name: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(f.name, arrow_type(f.type)) for f in SCHEMAS[name].all_fields])


@lru_cache(maxsize=1024)
def arrow_type(text: str) -> pa.DataType:
    """The Arrow type of a type written as text; `class` is int64, `map<T>` has text keys.

    Raises:
        ValueError: the text is not a type of this small language.
    """
    import pyarrow as pa

    text = text.strip()
    if inner := re.fullmatch(r"list<(.*)>", text):
        return pa.list_(arrow_type(inner[1]))
    if inner := re.fullmatch(r"map<(.*)>", text):
        return pa.map_(pa.string(), arrow_type(inner[1]))
    if inner := re.fullmatch(r"struct<(.*)>", text):
        parts = [part.partition(":") for part in split_members(inner[1])]
        return pa.struct([pa.field(key.strip(), arrow_type(value)) for key, _, value in parts])
    simple = {
        "string": pa.string(),
        "class": pa.int64(),
        "int64": pa.int64(),
        "int32": pa.int32(),
        "float32": pa.float32(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
    }
    if text not in simple:
        raise ValueError(f'"{text}" is not a type')
    return simple[text]


def split_members(text: str) -> list[str]:
    """`a: int64, b: list<struct<c: string, d: string>>` cut at its outer commas."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "<") - (character == ">")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
