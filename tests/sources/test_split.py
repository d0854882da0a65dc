"""Reading a split: batches in order and rows by number, over several files of many record batches."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasksource_reg.errors import SourceError, TsrError
from tasksource_reg.features import Features
from tasksource_reg.sources import Origin, SourceSplit
from tasksource_reg.sources.arrow_files import ArrowFile, MapPool, storage_schema

SCHEMA = pa.schema(
    [
        pa.field("number", pa.int64()),
        pa.field("text", pa.large_string()),
        pa.field("label", pa.int64()),
        pa.field("tags", pa.list_(pa.int64())),
        pa.field("extra", pa.json_()),
        pa.field("photo", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])),
    ]
)
FEATURES: Features = {
    "number": "int64",
    "text": "string",
    "label": {"class_label": ["no", "yes"]},
    "tags": {"list": {"class_label": ["x", "y", "z"]}},
    "extra": {"json": True},
    "photo": {"media": "image"},
}
COLUMNS = ["number", "text", "label", "tags", "extra"]


def stored(number: int) -> dict[str, Any]:
    """Row `number` as it is on disk."""
    return {
        "number": number,
        "text": None if number % 11 == 0 else f"row {number}",
        "label": number % 3 - 1,
        "tags": [n % 3 for n in range(number % 4)],
        "extra": f'{{"n": {number}}}',
        "photo": None,
    }


def read(number: int) -> dict[str, Any]:
    """Row `number` as it is read."""
    row = stored(number)
    label = row["label"]
    return {
        "number": number,
        "text": row["text"],
        "label": None if label == -1 else ["no", "yes"][label],
        "tags": ["xyz"[n] for n in row["tags"]],
        "extra": row["extra"],
    }


def write(path: Path, first: int, lengths: list[int]) -> tuple[str, int]:
    """An Arrow stream of record batches of these lengths."""
    with pa.RecordBatchStreamWriter(str(path), SCHEMA) as writer:
        for length in lengths:
            rows = [stored(n) for n in range(first, first + length)]
            columns = [pa.array([row[f.name] for row in rows], f.type) for f in SCHEMA]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
            first += length
    return str(path), sum(lengths)


def split_of(files: list[tuple[str, int]]) -> SourceSplit:
    """A split over files."""
    opened = [ArrowFile(path, rows) for path, rows in files]
    return SourceSplit("d", "c", "train", FEATURES, storage_schema(SCHEMA), opened, "r", Origin("files", "d"))


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> SourceSplit:
    """60 rows in three files, one of them empty, in batches of 0 to 20 rows."""
    folder = tmp_path_factory.mktemp("arrow")
    parts = [[7, 1, 0, 12], [], [20, 0, 3, 17]]
    files, first = [], 0
    for number, lengths in enumerate(parts):
        files.append(write(folder / f"{number}.arrow", first, lengths))
        first += sum(lengths)
    return split_of(files)


ROWS = st.lists(st.integers(0, 59), max_size=90)


@given(rows=ROWS, columns=st.lists(st.sampled_from(COLUMNS), unique=True))
@settings(deadline=None)
def test_gather_gives_the_rows_in_the_order_asked(split: SourceSplit, rows: list[int], columns: list[str]) -> None:
    batch = split.gather(np.array(rows, dtype=np.int64), columns)
    assert batch.schema == split.schema(columns)
    if columns:
        assert batch.to_pylist() == [{c: read(n)[c] for c in columns} for n in rows]


@pytest.mark.parametrize("rows", [1, 5, 20, 59, 60, 8192])
def test_batches_give_every_row_once_in_order(split: SourceSplit, rows: int) -> None:
    got = list(split.batches(rows=rows))
    assert [row for _, batch in got for row in batch.to_pylist()] == [read(n) for n in range(60)]
    assert [offset for offset, _ in got] == list(range(0, 60, rows))
    assert {batch.num_rows for _, batch in got[:-1]} <= {rows}


def test_the_schema_is_plain(split: SourceSplit) -> None:
    plain = {"number": pa.int64(), "text": pa.string(), "label": pa.string()}
    assert {f.name: f.type for f in split.schema()} == plain | {"tags": pa.list_(pa.string()), "extra": pa.string()}
    assert split.gather(np.array([], dtype=np.int64)).schema == split.schema()


def test_long_text_is_cut_into_smaller_batches(split: SourceSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasksource_reg.sources.split.MAX_BLOCK_BYTES", 400)
    got = list(split.batches(["text"], rows=60))
    assert len(got) > 1
    assert [t for _, b in got for t in b["text"].to_pylist()] == [read(n)["text"] for n in range(60)]
    assert [offset for offset, _ in got] == np.cumsum([0, *(b.num_rows for _, b in got[:-1])]).tolist()
    with pytest.raises(TsrError, match="ask for fewer rows") as caught:
        split.gather(np.arange(60), ["text"])
    assert caught.value.problems[0].code == "TSR-R006"


@pytest.mark.parametrize("row", [-1, 60])
def test_a_row_out_of_range(split: SourceSplit, row: int) -> None:
    with pytest.raises(IndexError, match=f"row {row} of d"):
        split.gather(np.array([0, row]))


def test_an_unknown_column_and_a_media_column(split: SourceSplit) -> None:
    with pytest.raises(TsrError, match='did you mean "text"') as unknown:
        split.gather(np.array([0]), ["texts"])
    assert unknown.value.problems[0].code == "TSR-E006"
    with pytest.raises(SourceError, match="holds image data") as media:
        next(split.batches(["photo"]))
    assert media.value.problems[0].code == "TSR-N011"


def test_a_bad_class_number_is_named_with_its_row_in_the_split(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("label", pa.int64())])
    for number, labels in enumerate([[0, 1], [0, 5]]):
        with pa.RecordBatchStreamWriter(str(tmp_path / f"{number}.arrow"), schema) as writer:
            writer.write_batch(pa.record_batch([pa.array(labels)], schema=schema))
    files = [ArrowFile(str(tmp_path / f"{n}.arrow"), 2) for n in range(2)]
    features: Features = {"label": {"class_label": ["no", "yes"]}}
    split = SourceSplit("d", "c", "train", features, schema, files, "r", Origin("files", "d"))
    assert split.gather(np.array([2, 0])).to_pydict() == {"label": ["no", "no"]}
    for rows in ([3, 0], [0, 1, 2, 3]):
        with pytest.raises(TsrError) as caught:
            split.gather(np.array(rows))
        assert (caught.value.problems[0].code, caught.value.problems[0].row) == ("TSR-R003", 3)


def test_a_split_travels_to_other_processes(split: SourceSplit) -> None:
    split.gather(np.array([0]))
    sent = pickle.dumps(split)
    assert len(sent) < 5000
    assert pickle.loads(sent).gather(np.array([59]), COLUMNS).to_pylist() == [read(59)]


def test_n007_a_file_that_was_cut_after_it_was_recorded(tmp_path: Path) -> None:
    path, rows = write(tmp_path / "a.arrow", 0, [50, 50])
    Path(path).write_bytes(Path(path).read_bytes()[:-2000])
    with pytest.raises(SourceError, match="cannot be read") as caught:
        split_of([(path, rows)]).gather(np.array([99]))
    assert caught.value.problems[0].code == "TSR-N007"


def test_rows_of_a_large_file_cost_what_they_hold(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("text", pa.string())])
    block = pa.record_batch([pa.array(["x" * 1000] * 10)], schema=schema)
    path = str(tmp_path / "large.arrow")
    with pa.RecordBatchStreamWriter(path, schema) as writer:
        for _ in range(2000):
            writer.write_batch(block)
    program = (
        "import sys, numpy as np, pyarrow as pa\n"
        "from tasksource_reg.sources import Origin, SourceSplit\n"
        "from tasksource_reg.sources.arrow_files import ArrowFile\n"
        "parsed, batch = [], ArrowFile.batch\n"
        "ArrowFile.batch = lambda self, number: (parsed.append(number), batch(self, number))[1]\n"
        "schema = pa.schema([pa.field('text', pa.string())])\n"
        f"files = [ArrowFile({path!r}, 20_000)]\n"
        "split = SourceSplit('d', 'c', 'train', {'text': 'string'}, schema, files, 'r', Origin('files', 'd'))\n"
        "split.gather(np.array([19_999, 5, 19_990, 5]))\n"
        "print(parsed, pa.default_memory_pool().max_memory())\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    parsed, _, peak = done.stdout.strip().rpartition(" ")
    assert parsed == "[0, 1999]"
    assert int(peak) < 200_000, "20 MB are on disk"


def test_files_with_dictionaries_are_read_too(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("text", pa.dictionary(pa.int8(), pa.string()))])
    path = str(tmp_path / "dictionary.arrow")
    with pa.RecordBatchStreamWriter(path, schema) as writer:
        for texts in (["a", "b", "a"], ["c", "c"]):
            writer.write_batch(pa.record_batch([pa.array(texts).dictionary_encode()], schema=schema))
    split = SourceSplit("d", "c", "train", {"text": "string"}, schema, [ArrowFile(path, 5)], "r", Origin("files", "d"))
    assert split.gather(np.array([4, 1, 0])).to_pydict() == {"text": ["c", "b", "a"]}
    assert [b.to_pydict() for _, b in split.batches()] == [{"text": ["a", "b", "a", "c", "c"]}]


def test_the_pool_closes_the_map_used_longest_ago(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.arrow", n, [1])[0] for n in range(3)]
    pool = MapPool(limit=2)
    first = pool.get(paths[0])
    pool.get(paths[1])
    pool.get(paths[0])
    pool.get(paths[2])
    assert len(pool) == 2
    assert pool.get(paths[0]) is first
    held = first.data.slice(0, 8)
    for path in paths[1:]:
        pool.get(path)
    assert held.to_pybytes() == Path(paths[0]).read_bytes()[:8]
