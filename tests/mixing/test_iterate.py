"""Iterators: ranks and tails cover what they should, states resume anywhere, quarantined positions are counted."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_registry import PLAIN, SmallRegistry, echoes

from tasksource_reg.errors import TsrError
from tasksource_reg.mixing.iterate import LISTED, MixtureIterator, batches, end_of
from tasksource_reg.mixing.stream import MixtureData

LENGTH = 100
BROKEN = 4  # every so many rows of the task cannot be rendered


@pytest.fixture(scope="module")
def module_own(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    own = SmallRegistry(tmp_path_factory.mktemp("iterate"))
    own.task("a", [{"said": " " if i % BROKEN == 0 else f"a{i}", "heard": f"A{i}"} for i in range(40)])
    own.task("b", echoes("b", 60))
    return own


@pytest.fixture(scope="module")
def whole(module_own: SmallRegistry) -> MixtureData:
    """100 positions without quarantine."""
    return module_own.data(parts=[{"task": "own/b"}], stop={"rows": LENGTH})


@pytest.fixture(scope="module")
def broken(module_own: SmallRegistry) -> MixtureData:
    """100 positions, ten of them in quarantine."""
    return module_own.data(stop={"rows": LENGTH})


def positions(rows: Iterator[dict[str, Any]]) -> list[int]:
    return [row["provenance"]["position"] for row in rows]


def steps(iterator: MixtureIterator, count: int) -> list[int]:
    return [next(iterator)["provenance"]["position"] for _ in range(count)]


def lost(data: MixtureData) -> set[int]:
    return {q.position for q in data.block(np.arange(LENGTH)).quarantined}


# Ranks and tails.


def test_where_runs_end() -> None:
    class Plan:
        length: int | None = 10

    plan: Any = Plan()
    assert [end_of(plan, "drop", world) for world in (1, 2, 3, 11)] == [10, 10, 9, 0]
    assert [end_of(plan, "repeat", world) for world in (1, 2, 3, 11)] == [10, 10, 12, 11]
    assert [end_of(plan, "uneven", world) for world in (1, 2, 3, 11)] == [10, 10, 10, 10]
    assert [end_of(plan, tail, 3, start=4) for tail in ("drop", "repeat", "uneven")] == [10, 10, 10]
    assert [end_of(plan, tail, 4, start=4) for tail in ("drop", "repeat", "uneven")] == [8, 12, 10]
    assert [end_of(plan, tail, 4, start=12) for tail in ("drop", "repeat", "uneven")] == [12, 12, 12]
    plan.length = None
    assert end_of(plan, "drop", 3) > 2**60


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("tail", ["drop", "repeat", "uneven"])
@pytest.mark.parametrize("quarantine", [False, True])
def test_ranks_cover_what_the_tail_says(module_own: SmallRegistry, world: int, tail: str, quarantine: bool) -> None:
    parts = [{"select": "dataset:own/*"}] if quarantine else [{"task": "own/b"}]
    data = module_own.data(parts=parts, stop={"rows": LENGTH}, tail=tail)
    iterators = [MixtureIterator(data, rank, world, block=9) for rank in range(world)]
    found = [positions(it) for it in iterators]
    end = {"drop": LENGTH - LENGTH % world, "repeat": -(-LENGTH // world) * world, "uneven": LENGTH}[tail]
    gone = lost(data)
    for rank, seen in enumerate(found):
        assert seen == [p % LENGTH for p in range(rank, end, world) if p % LENGTH not in gone]
    assert sum(it.quarantined_count for it in iterators) == sum(p % LENGTH in gone for p in range(end))
    if tail != "uneven":
        assert len({len(seen) + it.quarantined_count for seen, it in zip(found, iterators, strict=True)}) == 1


def test_a_start_is_the_first_position_of_all_ranks(whole: MixtureData) -> None:
    assert [steps(MixtureIterator(whole, r, 2, start=11), 3) for r in (0, 1)] == [[11, 13, 15], [12, 14, 16]]


@pytest.mark.parametrize(
    ("rank", "world", "start", "block"), [(2, 2, 0, 1), (-1, 2, 0, 1), (0, 0, 0, 1), (0, 1, -1, 1), (0, 1, 0, 0)]
)
def test_impossible_iterators(whole: MixtureData, rank: int, world: int, start: int, block: int) -> None:
    with pytest.raises(TsrError, match="TSR-U005"):
        MixtureIterator(whole, rank, world, start, block)


@pytest.mark.parametrize("block", [1, 2, 13, None])
def test_the_block_size_changes_no_row(broken: MixtureData, block: int | None) -> None:
    assert list(MixtureIterator(broken, 1, 2, block=block)) == list(MixtureIterator(broken, 1, 2, block=50))


def test_an_endless_mixture_goes_on(module_own: SmallRegistry) -> None:
    iterator = MixtureIterator(module_own.data(stop="never"), 1, 3, start=10**12)
    assert steps(iterator, 2)[0] >= 10**12
    assert len(json.dumps(iterator.state_dict())) <= 200


# States.


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_cut_anywhere_twice_with_any_ranks_the_ids_are_those_of_one_run(
    whole: MixtureData, draws: st.DataObject
) -> None:
    """All ranks take as many rows, then another number of ranks goes on from the state of any of them."""
    seen: list[int] = []
    state: dict[str, Any] | None = None
    for leg in range(3):
        world = draws.draw(st.sampled_from([1, 2, 3]))
        left = (LENGTH - len(seen)) // world
        count = left if leg == 2 else draws.draw(st.integers(0, left))
        iterators = [MixtureIterator(whole, rank, world, block=draws.draw(st.integers(1, 40))) for rank in range(world)]
        if state is not None:
            iterators = [it.load_state_dict(state) for it in iterators]
        found = [steps(it, count) for it in iterators]
        seen += [found[rank][step] for step in range(count) for rank in range(world)]
        states = [json.dumps(it.state_dict()) for it in iterators]
        assert len(set(states)) == 1
        assert len(states[0].encode()) <= 200
        state = json.loads(states[0])
    assert seen == list(range(len(seen)))
    assert len(seen) > LENGTH - 3


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_with_quarantine_each_rank_resumes_from_its_own_state(broken: MixtureData, draws: st.DataObject) -> None:
    world = draws.draw(st.sampled_from([1, 2, 3]))
    gone = lost(broken)
    for rank in range(world):
        one_run = [p for p in range(rank, LENGTH - LENGTH % world, world) if p not in gone]
        cuts = sorted(draws.draw(st.lists(st.integers(0, len(one_run)), min_size=2, max_size=2)))
        first = MixtureIterator(broken, rank, world, block=draws.draw(st.integers(1, 40)))
        seen = steps(first, cuts[0])
        second = MixtureIterator(broken, rank, world).load_state_dict(first.state_dict())
        seen += steps(second, cuts[1] - cuts[0])
        third = MixtureIterator(broken, rank, world).load_state_dict(json.loads(json.dumps(second.state_dict())))
        assert seen + positions(third) == one_run


def test_the_state_counts_positions_not_rows(broken: MixtureData) -> None:
    gone = lost(broken)
    iterator = MixtureIterator(broken, 0, 1)
    assert iterator.state_dict()["position"] == 0
    for row in iterator:
        position = row["provenance"]["position"]
        assert iterator.state_dict()["position"] == position + 1  # what follows is not passed before it is asked for
        assert {q.position for q in iterator.quarantined} == {p for p in gone if p < position}
    assert iterator.state_dict()["position"] == LENGTH
    assert iterator.quarantined_count == len(gone) == len(iterator.quarantined)


def test_ranks_that_have_passed_equally_many_positions_agree(broken: MixtureData) -> None:
    """After 40 positions each, however many rows these gave; then one rank goes on alone, and nothing is lost."""
    world, gone = 2, lost(broken)
    seen, states = [], []
    for rank in range(world):
        iterator = MixtureIterator(broken, rank, world)
        mine = [p for p in range(rank, 80, world) if p not in gone]
        seen += steps(iterator, len(mine))
        if max(range(rank, 80, world)) not in gone:
            states.append(iterator.state_dict())
    assert states
    assert all(state == states[0] for state in states)
    assert states[0]["position"] == 80
    rest = MixtureIterator(broken, 0, 1).load_state_dict(states[0])
    assert sorted(seen + positions(rest)) == [p for p in range(LENGTH) if p not in gone]


def test_the_end_is_the_end(broken: MixtureData) -> None:
    for world in (1, 3):
        iterator = MixtureIterator(broken, 0, world)
        list(iterator)
        state = iterator.state_dict()
        assert state["position"] == LENGTH - LENGTH % world
        with pytest.raises(StopIteration):
            next(iterator)
        assert list(MixtureIterator(broken, 0, world).load_state_dict(state)) == []


def test_ranks_that_ended_unevenly_agree_that_nothing_is_left(module_own: SmallRegistry) -> None:
    data = module_own.data(parts=[{"task": "own/b"}], stop={"rows": LENGTH}, tail="uneven")
    iterators = [MixtureIterator(data, rank, 3) for rank in range(3)]
    assert [len(list(iterator)) for iterator in iterators] == [34, 33, 33]
    assert [iterator.state_dict()["position"] for iterator in iterators] == [LENGTH] * 3


def test_loading_a_state_forgets_what_was_read_ahead(whole: MixtureData) -> None:
    iterator = MixtureIterator(whole)
    state = iterator.state_dict()
    assert steps(iterator, 5) == steps(iterator.load_state_dict(state), 5)


def test_a_state_of_another_mixture_names_what_changed(module_own: SmallRegistry, whole: MixtureData) -> None:
    state = MixtureIterator(whole).state_dict()
    for spec, what in (
        ({"parts": [{"task": "own/b"}], "stop": {"rows": LENGTH}, "seed": 1}, "seed"),
        ({"parts": [{"task": "own/b"}], "stop": {"rows": 99}}, "stop"),
        ({"stop": {"rows": LENGTH}}, "tasks"),
    ):
        with pytest.raises(TsrError, match=f"TSR-M005.*{what}"):
            MixtureIterator(module_own.data(**spec)).load_state_dict(state)
    with pytest.raises(TsrError, match="TSR-M005"):
        MixtureIterator(whole).load_state_dict({"position": "x"})


def test_a_state_names_what_changed_outside_the_plan(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 20))
    state = MixtureIterator(own.data()).state_dict()
    assert len(json.dumps(state | {"position": 2**62 - 1}).encode()) <= 200
    MixtureIterator(own.data()).load_state_dict(state)

    def refusal(**spec: Any) -> str:
        with pytest.raises(TsrError) as caught:
            MixtureIterator(own.data(**spec)).load_state_dict(state)
        assert caught.value.problems[0].code == "TSR-M005"
        return caught.value.problems[0].message

    rendering = "the plan has changed since: other templates, shots or shape"
    assert refusal(shots={"k": 1}) == refusal(shape="messages") == rendering
    own.templates("families", "echo", [PLAIN | {"prompt": "so: {{ input }}"}])
    assert refusal() == rendering
    own.templates("families", "echo", [PLAIN])
    own.task("a", echoes("b", 20))  # as many rows, but others
    assert refusal() == "the plan has changed since: other revisions"
    own.task("a", echoes("a", 20), fields={"input": "heard", "target": "said"})
    assert refusal() == "the plan has changed since: other tasks"


def test_quarantined_positions_are_kept_up_to_a_number(module_own: SmallRegistry) -> None:
    data = module_own.data(parts=[{"task": "own/a"}], stop={"rows": 40 * 110}, quarantine_limit={"fraction": 1})
    iterator = MixtureIterator(data)
    rows = sum(1 for _ in iterator)
    assert (rows, iterator.quarantined_count, len(iterator.quarantined)) == (3300, 1100, LISTED)


def test_data_behind_an_iterator_pickles(whole: MixtureData) -> None:
    again = MixtureIterator(pickle.loads(pickle.dumps(whole)), 1, 2)
    assert list(again) == list(MixtureIterator(whole, 1, 2))


# Batches.


@pytest.mark.parametrize("size", [None, 1, 7, 64, 1000])
def test_batches_hold_all_rows_in_order_and_at_most_their_size(broken: MixtureData, size: int | None) -> None:
    found = list(batches(broken, size))
    assert all(0 < batch.num_rows <= (size or LENGTH) for batch in found)
    rows = [row for batch in found for row in batch.to_pylist()]
    assert rows == broken.block(np.arange(LENGTH)).rows.to_pylist()


def test_batches_between_positions(whole: MixtureData) -> None:
    rows = [row for batch in batches(whole, 4, start=90, stop=97) for row in batch.to_pylist()]
    assert positions(iter(rows)) == list(range(90, 97))
    assert Counter(batch.num_rows for batch in batches(whole, 4, start=90, stop=97)) == {4: 1, 3: 1}
    assert list(batches(whole, start=LENGTH)) == []


@pytest.mark.parametrize(
    ("arguments", "code"), [((0,), "TSR-U005"), ((None, -1), "TSR-M006"), ((None, 0, 101), "TSR-M006")]
)
def test_impossible_batches_are_refused_at_once(whole: MixtureData, arguments: Any, code: str) -> None:
    with pytest.raises(TsrError, match=code):
        batches(whole, *arguments)
