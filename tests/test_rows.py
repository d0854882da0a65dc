"""The index of surviving rows: the steps that look across rows, and the cache file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from small_tasks import PAIRS, Tables, index_of, tables, task_of

from tasksource_reg import rows as rows_module
from tasksource_reg.annotation.harmonize import Survivors, survivors
from tasksource_reg.rows import QuarantinedRow, RowIndex, cache_path, row_digests, splits_read

TEXT = "id: x\nschema: classification\nfamily: nli\nunused: [b]\nfields: {text: a, label: label}\n"


def table(*rows: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Rows of (a, label, b)."""
    return [dict(zip(("a", "label", "b"), row, strict=False)) for row in rows]


def kept(text: str, source: Tables, split: str = "train") -> list[int]:
    return index_of(text, source, split).rows.tolist()


# Distinct


def test_distinct_keeps_the_first_row_of_a_group() -> None:
    rows = table(("p", "neutral"), ("q", "neutral"), ("p", "contradiction"))
    index = index_of(TEXT + "distinct: {by: a, because: twice}\n", tables(PAIRS, train=rows))
    assert (index.rows.tolist(), index.filtered) == ([0, 1], {"twice": 1})


def test_distinct_may_drop_groups_whose_answers_differ() -> None:
    rows = table(("p", "neutral"), ("q", "neutral"), ("p", "contradiction"), ("q", "neutral"), ("p", "neutral"))
    index = index_of(TEXT + "distinct: {by: a, conflicts: drop}\n", tables(PAIRS, 2, train=rows))
    assert (index.rows.tolist(), index.filtered) == ([1], {"duplicate": 1, "duplicate: conflicting answers": 3})


def test_distinct_looks_only_at_rows_that_earlier_steps_left() -> None:
    rows = table(("p", None), ("p", "neutral"), ("p", "neutral"))
    assert kept(TEXT + "distinct: {by: a}\n", tables(PAIRS, train=rows)) == [1]


def test_distinct_by_nested_values() -> None:
    features = {**PAIRS, "c": {"list": {"struct": {"k": "string"}}}}
    rows = [{"a": "x", "label": "neutral", "c": c} for c in ([{"k": "1"}], [{"k": "1"}], [{"k": None}], [], None, None)]
    index = index_of(TEXT + "distinct: {by: c}\n", tables(features, train=rows))
    assert index.rows.tolist() == [0, 2, 3, 4, 5]


def test_rows_are_not_alike_for_want_of_a_key() -> None:
    rows = table(("p", "neutral", None), ("q", "neutral", None), ("r", "neutral", "g"), ("s", "neutral", "g"))
    text = TEXT.replace("unused: [b]\n", "")
    assert kept(text + "distinct: {by: b}\n", tables(PAIRS, train=rows)) == [0, 1, 2]
    assert kept(text + "cap: {by: b, at: 1}\n", tables(PAIRS, train=rows)) == [0, 1, 2]
    assert kept(text + "disjoint: {by: b}\n", tables(PAIRS, train=rows, test=rows)) == [0, 1]
    assert kept(text + "distinct: {by: [b, label]}\n", tables(PAIRS, train=rows)) == [0, 2]  # some of the key is there


def test_a_key_tells_texts_apart_that_hold_each_other() -> None:
    columns = [pa.array(["a", "ab", "", None]), pa.array(["bc", "c", "", None])]
    assert len(set(row_digests(columns).tolist())) == 4
    assert row_digests([pa.array([None, ""])])[0] != row_digests([pa.array([None, ""])])[1]


def test_keys_are_the_same_on_every_machine() -> None:
    assert row_digests([pa.array(["Sea", None]), pa.array([[1, 2], []])]).tolist() == [
        6117886247907922555, 16028977462115478303,
    ]  # fmt: skip


# Disjoint

SPLITS = {
    "train": table(("t", "neutral"), ("v", "neutral"), ("p", "neutral")),
    "validation": table(("v", "neutral"), ("t", "neutral")),
    "test": table(("t", "neutral"), ("v", None)),
}


def test_disjoint_gives_groups_to_the_kept_splits_in_their_order() -> None:
    text = TEXT + "disjoint: {by: a, because: seen}\n"
    source = tables(PAIRS, **SPLITS)
    assert kept(text, source, "test") == [0]
    assert kept(text, source, "validation") == [0]  # t belongs to test
    index = index_of(text, source, "train")
    assert (index.rows.tolist(), index.filtered) == ([2], {"seen": 2})


def test_disjoint_keeps_the_splits_that_it_is_told_to() -> None:
    text = TEXT + "disjoint: {by: a, keep: [train]}\n"
    source = tables(PAIRS, **SPLITS)
    assert kept(text, source, "train") == [0, 1, 2]
    assert kept(text, source, "test") == []
    assert kept(text, source, "validation") == []


def test_only_splits_that_decide_are_read() -> None:
    task = task_of(TEXT + "disjoint: {by: a}\n", tables(PAIRS, **SPLITS).facts())
    assert [splits_read(task, s) for s in ("test", "validation", "train")] == [
        ["test"], ["validation", "test"], ["train", "test", "validation"],
    ]  # fmt: skip


# Cap and max_examples


def test_cap_keeps_the_first_rows_of_each_group() -> None:
    rows = table(("p", "neutral"), ("q", "neutral"), ("r", "contradiction"), ("s", "neutral"))
    index = index_of(TEXT + "cap: {by: label, at: 2, because: enough}\n", tables(PAIRS, 1, train=rows))
    assert (index.rows.tolist(), index.filtered) == ([0, 1, 2], {"enough": 1})


def test_max_examples_draws_by_key_and_holds_for_train_alone() -> None:
    rows = table(*((str(i), "neutral") for i in range(50)))
    text = TEXT + "max_examples: 10\n"
    index = index_of(text, tables(PAIRS, train=rows, test=rows))
    assert (len(index), index.filtered) == (10, {"over max_examples": 40})
    assert index.rows.tolist() == sorted(index.rows.tolist()) != list(range(10))
    assert index.rows.tolist() == kept(text, tables(PAIRS, 3, train=rows))
    assert len(kept(text, tables(PAIRS, train=rows, test=rows), "test")) == 50
    assert len(kept(TEXT + "max_examples: 50\n", tables(PAIRS, train=rows))) == 50


def test_steps_of_pooled_parts_use_their_own_columns() -> None:
    from small_tasks import Table

    text = TEXT + "pool: [p, {config: q, let: {key: a}}]\nlet: {key: b}\ndistinct: {by: key}\n"
    text = text.replace("unused: [b]\n", "")
    one = Table(PAIRS, table(("x", "neutral", "k"), ("z", "neutral", "k")))
    two = Table(PAIRS, table(("k", "neutral", "1"), ("w", "neutral", "1")))
    assert kept(text, Tables({"p": {"train": one}, "q": {"train": two}})) == [0, 3]


# What is counted


def test_an_empty_split_has_an_empty_index() -> None:
    steps = "distinct: {by: a, conflicts: drop}\ndisjoint: {by: a}\ncap: {by: a, at: 1}\nmax_examples: 1\n"
    for source in (tables(PAIRS, train=[], test=[]), tables(PAIRS, train=[], test=table(("p", "neutral")))):
        index = index_of(TEXT + steps, source)
        assert (len(index), index.candidates, index.labels) == (0, 0, {})


def test_a_split_may_lose_all_its_rows() -> None:
    text = TEXT + "where: [{of: a, equals: x, because: odd}]\ndistinct: {by: a}\n"
    index = index_of(text, tables(PAIRS, train=table(("p", "neutral"))))
    assert (len(index), index.filtered, index.characters) == (0, {"odd": 1}, 0)


def test_labels_and_characters_are_those_of_the_rows_that_are_left() -> None:
    rows = table(("é🙂", "neutral"), ("abc", "entailment"), ("abc", "entailment"), ("x", None))
    index = index_of(TEXT + "distinct: {by: a}\n", tables(PAIRS, 1, train=rows))
    assert index.labels == {"entailment": 1, "neutral": 1, "contradiction": 0}
    assert index.characters == 5


def test_labels_inside_lists_count_one_by_one() -> None:
    text = "id: x\nschema: token_tags\nscheme: plain\nlabels: [k, z]\nfields: {tokens: t, tags: c}\n"
    features = {"t": {"list": "string"}, "c": {"list": "string"}}
    rows = [{"t": ["a", "b"], "c": ["k", "k"]}, {"t": [], "c": []}, {"t": ["a"], "c": ["z"]}]
    index = index_of(text, tables(features, 1, train=rows))
    assert (index.labels, index.characters) == ({"k": 2, "z": 1}, 3)


def test_quarantined_rows_are_listed_up_to_a_limit_and_counted_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "LISTED_QUARANTINE", 2)
    text = TEXT.replace("text: a", "text: {map: a, to: {k: K}}")
    index = index_of(text, tables(PAIRS, 1, train=table(*(("z", "neutral"),) * 3, ("k", "neutral"))))
    assert (len(index.listed), index.quarantined) == (2, {"TSR-R001": 3})


# Cells that outgrow a batch


def test_a_batch_that_outgrows_arrow_is_read_in_halves_and_one_such_row_goes_to_quarantine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def limited(task: Any, part: Any, batch: pa.RecordBatch) -> Survivors:
        total = sum(len(v) for v in batch.column("a").to_pylist())
        if total > 10:
            raise pa.ArrowCapacityError(f"{total} bytes do not fit")
        return survivors(task, part, batch)

    monkeypatch.setattr(rows_module, "survivors", limited)
    rows = table(("abcd", "neutral"), ("efgh", "neutral"), ("x" * 11, "neutral"), ("ijkl", "neutral"), ("p", "neutral"))
    index = index_of(TEXT + "distinct: {by: a}\n", tables(PAIRS, train=rows))
    assert index.rows.tolist() == [0, 1, 3, 4]
    assert [(q.row, q.part, q.code) for q in index.listed] == [(2, -1, "TSR-R006")]


@pytest.mark.slow
def test_texts_that_hold_more_than_two_gigabytes_together() -> None:
    text = "id: x\nschema: generation\nfields: {input: {join: [a, a], sep: ' '}, target: b}\nunused: [label]\n"
    rows = [{"a": "x" * 700_000_000, "b": str(i)} for i in range(2)]
    index = index_of(text, tables(PAIRS, train=rows))
    assert (index.rows.tolist(), index.quarantined) == ([0, 1], {})


# The cache file

INDEX = RowIndex(
    np.array([0, 2, 2], dtype=np.int64), np.array([0, 0, 1], dtype=np.int32), np.array([5, 9, 3], dtype=np.int64),
    4, 6, {"odd": 2}, {"TSR-R001": 1}, (QuarantinedRow(1, -1, "TSR-R001", "no"),), {"k": 3}, 17,
)  # fmt: skip


def same(one: RowIndex | None, other: RowIndex) -> bool:
    arrays = ("rows", "parts", "lengths")
    if one is None or any(getattr(one, n).tolist() != getattr(other, n).tolist() for n in arrays):
        return False
    names = ("source_rows", "candidates", "filtered", "quarantined", "listed", "labels", "characters")
    return all(getattr(one, n) == getattr(other, n) for n in names)


@pytest.mark.parametrize(
    "index", [INDEX, RowIndex(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64))]
)
def test_a_saved_index_loads_as_it_was(tmp_path: Path, index: RowIndex) -> None:
    index.save(tmp_path / "deep" / "index.arrow")
    assert same(RowIndex.load(tmp_path / "deep" / "index.arrow"), index)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["index.arrow"]


def test_a_damaged_index_is_none(tmp_path: Path) -> None:
    path = tmp_path / "index.arrow"
    assert RowIndex.load(path) is None
    INDEX.save(path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-20], b"x" * len(whole), whole.replace(b"candidates", b"candidatos")):
        path.write_bytes(damaged)
        assert RowIndex.load(path) is None
    for column in ([0, 2, 2], [5, 9, 3]):
        at = whole.index(np.array(column, dtype=np.int64).tobytes())
        path.write_bytes(whole[: at + 8] + b"\x01" + whole[at + 9 :])
        assert RowIndex.load(path) is None  # another row number, another length
    path.unlink()
    path.mkdir()
    assert RowIndex.load(path) is None


def test_the_cache_is_keyed_by_meaning_reasons_splits_and_revisions(tmp_path: Path) -> None:
    source = tables(PAIRS, **SPLITS)
    texts = [TEXT, TEXT + "cap: {by: a, at: 1}\n", TEXT + "cap: {by: a, at: 1, because: enough}\n"]
    keys = [(text, split, ["r"]) for text in texts for split in ("train", "test")] + [(TEXT, "train", ["s"])]
    paths = {cache_path(tmp_path, task_of(text, source.facts()), split, r) for text, split, r in keys}
    assert len(paths) == len(keys)
    assert cache_path(tmp_path, task_of(TEXT + "title: T\n", source.facts()), "train", ["r"]) in paths
