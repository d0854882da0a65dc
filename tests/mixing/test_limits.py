"""The ceiling of the quarantine: what it counts, when it speaks, and that it never takes back what it said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_registry import SmallRegistry

from tasksource_reg.errors import TsrError
from tasksource_reg.export.export import export
from tasksource_reg.mixing.deal import Deal, WorkerBatches
from tasksource_reg.mixing.iterate import MixtureIterator, batches
from tasksource_reg.mixing.limits import LEAST, QuarantineLimit
from tasksource_reg.mixing.spec import QuarantineLimitSpec, read_mixture


def test_so_many_rows_may_fail_and_no_more() -> None:
    limit = QuarantineLimit(rows=3)
    assert limit.exceeded(3, 3) is None
    assert limit.exceeded(4, 1000) == "4 of 1,000 positions are in quarantine, and the limit is 3"
    assert QuarantineLimit(rows=0).exceeded(1, 10**9)


def test_a_fraction_speaks_once_enough_have_failed() -> None:
    limit = QuarantineLimit(fraction=0.025)
    assert limit.exceeded(LEAST - 1, LEAST - 1) is None
    assert limit.exceeded(LEAST, 40 * LEAST) is None
    assert limit.exceeded(LEAST + 1, 40 * LEAST) == (
        "101 of 4,000 positions are in quarantine, and the limit is 2.5% of them"
    )


def test_the_first_of_two_limits_stops() -> None:
    limit = QuarantineLimit(rows=500, fraction=0.5)
    assert limit.exceeded(400, 900) is None
    assert limit.exceeded(501, 10**6) and limit.exceeded(400, 700)


def test_all_may_fail_where_the_limit_says_so() -> None:
    assert QuarantineLimit(fraction=1).exceeded(10**6, 10**6) is None


def test_the_default_of_a_mixture_is_a_fifth() -> None:
    limit = QuarantineLimit.of(read_mixture({"parts": [{"task": "a"}]}).quarantine_limit)
    assert limit == QuarantineLimit(fraction=0.2)
    assert QuarantineLimit.of(QuarantineLimitSpec(rows=7)) == QuarantineLimit(rows=7)


def test_a_run_over_the_limit_is_stopped_with_an_example() -> None:
    with pytest.raises(TsrError, match=r"the limit is 1; an empty response") as caught:
        QuarantineLimit(rows=1).check(2, 10, "an empty response")
    assert caught.value.problems[0].code == "TSR-M018"
    QuarantineLimit(rows=1).check(1, 10)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 3000), st.floats(0, 1))
def test_more_failures_among_as_many_positions_never_help(good: int, bad: int, more: int, fraction: float) -> None:
    for limit in (QuarantineLimit(fraction=fraction), QuarantineLimit(rows=int(fraction * 5000))):
        if limit.exceeded(bad, good + bad):
            assert limit.exceeded(bad + more, good + bad + more)


@pytest.fixture
def failing(tmp_path: Path) -> SmallRegistry:
    """1,000 rows, of which every second has a blank prompt."""
    found = SmallRegistry(tmp_path)
    found.task("a", [{"said": " " if i % 2 else f"a{i}", "heard": "x"} for i in range(1000)])
    return found


def test_every_way_to_read_a_mixture_stops_at_the_limit(failing: SmallRegistry) -> None:
    data, free = failing.data(), failing.data(quarantine_limit={"fraction": 0.6})
    with pytest.raises(TsrError, match=r"TSR-M018.*positions are in quarantine, and the limit is 20%"):
        list(MixtureIterator(data))
    assert len(list(MixtureIterator(free))) == 500
    with pytest.raises(TsrError, match="TSR-M018"):
        list(batches(data))
    assert sum(batch.num_rows for batch in batches(free)) == 500
    for arrow in (False, True):
        deal = Deal.of(data.plan, "drop", 0, 2, 8)
        with pytest.raises(TsrError, match="TSR-M018"):
            list(WorkerBatches(data, deal, 1, arrow=arrow))
        assert len(list(WorkerBatches(free, deal, 1, arrow=arrow))) == 63
    with pytest.raises(TsrError, match="TSR-M018"):
        list(MixtureIterator(failing.data(quarantine_limit={"rows": 3})))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_export_over_the_limit_stops_and_goes_on_under_another(failing: SmallRegistry, workers: int) -> None:
    out = failing.root.parent / "out"
    with pytest.raises(TsrError, match=f'TSR-M018.*their reasons stand in "{out}/quarantine"'):
        export(failing.data(), out, workers=workers, shard_rows=300)
    assert not (out / "manifest.json").exists() and list((out / "quarantine").iterdir())
    done = export(failing.data(quarantine_limit={"fraction": 0.9}), out, shard_rows=300)
    assert done.resumed >= 1 and done.manifest.quarantined == 500
