"""Tasks and mixtures over streamed sources of the hub: the rows of prepared ones, without a pass before the first."""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hub_server import HubServer
from small_registry import SmallRegistry

import tasksource_reg as tsr
from tasksource_reg import cache
from tasksource_reg.annotation.load import read_annotation
from tasksource_reg.authoring.lock import lock_file
from tasksource_reg.cli import main
from tasksource_reg.provenance.locks import lock_path, write_lock
from tasksource_reg.registry import Registry
from tasksource_reg.sources.streaming import streams_dir
from tasksource_reg.task import SplitData
from tasksource_reg.workspace import Workspace

pytestmark = pytest.mark.usefixtures("own_downloads")

ROWS, GROUP = 6000, 200
FILES = 3


class HubRegistry(SmallRegistry):
    """A registry whose datasets are on the hub, as Parquet."""

    def __init__(self, folder: Path, hub: HubServer) -> None:
        super().__init__(folder)
        assert hub.root is not None
        self.hub, self.server = hub.root, hub

    def space(self, **options: Any) -> Workspace:
        """A new workspace on it, that reads from the hub."""
        return Workspace(Registry((self.root,)), cache=self.cache, **options)

    def dataset(self, name: str, rows: Sequence[dict[str, Any]], **keys: Any) -> str:
        """Puts rows on the hub, in several files, and writes the annotation and its lock."""
        folder = self.hub / "own" / name
        folder.mkdir(parents=True)
        table = pa.Table.from_pylist(list(rows))
        step = -(-len(rows) // FILES)
        for number in range(FILES):
            part = table.slice(number * step, step)
            pq.write_table(part, folder / f"train-{number}.parquet", row_group_size=GROUP, compression="none")
        self.task(name, [], lock=False, **keys)
        self.count(name)
        return f"own/{name}"

    def count(self, name: str) -> None:
        """Writes the lock, from the hub, by a stream: nothing is prepared."""
        space, file = self.space(streaming=True), read_annotation(self.annotation(name))
        done = lock_file(file, space.vocabularies, space.sources, self.cache)
        assert done.lock is not None and done.lock.origin == "hub", done.problems
        write_lock(self.annotation(name), done.lock)

    def split(self, name: str, **options: Any) -> SplitData:
        """The train split of a task."""
        space = self.space(**options)
        return space.data(space.registry.resolve(f"own/{name}")).split("train")


def texts(count: int) -> list[dict[str, Any]]:
    """Rows whose other column is most of what they hold."""
    random = np.random.default_rng(3)
    return [{"said": f"s{i}", "heard": f"h{i}", "other": random.bytes(100).hex()} for i in range(count)]


@pytest.fixture
def own(tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubRegistry:
    """The registry, with `own/big`; fetched sections and indices are forgotten."""
    monkeypatch.setattr("tasksource_reg.sources.sections.ROWS_TOGETHER", 500)
    found = HubRegistry(tmp_path / "own", hub)
    found.dataset("big", texts(ROWS))
    forget(found, tmp_path)
    return found


def forget(own: HubRegistry, tmp_path: Path) -> None:
    """Removes what was fetched, and the indices."""
    cache.trim(0, unused_for=0)
    for path in own.cache.rglob("*.arrow"):
        path.unlink()
    own.server.ranges.clear()


# The index.


def test_no_pass_is_needed_where_the_lock_says_that_every_row_survives(own: HubRegistry) -> None:
    split = own.split("big", streaming=True)
    assert len(split) == ROWS
    opened = own.server.sent
    assert split.streamed and split.batch(np.array([5000])).column("input").to_pylist() == ["s5000"]
    whole = sum(path.stat().st_size for path in own.hub.rglob("*.parquet"))
    assert own.server.sent - opened < whole / 20
    assert split.address(5000).source_row == 5000 and split.source_row(4)["heard"].to_pylist() == ["h4"]
    prepared = own.split("big")
    assert not prepared.streamed
    for field in ("source_rows", "candidates", "filtered", "quarantined", "listed", "labels", "characters", "gold"):
        assert getattr(split.index, field) == getattr(prepared.index, field)
    numbers = np.array([3, 3, 5999, 0])
    assert split.index.rows[numbers].tolist() == prepared.index.rows[numbers].tolist() == numbers.tolist()
    assert np.array_equal(np.asarray(split.index.rows), prepared.index.rows)
    assert split.index.parts[numbers].tolist() == [0] * 4 and len(split.index) == ROWS
    assert split.batch(numbers).equals(prepared.batch(numbers))


def whole_pass(own: HubRegistry, split: SplitData) -> bool:
    """Whether opening the index reads the columns of every section."""
    own.server.ranges.clear()
    assert len(split.pieces) == 1
    before = own.server.sent
    assert len(split) > 0
    return own.server.sent > before


@pytest.mark.parametrize(
    "why", ["accept drift", "no lock", "another annotation", "another revision", "features", "fewer rows"]
)
def test_a_lock_that_proves_nothing_costs_a_pass(own: HubRegistry, tmp_path: Path, why: str) -> None:
    options: dict[str, Any] = {"streaming": True}
    path = lock_path(own.annotation("big"))
    lock = json.loads(path.read_text())
    if why == "accept drift":
        options["accept_drift"] = True
    elif why == "another annotation":
        own.task("big", [], lock=False, fields={"input": "heard", "target": "said"})
    elif why == "another revision":
        lock["configs"][""]["revision"] = "0" * 64
    elif why == "features":
        lock["known"] = "features"
    elif why == "fewer rows":
        counts = lock["tasks"]["own/big"]["splits"]["train"]
        counts["rows"], counts["filtered"] = ROWS - 1, {"some": 1}
    path.write_text(json.dumps(lock))
    if why == "no lock":
        path.unlink()
    split = own.split("big", **options)
    assert whole_pass(own, split) and len(split) == ROWS
    own.server.ranges.clear()
    assert split.batch(np.array([0, 5999])).num_rows == 2 and own.server.sent == 0  # the pass fetched them


def test_rows_that_are_dropped_or_exploded_cost_a_pass_and_are_the_same(own: HubRegistry, tmp_path: Path) -> None:
    rows = [{"said": f"s{i}", "heard": f"h{i}", "all": ["x"] * (i % 3)} for i in range(900)]
    where = [{"of": "said", "length": {"at_least": 3}, "because": "short"}]
    own.dataset("some", rows, where=where)
    explode = {"each": "all", "as": "one"}
    own.dataset("many", rows, explode=explode, fields={"input": "said", "target": "one"})
    own.dataset("apart", rows, disjoint={"by": "said", "because": "seen"})  # other splits may change, and their rows
    forget(own, tmp_path)
    for name, surviving in (("some", 890), ("many", 900), ("apart", 900)):
        split, prepared = own.split(name, streaming=True), own.split(name)
        assert whole_pass(own, split) and len(split) == len(prepared) == surviving
        numbers = np.arange(surviving)[::-1]
        assert split.batch(numbers).equals(prepared.batch(numbers))


# Mixtures.

SPEC = {
    "parts": [{"task": "own/big"}], "shape": "text", "seed": 3, "stop": {"epochs": 2},
    "locality": {"rows": 500, "window": 3},
}  # fmt: skip


def mixture(own: HubRegistry, **options: Any) -> tsr.Mixture:
    return tsr.mixture(SPEC, registry=own.root, **options)


def test_a_mixture_in_blocks_has_the_same_rows_and_goes_on_anywhere(own: HubRegistry, own_cache: Path) -> None:
    streamed = mixture(own, streaming=True)
    first = list(islice(iter(streamed), 700))
    assert own.server.sent < 0.7 * sum(path.stat().st_size for path in own.hub.rglob("*.parquet"))
    iterator = iter(mixture(own, streaming=True))
    assert list(islice(iterator, 300)) == first[:300]
    state = json.loads(json.dumps(iterator.state_dict()))  # type: ignore[attr-defined]
    resumed = mixture(own, streaming=True).iterator()
    resumed.load_state_dict(state)
    rest = list(resumed)
    assert len(rest) == 2 * ROWS - 300 and rest[:400] == first[300:]
    assert not list((own_cache / "sources" / "data").glob("**/*.arrow"))
    assert list(mixture(own)) == first[:300] + rest


def test_a_run_under_faults_in_a_cache_that_is_too_small_has_the_same_rows(
    own: HubRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, faults = time.sleep, own.server.faults
    monkeypatch.setattr("time.sleep", lambda seconds: real(min(seconds, 0.001)))
    monkeypatch.setattr(cache._fetched, "bytes", float("inf"))
    monkeypatch.setenv("TSR_STREAM_SIZE", "20kB")
    faults.unavailable_every, faults.cut_off_every, faults.shortened_every, faults.dropped_every = 7, 5, 11, 13
    mix = mixture(own, streaming=True)
    found = list(mix.iterator(block=997))
    held = sum(path.stat().st_size for path in streams_dir().rglob("*.arrow"))
    assert held <= 20_000 < own.server.sent
    own.server.faults.unavailable_every = faults.cut_off_every = faults.shortened_every = faults.dropped_every = 0
    assert found == list(mixture(own))


def test_mixtures_pickle_with_their_streams(own: HubRegistry) -> None:
    sent: tsr.Mixture = pickle.loads(pickle.dumps(mixture(own, streaming=True)))
    assert sent[7] == mixture(own, streaming=True)[7]
    assert sent._data.workspace.sources.streaming
    assert sent._data.split(0).streamed


def test_the_workers_of_a_loader_stream(own: HubRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    mix = mixture(own, streaming=True)
    loader = mix.to_torch(batch_size=250).loader(num_workers=2)
    found = [row for batch in islice(loader, 8) for row in batch]
    own.server.ranges.clear()
    assert found == list(islice(mix.iterator(), 2000))
    assert own.server.sent == 0  # what the workers fetched


def test_exports_by_several_processes_have_the_same_bytes(own: HubRegistry, tmp_path: Path) -> None:
    def hashes(folder: Path) -> list[str]:
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("data/*"))]

    mixture(own, streaming=True).export(tmp_path / "streamed", workers=2, shard_rows=3000)
    run = json.loads((tmp_path / "streamed" / "RUN.json").read_text())
    assert run["sources"]["streaming"] is True
    mixture(own).export(tmp_path / "prepared", shard_rows=3000)
    assert hashes(tmp_path / "streamed") == hashes(tmp_path / "prepared") != []


def test_the_command_line_streams(own: HubRegistry, own_cache: Path) -> None:
    done = CliRunner().invoke(main, ["preview", "own/big", "-n", "1", "--stream", "--registry", str(own.root)])
    assert done.exit_code == 0 and "rendered" in done.output
    listed = json.loads(CliRunner().invoke(main, ["cache", "list", "--json"]).stdout)
    assert {"stream"} <= {entry["kind"] for entry in listed["entries"]}


def test_a_workspace_warns_once_of_what_cannot_be_streamed(own: HubRegistry) -> None:
    folder = own.hub / "own" / "lines"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text('{"said": "a", "heard": "b"}\n')
    own.task("lines", [], lock=False)
    with pytest.warns(UserWarning, match="TSR-N013") as caught:
        train = tsr.load_task("own/lines", split="train", registry=own.root, streaming=True)
        assert len(train) == 1
    assert len([w for w in caught if "TSR-N013" in str(w.message)]) == 1


def test_rows_are_ordered_by_length_after_one_pass(own: HubRegistry) -> None:
    spec = {"parts": [{"task": "own/big"}], "shape": "text", "order": {"by": "length"}, "stop": {"rows": 300}}
    streamed, prepared = (
        [row["text"] for row in tsr.mixture(spec, registry=own.root, streaming=streaming)]
        for streaming in (True, False)
    )
    assert streamed == prepared
    sizes = [len(text) for text in streamed]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_a_full_shuffle_of_more_than_the_cache_may_hold_is_warned_of(
    own: HubRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first(**spec: Any) -> str:
        body = {"parts": [{"task": "own/big"}], "shape": "text", **spec}
        return str(next(iter(tsr.mixture(body, registry=own.root, streaming=True)))["text"])

    first()  # all of it fits: a warning would be an error
    monkeypatch.setenv("TSR_STREAM_SIZE", "100kB")
    first(locality={"rows": 200, "window": 2})
    with pytest.warns(UserWarning, match=r"TSR-M020.*fetched again and again.*own/big") as caught:
        first()
    assert len(caught) == 1
