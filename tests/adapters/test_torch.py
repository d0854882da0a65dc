"""Mixtures in torch's loaders: workers do not show, ranks cover the plan, and runs go on anywhere under any others."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")

from torch.utils.data import DataLoader, default_collate  # noqa: E402

import tasksource_reg as tsr  # noqa: E402
from tasksource_reg.adapters.torch import place  # noqa: E402

StatefulDataLoader = stateful.StatefulDataLoader
LENGTH = 100
WORLDS, WORKERS = (1, 2, 3, 8), (0, 2, 5)

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # more workers than the machine has cores
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
]


@pytest.fixture(autouse=True)
def no_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def positions(batches: Iterable[list[dict[str, Any]]]) -> list[list[int]]:
    return [[row["provenance"]["position"] for row in batch] for batch in batches]


def flat(batches: Iterable[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(batches))


# The same batches under any workers, all rows once under any ranks.


@pytest.mark.parametrize("tail", ["drop", pytest.param("repeat", marks=pytest.mark.slow), "uneven"])
@pytest.mark.parametrize("world", WORLDS)
def test_workers_do_not_show_and_ranks_cover_the_plan(mixtures: Any, alive: list[int], world: int, tail: str) -> None:
    mix, seen = mixtures(tail=tail), []
    end = {"drop": LENGTH - LENGTH % world, "repeat": -(-LENGTH // world) * world, "uneven": LENGTH}[tail]
    for rank in range(world):
        own = [p % LENGTH for p in range(rank, end, world)]
        expected = [[p for p in own[i : i + 7] if p in alive] for i in range(0, len(own), 7)]
        dataset = mix.to_torch(7, rank=rank, world=world)
        for workers in WORKERS if rank < 2 else (0,):
            assert positions(dataset.loader(num_workers=workers)) == expected
        assert len(dataset) == len(expected)
        seen += flat(expected)
    assert sorted(seen) == sorted(p % LENGTH for p in range(end) if p % LENGTH in alive)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("size", [1, 4, 33, 200])
def test_every_rank_with_every_number_of_workers(mix: tsr.Mixture, world: int, size: int) -> None:
    for rank in range(world):
        dataset = mix.to_torch(size, rank=rank, world=world)
        alone = positions(dataset)
        assert [positions(dataset.loader(num_workers=workers)) for workers in WORKERS] == [alone] * 3


def test_a_plain_loader_takes_the_batches(mix: tsr.Mixture, alive: list[int]) -> None:
    loader = DataLoader(mix.to_torch(10), batch_size=None, num_workers=2)
    assert len(loader) == 10
    assert flat(positions(loader)) == alive


def test_persistent_workers_begin_again(mix: tsr.Mixture, alive: list[int]) -> None:
    loader = mix.to_torch(9).loader(num_workers=2, persistent_workers=True)
    assert [flat(positions(loader)) for _ in range(3)] == [alive] * 3
    broken_off = list(islice(loader, 3))
    assert flat(positions(broken_off)) == [p for p in alive if p < 27]
    assert flat(positions(loader)) == alive


def test_record_batches_come_from_workers_without_their_blocks(mixtures: Any) -> None:
    mix = mixtures(stop={"rows": 2000})
    dataset = mix.to_torch(4, arrow=True)
    alone, sent = list(dataset), list(dataset.loader(num_workers=2))
    assert [batch.to_pylist() for batch in sent] == [batch.to_pylist() for batch in alone]
    assert all(isinstance(batch, pa.RecordBatch) and batch.schema == mix.schema for batch in sent)
    most = max(batch.get_total_buffer_size() for batch in alone)  # slices of a block
    assert max(batch.get_total_buffer_size() for batch in sent) < most / 10


def described(batch: list[dict[str, Any]]) -> tuple[Any, int]:
    return default_collate([row["provenance"]["position"] for row in batch]) if batch else None, os.getpid()


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_collated_where_they_are_made(mix: tsr.Mixture, alive: list[int], workers: int) -> None:
    got = list(mix.to_torch(10, collate=described).loader(num_workers=workers))
    assert all(isinstance(batch, torch.Tensor) for batch, _ in got)
    assert torch.cat([batch for batch, _ in got]).tolist() == alive
    assert ({pid for _, pid in got} == {os.getpid()}) == (workers == 0)


@pytest.mark.parametrize("workers", WORKERS)
def test_a_batch_of_quarantined_positions_is_empty_and_keeps_its_turn(
    mix: tsr.Mixture, alive: list[int], workers: int
) -> None:
    batches = positions(mix.to_torch(1).loader(num_workers=workers))
    assert batches == [[p] if p in alive else [] for p in range(LENGTH)]


def test_quarantined_positions_are_counted(mix: tsr.Mixture, alive: list[int]) -> None:
    items = iter(mix.to_torch(10))
    list(items)
    assert items.quarantined_count == len(items.quarantined) == LENGTH - len(alive)
    assert items.quarantined[0].code == "TSR-T008"


def test_an_error_in_a_worker_keeps_its_class_and_its_text(mixtures: Any) -> None:
    mix = mixtures(on_error="raise")
    with pytest.raises(tsr.FindingsError, match=r"(?s)worker process.*TSR-T008.*task own/a.*try:") as caught:
        list(mix.to_torch(4).loader(num_workers=1))  # torch waits for each worker for seconds after an error
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_endless_mixture_has_no_length_but_batches(mixtures: Any) -> None:
    dataset = mixtures(stop="never", sound=True).to_torch(5, rank=1, world=2, start=10**12)
    with pytest.raises(TypeError, match="endless"):
        len(dataset)
    got = positions(islice(dataset.loader(num_workers=2), 3))
    assert got == [[10**12 + 10 * n + 2 * k + 1 for k in range(5)] for n in range(3)]


def test_a_dataset_pickles_without_its_rows(mix: tsr.Mixture) -> None:
    dataset = mix.to_torch(5, rank=1, world=2, start=10)
    expected = list(dataset)
    packed = pickle.dumps(dataset)
    assert len(packed) < 3000
    assert list(pickle.loads(packed)) == expected
    assert repr(dataset) == "MixtureDataset('mixture', batches of 5, rank 1 of 2, from position 10)"


SPAWN = """
import json, sys
import tasksource_reg as tsr

def numbers(batch):
    return [row["provenance"]["position"] for row in batch]

if __name__ == "__main__":
    mix = tsr.mixture(json.loads(sys.argv[1]), **json.loads(sys.argv[2]))
    loader = mix.to_torch(7, collate=numbers).loader(num_workers=2, multiprocessing_context="spawn")
    print(json.dumps(list(loader)))
"""


def test_workers_may_be_spawned(mixtures: Any, mix: tsr.Mixture, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SPAWN)
    spec = {"parts": [{"select": "dataset:own/*"}], "shape": "text", "stop": {"rows": LENGTH}}
    options = {key: value if isinstance(value, bool) else str(value) for key, value in mixtures.options.items()}
    command = [sys.executable, tmp_path / "train.py", json.dumps(spec), json.dumps(options)]
    root = str(Path(tsr.__file__).parents[1])
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": root})
    assert json.loads(done.stdout) == positions(mix.to_torch(7))


# Row by row.


@pytest.mark.parametrize("workers", WORKERS)
def test_rows_come_in_order_where_none_is_in_quarantine(mixtures: Any, workers: int) -> None:
    dataset = mixtures(sound=True).to_torch()
    rows = list(dataset.loader(num_workers=workers))
    assert [row["provenance"]["position"] for row in rows] == list(range(LENGTH))
    assert len(dataset) == LENGTH


@pytest.mark.parametrize("workers", WORKERS)
def test_rows_for_a_loader_that_makes_batches_come_once_each(mix: tsr.Mixture, alive: list[int], workers: int) -> None:
    loader = DataLoader(mix.to_torch(), batch_size=6, collate_fn=list, num_workers=workers)
    got = flat(positions(loader))
    assert sorted(got) == alive
    assert (got == alive) == (workers == 0)


# Which rank this is.


def test_ranks_come_from_arguments_then_torch_then_the_environment(
    mix: tsr.Mixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place() == (0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "5")
    assert place() == (2, 5)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    assert place() == (1, 4)
    assert place(0, 3) == (0, 3)
    dataset = mix.to_torch(4)
    assert (dataset.rank, dataset.world) == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ((2, 2), {}),
        ((-1, 2), {}),
        ((None, 2), {}),
        ((0, None), {}),
        ((None, None), {"RANK": "0"}),
        ((None, None), {"WORLD_SIZE": "2"}),
        ((None, None), {"RANK": "x", "WORLD_SIZE": "2"}),
        ((None, None), {"RANK": "2", "WORLD_SIZE": "2"}),
    ],
)
def test_half_a_place_is_refused(
    arguments: tuple[int | None, int | None], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(tsr.UsageError, match="TSR-U005"):
        place(*arguments)


# Stopping and going on.


def legs(mix: tsr.Mixture, draws: random.Random, workers: tuple[int, ...]) -> list[int]:
    """A run stopped twice, each leg with ranks, workers and a batch size of its own; the positions of all rows."""
    state: dict[str, Any] | None = None
    seen: list[int] = []
    for leg in range(3):
        world, size = draws.choice((1, 2, 3)), draws.randint(1, 12)
        datasets = [mix.to_torch(size, rank=rank, world=world, state=state) for rank in range(world)]
        count = len(datasets[0]) if leg == 2 else draws.randint(0, len(datasets[0]) // 2)
        found = []
        for dataset in datasets:
            loader = dataset.loader(num_workers=draws.choice(workers))
            found.append(positions(islice(loader, count)))
        after = {json.dumps(dataset.state_at(count)) for dataset in datasets}
        assert after == {json.dumps(mix.state_at(batches=count, batch_size=size, world=world, state=state))}
        state = json.loads(after.pop())
        for number in range(count):
            seen += sorted(flat(rank[number] for rank in found if number < len(rank)))  # what the ranks do at once
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_a_run_goes_on_under_other_ranks_workers_and_batch_sizes(mixtures: Any, alive: list[int], seed: int) -> None:
    assert legs(mixtures(tail="uneven"), random.Random(seed), (0, 2)) == alive


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_many_runs_go_on_under_other_ranks_workers_and_batch_sizes(mixtures: Any, alive: list[int], seed: int) -> None:
    assert legs(mixtures(tail="uneven"), random.Random(100 + seed), WORKERS) == alive


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cuts", [(0, 1), (3, 8), (11, 12), (5, 5)])
def test_torchdata_stops_and_goes_on_within_an_epoch(mix: tsr.Mixture, workers: int, cuts: tuple[int, int]) -> None:
    dataset = mix.to_torch(8)
    expected, found = positions(dataset), []
    state: dict[str, Any] | None = None
    for begin, cut in zip((0, *cuts), (*cuts, None), strict=True):
        loader = mix.to_torch(8).loader(StatefulDataLoader, num_workers=workers)
        if state is not None:
            loader.load_state_dict(state)
        found += positions(islice(loader, None if cut is None else cut - begin))
        if cut is None:  # the epoch after it is whole
            assert positions(loader) == expected
        else:
            state = json.loads(json.dumps(loader.state_dict()))
    assert found == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_torchdata_stopped_at_the_end_goes_on_with_a_whole_epoch(mix: tsr.Mixture, workers: int) -> None:
    loader = mix.to_torch(8).loader(StatefulDataLoader, num_workers=workers)
    expected = positions(loader)
    other = mix.to_torch(8).loader(StatefulDataLoader, num_workers=workers)
    other.load_state_dict(loader.state_dict())
    assert [positions(other), positions(other)] == [expected, expected]


def test_torchdata_keeps_its_persistent_workers(mix: tsr.Mixture) -> None:
    dataset = mix.to_torch(8)
    expected = positions(dataset)
    loader = dataset.loader(StatefulDataLoader, num_workers=2, persistent_workers=True)
    assert [positions(loader) for _ in range(2)] == [expected] * 2
    begun = positions(islice(loader, 4))
    other = dataset.loader(StatefulDataLoader, num_workers=2, persistent_workers=True)
    other.load_state_dict(loader.state_dict())
    assert begun + positions(other) == expected
    assert positions(other) == expected


def test_torchdata_without_workers_goes_on_with_another_batch_size(mix: tsr.Mixture, alive: list[int]) -> None:
    loader = mix.to_torch(8).loader(StatefulDataLoader)
    begun = positions(islice(loader, 5))
    other = mix.to_torch(3).loader(StatefulDataLoader)
    other.load_state_dict(loader.state_dict())
    assert flat(begun + positions(other)) == alive


@pytest.mark.slow  # torchdata waits for each worker for seconds after an error
def test_a_state_of_torchdatas_worker_is_refused_by_another_batch_size(mix: tsr.Mixture) -> None:
    loader = mix.to_torch(8).loader(StatefulDataLoader, num_workers=2)
    next(iter(loader))
    other = mix.to_torch(9).loader(StatefulDataLoader, num_workers=2)
    other.load_state_dict(loader.state_dict())
    with pytest.raises(tsr.FindingsError, match=r"TSR-M005.*batches of 8"):
        list(other)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataset_is_moved_before_it_is_read(mix: tsr.Mixture, alive: list[int], workers: int) -> None:
    dataset = mix.to_torch(6)
    loader = dataset.loader(num_workers=workers)
    dataset.load_state_dict(mix.state_at(batches=5, batch_size=4, world=2))
    assert dataset.start == 40
    assert [flat(positions(loader)) for _ in range(2)] == [[p for p in alive if p >= 40]] * 2
    assert dataset.state_at(1)["position"] == 46
    dataset.set_position(0)
    assert flat(positions(loader)) == alive


def test_what_does_not_fit_is_refused(mixtures: Any, mix: tsr.Mixture) -> None:
    state = mixtures(seed=1).state_at(batches=1, batch_size=4)
    with pytest.raises(tsr.FindingsError, match=r"TSR-M005.*other seed"):
        mix.to_torch(4, state=state)
    with pytest.raises(tsr.FindingsError, match=r"TSR-M005.*other seed"):
        mix.to_torch(4).load_state_dict(state)
    for arguments in ({"batch_size": 0}, {"start": -1}, {"arrow": True}):
        with pytest.raises(tsr.UsageError, match="TSR-U005"):
            mix.to_torch(**arguments)
    with pytest.raises(tsr.UsageError, match=r"TSR-U005.*26 batches of a run of 25"):
        mix.state_at(batches=26, batch_size=4)
    with pytest.raises(tsr.UsageError, match=r"TSR-U005.*dataset of rows"):
        mix.to_torch().state_at(3)


def test_without_torch_the_error_says_what_to_install() -> None:
    code = """
import sys
import tasksource_reg as tsr

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
try:
    tsr.mixture("demo").to_torch(4)
except tsr.UsageError as error:
    print(error)
"""
    root = str(Path(tsr.__file__).parents[1])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": root})
    assert "TSR-U005" in done.stdout
    assert "pip install 'tasksource-reg[torch]'" in done.stdout


# Map style.


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mixture_is_a_map_style_dataset(mixtures: Any, workers: int) -> None:
    mix = mixtures(sound=True)
    loader = DataLoader(mix, batch_size=8, collate_fn=list, num_workers=workers)
    assert [row for batch in loader for row in batch] == list(mix)
    shuffled = DataLoader(mix, batch_size=8, shuffle=True, collate_fn=list, num_workers=workers)
    assert sorted(flat(positions(shuffled))) == list(range(LENGTH))


def test_a_map_style_loader_stops_at_a_position_in_quarantine(mix: tsr.Mixture) -> None:
    with pytest.raises(tsr.FindingsError, match=r"TSR-T008.*is in quarantine"):
        list(DataLoader(mix, batch_size=50, collate_fn=list))
