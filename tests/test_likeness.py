"""Rows that splits share, and answers that do not stand where they are said to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tasks import FAMILIES, HEADER, Tables, data_of, tables
from things import write_rows

from tasksource_reg.annotation.load import read_annotation
from tasksource_reg.authoring.lock import lock_file
from tasksource_reg.errors import Problem
from tasksource_reg.likeness import shared_rows
from tasksource_reg.sources import Sources

PAIR = "id: x\nschema: classification\nask: Which?\nlabels: [p, q]\nfields: {text: a, text_pair: b, label: c}\n"
COLUMNS = {"a": "string", "b": "string", "c": "string"}


def shared(text: str, source: Tables, cache: Path) -> dict[str, dict[str, int]]:
    data = data_of(text, source, cache)
    return shared_rows({name: data.split(name) for name in data.task.splits}, data.task.schema)


def row(a: str | None, b: str | None = None, c: str = "p") -> dict[str, Any]:
    return {"a": a, "b": b, "c": c}


def test_case_punctuation_and_space_make_no_other_row(tmp_path: Path) -> None:
    train = [row("The sky is blue."), row("one", "two"), row("I am \U0001f600"), row("a b")]
    test = [
        row("the  SKY is\tblue!", None, "q"),  # another answer, the same inputs
        row("two", "one"),  # the other way round
        row("one two"),
        row("I am \U0001f622"),  # symbols say something
        row("A, b?"),
        row("ab"),
        row("..."),  # no word at all
    ]
    source = tables(COLUMNS, train=train, validation=[row("new"), row("A-B")], test=test)
    assert shared(PAIR, source, tmp_path) == {
        "train": {},
        "validation": {"train": 1},
        "test": {"train": 2, "validation": 1},
    }


@pytest.mark.parametrize(
    ("text", "columns", "one", "same", "other"),
    [
        (
            "id: x\nschema: multiple_choice\nask: Which?\nfields: {question: q, choices: o, gold: g}\n",
            {"q": "string", "o": {"list": "string"}, "g": "int64"},
            {"q": "Q", "o": ["a", "b"], "g": 0},
            {"q": "q?", "o": ["A", "b."], "g": 1},
            {"q": "q", "o": ["a", "c"], "g": 0},
        ),
        (
            "id: x\nschema: token_tags\nask: Which?\nscheme: plain\nlabels: [t]\nfields: {tokens: w, tags: t}\n",
            {"w": {"list": "string"}, "t": {"list": "string"}},
            {"w": ["Blue", "sky"], "t": ["t", "t"]},
            {"w": ["blue", "sky"], "t": ["t", "t"]},
            {"w": ["blue", "skies"], "t": ["t", "t"]},
        ),
        (
            "id: x\nschema: generation\nask: Say.\nfields: {input: i, target: t}\n",
            {"i": "string", "t": "string"},
            {"i": "in", "t": "out"},
            {"i": "In", "t": "elsewhere"},
            {"i": "inn", "t": "out"},
        ),
    ],
)
def test_every_schema_is_compared_by_its_inputs(
    text: str, columns: Any, one: Any, same: Any, other: Any, tmp_path: Path
) -> None:
    source = tables(columns, train=[one], test=[same, other, same])
    assert shared(text, source, tmp_path) == {"train": {}, "test": {"train": 2}}


@given(st.lists(st.text(min_size=1, max_size=8), max_size=6), st.lists(st.text(min_size=1, max_size=8), max_size=6))
def test_never_more_than_there_are_and_never_less_than_what_is_equal(
    tmp_path_factory: pytest.TempPathFactory, one: list[str], two: list[str]
) -> None:
    source = tables(COLUMNS, train=[row(t) for t in one], test=[row(t) for t in two])
    found = shared(PAIR, source, tmp_path_factory.mktemp("c"))["test"].get("train", 0)
    worded = [t for t in two if t in one and any(c.isalnum() for c in t)]
    assert len(worded) <= found <= len(two)


def test_one_split_is_not_read(tmp_path: Path) -> None:
    source = tables(COLUMNS, train=[row("x"), row("x")])
    assert shared(PAIR, source, tmp_path) == {"train": {}}


@pytest.fixture
def problems(tmp_path: Path) -> Callable[[list[dict[str, Any]]], list[Problem]]:
    """What locking an extractive task over these rows says."""

    def run(rows: list[dict[str, Any]]) -> list[Problem]:
        path = tmp_path / "someone" / "things.yaml"
        path.parent.mkdir(exist_ok=True)
        fields = "fields: {context: c, question: q, answers: s}\n"
        path.write_text(HEADER + "id: x\nschema: extractive_qa\nask: Answer.\n" + fields)
        write_rows(tmp_path / "mirror/someone/things/train.jsonl", rows)
        sources = Sources((tmp_path / "mirror",), offline=True)
        return lock_file(read_annotation(path), FAMILIES, sources, tmp_path / "cache").problems

    return run


@pytest.mark.usefixtures("own_cache")
def test_answers_that_stand_elsewhere(problems: Callable[[list[dict[str, Any]]], list[Problem]]) -> None:
    def said(start: int | None, text: str = "blue") -> dict[str, Any]:
        return {"c": "The sky is blue.", "q": "How is it?", "s": [{"text": text, "start": start}]}

    assert problems([said(11), said(None), said(None, "red"), {**said(11), "s": []}]) == []
    (problem,) = problems([said(11), said(10), said(3)])
    assert (problem.code, problem.row, problem.severity) == ("TSR-W022", 1, "warning")
    assert problem.message.startswith("2 of 3 answers do not stand") and '" blu"' in problem.message
