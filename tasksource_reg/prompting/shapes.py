"""Shapes: from rendered rows to the columns that trainers read. Whole columns in Arrow; no Python per row.

What stands where, for a row with system line S, shots (p1, r1) ..., prompt P, response R, joint J and shot joint K:

    body               S K p1 J r1 K p2 J r2 K P     each part that is there, K after each, then the prompt
    text               {text: body J R}
    prompt_completion  {prompt: body J, completion: R}; the spaces that end J begin the completion instead, so
                       that prompt + completion is exactly `text` and a leading space belongs to the completion
    inputs_targets     {inputs: body, targets: R}; two sequences, so no J, and one leading space of R goes
    messages           {messages: [system S, user p1, assistant r1, ..., user P, assistant R]}; no joints, and one
                       leading space of each response goes
    sharegpt           {conversations: [{from: system | human | gpt, value}]}; contents as in messages
    alpaca             {instruction: body without S, input: "", output: R, system: S}; R as in messages
    preference         {prompt, chosen, rejected}: the messages of the preference schema's own fields
    unpaired           {prompt, completion, label}: one of the two answers, and whether it is the chosen one
    rank_classification
                       {inputs, targets, correct}: inputs as prompt in prompt_completion, targets every answer that the
                       row could have, each as completion, and which of them are right

A row that failed (null prompt) is null in every column. The shape `fields`, the harmonized fields as they are, needs no
rendering and is the mixture's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasksource_reg.errors import did_you_mean, error
from tasksource_reg.nested import Ints, Mask, counts_to_offsets, parents, plain, relist, take, unlist, valid_of
from tasksource_reg.prompting.candidates import Candidates
from tasksource_reg.schemas import MESSAGES, arrow_type


@dataclass(frozen=True, slots=True)
class Shots:
    """Solved examples before each of n rows, in the order to show.

    Attributes:
        prompts, responses: list<string> of n; lists of one row have the same length; no nulls inside.
    """

    prompts: pa.ListArray
    responses: pa.ListArray


@dataclass(frozen=True, slots=True)
class Rows:
    """n rendered rows of one template.

    Attributes:
        prompt, response: string arrays of n; null where rendering failed.
        system: string array of n, or None.
        joint, shot_joint: of the template.
        shots: what stands before each row, or None.
        fields: the harmonized batch of the rows, for shapes that read fields (`preference`, `unpaired`).
        take_chosen: for `unpaired`, whether each row gives its chosen answer.
        candidates: of `candidates.candidates`, for `rank_classification`.
    """

    prompt: pa.StringArray
    response: pa.StringArray
    system: pa.StringArray | None = None
    joint: str = "\n"
    shot_joint: str = "\n\n"
    shots: Shots | None = None
    fields: pa.RecordBatch | None = None
    take_chosen: Mask | None = None
    candidates: Candidates | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape: its name, what it is (one line), the Arrow schema of its columns, and how they are built."""

    name: str
    doc: str
    schema: pa.Schema
    build: Callable[[Rows], list[pa.Array]]


def shape(name: str, rows: Rows) -> pa.RecordBatch:
    """The output columns of rendered rows.

    Args:
        name: a key of `SHAPES`.
        rows: n rendered rows.

    Returns:
        n rows with the schema of the shape.

    Raises:
        FindingsError: TSR-M012 if there is no such shape, or the rows cannot take it.
    """
    if name not in SHAPES:
        raise error("TSR-M012", f'there is no shape "{name}"', fix=did_you_mean(name, [*SHAPES, "fields"]))
    return pa.RecordBatch.from_arrays(SHAPES[name].build(rows), schema=SHAPES[name].schema)


# Text.


def _glue(*parts: pa.Array | str) -> pa.Array:
    """Texts one after the other, row by row; null where one is null."""
    return plain(pc.binary_join_element_wise(*parts, "", null_handling="emit_null"))


def _body(rows: Rows, *, system: bool = True) -> pa.Array:
    """Everything before the response, without the joint."""
    parts: list[pa.Array | str] = []
    if system and rows.system is not None:
        parts += [rows.system, rows.shot_joint]
    if rows.shots is not None:
        prompts, offsets, valid = unlist(rows.shots.prompts)
        responses, _, _ = unlist(rows.shots.responses)
        shots = _glue(prompts, rows.joint, responses, rows.shot_joint)
        parts.append(plain(pc.binary_join(relist(offsets, shots, valid), "")))
    return _glue(*parts, rows.prompt) if parts else rows.prompt


def _unspaced(responses: pa.Array) -> pa.Array:
    """Responses without one leading space."""
    if not pc.any(pc.starts_with(responses, " ")).as_py():
        return responses
    return plain(pc.replace_substring_regex(responses, r"\A ", ""))


def _text(rows: Rows) -> list[pa.Array]:
    return [_glue(_body(rows), rows.joint, rows.response)]


def _inputs_targets(rows: Rows) -> list[pa.Array]:
    return [_body(rows), _unspaced(rows.response)]


def _cut_joint(joint: str) -> tuple[str, str]:
    """What of a joint ends the prompt, and the spaces that begin the completion."""
    before = joint.rstrip(" ")
    return before, joint[len(before) :]


def _prompt_completion(rows: Rows) -> list[pa.Array]:
    before, after = _cut_joint(rows.joint)
    return [_glue(_body(rows), before), _glue(after, rows.response)]


def _alpaca(rows: Rows) -> list[pa.Array]:
    n = len(rows.prompt)
    system = pa.nulls(n, pa.string()) if rows.system is None else rows.system
    empty = pc.if_else(rows.prompt.is_valid(), pa.scalar(""), pa.scalar(None, pa.string()))
    return [_body(rows, system=False), empty, _unspaced(rows.response), system]


# Messages.


def _turns(rows: Rows, roles: tuple[str, str, str], names: tuple[str, str]) -> pa.Array:
    """list<struct<role, content>> of n: system, shots and the row itself as turns."""
    n = len(rows.prompt)
    none = pa.ListArray.from_arrays(pa.array(np.zeros(n + 1, dtype=np.int32)), pa.array([], pa.string()))
    shots = rows.shots or Shots(none, none)
    shot_prompts, offsets, _ = unlist(shots.prompts)
    shot_responses, _, _ = unlist(shots.responses)
    has_system = int(rows.system is not None)
    pool = [rows.prompt, _unspaced(rows.response), shot_prompts, _unspaced(shot_responses)]
    if rows.system is not None:
        pool.append(rows.system)
    shots_per_row = np.diff(offsets)
    sizes = has_system + 2 * shots_per_row + 2
    out = counts_to_offsets(sizes)
    source = np.empty(out[-1], dtype=np.int64)  # where each turn's text stands in the pool
    role = np.empty(out[-1], dtype=np.int64)
    row, count = np.arange(n), len(shot_prompts)
    if has_system:
        source[out[:-1]], role[out[:-1]] = 2 * n + 2 * count + row, 0
    source[out[1:] - 2], role[out[1:] - 2] = row, 1
    source[out[1:] - 1], role[out[1:] - 1] = n + row, 2
    owner = parents(offsets)
    at = out[owner] + has_system + 2 * (np.arange(count) - offsets[owner])
    source[at], role[at] = 2 * n + np.arange(count), 1
    source[at + 1], role[at + 1] = 2 * n + count + np.arange(count), 2
    content = take(plain(pa.concat_arrays(pool)), source)
    turns = pa.StructArray.from_arrays([take(pa.array(roles), role), content], names=list(names))
    return _without_failures(rows, out, turns)


def _without_failures(rows: Rows, offsets: Ints, values: pa.Array) -> pa.Array:
    """Lists, null and without elements where rendering failed."""
    valid = valid_of(rows.prompt) & valid_of(rows.response)
    if valid.all():
        return relist(offsets, values)
    sizes = np.diff(offsets)
    return relist(
        counts_to_offsets(np.where(valid, sizes, 0)), take(values, np.flatnonzero(valid[parents(offsets)])), valid
    )


def _messages(rows: Rows) -> list[pa.Array]:
    return [_turns(rows, ("system", "user", "assistant"), ("role", "content"))]


def _sharegpt(rows: Rows) -> list[pa.Array]:
    return [_turns(rows, ("system", "human", "gpt"), ("from", "value"))]


# Preferences and options.


def _fields(rows: Rows, name: str, *columns: str) -> list[pa.Array]:
    if rows.fields is None or any(c not in rows.fields.schema.names for c in columns):
        raise error(
            "TSR-M012", f'the shape "{name}" takes rows of the schema preference', fix="select preference tasks"
        )
    return [rows.fields.column(c) for c in columns]


def _preference(rows: Rows) -> list[pa.Array]:
    return _fields(rows, "preference", "prompt", "chosen", "rejected")


def _unpaired(rows: Rows) -> list[pa.Array]:
    prompt, chosen, rejected = _fields(rows, "unpaired", "prompt", "chosen", "rejected")
    if rows.take_chosen is None:
        raise ValueError("unpaired needs to know which answer each row gives")
    n = len(prompt)
    both = plain(pa.concat_arrays([chosen, rejected]))
    completion = take(both, np.arange(n) + n * ~rows.take_chosen)
    return [prompt, completion, pa.array(rows.take_chosen)]


def _rank_classification(rows: Rows) -> list[pa.Array]:
    if rows.candidates is None:
        message = 'the shape "rank_classification" takes rows with candidates'
        raise error("TSR-M012", message, fix="select classification or multiple_choice tasks")
    targets, correct = rows.candidates.targets, rows.candidates.correct
    before, after = _cut_joint(rows.joint)
    inputs = _glue(_body(rows), before)
    if after:
        values, offsets, has_values = unlist(targets)
        targets = relist(offsets, _glue(after, values), has_values)
    valid = pc.and_(inputs.is_valid(), targets.is_valid())
    return [pc.if_else(valid, column, pa.scalar(None, column.type)) for column in (inputs, targets, correct)]


def _schema(**columns: str) -> pa.Schema:
    return pa.schema([pa.field(name, arrow_type(kind)) for name, kind in columns.items()])


SHAPES: dict[str, Shape] = {
    s.name: s
    for s in (
        Shape("text", "one text", _schema(text="string"), _text),
        Shape("inputs_targets", "two sequences", _schema(inputs="string", targets="string"), _inputs_targets),
        Shape(
            "prompt_completion",
            "one text cut where the completion begins",
            _schema(prompt="string", completion="string"),
            _prompt_completion,
        ),
        Shape("messages", "chat turns", _schema(messages=MESSAGES), _messages),
        Shape(
            "sharegpt",
            "chat turns in ShareGPT's names",
            _schema(conversations="list<struct<from: string, value: string>>"),
            _sharegpt,
        ),
        Shape(
            "alpaca",
            "instruction and output in Alpaca's names",
            _schema(instruction="string", input="string", output="string", system="string"),
            _alpaca,
        ),
        Shape(
            "preference",
            "a prompt and two answers",
            _schema(prompt=MESSAGES, chosen=MESSAGES, rejected=MESSAGES),
            _preference,
        ),
        Shape(
            "unpaired",
            "a prompt, an answer, and whether it is the preferred one",
            _schema(prompt=MESSAGES, completion=MESSAGES, label="bool"),
            _unpaired,
        ),
        Shape(
            "rank_classification",
            "an input and every option as a target",
            _schema(inputs="string", targets="list<string>", correct="list<bool>"),
            _rank_classification,
        ),
    )
}
"""Shapes by name."""
