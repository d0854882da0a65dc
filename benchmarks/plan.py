"""Measures the plan: deviation of prefixes, cost of picking, seek, subsets, re-weightings, size of the state.

    python benchmarks/plan.py

Prints one line a figure beside its bar, and ends with 1 if a bar is missed. Needs numpy only; about 10 seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tasksource_reg.mixing.build import build_plan
from tasksource_reg.mixing.ordering import Ordering
from tasksource_reg.mixing.pacing import Curriculum, Pacing
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.rates import examples, integer_weights
from tasksource_reg.mixing.segments import SIZE_UNIT, PlanTask, Stop, StopKind
from tasksource_reg.mixing.split_tree import SplitTree
from tasksource_reg.mixing.state import Marks, State

POSITIONS = 400_000


@dataclass(frozen=True)
class Figure:
    """One measured figure; `bar` is the most that it may be, None where it is only for information."""

    name: str
    value: float
    unit: str
    bar: float | None = None

    def line(self) -> str:
        """The figure as a row of a Markdown table."""
        verdict = "" if self.bar is None else f"<= {self.bar:g} " + ("ok" if self.value <= self.bar else "MISSED")
        return f"| {self.name} | {self.value:.3g} {self.unit} | {verdict} |"


def log_uniform(tasks: int, low: float, high: float, seed: int = 0) -> list[int]:
    """Sizes of so many synthetic tasks: int in [low, high], uniform in their logarithms."""
    logarithms = np.random.default_rng(seed).uniform(np.log(low), np.log(high), tasks)
    return [int(size) for size in np.exp(logarithms)]


def weight_sets() -> dict[str, list[int]]:
    """Weights that a picker may find hard, by name."""
    sets = {f"{tasks} log-uniform": log_uniform(tasks, 50, 1e6) for tasks in (10, 100, 600, 2000)}
    sets |= {f"{tasks} equal": [1] * tasks for tasks in (10, 100, 600, 2000)}
    return sets | {
        "1024 equal and a crumb": [10**6] * 1024 + [1],
        "a giant among 2000": [2 * 10**9] + [1] * 1999,
        "30 powers of 2": [2**power for power in range(30)],
        "45 powers of 1.5": [int(1.5**power) for power in range(45)],
        "25 pairs of powers of 2": [2**power + 1 for power in range(25)] * 2,
        "2000, heavy tail": [int(1e9 / (rank + 1) ** 1.5) + 1 for rank in range(2000)],
    }


def worst_deviation(tree: SplitTree, start: int, stop: int) -> float:
    """The largest distance in rows of a count from its exact share, over all prefixes that end in [start, stop)."""
    task, occurrence = tree.locate(np.arange(start, stop))
    position = np.arange(start, stop, dtype=np.longdouble)
    share = tree.weight[task].astype(np.longdouble) / tree.cycle
    late = position * share - occurrence  # just before an occurrence, a task lags most
    early = occurrence + 1 - (position + 1) * share  # just after it, it leads most
    end = np.abs(tree.counts(stop) - tree.weight.astype(np.longdouble) / tree.cycle * stop)
    return float(max(late.max(), early.max(), end.max()))


def seconds(run: Callable[[], object], repeats: int = 5) -> float:
    """The least wall time of a few runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def plan_of_600(stop: Stop) -> Plan:
    """600 synthetic tasks at the square roots of their sizes."""
    sizes = log_uniform(600, 50, 1e6)
    tasks = [PlanTask(f"task/{number}", "train", size) for number, size in enumerate(sizes)]
    return build_plan(tasks, examples(sizes, temperature=2).tolist(), stop, seed=7)


def measure() -> list[Figure]:
    """All figures."""
    figures = []
    for name, weights in weight_sets().items():
        tree = SplitTree.build(integer_weights(weights), key=5)
        worst = max(worst_deviation(tree, start, start + POSITIONS) for start in (0, 10**9, 10**12))
        figures.append(Figure(f"worst prefix deviation, {name}", worst, "rows", 2))
    sizes = SplitTree.build(log_uniform(600, 50, 1e6), key=5)
    plan = plan_of_600(Stop("never"))
    block = np.arange(10**9, 10**9 + POSITIONS)
    for tree, name in ((sizes, "sizes"), (plan._tree(0), "square roots of sizes")):
        cost = seconds(partial(tree.locate, block), 15) / POSITIONS * 1e6
        figures.append(Figure(f"picking of 600 by {name}", cost, "µs/row", 0.2))
    cost = seconds(lambda: plan.resolve(block)) / POSITIONS * 1e6
    figures.append(Figure("picking and permuting, 600 tasks", cost, "µs/row"))
    plan.resolve([0])
    figures.append(Figure("position 10^12, plan in use", seconds(lambda: plan.resolve([10**12])) * 1e3, "ms", 10))
    fresh = [plan_of_600(Stop("never")) for _ in range(5)]
    cost = seconds(lambda: fresh.pop().resolve([10**12])) * 1e3
    figures.append(Figure("position 10^12, plan just built", cost, "ms", 10))
    written = json.dumps(State(10**18, Marks.of(plan)).to_json())
    figures.append(Figure("state", len(written.encode()), "bytes", 200))
    kinds: tuple[StopKind, ...] = ("first_exhausted", "all_exhausted", "each_once")
    for kind in kinds:
        cost = seconds(partial(plan_of_600, Stop(kind)), 1)
        figures.append(Figure(f"building a plan of 600, {kind}", cost, "s"))
    return figures + recipes(block)


def recipes(block: np.ndarray) -> list[Figure]:
    """What budgets, batches, subsets and many re-weightings cost.

    Args:
        block: positions that are located.
    """
    figures = []
    sizes = log_uniform(600, 50, 1e6)
    rates = examples(sizes, temperature=2).tolist()
    tasks = [PlanTask(f"task/{n}", "train", rows, size=SIZE_UNIT * (50 + n)) for n, rows in enumerate(sizes)]
    cost = seconds(lambda: build_plan(tasks, rates, Stop("characters", 1e10)), 1)
    figures.append(Figure("building a plan of 600, 10^10 characters", cost, "s"))
    batched = build_plan(tasks, rates, Stop("never"), batch=32)
    cost = seconds(lambda: batched.locate(block)) / len(block) * 1e6
    figures.append(Figure("picking of 600 in batches of 32", cost, "µs/row"))
    few = [task._replace(rows=32, of=task.rows) for task in tasks]
    fresh = [build_plan(few, rates, Stop("never")) for _ in range(3)]
    cost = seconds(lambda: fresh.pop().resolve(np.arange(4096)), 3)
    figures.append(Figure(f"first 4,096 rows, 32 of each of 600 tasks with {sum(sizes):,} rows", cost, "s", 1))
    rng = np.random.default_rng(0)
    plan, started = build_plan(tasks, rates, Stop("never")), time.perf_counter()
    for number in range(1, 1001):
        plan = plan.reweight(1000 * number, rng.uniform(0.1, 5, 600).tolist())
    figures.append(Figure("one of 1,000 re-weightings of 600 tasks", time.perf_counter() - started, "ms"))
    figures.append(Figure("the plan of them as JSON", len(json.dumps(plan.to_json())) / 1e6, "MB", 8))
    state = json.dumps(State(10**18, Marks.of(plan)).to_json())
    figures.append(Figure("the state of it", len(state.encode()), "bytes", 200))
    cost = seconds(lambda: plan.locate(block)) / len(block) * 1e6
    figures.append(Figure("picking after them", cost, "µs/row"))
    return figures + curricula()


def curricula() -> list[Figure]:
    """What it costs to order an epoch of a million rows by scores, and to pick from it."""
    rows, figures = 1_000_000, []
    scores = np.random.default_rng(0).normal(size=rows)
    plain = build_plan([PlanTask("a", "train", rows)], [1], Stop("epochs", 1))
    for pacing in (None, Pacing("linear", 0.2, 0.8)):
        plan = replace(plain, curriculum=Curriculum("length", pacing=pacing))
        name = "sorted" if pacing is None else "paced"
        cost = seconds(lambda plan=plan: first_of(plan, scores), 3)
        figures.append(Figure(f"ordering an epoch of 1,000,000 rows, {name}", cost, "s"))
    ordering = Ordering(plan, lambda _, rows: scores[rows])
    task, occurrence = plan.locate(np.arange(65_536))
    ordering.ordered(task, occurrence)
    cost = seconds(lambda: ordering.ordered(task, occurrence)) / len(occurrence) * 1e6
    figures.append(Figure("picking from an ordered epoch", cost, "µs/row"))
    return figures


def first_of(plan: Plan, scores: np.ndarray) -> None:
    """Orders the first epoch of a plan of one task, as its first block does."""
    Ordering(plan, lambda _, rows: scores[rows]).ordered(*plan.locate(np.arange(8192)))


def main() -> int:
    """Prints the table; 1 if a bar is missed."""
    figures = measure()
    print("| figure | measured | bar |\n|---|---|---|")
    for figure in figures:
        print(figure.line())
    return int(any(figure.bar is not None and figure.value > figure.bar for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
