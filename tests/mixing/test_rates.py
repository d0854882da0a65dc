"""Rates: seqio's formulas, shares of parts, UniMax, whole weights."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasksource_reg.errors import TsrError
from tasksource_reg.mixing.rates import (
    Part,
    Rates,
    check_rates,
    combine,
    equal,
    examples,
    explicit,
    flan,
    integer_weights,
    limit_epochs,
    t0,
)
from tasksource_reg.mixing.split_tree import TOTAL


def code_of(caught: pytest.ExceptionInfo[TsrError]) -> str:
    return caught.value.problems[0].code


def test_examples_are_scaled_then_capped_then_flattened() -> None:
    assert examples([100, 400, 90_000]).tolist() == [100, 400, 90_000]
    assert examples([100, 400, 90_000], scale=0.5, cap=100).tolist() == [50, 100, 100]
    assert examples([100, 400, 90_000], cap=1600, temperature=2).tolist() == [10, 20, 40]
    assert examples([8, 64], scale=8, cap=64, temperature=3).tolist() == [4, 4]


def test_a_cap_of_zero_is_no_cap_as_in_seqio() -> None:
    assert examples([5, 7], cap=0).tolist() == [5, 7]


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20), st.floats(0.3, 20))
def test_the_temperature_is_the_root(counts: list[int], temperature: float) -> None:
    expected = [count ** (1 / temperature) for count in counts]
    assert examples(counts, temperature=temperature).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("arguments", [{"scale": 0}, {"scale": math.nan}, {"temperature": 0}, {"cap": -1}])
def test_arguments_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(TsrError) as caught:
        examples([1, 2], **arguments)
    assert code_of(caught) == "TSR-U005"


def test_tasks_of_a_group_share_a_cap() -> None:
    groups = ["a", "b", "a", "c"]
    assert examples([100, 50, 300, 9], cap=200, groups=groups).tolist() == [50, 50, 150, 9]
    assert examples([100, 50, 300, 9], scale=0.5, cap=200, groups=groups).tolist() == [50, 25, 150, 4.5]
    assert examples([64, 9, 64], cap=64, temperature=2, groups="aba").tolist() == [32**0.5, 3, 32**0.5]


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.integers(0, 3)), min_size=1, max_size=20),
    st.integers(1, 10**7),
    st.floats(0.1, 4),
)
def test_shared_caps_hold_keep_ratios_and_leave_small_groups_alone(
    tasks: list[tuple[int, int]], cap: int, scale: float
) -> None:
    counts, groups = [count for count, _ in tasks], [group for _, group in tasks]
    rates = examples(counts, scale, cap, groups=groups)
    for group in set(groups):
        mine = np.array([g == group for g in groups])
        total = float(np.array(counts)[mine].sum()) * scale
        assert rates[mine].sum() == pytest.approx(min(total, cap))
        assert np.ptp(rates[mine] / np.array(counts)[mine]) <= 1e-9 * scale
    alone = examples(counts, scale, cap, groups=range(len(counts)))
    assert alone.tolist() == examples(counts, scale, cap).tolist()


# The rules of other collections, written out as they do it: a task for each (dataset, template), a rate for each.

COLLECTION = st.lists(st.tuples(st.integers(1, 2_000_000), st.integers(1, 25)), min_size=1, max_size=15)


@given(COLLECTION)
def test_t0_rates_are_the_sums_over_a_datasets_templates(datasets: list[tuple[int, int]]) -> None:
    cap_of: dict[tuple[int, int], int] = {}
    for number, (train_size, templates) in enumerate(datasets):
        for template in range(templates):
            cap_of[number, template] = 500_000 // templates if train_size > 500_000 else train_size
    expected = [sum(rate for (n, _), rate in cap_of.items() if n == number) for number in range(len(datasets))]
    assert t0([rows for rows, _ in datasets], [n for _, n in datasets]).tolist() == expected


def test_t0_jumps_at_the_cap() -> None:
    assert t0([499_999, 500_000, 500_001, 500_001], [10, 10, 10, 7]).tolist() == [
        4_999_990,
        5_000_000,
        500_000,
        499_996,
    ]
    assert t0([50, 51], [3, 3], cap=50).tolist() == [150, 48]


@given(COLLECTION)
def test_flan_rates_are_the_sums_over_a_datasets_templates(datasets: list[tuple[int, int]]) -> None:
    expected = []
    for rows, templates in datasets:
        rate_of_template = rows
        if rate_of_template > 3000:
            rate_of_template = 3000
        expected.append(sum(rate_of_template for _ in range(templates)))
    assert flan([rows for rows, _ in datasets], [n for _, n in datasets]).tolist() == expected


@given(COLLECTION, st.integers(1, 10**6))
def test_more_rows_never_lower_flans_rate(datasets: list[tuple[int, int]], cap: int) -> None:
    rows, templates = [r for r, _ in datasets], [n for _, n in datasets]
    assert (flan([r + 1 for r in rows], templates, cap) >= flan(rows, templates, cap)).all()


@given(
    st.lists(st.integers(1, 10**6), min_size=2, max_size=8),
    st.sampled_from([None, 0, 100, 30_000]),
    st.sampled_from([1.0, 2.0, 4.0]),
    st.sampled_from([1.0, 0.5, 3.0]),
)
def test_nested_mixtures_have_seqios_rates(
    sizes: list[int], maximum: int | None, temperature: float, scale: float
) -> None:
    """A task's rate: its own, and of each sub-mixture the parent's rate times its part of the sub-mixture's total."""

    def own(size: int) -> float:
        rate = size * scale
        if maximum:
            rate = min(rate, maximum)
        return rate if temperature == 1 else rate ** (1 / temperature)

    def sampled(listed: list[int], subs: list[tuple[float, dict[int, float]]]) -> dict[int, float]:
        rates = {task: own(sizes[task]) for task in listed}
        for parent_rate, sub in subs:
            for task, rate in sub.items():
                rates[task] = rates.get(task, 0.0) + parent_rate * rate / sum(sub.values())
        total = sum(rates.values())
        return {task: rate / total for task, rate in rates.items()}

    half = len(sizes) // 2
    inner_tasks, outer_tasks = list(range(half + 1)), list(range(half, len(sizes)))  # one task is in both
    inner = {task: own(sizes[task]) for task in inner_tasks}
    outer_total = sum(own(sizes[task]) for task in outer_tasks)
    expected = sampled(outer_tasks, [(outer_total, inner)])  # the sub-mixture has half of the whole

    def part(tasks: list[int], share: float | None) -> Part:
        rates = examples([sizes[task] for task in tasks], scale, maximum, temperature).tolist()
        return Part(tuple(map(str, tasks)), tuple(rates), share)

    nested = combine([part(inner_tasks, None)]).part(share=0.5)
    mixed = combine([part(outer_tasks, 0.5), nested])
    found = dict(zip(mixed.tasks, mixed.rates, strict=True))
    assert {int(task): rate for task, rate in found.items()} == pytest.approx(expected, rel=1e-9)


def test_explicit_rates_follow_the_order_of_the_tasks() -> None:
    assert explicit({"b": 2, "a": 0.5}, ["a", "b"]).tolist() == [0.5, 2]


def test_an_explicit_rate_for_no_task_of_the_part_suggests_one() -> None:
    with pytest.raises(TsrError, match=r"did you mean \"glue/rte\"") as caught:
        explicit({"glue/rt": 1}, ["glue/rte"])
    assert code_of(caught) == "TSR-U001"


@pytest.mark.parametrize("rates", [{"a": 1}, {"a": 1, "b": 0}, {"a": 1, "b": -2}, {"a": 1, "b": math.nan}])
def test_a_task_without_a_positive_rate_is_named(rates: dict[str, float]) -> None:
    with pytest.raises(TsrError) as caught:
        explicit(rates, ["a", "b"])
    assert code_of(caught) == "TSR-M003"
    assert caught.value.problems[0].task == "b"


def test_equal_rates_pass_the_check_and_infinite_ones_do_not() -> None:
    check_rates(equal(2), ["a", "b"])
    with pytest.raises(TsrError):
        check_rates([1, math.inf], ["a", "b"])


def test_parts_without_shares_weigh_the_sums_of_their_rates() -> None:
    mix = combine([Part(("a", "b"), (10, 30)), Part(("c",), (60,))])
    assert mix == Rates(("a", "b", "c"), (10, 30, 60))


def test_a_share_is_a_fraction_of_the_whole() -> None:
    mix = combine([Part(("a", "b"), (1, 3), share=0.8), Part(("c",), (7,), share=0.2)])
    assert mix.tasks == ("a", "b", "c")
    assert mix.rates == pytest.approx((0.2, 0.6, 0.2))


def test_parts_without_a_share_divide_what_is_left_by_their_rates() -> None:
    mix = combine([Part(("a",), (5,), share=0.5), Part(("b",), (100,)), Part(("c", "d"), (100, 200))])
    assert mix.rates == pytest.approx((0.5, 0.125, 0.125, 0.25))


def test_nested_mixtures_multiply() -> None:
    inner = combine([Part(("a",), (1,), share=0.25), Part(("b",), (1,), share=0.75)])
    mix = combine([inner.part(share=0.4), Part(("c",), (9,))])
    assert mix.rates == pytest.approx((0.1, 0.3, 0.6))


def test_a_task_reached_twice_adds_up() -> None:
    mix = combine([Part(("a", "b"), (1, 1), share=0.5), Part(("b",), (4,), share=0.5)])
    assert mix == Rates(("a", "b"), (0.25, 0.75))


@pytest.mark.parametrize(
    "shares",
    [(0.5, 0.6), (0.5, 0.4), (1.0, None), (0.7, 0.4, None), (0.0, 1.0), (-0.5, 1.5), (1.5, None), (math.nan, 1)],
)
def test_shares_that_do_not_add_up_are_refused(shares: tuple[float | None, ...]) -> None:
    with pytest.raises(TsrError) as caught:
        combine([Part((f"t{number}",), (1,), share=share) for number, share in enumerate(shares)])
    assert code_of(caught) == "TSR-M002"


def test_shares_written_in_decimals_add_up() -> None:
    combine([Part(("a",), (1,), 0.1), Part(("b",), (1,), 0.2), Part(("c",), (1,), 0.7)])


def test_a_rate_of_zero_in_a_part_is_refused() -> None:
    with pytest.raises(TsrError) as caught:
        combine([Part(("a",), (0.0,))])
    assert code_of(caught) == "TSR-M003"


def test_limits_of_epochs_hand_what_is_over_to_the_others() -> None:
    assert limit_epochs([1, 1, 1], [10, 100, 1000], 2, 900).tolist() == [20, 200, 680]
    assert limit_epochs([1, 3], [100, 100], 4, 100).tolist() == [25, 75]


@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.integers(1, 10_000)), min_size=1, max_size=30),
    st.floats(0.5, 8),
    st.floats(0.01, 1),
)
def test_limits_of_epochs_hold_and_the_rest_keeps_its_ratios(
    tasks: list[tuple[float, int]], epochs: float, filled: float
) -> None:
    rates, rows = np.array([rate for rate, _ in tasks]), np.array([count for _, count in tasks])
    positions = int(rows.sum() * epochs * filled)
    out = limit_epochs(rates, rows.tolist(), epochs, positions)
    assert (out <= rows * epochs * (1 + 1e-9)).all()
    assert out.sum() == pytest.approx(positions)
    free = out < rows * epochs * (1 - 1e-9)
    if free.any() and positions:
        assert np.ptp(out[free] / rates[free]) <= 1e-6 * (out[free] / rates[free]).max()


def test_more_positions_than_the_caps_allow_are_refused() -> None:
    with pytest.raises(TsrError, match="max_epochs allows 30") as caught:
        limit_epochs([1, 1], [10, 5], 2, 31)
    assert code_of(caught) == "TSR-M014"


def test_whole_rates_are_taken_as_they_are() -> None:
    assert integer_weights([3, 5, 0, 12]) == (3, 5, 0, 12)


def test_largest_remainders_fill_the_total() -> None:
    assert integer_weights([0.5, 0.25, 0.25], total=10) == (5, 3, 2)
    assert integer_weights([0.5, 0.25, 0.25], order=[0, 2, 1], total=10) == (5, 2, 3)


def test_a_tiny_rate_gets_one_at_the_cost_of_the_heaviest() -> None:
    assert integer_weights([1e-9, 0.5, 0.7], total=100) == (1, 41, 58)
    assert integer_weights([0.1, 0.1, 0.1, 9.9], total=5) == (1, 1, 1, 2)


@given(st.lists(st.floats(0, 1e6).map(lambda rate: rate if rate > 1e-9 else 0.0), min_size=1, max_size=50))
def test_whole_weights_are_within_one_of_the_exact_share(rates: list[float]) -> None:
    if not any(rates):
        return
    weights = integer_weights(rates)
    assert [weight > 0 for weight in weights] == [rate > 0 for rate in rates]
    whole = sum(Fraction(rate) for rate in rates)
    if any(rate != int(rate) for rate in rates) or whole > TOTAL:
        assert sum(weights) == TOTAL
        bumped = sum(Fraction(rate) * TOTAL < whole for rate in rates)
        for rate, weight in zip(rates, weights, strict=True):
            assert abs(Fraction(rate) * TOTAL / whole - weight) <= 1 + bumped


@pytest.mark.parametrize("rates", [[], [0.0], [-1.0, 2.0], [0.1] * 5])
def test_weights_need_a_positive_rate_and_room(rates: list[float]) -> None:
    with pytest.raises(ValueError, match="rates"):
        integer_weights(rates, total=4)
