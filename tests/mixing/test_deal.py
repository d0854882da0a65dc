"""Dealing positions to ranks, batches and workers: nothing lost, nothing twice, and the workers do not show."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_registry import SmallRegistry, echoes

from tasksource_reg.errors import TsrError
from tasksource_reg.mixing.deal import Batch, Deal, WorkerBatches, start_of, state_at
from tasksource_reg.mixing.stream import MixtureData

LENGTH = 100
WORLDS, WORKERS = (1, 2, 3, 4, 8), (1, 2, 5)


@pytest.fixture(scope="module")
def module_own(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    own = SmallRegistry(tmp_path_factory.mktemp("deal"))
    own.task("a", [{"said": " " if i % 4 == 0 else f"a{i}", "heard": f"A{i}"} for i in range(40)])
    own.task("b", echoes("b", 60))
    return own


@pytest.fixture(scope="module", params=["drop", "repeat", "uneven"])
def data(module_own: SmallRegistry, request: pytest.FixtureRequest) -> MixtureData:
    """100 positions, ten of them in quarantine."""
    return module_own.data(stop={"rows": LENGTH}, tail=request.param)


@pytest.fixture(scope="module")
def lost(module_own: SmallRegistry) -> set[int]:
    data = module_own.data(stop={"rows": LENGTH})
    return {q.position for q in data.block(np.arange(LENGTH)).quarantined}


def deal_of(data: MixtureData, start: int, world: int, size: int) -> Deal:
    return Deal.of(data.plan, data.spec.tail, start, world, size)


def in_turn(workers: list[WorkerBatches], count: int | None = None, first: int = 0) -> list[Batch]:
    """The batches as a loader takes them: it asks the workers in turn, and leaves out those that have ended."""
    alive, out = dict(enumerate(workers)), []
    for turn in itertools.count(first):
        if not alive or len(out) == count:
            return out
        worker = turn % len(workers)
        if worker in alive:
            batch = next(alive[worker], None)
            if batch is None:
                del alive[worker]
            else:
                out.append(batch)
    raise AssertionError


def loop(data: MixtureData, deal: Deal, rank: int, workers: int, count: int | None = None) -> list[list[int]]:
    """The positions in the batches of a rank."""
    parts = [WorkerBatches(data, deal, rank, worker, workers) for worker in range(workers)]
    return [positions(batch) for batch in in_turn(parts, count)]


def positions(batch: Batch) -> list[int]:
    rows = batch.to_pylist() if isinstance(batch, pa.RecordBatch) else batch
    return [row["provenance"]["position"] for row in rows]


# The arithmetic.


@given(
    start=st.integers(0, 50),
    length=st.integers(0, 80),
    world=st.integers(1, 9),
    size=st.integers(1, 11),
    whole=st.booleans(),
)
def test_batches_of_all_ranks_cover_every_position_once_in_order(
    start: int, length: int, world: int, size: int, whole: bool
) -> None:
    end = start + length // world * world if whole else start + length
    deal = Deal(start, end, world, size)
    seen: list[list[int]] = []
    for rank in range(world):
        found, lengths = deal.positions(np.arange(deal.batches(rank)), rank)
        assert found.tolist() == list(range(start + rank, end, world))
        assert lengths.sum() == len(found)
        assert (lengths[:-1] == size).all()
        assert (lengths > 0).all()
        cuts = np.split(found, np.cumsum(lengths)[:-1]) if len(lengths) else []
        seen.append([])
        for number in range(deal.batches()):
            seen[rank] += cuts[number].tolist() if number < len(cuts) else []
            assert all(p < deal.after(number + 1) for p in seen[rank])
            assert len(seen[rank]) == len(range(start + rank, deal.after(number + 1), world))
    assert sorted(itertools.chain.from_iterable(seen)) == list(range(start, end))
    assert deal.batches() == max(deal.batches(rank) for rank in range(world))
    assert (deal.after(0), deal.after(deal.batches())) == (start, end)


def test_positions_of_batches_in_numbers() -> None:
    found, lengths = Deal(10, 25, world=2, size=3).positions(np.array([0, 2]), rank=1)
    assert (found.tolist(), lengths.tolist()) == ([11, 13, 15, 23], [3, 1])


def test_an_endless_run_is_dealt_far_out(module_own: SmallRegistry) -> None:
    data = module_own.data(stop="never")
    deal = deal_of(data, 10**12, 8, 32)
    assert deal.after(10**6) == 10**12 + 10**6 * 256
    batch = next(WorkerBatches(data, deal, rank=3, worker=1, workers=2))
    assert all(p in range(10**12 + 256 + 3, 10**12 + 512, 8) for p in positions(batch))
    assert len(json.dumps(state_at(data, deal, 10**6)).encode()) <= 200


@pytest.mark.parametrize(("start", "world", "size"), [(-1, 1, 1), (0, 0, 1), (0, 1, 0)])
def test_impossible_deals(data: MixtureData, start: int, world: int, size: int) -> None:
    with pytest.raises(TsrError, match="TSR-U005"):
        deal_of(data, start, world, size)


@pytest.mark.parametrize("rank", [-1, 3])
def test_impossible_ranks(data: MixtureData, rank: int) -> None:
    with pytest.raises(TsrError, match="TSR-U005"):
        WorkerBatches(data, deal_of(data, 0, 3, 4), rank)


# Workers.


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_workers_do_not_show(data: MixtureData, lost: set[int], world: int, size: int) -> None:
    for rank in range(world):
        deal = deal_of(data, 3, world, size)
        own = [p % LENGTH for p in range(3 + rank, deal.end, world)]
        expected = [[p for p in own[i : i + size] if p not in lost] for i in range(0, len(own), size)]
        for workers in WORKERS:
            assert loop(data, deal, rank, workers) == expected


@pytest.mark.parametrize("workers", [1, 3])
def test_record_batches_hold_the_rows_of_the_dicts(data: MixtureData, workers: int) -> None:
    deal = deal_of(data, 0, 2, 6)
    for worker in range(workers):
        dicts = WorkerBatches(data, deal, 1, worker, workers)
        arrow = WorkerBatches(data, deal, 1, worker, workers, arrow=True)
        for one, other in itertools.zip_longest(dicts, arrow):
            assert isinstance(other, pa.RecordBatch)
            assert other.to_pylist() == one
            assert list(arrow.quarantined) == list(dicts.quarantined)
            assert arrow.quarantined_count == dicts.quarantined_count


def test_blocks_grow_and_do_not_show(module_own: SmallRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    data = module_own.data(stop={"rows": LENGTH})
    expected = loop(data, deal_of(data, 0, 1, 3), 0, 2)
    monkeypatch.setattr("tasksource_reg.mixing.deal.FIRST_BLOCK", 4)
    assert loop(data, deal_of(data, 0, 1, 3), 0, 2) == expected


def test_what_lies_in_quarantine_is_counted_when_it_is_passed(data: MixtureData, lost: set[int]) -> None:
    batches = WorkerBatches(data, deal_of(data, 0, 1, 10))
    for number in range(1, 11):
        next(batches)
        passed = sorted(p for p in lost if p < number * 10)
        assert batches.quarantined_count == len(passed)
        assert sorted(q.position for q in batches.quarantined) == passed


# States.


@settings(max_examples=25, deadline=None)
@given(draws=st.data())
def test_stopped_twice_and_dealt_anew_the_positions_are_those_of_one_run(
    data: MixtureData, lost: set[int], draws: st.DataObject
) -> None:
    """Each leg has its own number of ranks and workers and its own batch size; states go through JSON."""
    state: dict[str, Any] | None = None
    seen: list[int] = []
    end = 0
    for leg in range(3):
        world, workers = draws.draw(st.sampled_from(WORLDS)), draws.draw(st.sampled_from(WORKERS))
        deal = deal_of(data, start_of(data, state=state), world, draws.draw(st.integers(1, 12)))
        count = deal.batches() if leg == 2 else draws.draw(st.integers(0, deal.batches()))
        for rank in range(world):
            found = list(itertools.chain.from_iterable(loop(data, deal, rank, workers, count)))
            own = range(deal.start + rank, deal.after(count), world)
            assert found == [p % LENGTH for p in own if p % LENGTH not in lost]
            seen += found
        end = deal.after(count)
        text = json.dumps(state_at(data, deal, count))
        assert len(text.encode()) <= 200
        state = json.loads(text)
    assert sorted(seen) == sorted(p % LENGTH for p in range(end) if p % LENGTH not in lost)
    assert end > LENGTH - max(WORLDS)


@settings(max_examples=20, deadline=None)
@given(draws=st.data())
def test_workers_stopped_twice_go_on_from_their_own_states(data: MixtureData, draws: st.DataObject) -> None:
    world, workers = draws.draw(st.sampled_from(WORLDS)), draws.draw(st.sampled_from(WORKERS))
    rank = draws.draw(st.integers(0, world - 1))
    deal = deal_of(data, draws.draw(st.integers(0, 30)), world, draws.draw(st.integers(1, 12)))
    expected = loop(data, deal, rank, workers)
    cuts = sorted(draws.draw(st.lists(st.integers(0, len(expected)), min_size=2, max_size=2)))
    parts = [WorkerBatches(data, deal, rank, worker, workers) for worker in range(workers)]
    found, done = [], 0
    for cut in (*cuts, None):
        some = in_turn(parts, None if cut is None else cut - done, first=done % workers)
        found += [positions(batch) for batch in some]
        done += len(some)
        states = [json.loads(json.dumps(part.state_dict())) for part in parts]
        parts = [WorkerBatches(data, deal, rank, worker, workers) for worker in range(workers)]
        for part, state in zip(parts, states, strict=True):
            part.load_state_dict(state)
    assert found == expected


def test_the_only_worker_has_the_state_of_the_run(data: MixtureData) -> None:
    deal = deal_of(data, 2, 3, 4)
    alone = WorkerBatches(data, deal, rank=1)
    for number in range(deal.batches()):
        assert alone.state_dict() == state_at(data, deal, number)
        next(alone)
    for workers in WORKERS:  # and any worker takes it
        parts = [WorkerBatches(data, deal_of(data, 0, 2, 5), 1, worker, workers) for worker in range(workers)]
        for part in parts:
            part.load_state_dict(state_at(data, deal, 2))
        assert [positions(batch) for batch in in_turn(parts)] == loop(data, deal_of(data, 26, 2, 5), 1, 1)


def test_a_worker_refuses_the_state_of_another(data: MixtureData) -> None:
    deal = deal_of(data, 0, 2, 4)
    state = WorkerBatches(data, deal, 0, worker=1, workers=2).state_dict()
    others = [
        WorkerBatches(data, deal, 0, worker=0, workers=2),
        WorkerBatches(data, deal, 0, worker=1, workers=3),
        WorkerBatches(data, deal_of(data, 0, 2, 5), 0, worker=1, workers=2),
        WorkerBatches(data, deal_of(data, 0, 1, 4), 0, worker=1, workers=2),
        WorkerBatches(data, deal, 0),
    ]
    for other in others:
        with pytest.raises(TsrError, match=r"TSR-M005.*worker 1 of 2 with batches of 4 for 2 ranks"):
            other.load_state_dict(state)
    with pytest.raises(TsrError, match="TSR-M005"):
        start_of(data, state=state)


def test_states_of_other_plans_and_impossible_counts_are_refused(module_own: SmallRegistry, data: MixtureData) -> None:
    other = module_own.data(stop={"rows": LENGTH}, seed=1)
    deal = deal_of(other, 0, 1, 4)
    state = state_at(other, deal, 3)
    with pytest.raises(TsrError, match=r"TSR-M005.*other seed"):
        start_of(data, state=state)
    with pytest.raises(TsrError, match=r"TSR-M005.*other seed"):
        WorkerBatches(data, deal).load_state_dict(state)
    with pytest.raises(TsrError, match=r"TSR-U005.*start beside a state"):
        start_of(other, 5, state)
    for count in (-1, 26):
        with pytest.raises(TsrError, match=r"TSR-U005.*of a run of 25"):
            state_at(other, deal, count)
