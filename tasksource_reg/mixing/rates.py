"""Rates: how often each task comes, from row counts and shares to integer weights.

A rate is a positive number; only ratios of rates matter. `examples` follows seqio's `mixing_rate_num_examples`
(seqio/utils.py; Raffel et al. 2020, section 3.5.2), `combine` its rule for nested mixtures (a parent's rate is divided
among a child's tasks in the ratio of the child's rates; a task reached twice adds up), with one thing more: parts may
claim a share of the whole. `t0` and `flan` are the rules of those two collections. `limit_epochs` is UniMax (Chung et
al. 2023, algorithm 1) for any rates. `integer_weights` ends the floating point: what follows, the plan, is exact.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tasksource_reg.errors import did_you_mean, error
from tasksource_reg.mixing.split_tree import TOTAL

FloatArray: TypeAlias = npt.NDArray[np.float64]

T0_CAP, FLAN_CAP = 500_000, 3_000
_SLACK = 1e-6  # how far shares may be from adding up, so that 0.1 + 0.2 + 0.7 does


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a mixture: tasks with their rates within the part.

    Attributes:
        tasks: names of tasks, each once.
        rates: one a task; positive.
        share: fraction of the whole that the part claims, in (0, 1]; None: what is left.
        name: how errors call the part.
    """

    tasks: tuple[str, ...]
    rates: tuple[float, ...]
    share: float | None = None
    name: str = "part"


@dataclass(frozen=True, slots=True)
class Rates:
    """Tasks, each once, in the order in which they were first reached, and the rate of each."""

    tasks: tuple[str, ...]
    rates: tuple[float, ...]

    def part(self, share: float | None = None, name: str = "mixture") -> Part:
        """These rates as one part of a larger mixture."""
        return Part(self.tasks, self.rates, share, name)


def examples(
    counts: Sequence[float],
    scale: float = 1.0,
    cap: float | None = None,
    temperature: float = 1.0,
    groups: Sequence[Hashable] | None = None,
) -> FloatArray:
    """Rates by size: each count times `scale`, then at most `cap`, then to the power of 1/temperature (seqio's order).

    Characters and tokens go the same way: pass their counts.

    Args:
        counts: [tasks] surviving rows, characters or tokens; at least 0.
        scale: positive factor, before the cap.
        cap: the largest rate before the temperature; None or 0: no cap, as in seqio.
        temperature: 1 is proportional, larger is flatter. The power is taken in decimal arithmetic, so that it is
            the same number on every machine.
        groups: [tasks]: tasks of equal value share one cap: where their scaled counts come to more, each keeps its
            part of it. None: each task has a cap of its own.

    Returns:
        float64 [tasks].

    Raises:
        TsrError: TSR-U005 for arguments out of range.

    Example:
        >>> examples([100, 400, 90000], cap=1600, temperature=2).tolist()
        [10.0, 20.0, 40.0]
    """
    for name, value in (("scale", scale), ("temperature", temperature)):
        if not (math.isfinite(value) and value > 0):
            raise error("TSR-U005", f"{name} is {value}", fix=f"give a positive {name}")
    if cap is not None and not (math.isfinite(cap) and cap >= 0):
        raise error("TSR-U005", f"cap is {cap}", fix="give a positive cap, or leave it out")
    rates = [float(count) * scale for count in counts]
    if cap:
        rates = _shared_caps(rates, float(cap), range(len(rates)) if groups is None else groups)
    if temperature != 1:
        rates = [_root(rate, temperature) for rate in rates]
    return np.array(rates, dtype=np.float64)


def _shared_caps(rates: Sequence[float], cap: float, groups: Sequence[Hashable]) -> list[float]:
    """Rates of which those of a group come to at most `cap`, in their own ratio."""
    total: dict[Hashable, list[float]] = {}
    for rate, group in zip(rates, groups, strict=True):
        total.setdefault(group, []).append(rate)
    sums = {group: math.fsum(some) for group, some in total.items()}
    return [
        rate if sums[group] <= cap else cap if rate == sums[group] else rate * cap / sums[group]
        for rate, group in zip(rates, groups, strict=True)
    ]


def t0(counts: Sequence[int], templates: Sequence[int], cap: int = T0_CAP) -> FloatArray:
    """Rates as in T0's training mixtures (bigscience-workshop/t-zero, t0/seqio_tasks/tasks.py).

    There each template of a dataset is a task of its own. Its rate is the number of training rows, or, where these are
    more than 500,000, that number divided by the number of templates, rounded down. The rate of a dataset is the sum
    over its templates: it jumps down by a factor of about the number of templates where the rows pass the cap.

    Args:
        counts: [tasks] rows.
        templates: [tasks] how many render each; at least 1.
        cap: T0's 500,000, or another.

    Returns:
        float64 [tasks].

    Example:
        >>> t0([499_999, 500_001], [10, 10]).tolist()
        [4999990.0, 500000.0]
    """
    rates = [n * (cap // n if rows > cap else rows) for rows, n in zip(counts, templates, strict=True)]
    return np.array(rates, dtype=np.float64)


def flan(counts: Sequence[int], templates: Sequence[int], cap: int = FLAN_CAP) -> FloatArray:
    """Rates as in FLAN's training mixtures (google-research/FLAN, flan/mixtures.py; v2: flan/v2/mixtures_utils.py).

    There each template of a dataset is a task of its own, whose rate is its rows, at most 3,000. The rate of a dataset
    is the sum over its templates. FLAN v2 has other caps for its parts: 30,000 for Flan 2021, 20,000 for T0, 5,000 for
    Natural Instructions, 100,000 for chains of thought, 200,000 for dialogues; and one such task for each family of
    templates, not for each template: `examples` with that cap.

    Args:
        counts: [tasks] rows.
        templates: [tasks] how many render each; at least 1.
        cap: 3,000, or another.

    Returns:
        float64 [tasks].

    Example:
        >>> flan([250, 30_000], [10, 10]).tolist()
        [2500.0, 30000.0]
    """
    rates = [n * min(rows, cap) for rows, n in zip(counts, templates, strict=True)]
    return np.array(rates, dtype=np.float64)


def _root(rate: float, temperature: float) -> float:
    with decimal.localcontext(prec=30):
        return float(decimal.Decimal(rate) ** (1 / decimal.Decimal(temperature))) if rate > 0 else rate


def equal(tasks: int) -> FloatArray:
    """The rate 1 for each of so many tasks: float64 [tasks]."""
    return np.ones(tasks, dtype=np.float64)


def explicit(rates: Mapping[str, float], tasks: Sequence[str]) -> FloatArray:
    """Rates as they were written.

    Args:
        rates: task name -> rate; every task of the part, and no other.
        tasks: names of the part's tasks.

    Returns:
        float64 [tasks], in the order of `tasks`.

    Raises:
        TsrError: TSR-U001 for a name that is no task of the part, TSR-M003 for a task without a rate, or a rate that
            is not positive.
    """
    for name in rates:
        if name not in set(tasks):
            raise error(
                "TSR-U001",
                f'a rate is given for "{name}", which is no task of this part',
                fix=did_you_mean(name, tasks),
            )
    for task in tasks:
        if task not in rates:
            raise error("TSR-M003", "the part gives rates, but none for this task", task=task)
    values = [rates[task] for task in tasks]
    check_rates(values, tasks)
    return np.array(values, dtype=np.float64)


def check_rates(rates: Sequence[float] | FloatArray, tasks: Sequence[str]) -> None:
    """Raises TSR-M003, naming the task, where a rate is zero, negative, infinite or not a number."""
    for rate, task in zip(rates, tasks, strict=True):
        if not (math.isfinite(rate) and rate > 0):
            raise error("TSR-M003", f"the rate is {rate}", task=task)


def combine(parts: Sequence[Part]) -> Rates:
    """The rates of a mixture of parts.

    Where some parts claim a share, those without share what is left, in the ratio of the sums of their tasks' rates.
    Where none does, parts weigh the sums of their tasks' rates, which therefore stay as they are. A nested mixture is
    a part made of its own rates. A task reached twice has the sum of its rates.

    Args:
        parts: at least one, each with at least one task.

    Returns:
        Rates of all tasks; where shares are claimed, rates are fractions of the whole.

    Raises:
        TsrError: TSR-M002 for shares outside (0, 1] or that do not add up, TSR-M003 for a rate that is not positive.
    """
    for part in parts:
        check_rates(part.rates, part.tasks)
        if part.share is not None and not 0 < part.share <= 1:
            raise error("TSR-M002", f"{part.name} has the share {part.share}", fix="give a share above 0 and at most 1")
    claimed = math.fsum(part.share for part in parts if part.share is not None)
    open_sum = math.fsum(rate for part in parts if part.share is None for rate in part.rates)
    if all(part.share is None for part in parts):
        factors = [1.0] * len(parts)
    else:
        left = 1 - claimed
        if open_sum and left <= _SLACK:
            names = ", ".join(part.name for part in parts if part.share is None)
            raise error("TSR-M002", f"the shares add up to {claimed:g}, which leaves nothing for {names}")
        if not open_sum and abs(left) > _SLACK:
            raise error("TSR-M002", f"the shares add up to {claimed:g}")
        factors = [left / open_sum if part.share is None else part.share / math.fsum(part.rates) for part in parts]
    total: dict[str, list[float]] = {}
    for part, factor in zip(parts, factors, strict=True):
        for task, rate in zip(part.tasks, part.rates, strict=True):
            total.setdefault(task, []).append(rate * factor)
    return Rates(tuple(total), tuple(math.fsum(terms) for terms in total.values()))


def limit_epochs(
    rates: Sequence[float] | FloatArray, rows: Sequence[int], max_epochs: float, positions: int
) -> FloatArray:
    """Rates under which no task comes more than `max_epochs` times its rows in so many positions (UniMax).

    Tasks that would come more often get exactly that much; the others take the rest in the ratio of their rates.
    Equal rates make this UniMax's algorithm 1, with rows in place of characters.

    Args:
        rates: [tasks], positive.
        rows: [tasks], at least 1.
        max_epochs: positive.
        positions: length of the plan, in rows.

    Returns:
        float64 [tasks]: expected positions of each task, summing to `positions`.

    Raises:
        TsrError: TSR-M014 where all tasks together have fewer positions.
    """
    rate, most = np.asarray(rates, dtype=np.float64), np.asarray(rows, dtype=np.float64) * max_epochs
    if most.sum() < positions:
        raise error("TSR-M014", f"{positions:,} positions, but max_epochs allows {math.floor(most.sum()):,}")
    out = np.zeros(len(rate))
    left, full = float(positions), np.zeros(len(rate), dtype=np.bool_)
    while True:
        out[~full] = rate[~full] * (left / rate[~full].sum()) if not full.all() else 0.0
        over = ~full & (out > most)
        if not over.any():
            return out
        out[over] = most[over]
        left -= float(most[over].sum())
        full |= over


def integer_weights(
    rates: Sequence[float] | FloatArray, order: Sequence[int] | npt.NDArray[np.int64] | None = None, total: int = TOTAL
) -> tuple[int, ...]:
    """Whole weights in the ratio of the rates.

    Rates that are whole numbers with a sum of at most `total` are taken as they are: a plan by row counts then has
    each row exactly once in an epoch. Others are rounded by largest remainder at the sum `total`; each positive rate
    gets at least 1, at the cost of the heaviest.

    Args:
        rates: [tasks], at least 0, not all 0.
        order: [tasks], distinct: which of two tasks of equal remainder goes first; their numbers when None.
        total: the sum; at least the number of positive rates.

    Returns:
        [tasks], 0 exactly where the rate is 0.

    Example:
        >>> integer_weights([0.5, 0.25, 0.25], total=10)
        (5, 3, 2)
    """
    exact, unit = _over_one_denominator(rates)
    whole = sum(exact)
    positive = [task for task, rate in enumerate(exact) if rate]
    if min(exact, default=0) < 0 or not positive or len(positive) > total:
        raise ValueError("rates must be at least 0, some of them positive, and no more than the total")
    if unit == 1 and whole <= total:
        return tuple(exact)
    place = range(len(exact)) if order is None else np.asarray(order).tolist()
    weights = [max(1, rate * total // whole) if rate else 0 for rate in exact]
    missing = total - sum(weights)
    by_remainder = sorted(positive, key=lambda task: (weights[task] * whole - exact[task] * total, place[task]))
    for task in by_remainder[: max(missing, 0)]:
        weights[task] += 1
    for _ in range(-missing):
        weights[max(positive, key=lambda task: (weights[task], place[task]))] -= 1
    return tuple(weights)


def _over_one_denominator(rates: Sequence[float] | FloatArray) -> tuple[list[int], int]:
    """Numbers as they are, exactly: numerators over one denominator, which is 1 where all are whole."""
    ratios = [float(rate).as_integer_ratio() for rate in rates]
    unit = max((below for _, below in ratios), default=1)  # all are powers of 2
    return [above * (unit // below) for above, below in ratios], unit
