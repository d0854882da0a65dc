"""Streamed sources: the same rows as prepared ones, no more bytes than they need, whatever breaks on the way."""

from __future__ import annotations

import datetime
import decimal
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import HubServer

from tasksource_reg import cache
from tasksource_reg.errors import Problem, SourceError
from tasksource_reg.sources import Sources, SourceSpec
from tasksource_reg.sources.ranges import joined
from tasksource_reg.sources.sections import ROWS_TOGETHER, sections_of
from tasksource_reg.sources.streamed_rows import together
from tasksource_reg.sources.streaming import streams_dir

pytestmark = pytest.mark.usefixtures("own_downloads", "impatient")

CARD = """---
configs:
- config_name: sea
  data_files: [{split: train, path: sea/train-*.parquet}, {split: test, path: sea/test.parquet}]
dataset_info:
- config_name: sea
  features:
  - {name: number, dtype: int64}
  - {name: text, dtype: large_string}
  - name: label
    dtype: {class_label: {names: {'0': calm, '1': stormy}}}
  - name: tags
    list: {class_label: {names: {'0': wind, '1': wave, '2': foam}}}
  - name: place
    struct: [{name: harbour, dtype: string}, {name: depths, list: float32}]
  - {name: absent, dtype: string}
---
"""
SPEC = SourceSpec("ann/sea", config="sea")
SIZES = {"train-0.parquet": 700, "train-2.parquet": 1300, "test.parquet": 40}
TRAIN = 2000


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's client waits hundredths of seconds between its tries."""
    real = time.sleep
    monkeypatch.setattr("time.sleep", lambda seconds: real(min(seconds, 0.02)))


def table_of(numbers: range) -> pa.Table:
    """Rows by their numbers, in types that are not those of the card."""
    n = list(numbers)
    columns = {
        "number": pa.array(n, pa.int32()),
        "text": pa.array([None if i % 11 == 0 else f"row {i} " * (i % 50) for i in n], pa.string()),
        "label": pa.array([i % 3 - 1 for i in n], pa.int64()),
        "tags": pa.array([[j % 3 for j in range(i % 4)] for i in n], pa.list_(pa.int8())),
        "place": pa.array(
            [{"depths": [i / 2] * (i % 3), "harbour": f"h{i}"} for i in n],
            pa.struct([("depths", pa.list_(pa.float64())), ("harbour", pa.string())]),
        ),
    }
    return pa.table(columns)


def write_sea(folder: Path, groups: int = 100) -> None:
    """The dataset: two files of a split and one of another, in groups of some rows."""
    (folder / "sea").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    first = 0
    for name, rows in SIZES.items():
        table = table_of(range(first, first + rows))
        with pq.ParquetWriter(folder / "sea" / name, table.schema) as writer:
            for start in range(0, rows, groups):
                writer.write_table(table.slice(start, groups))
        first += rows


@pytest.fixture
def sea(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The dataset on the hub, in sections of 200 rows."""
    assert hub.root is not None
    monkeypatch.setattr("tasksource_reg.sources.sections.ROWS_TOGETHER", 200)
    write_sea(hub.root / "ann" / "sea")
    return hub


def streaming(**options: Any) -> Sources:
    """Sources that stream, and raise what they warn of."""
    sources = Sources(streaming=True, **options)

    def refuse(problem: Problem) -> None:
        raise AssertionError(problem)

    sources.on_warning = refuse
    return sources


def data_requests(hub: HubServer, part: str = "") -> list[tuple[str, int, int]]:
    return [wanted for wanted in hub.ranges if wanted[0].endswith(".parquet") and part in wanted[0]]


def code(caught: pytest.ExceptionInfo[SourceError]) -> str:
    return caught.value.problems[0].code


# The same rows.


def test_rows_equal_those_of_the_prepared_source(sea: HubServer) -> None:
    streamed = {name: streaming().open(SPEC, name) for name in ("train", "test")}
    random = np.random.default_rng(5)
    cases: list[tuple[str, np.ndarray[Any, Any], list[str] | None]] = []
    for _ in range(60):
        name, rows = ("train", TRAIN) if random.random() < 0.8 else ("test", SIZES["test.parquet"])
        names = list(streamed[name].features)
        columns = [names[i] for i in random.permutation(len(names))[: random.integers(1, 7)]]
        numbers = random.integers(0, rows, random.integers(0, 90))
        cases.append((name, numbers, None if random.random() < 0.2 else columns))
    found = [streamed[name].gather(rows, columns) for name, rows, columns in cases]
    whole = {name: Sources().open(SPEC, name) for name in streamed}
    for (name, rows, columns), batch in zip(cases, found, strict=True):
        assert batch.equals(whole[name].gather(rows, columns))
    for name, split in streamed.items():
        assert split.streamed and not whole[name].streamed
        same = [(s.num_rows, s.features, s.schema(), s.revision, s.origin) for s in (split, whole[name])]
        assert same[0] == same[1]
        for (start, mine), (offset, theirs) in zip(split.batches(), whole[name].batches(), strict=True):
            assert start == offset and mine.equals(theirs)


def test_features_come_from_the_first_file_where_the_card_says_none(sea: HubServer, tmp_path: Path) -> None:
    assert sea.root is not None
    (sea.root / "ann/sea/README.md").write_text(CARD.partition("dataset_info:")[0] + "---\n")
    mine = streaming().open(SPEC, "train")
    theirs = Sources().open(SPEC, "train")
    assert mine.features == theirs.features and "absent" not in mine.features
    assert mine.gather(np.arange(0, TRAIN, 7)).equals(theirs.gather(np.arange(0, TRAIN, 7)))


@pytest.mark.parametrize("store_schema", [True, False])
def test_types_are_those_of_the_prepared_source(tmp_path: Path, own_cache: Path, store_schema: bool) -> None:
    n, moment = 500, datetime.datetime(2020, 1, 1)
    times = [moment + datetime.timedelta(seconds=i) for i in range(n)]
    columns = {
        "category": pa.array([f"c{i % 5}" for i in range(n)]).dictionary_encode(),
        "moment": pa.array(times, pa.timestamp("ns")),
        "zoned": pa.array(times, pa.timestamp("us", "UTC")),
        "day": pa.array([moment.date()] * n),
        "clock": pa.array([moment.time()] * n, pa.time64("us")),
        "exact": pa.array([decimal.Decimal("1.25")] * n, pa.decimal128(10, 3)),
        "bytes": pa.array([b"x" * (i % 7) for i in range(n)]),
        "small": pa.array([i % 200 for i in range(n)], pa.uint8()),
        "nothing": pa.nulls(n),
        "maybe": pa.array([None if i % 3 == 0 else i % 2 == 0 for i in range(n)]),
        "structs": pa.array([[{"a": i, "b": [str(i)] * (i % 3)}] * (i % 2) for i in range(n)]),
        "pairs": pa.array([[i, i + 1] for i in range(n)], pa.list_(pa.int16(), 2)),
        "deep": pa.array([[["x"] * (i % 2)] for i in range(n)], pa.large_list(pa.list_(pa.large_string()))),
        "a.b": pa.array([f"dot {i}" for i in range(n)]),
        "a": pa.array([{"b": i, "c.d": str(i)} for i in range(n)]),
        "naïve": pa.array(["é" * i for i in range(n)]),
    }
    folder = tmp_path / "mirror" / "ann" / "types"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "train.parquet", row_group_size=90, store_schema=store_schema)
    mine, theirs = (
        Sources([tmp_path / "mirror"], streaming=streams).open(SourceSpec("ann/types"), "train")
        for streams in (True, False)
    )
    assert mine.streamed and mine.features == theirs.features and mine.schema() == theirs.schema()
    assert mine.gather(np.arange(n)[::-3]).equals(theirs.gather(np.arange(n)[::-3]))
    for name in columns:
        for (_, batch), (_, other) in zip(mine.batches([name]), theirs.batches([name]), strict=True):
            assert batch.equals(other)


def test_files_and_groups_without_rows_are_passed_over(sea: HubServer) -> None:
    """`datasets` 4 and 5 prepare some of these, and stumble over others."""
    assert sea.root is not None
    empty = table_of(range(0))
    for number in (0, 1, 3):
        with pq.ParquetWriter(sea.root / f"ann/sea/sea/train-{number}.parquet", empty.schema) as writer:
            for rows in {0: [0, 200, 0, 0, 500], 1: [], 3: [0]}[number]:
                writer.write_table(table_of(range(rows)))
    split = streaming().open(SPEC, "train")
    numbers = [*range(200), *range(500), *range(700, 2000)]
    assert split.gather(np.arange(TRAIN)[::-1], ["number"])["number"].to_pylist() == numbers[::-1]
    assert [n for _, batch in split.batches(["number"], rows=77) for n in batch["number"].to_pylist()] == numbers


def test_a_mirror_and_plain_files_are_streamed_too(tmp_path: Path, own_cache: Path) -> None:
    write_sea(tmp_path / "mirror" / "ann" / "sea")
    rows = np.array([1999, 3, 3, 700])
    for mirrors, spec, split in (
        ([tmp_path / "mirror"], SPEC, "train"),
        ([], SourceSpec(str(tmp_path / "mirror/ann/sea/sea/train-0.parquet")), "train"),
        ([], SourceSpec(str(tmp_path / "mirror/ann/sea"), files={"every": "sea/*.parquet"}), "every"),
    ):
        streamed = Sources(mirrors, streaming=True).open(spec, split)
        some = rows % streamed.num_rows
        batch = streamed.gather(some)
        assert streamed.streamed and not list(own_cache.glob("sources/data/**/*.arrow"))
        whole = Sources(mirrors).open(spec, split)
        assert batch.equals(whole.gather(some)) and streamed.revision == whole.revision
        cache.trim(0, unused_for=0)


def test_the_hubs_export_is_streamed(sea: HubServer) -> None:
    assert sea.root is not None
    folder = sea.root / "ann/sea@refs+convert+parquet" / "sea" / "train"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"n": list(range(50))}), folder / "0000.parquet")
    spec = SourceSpec("ann/sea", config="sea", branch="refs/convert/parquet")
    split = streaming().open(spec, "train")
    assert split.streamed and split.gather(np.array([7, 0]))["n"].to_pylist() == [7, 0]


def test_the_size_is_that_of_the_files(sea: HubServer) -> None:
    assert sea.root is not None
    sizes = [path.stat().st_size for path in (sea.root / "ann/sea/sea").glob("train-*")]
    assert streaming().open(SPEC, "train").size == sum(sizes)
    assert Sources().open(SPEC, "train").size > 0


def test_what_is_prepared_already_is_used_as_it_is(sea: HubServer) -> None:
    Sources().open(SPEC, "train")
    assert not streaming().open(SPEC, "train").streamed


@pytest.mark.slow
def test_every_parquet_dataset_of_the_mirror_streams_the_same_batches(shared_hub: Path) -> None:
    whole, streamed = Sources([shared_hub]), Sources([shared_hub], streaming=True)
    seen = 0
    for entry in json.loads((shared_hub / "INDEX.json").read_text())["datasets"]:
        for config, splits in entry["configs"].items():
            for name in splits:
                mine = streamed.open(SourceSpec(entry["path"], config=config), name)
                if not mine.streamed:
                    continue
                theirs = whole.open(SourceSpec(entry["path"], config=config), name)
                assert (mine.num_rows, mine.features, mine.revision) == (
                    theirs.num_rows, theirs.features, theirs.revision,
                )  # fmt: skip
                for (_, batch), (_, other) in zip(mine.batches(), theirs.batches(), strict=True):
                    assert batch.equals(other)
                seen += 1
    assert seen > 100


# No more than is needed.


def test_nothing_is_read_but_footers_and_the_sections_and_columns_asked_for(sea: HubServer) -> None:
    assert sea.root is not None
    split = streaming().open(SPEC, "train")
    footers = data_requests(sea)
    assert len(footers) == 2 and not [name for name, _, _ in footers if name == "test.parquet"]
    assert not list(streams_dir().rglob("*.arrow"))
    sea.ranges.clear()
    assert split.gather(np.array([1250, 1251]), ["number"])["number"].to_pylist() == [1250, 1251]
    wanted = data_requests(sea)
    assert {name for name, _, _ in wanted} == {"train-2.parquet"}
    footer = pq.read_metadata(sea.root / "ann/sea/sea/train-2.parquet")
    column = [footer.row_group(group).column(0) for group in (4, 5)]
    assert len(wanted) == 1  # the two groups of the section lie near each other
    start = min(c.dictionary_page_offset or c.data_page_offset for c in column)
    assert wanted[0][1] == start and wanted[0][2] < sea.root.joinpath("ann/sea/sea/train-2.parquet").stat().st_size
    sea.ranges.clear()
    split.gather(np.array([1299, 1100, 1200]), ["number"])
    streaming().open(SPEC, "train").gather(np.array([1199]), ["number"])
    assert data_requests(sea) == []


def test_columns_that_lie_apart_are_asked_for_apart(hub: HubServer) -> None:
    assert hub.root is not None
    folder = hub.root / "ann" / "wide"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    columns = {name: random.integers(0, 2**60, 100_000) for name in "abcd"}
    pq.write_table(pa.table(columns), folder / "train.parquet", row_group_size=50_000, compression="none")
    split = streaming().open(SourceSpec("ann/wide"), "train")
    hub.ranges.clear()
    assert split.gather(np.array([70_000]), ["d", "b"]).to_pylist() == [{k: columns[k][70_000] for k in "db"}]
    asked = [stop - start for _, start, stop in data_requests(hub)]
    assert len(asked) == 2 and sum(asked) < 0.3 * (folder / "train.parquet").stat().st_size


def test_the_second_opening_asks_the_hub_nothing(sea: HubServer) -> None:
    commit = streaming().open(SPEC, "train").revision
    pinned = SourceSpec("ann/sea", config="sea", revision=commit)
    streaming().open(pinned, "train").gather(np.array([5]))
    sea.requests.clear()
    again = streaming().open(pinned, "train")
    assert again.gather(np.array([7])).num_rows == 1
    assert streaming().describe(pinned).splits == {"train": TRAIN, "test": None}
    assert sea.requests == []


def test_sections_are_about_a_record_batch_of_rows() -> None:
    def sections(*rows: int) -> list[tuple[int, int, int]]:
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, pa.schema([("x", pa.int64())])) as writer:
            for count in rows:
                writer.write_table(pa.table({"x": np.arange(count)}))
        return [tuple(s) for s in sections_of(pq.read_metadata(pa.BufferReader(sink.getvalue())))]

    assert sections() == [] and sections(5) == [(0, 1, 5)]
    assert sections(*[1000] * 20) == [(0, 16, 16_000), (16, 4, 4000)]
    assert sections(ROWS_TOGETHER + 1, 1, 0, 2) == [(0, 1, ROWS_TOGETHER + 1), (1, 3, 3)]


def test_near_spans_are_joined() -> None:
    assert joined([(50, 60), (0, 10), (12, 20), (5, 8)], gap=2) == [(0, 20), (50, 60)]
    assert joined([]) == []


def test_a_section_that_is_large_is_read_in_pieces(sea: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasksource_reg.sources.sections.HELD_BYTES", 100)
    monkeypatch.setattr("tasksource_reg.sources.sections.PIECE_BYTES", 500)
    monkeypatch.setattr("tasksource_reg.sources.sections.BATCH_BYTES", 2000)
    mine = streaming().open(SPEC, "train").gather(np.arange(0, TRAIN, 3))
    assert len(data_requests(sea)) > 60
    (some, *_) = streams_dir().rglob("*.arrow")
    assert len(list(pa.ipc.open_stream(some))) > 10
    assert mine.equals(Sources().open(SPEC, "train").gather(np.arange(0, TRAIN, 3)))


# What breaks on the way.


@pytest.mark.parametrize("fault", ["unavailable_every", "cut_off_every", "shortened_every", "dropped_every"])
def test_faults_now_and_then_do_not_show(sea: HubServer, fault: str) -> None:
    setattr(sea.faults, fault, 3)
    split = streaming().open(SPEC, "train")
    assert split.gather(np.arange(TRAIN), ["number"])["number"].to_pylist() == list(range(TRAIN))


@pytest.mark.parametrize(
    ("fault", "expected"), [("cut_off", "TSR-N007"), ("shortened", "TSR-N007"), ("garbled", "TSR-N007")]
)
def test_a_file_that_never_arrives_whole_is_named(sea: HubServer, fault: str, expected: str) -> None:
    split = streaming().open(SPEC, "train")
    setattr(sea.faults, fault, "train-2")
    assert split.gather(np.array([0])).num_rows == 1
    with pytest.raises(SourceError, match=r'"sea/train-2\.parquet", row groups 0-1') as caught:
        split.gather(np.array([701]))
    assert code(caught) == expected and caught.value.problems[0].split == "train"
    sea.faults.cut_off = sea.faults.shortened = sea.faults.garbled = None
    assert split.gather(np.array([701]), ["number"])["number"].to_pylist() == [701]
    assert not [path for path in streams_dir().rglob("*") if path.suffix == ".tmp"]


@pytest.mark.parametrize("fault", ["dropped", "unavailable"])
def test_n006_the_hub_stays_away(sea: HubServer, fault: str) -> None:
    split = streaming().open(SPEC, "train")
    setattr(sea.faults, fault, True)
    with pytest.raises(SourceError, match="train-0") as caught:
        split.gather(np.array([0]))
    assert code(caught) == "TSR-N006"
    setattr(sea.faults, fault, False)
    assert split.gather(np.array([0])).num_rows == 1


@pytest.mark.slow  # each try of the client waits for a second, and there are thirty
def test_n006_the_hub_hangs(sea: HubServer) -> None:
    split = streaming().open(SPEC, "train")
    sea.faults.hang = "train-0.parquet"
    with pytest.raises(SourceError) as caught:
        split.gather(np.array([0]))
    assert code(caught) == "TSR-N006"


def test_n002_gated_n004_config_n005_split(sea: HubServer) -> None:
    with pytest.raises(SourceError) as split:
        streaming().open(SPEC, "dev")
    with pytest.raises(SourceError) as config:
        streaming().open(SourceSpec("ann/sea", config="lake"), "train")
    opened = streaming().open(SPEC, "train")
    sea.faults.gated.add("ann/sea")
    with pytest.raises(SourceError, match="is gated") as rows:
        opened.gather(np.array([0]))
    with pytest.raises(SourceError, match="is gated") as footers:
        streaming().open(SPEC, "test")
    with pytest.raises(SourceError) as missing:
        streaming().open(SourceSpec("ann/lake"), "train")
    expected = ["TSR-N005", "TSR-N004", "TSR-N002", "TSR-N002", "TSR-N001"]
    assert [code(c) for c in (split, config, rows, footers, missing)] == expected


def test_n007_a_file_that_is_no_parquet_and_rows_that_the_card_does_not_have(sea: HubServer) -> None:
    assert sea.root is not None
    path = sea.root / "ann/sea/sea/train-2.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(SourceError, match=r"sea/train-2\.parquet") as damaged:
        streaming().open(SPEC, "train")
    path.write_bytes(whole)
    splits = "  splits: [{name: train, num_examples: 3, num_bytes: 1}, {name: test, num_examples: 40, num_bytes: 1}]\n"
    (sea.root / "ann/sea/README.md").write_text(CARD.removesuffix("---\n") + splits + "---\n")
    with pytest.raises(SourceError, match="its card says 3") as other:
        streaming().open(SPEC, "train")
    assert code(damaged) == code(other) == "TSR-N007"
    assert streaming().open(SPEC, "test").num_rows == 40


def test_n011_columns_that_other_files_do_not_have(sea: HubServer) -> None:
    assert sea.root is not None
    pq.write_table(pa.table({"sail": [1]}), sea.root / "ann/sea/sea/train-1.parquet")
    with pytest.raises(SourceError, match="sail") as caught:
        streaming().open(SPEC, "train")
    assert code(caught) == "TSR-N011"


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_n012_a_local_file_that_changes(tmp_path: Path, how: str) -> None:
    write_sea(tmp_path / "mirror" / "ann" / "sea")
    split = Sources([tmp_path / "mirror"], streaming=True).open(SPEC, "train")
    split.gather(np.array([0]))
    path = tmp_path / "mirror/ann/sea/sea/train-2.parquet"
    if how == "gone":
        path.unlink()
    else:
        pq.write_table(table_of(range(1300)), path, row_group_size=100)
    with pytest.raises(SourceError, match=r"train-2\.parquet") as caught:
        split.gather(np.array([1900]))
    assert code(caught) == "TSR-N012"


def test_n012_a_commit_that_the_hub_no_longer_has(sea: HubServer) -> None:
    assert sea.root is not None
    split = streaming().open(SPEC, "train")
    split.gather(np.array([0]))
    (sea.root / "ann/sea/sea/more.parquet").write_bytes(b"PAR1")  # another commit; the former is gone
    with pytest.raises(SourceError, match="no longer on the hub") as caught:
        split.gather(np.array([1900]))
    assert code(caught) == "TSR-N012"


def test_an_interruption_does_not_wait_for_the_hub(sea: HubServer, tmp_path: Path) -> None:
    split = streaming().open(SPEC, "train")
    (tmp_path / "split").write_bytes(pickle.dumps(split))
    sea.faults.hang = "train-0.parquet"
    program = (
        "import pickle, sys, numpy as np\n"
        "split = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print('begins', flush=True)\n"
        "split.gather(np.array([0]))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "HF_HUB_DOWNLOAD_TIMEOUT": "60"}
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "split")],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "begins\n"
    while not [r for r in sea.requests if r.startswith("GET") and "train-0.parquet" in r][1:]:
        pass
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=50)
    assert "KeyboardInterrupt" in errors and time.monotonic() - sent < 20


def test_the_first_error_ends_what_has_not_begun() -> None:
    done: list[int] = []

    def act(number: int) -> None:
        if number == 3:
            raise ValueError("three")
        time.sleep(0.01)
        done.append(number)

    with pytest.raises(ValueError, match="three"):
        together([lambda n=n: act(n) for n in range(200)])  # type: ignore[misc]
    assert len(done) < 150


# Offline, and in a cache that others use.


def test_n008_offline_gives_what_was_fetched_and_no_more(sea: HubServer) -> None:
    streaming().open(SPEC, "train").gather(np.array([0]), ["number"])
    sea.requests.clear()
    offline = streaming(offline=True).open(SPEC, "train")
    assert offline.gather(np.array([150]), ["number"])["number"].to_pylist() == [150]
    with pytest.raises(SourceError, match="offline") as rows:
        offline.gather(np.array([1900]), ["number"])
    with pytest.raises(SourceError, match="offline") as split:
        streaming(offline=True).open(SPEC, "test")
    with pytest.raises(SourceError, match="offline") as never:
        streaming(offline=True).open(SourceSpec("ann/lake"), "train")
    assert [code(c) for c in (rows, split, never)] == ["TSR-N008"] * 3 and sea.requests == []


def test_what_goes_during_a_run_is_fetched_again(sea: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache._fetched, "bytes", float("inf"))
    split = streaming().open(SPEC, "train")
    split.gather(np.arange(TRAIN))
    bound = sum(path.stat().st_size for path in streams_dir().rglob("*.arrow")) // 4
    monkeypatch.setenv("TSR_STREAM_SIZE", str(bound))
    cache.trim(0, unused_for=0)
    random = np.random.default_rng(1)
    for _ in range(40):
        rows = random.integers(0, TRAIN, 20)
        assert split.gather(rows)["number"].to_pylist() == rows.tolist()
    assert sum(path.stat().st_size for path in streams_dir().rglob("*.arrow")) <= bound
    for path in streams_dir().rglob("*.arrow"):
        path.write_bytes(path.read_bytes()[:-200])  # a machine that lost power
    from tasksource_reg.sources.arrow_files import POOL

    for path in streams_dir().rglob("*.arrow"):
        POOL.forget(str(path))
    again = streaming().open(SPEC, "train")
    assert again.gather(np.arange(TRAIN))["number"].to_pylist() == list(range(TRAIN))


def test_a_bound_that_holds_not_one_section_costs_time_only(sea: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache._fetched, "bytes", float("inf"))
    monkeypatch.setenv("TSR_STREAM_SIZE", "1")
    split = streaming().open(SPEC, "train")
    for _ in range(2):
        assert split.gather(np.arange(TRAIN)[::-1])["number"].to_pylist() == list(range(TRAIN))[::-1]
        assert not list(streams_dir().rglob("*.arrow"))


def test_the_longest_unused_sections_go_first(own_cache: Path) -> None:
    folder = streams_dir() / "a" / "b"
    folder.mkdir(parents=True)
    for number in range(10):
        (folder / f"{number}.arrow").write_bytes(b"x" * 100)
        os.utime(folder / f"{number}.arrow", (time.time() - 100 + number,) * 2)
    (folder / "f.footer").write_bytes(b"x" * 5000)
    (folder / ".4.arrow.tmp").write_bytes(b"")
    os.utime(folder / ".4.arrow.tmp", (0, 0))
    cache.touch(folder / "0.arrow", after=10)
    assert cache.trim_streams(1000) == []
    assert [path.name for path in cache.trim_streams(500)] == [f"{n}.arrow" for n in range(1, 7)]
    assert sorted(p.name for p in folder.iterdir()) == ["0.arrow", "7.arrow", "8.arrow", "9.arrow", "f.footer"]


def test_the_bound_of_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.stream_bound() == 20 * 10**9
    monkeypatch.setenv("TSR_CACHE_SIZE", "3GB")
    assert cache.stream_bound() == 3 * 10**9
    monkeypatch.setenv("TSR_STREAM_SIZE", "5GB")
    assert cache.stream_bound() == 5 * 10**9


def test_streams_are_entries_of_the_cache(sea: HubServer) -> None:
    split = streaming().open(SPEC, "train")
    split.gather(np.array([0, 1900]))
    (entry,) = [entry for entry in cache.entries() if entry.kind == "stream"]
    assert entry.name == "ann/sea" and entry.size > 1000
    cache.trim(0, unused_for=0)
    assert not [entry for entry in cache.entries() if entry.kind == "stream"]
    assert split.gather(np.array([1, 1901]), ["number"])["number"].to_pylist() == [1, 1901]


def test_two_processes_at_once_fetch_each_section_once(sea: HubServer, tmp_path: Path) -> None:
    split = streaming().open(SPEC, "train")
    (tmp_path / "split").write_bytes(pickle.dumps(split))
    sea.ranges.clear()
    sea.seconds = 0.05
    program = (
        "import pickle, sys, numpy as np\n"
        "split = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(split.gather(np.arange(2000), ['number'])['number'].to_pylist() == list(range(2000)))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    both = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "split")], env=env, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [p.communicate(timeout=100)[0] for p in both] == [b"True\n"] * 2
    sections = len(list(streams_dir().rglob("*.arrow")))
    assert sections == 11 and len(data_requests(sea)) == sections


def test_what_a_killed_process_left_is_not_taken_for_whole(sea: HubServer, tmp_path: Path) -> None:
    split = streaming().open(SPEC, "train")
    (tmp_path / "split").write_bytes(pickle.dumps(split))
    sea.ranges.clear()
    sea.seconds = 0.05
    program = (
        "import os, pickle, sys, numpy as np\n"
        "import tasksource_reg.sources.streamed_rows as rows\n"
        "read = rows.read_section\n"
        "def cut(*options):\n"
        "    for table in read(*options):\n"
        "        yield table\n"
        "        if len(os.listdir(folder)) > 12: os._exit(9)\n"
        "rows.read_section = cut\n"
        "split = pickle.load(open(sys.argv[1], 'rb'))\n"
        "folder = split._files[0].folder\n"
        "split.gather(np.arange(2000))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "split")], env=env, timeout=100)
    assert killed.returncode == 9
    left = list(streams_dir().rglob("*.tmp"))
    assert left, "the process was to die while it wrote"
    assert split.gather(np.arange(TRAIN))["number"].to_pylist() == list(range(TRAIN))
    for path in left:
        os.utime(path, (0, 0))
    cache.trim_streams(10**9)
    assert not [path for path in left if path.exists()]


# What cannot be streamed.


def test_n013_other_formats_are_prepared_with_a_warning(hub: HubServer) -> None:
    assert hub.root is not None
    folder = hub.root / "ann" / "weather"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text("a,b\n1,x\n2,y\n")
    sources, warned = Sources(streaming=True), list[Problem]()
    sources.on_warning = warned.append
    split = sources.open(SourceSpec("ann/weather"), "train")
    sources.open(SourceSpec("ann/weather"), "train")
    assert not split.streamed and split.gather(np.array([1])).to_pylist() == [{"a": 2, "b": "y"}]
    (problem,) = warned
    assert (problem.code, problem.severity) == ("TSR-N013", "warning")
    assert "read as csv" in problem.message and "refs/convert/parquet" in problem.advice


def test_files_of_which_the_card_wants_some_columns_are_prepared(sea: HubServer) -> None:
    assert sea.root is not None
    card = "---\nconfigs:\n- {config_name: sea, data_files: sea/test.parquet, columns: [number]}\n---\n"
    (sea.root / "ann/sea/README.md").write_text(card)
    sources, warned = Sources(streaming=True), list[Problem]()
    sources.on_warning = warned.append
    split = sources.open(SPEC, "train")
    assert list(split.features) == ["number"] and len(warned) == 1


def test_the_environment_may_ask_for_streams(sea: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSR_STREAM", "1")
    assert Sources().open(SPEC, "train").streamed


@pytest.fixture(autouse=True)
def no_bounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sizes of the environment do not count."""
    for name in ("TSR_STREAM", "TSR_STREAM_SIZE", "TSR_CACHE_SIZE"):
        monkeypatch.delenv(name, raising=False)
    yield
