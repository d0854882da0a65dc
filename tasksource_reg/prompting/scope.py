"""The scope of templates: every name that a template of a schema may use, and its column for a harmonized batch.

`names(schema)` is the closed list; `Scope(batch, profile, answers).column(name)` computes one name for the whole batch,
as an Arrow array with one value a row or as a `Constant` that is the same for every row. A schema's own fields come
first (class fields as label names, as the template verbalizes them), then what follows from them: `options`, `answer`,
`answer_letter`, `letters`, `entities`, `types`, `low`, `high`, `levels`, `languages`, `task`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasksource_reg.nested import (
    Ints,
    Mask,
    counts_to_offsets,
    ints_of,
    parents,
    ranges,
    relist,
    take,
    unlist,
    valid_of,
)
from tasksource_reg.ops.tagging import Scheme, chunks
from tasksource_reg.prompting.filters import letter
from tasksource_reg.prompting.language_names import LANGUAGES
from tasksource_reg.schemas import SCHEMAS, TaskProfile
from tasksource_reg.text_kernels.codepoints import slice_text
from tasksource_reg.text_kernels.pieces import join_lists

SCHEMES: tuple[Scheme, ...] = ("BIO", "BIOES", "IO")
"""Tag schemes that entities can be read from."""

VERBALIZED = frozenset({"classification", "multi_label", "spans", "relations"})
"""Schemas whose labels a template says in its own words (`answers`); tags are always shown as they are."""


SHOWN = "shown"
"""A column beside a schema's own: list<int64>, the class ids that a row shows, in order, where it does not show all."""

SHOWN_SCHEMAS = frozenset({"classification", "multi_label"})


def rendered_schema(schema: str, *, sampled: bool) -> pa.Schema:
    """The Arrow schema of batches that are rendered; `sampled` ones name the labels that each row shows."""
    arrow = SCHEMAS[schema].arrow()
    return arrow.append(pa.field(SHOWN, pa.list_(pa.int64()))) if sampled else arrow


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is the same for every row of a task: plain Python (text, number, None, list, dict)."""

    value: Any


Column: TypeAlias = "pa.Array | Constant"


class Scope:
    """The columns of one batch of one task, as one template sees them; each is computed when it is asked for.

    Args:
        batch: harmonized rows with the schema `rendered_schema(profile.schema)`, sampled or not.
        profile: what is known of the task.
        answers: label name -> the template's words for it; labels left out are said by their name.
    """

    def __init__(self, batch: pa.RecordBatch, profile: TaskProfile, answers: Mapping[str, str]) -> None:
        self.batch = batch
        self.profile = profile
        self.answers = answers
        self._columns: dict[str, Column] = {}

    def column(self, name: str) -> Column:
        """The column of a name of `names(profile.schema)`.

        Raises:
            KeyError: the name is not in the scope of the schema.
        """
        if name not in self._columns:
            function = _derived(self.profile.schema).get(name)
            if function is None and name not in names(self.profile.schema):
                raise KeyError(name)
            self._columns[name] = self.batch.column(name) if function is None else function(self)
        return self._columns[name]

    def array(self, name: str) -> pa.Array:
        """A field of the schema as it is in the batch."""
        return self.batch.column(name)

    @cached_property
    def said(self) -> pa.Array:
        """The labels in the template's words, in class order."""
        return pa.array([self.answers.get(label, label) for label in self.profile.labels], pa.string())

    @cached_property
    def shown(self) -> tuple[Ints, Ints] | None:
        """The class ids that each row shows, flat, and their offsets; None where every row shows all labels."""
        if SHOWN not in self.batch.schema.names:
            return None
        values, offsets, _ = unlist(self.array(SHOWN))
        return ints_of(values), offsets

    def letters_of(self, rows: Ints, ids: Ints) -> pa.Array:
        """The letters of class ids among the labels that their rows show; null for an id that is not shown."""
        count = len(self.profile.labels)
        if self.shown is None:
            return _named(pa.array(ids), _letters(count))
        shown, offsets = self.shown
        owner = parents(offsets)
        place = np.full((len(offsets) - 1, count), -1, dtype=np.int64)
        place[owner, shown] = np.arange(len(shown)) - offsets[owner]
        inside = (ids >= 0) & (ids < count)
        at = np.where(inside, place[rows, np.where(inside, ids, 0)], -1) if len(ids) else ids
        return take(_letters(count), at)

    @cached_property
    def tag_names(self) -> tuple[pa.Array, Ints, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Flat tag names, offsets, and which rows have tags."""
        values, offsets, valid = unlist(self.array("tags"))
        return _named(values, pa.array(self.profile.labels, pa.string())), offsets, valid


@cache
def names(schema: str) -> frozenset[str]:
    """The names that templates of a schema may use."""
    return frozenset(f.name for f in SCHEMAS[schema].all_fields) | frozenset(_derived(schema))


# Helpers.


def _named(indices: pa.Array, labels: pa.Array) -> pa.Array:
    """Label names at class ids; null for null and for an id outside the labels."""
    at = ints_of(indices)
    at = np.where(at < len(labels), at, -1)
    return take(labels, at) if len(labels) else pa.nulls(len(indices), pa.string())


def _element(values: pa.Array, offsets: Ints, index: Ints) -> pa.Array:
    """The element at `index` of each list; null where the list is shorter or the index is negative."""
    inside = (index >= 0) & (index < np.diff(offsets))
    return take(values, np.where(inside, offsets[:-1] + index, -1))


def _letters(n: int) -> pa.Array:
    return pa.array([letter(i) for i in range(n)], pa.string())


def _with_labels(lists: pa.Array, labels: pa.Array, **added: pa.Array) -> pa.Array:
    """list<struct<..., label: int64>> with names for class ids, and further parts added."""
    values, offsets, valid = unlist(lists)
    parts = {f.name: values.field(f.name) for f in values.type}
    parts = {"text": added.pop("text")} | parts if "text" in added else parts
    parts["label"] = _named(parts["label"], labels)
    return relist(offsets, pa.StructArray.from_arrays(list(parts.values()), names=list(parts)), valid)


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


# What follows from the fields, schema by schema.


def _task(scope: Scope) -> Column:
    profile = scope.profile
    return Constant({"id": profile.id, "family": profile.family, "languages": list(profile.languages)})


def _label_options(scope: Scope) -> Column:
    if scope.shown is None:
        return Constant(scope.said.to_pylist())
    ids, offsets = scope.shown
    return relist(offsets, take(scope.said, ids))


def _label_letters(scope: Scope) -> Column:
    if scope.shown is None:
        return Constant(_letters(len(scope.profile.labels)).to_pylist())
    return _letters_within(scope.shown[1])


def _letters_within(offsets: Ints, valid: Mask | None = None) -> pa.Array:
    """Lists of the letters A, B, ..., as long as these."""
    within = np.arange(offsets[-1]) - offsets[parents(offsets)]
    return relist(offsets, take(_letters(int(np.diff(offsets).max(initial=0))), within), valid)


def _label(scope: Scope) -> Column:
    return _named(scope.array("label"), scope.said)


def _label_letter(scope: Scope) -> Column:
    return scope.letters_of(np.arange(scope.batch.num_rows), ints_of(scope.array("label")))


def _multi_labels(scope: Scope) -> Column:
    values, offsets, valid = unlist(scope.array("labels"))
    return relist(offsets, _named(values, scope.said), valid)


def _multi_answer(scope: Scope) -> Column:
    return join_lists(_multi_labels(scope), ", ")


def _multi_letter(scope: Scope) -> Column:
    values, offsets, valid = unlist(scope.array("labels"))
    return join_lists(relist(offsets, scope.letters_of(parents(offsets), ints_of(values)), valid), ", ")


def _low(scope: Scope) -> Column:
    return Constant(None if scope.profile.range is None else _number(scope.profile.range[0]))


def _high(scope: Scope) -> Column:
    return Constant(None if scope.profile.range is None else _number(scope.profile.range[1]))


def _levels(scope: Scope) -> Column:
    return Constant(list(scope.profile.levels) or None)


def _score_answer(scope: Scope) -> Column:
    """The score as text: whole numbers without a point."""
    text = scope.array("score").cast(pa.string())
    return pc.replace_substring_regex(text, r"\.0$", "")


def _choices(scope: Scope) -> Column:
    return scope.array("choices")


def _choice_letters(scope: Scope) -> Column:
    _, offsets, valid = unlist(scope.array("choices"))
    return _letters_within(offsets, valid)


def _gold_of(scope: Scope, choices: pa.Array, sep: str) -> pa.Array:
    """The gold element of each list of `choices`, or the gold ones joined, where `golds` is set."""
    values, offsets, _ = unlist(choices)
    one = _element(values, offsets, ints_of(scope.array("gold")))
    golds, gold_offsets, has_golds = unlist(scope.array("golds"))
    if not has_golds.any():
        return one
    row, index = parents(gold_offsets), ints_of(golds)
    inside = (index >= 0) & (index < np.diff(offsets)[row])
    several = join_lists(relist(gold_offsets, take(values, np.where(inside, offsets[row] + index, -1)), has_golds), sep)
    return pc.if_else(pa.array(has_golds & (np.diff(gold_offsets) > 0)), several, one)


def _choice_answer(scope: Scope) -> Column:
    return _gold_of(scope, scope.array("choices"), "; ")


def _choice_letter(scope: Scope) -> Column:
    return _gold_of(scope, _choice_letters(scope), ", ")


def _tags(scope: Scope) -> Column:
    values, offsets, valid = scope.tag_names
    return relist(offsets, values, valid)


def _tag_options(scope: Scope) -> Column:
    return Constant(list(scope.profile.labels))


def _tag_answer(scope: Scope) -> Column:
    values, offsets, valid = scope.tag_names
    return join_lists(relist(offsets, values, valid), " ")


def _tag_types(scope: Scope) -> Column:
    """The entity types that the tags speak of, in the order of the labels; the tags themselves without a scheme."""
    labels = scope.profile.labels
    if scope.profile.scheme not in SCHEMES:
        return Constant(list(labels))
    return Constant(list(dict.fromkeys(re.sub(r"^[BIESLU]-", "", label) for label in labels if label != "O")))


def _tag_entities(scope: Scope) -> Column:
    """list<struct<text, type, start, end>>: token indices, half-open; null where tokens and tags differ in number."""
    scheme = next((s for s in SCHEMES if s == scope.profile.scheme), None)
    if scheme is None:
        return Constant(None)
    tags, offsets, valid = scope.tag_names
    tokens, token_offsets, has_tokens = unlist(scope.array("tokens"))
    fits = valid & has_tokens & (np.diff(offsets) == np.diff(token_offsets))
    row, first, last, kinds = chunks(tags, offsets, scheme)
    kept = np.flatnonzero(fits[row])
    row, kinds = row[kept], take(kinds, kept)
    start, end = first[kept] - offsets[row], last[kept] + 1 - offsets[row]
    words = take(tokens, ranges(token_offsets[row] + start, end - start))
    text = join_lists(relist(counts_to_offsets(end - start), words), " ")
    entity = pa.StructArray.from_arrays(
        [text, kinds, pa.array(start, pa.int64()), pa.array(end, pa.int64())], names=["text", "type", "start", "end"]
    )
    return relist(counts_to_offsets(np.bincount(row, minlength=len(fits))), entity, fits)


def _spans(scope: Scope) -> Column:
    return _with_labels(scope.array("spans"), scope.said)


def _relations(scope: Scope) -> Column:
    return _with_labels(scope.array("relations"), scope.said)


def _relation_entities(scope: Scope) -> Column:
    lists = scope.array("entities")
    values, offsets, _ = unlist(lists)
    texts = take(scope.array("text"), parents(offsets))
    text = slice_text(texts, ints_of(values.field("start"), 0), ints_of(values.field("end"), 0))
    said = [scope.answers.get(label, label) for label in scope.profile.entity_labels]
    return _with_labels(lists, pa.array(said, pa.string()), text=text)


def _qa_answer(scope: Scope) -> Column:
    values, offsets, valid = unlist(scope.array("answers"))
    first = _element(values.field("text"), offsets, np.zeros(len(valid), dtype=np.int64))
    return pc.if_else(pa.array(valid & (np.diff(offsets) == 0)), "", first)


def _target(scope: Scope) -> Column:
    return scope.array("target")


def _last_content(field: str) -> Callable[[Scope], Column]:
    def column(scope: Scope) -> Column:
        values, offsets, _ = unlist(scope.array(field))
        return _element(values.field("content"), offsets, np.diff(offsets) - 1)

    return column


def _best_document(scope: Scope) -> Column:
    """The document of the highest relevance; the first of equals."""
    documents, offsets, _ = unlist(scope.array("documents"))
    relevance, grade_offsets, _ = unlist(scope.array("relevance"))
    grade = np.nan_to_num(np.asarray(relevance.to_numpy(zero_copy_only=False), dtype=np.float64), nan=-np.inf)
    row = parents(grade_offsets)
    best = np.full(len(offsets) - 1, -1, dtype=np.int64)
    order = np.lexsort((-np.arange(len(grade)), grade, row))  # ascending: the last of each row wins
    best[row[order]] = order - grade_offsets[row[order]]
    known = valid_of(pc.list_value_length(scope.array("relevance")))
    return _element(documents, offsets, np.where(known, best, -1))


_EVERYWHERE: dict[str, Callable[[Scope], Column]] = {
    "languages": lambda scope: Constant(LANGUAGES),
    "task": _task,
}

_LABELS: dict[str, Callable[[Scope], Column]] = {"options": _label_options, "types": _label_options}

DERIVED: dict[str, dict[str, Callable[[Scope], Column]]] = {
    "classification": _LABELS
    | {"label": _label, "letters": _label_letters, "answer": _label, "answer_letter": _label_letter},
    "multi_label": _LABELS
    | {"labels": _multi_labels, "letters": _label_letters, "answer": _multi_answer, "answer_letter": _multi_letter},
    "score": {"low": _low, "high": _high, "levels": _levels, "answer": _score_answer},
    "multiple_choice": {
        "options": _choices,
        "letters": _choice_letters,
        "answer": _choice_answer,
        "answer_letter": _choice_letter,
    },
    "token_tags": {
        "tags": _tags,
        "options": _tag_options,
        "types": _tag_types,
        "entities": _tag_entities,
        "answer": _tag_answer,
    },
    "spans": _LABELS | {"spans": _spans},
    "relations": _LABELS | {"relations": _relations, "entities": _relation_entities},
    "extractive_qa": {"answer": _qa_answer},
    "generation": {"answer": _target},
    "chat": {"answer": _last_content("messages")},
    "preference": {"answer": _last_content("chosen")},
    "ranking": {"answer": _best_document},
}
"""For each schema, the names that are no plain field, and how each is computed."""


@cache
def _derived(schema: str) -> dict[str, Callable[[Scope], Column]]:
    return _EVERYWHERE | DERIVED[schema]
