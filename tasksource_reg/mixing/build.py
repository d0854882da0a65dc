"""From tasks, rates and stop rules to a plan: what `planning.py` asks for, in numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tasksource_reg.errors import error
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.rates import check_rates, integer_weights
from tasksource_reg.mixing.segments import PlanTask, Stop, extend, position_limit, ranks
from tasksource_reg.mixing.split_tree import LIMIT

MaxEpochs: TypeAlias = float | Sequence[float | None] | None


def build_plan(
    tasks: Sequence[PlanTask],
    rates: Sequence[float],
    stop: Stop,
    seed: int = 0,
    max_epochs: MaxEpochs = None,
    batch: int = 1,
) -> Plan:
    """Resolves rates and a stop rule into a plan.

    Args:
        tasks: distinct (id, split), each with its surviving rows.
        rates: one a task, positive; only their ratios count.
        stop: where the plan ends.
        seed: of every draw.
        max_epochs: how often a row of a task may come: one number for all tasks, or one (or None) for each. A task
            that has had so many epochs leaves, and the others share what it had.
        batch: so many positions in a row are of one task.

    Returns:
        A plan with as many segments as it takes.

    Raises:
        TsrError: TSR-M003 for a rate that is not positive, TSR-M004 for a task without rows, TSR-M014 where the epoch
            caps leave fewer positions than `stop` asks for, TSR-U005 for arguments out of range.
    """
    check_rates(rates, [task.id for task in tasks])
    limited = _limited(tasks, max_epochs, stop, batch)
    weights = integer_weights(rates, ranks(limited))
    nothing = np.zeros(len(tasks), dtype=np.int64)
    segments, length = extend(limited, seed, stop, (), 0, nothing, weights, batch=batch)
    if length == 0:
        raise error("TSR-U005", f"stop {stop.kind} ends the plan before its first row", fix="ask for more")
    return Plan(limited, segments, length, seed, stop, batch)


def build_stages(
    tasks: Sequence[PlanTask],
    stages: Sequence[tuple[Sequence[float], Stop]],
    seed: int = 0,
    max_epochs: MaxEpochs = None,
    batch: int = 1,
) -> Plan:
    """A plan of stages, one after the other (see `Plan.then`).

    Args:
        tasks, seed, max_epochs, batch: as in `build_plan`; of all stages together.
        stages: the rates of each, one a task, 0 for tasks that it does not have; and where it ends.

    Raises:
        TsrError: as `build_plan` and `Plan.then`.
    """
    limited = _limited(tasks, max_epochs, Stop("never"), batch)
    plan = Plan(limited, (), 0, seed, Stop("never"), batch)
    for rates, stop in stages:
        plan = plan.then(rates, stop)
    return plan


def _limited(tasks: Sequence[PlanTask], max_epochs: MaxEpochs, stop: Stop, batch: int) -> tuple[PlanTask, ...]:
    """The tasks with the limits that follow from epoch caps and stop rule, checked."""
    if not tasks or len({(task.id, task.split) for task in tasks}) < len(tasks):
        raise ValueError("a plan needs distinct tasks, at least one")
    if batch < 1:
        raise error("TSR-U005", f"batches of {batch} positions", fix="give a size of at least 1")
    for task in tasks:
        if not 0 < task.rows < LIMIT:
            raise error("TSR-M004", f"the task has {task.rows} rows", task=task.id, split=task.split)
    caps = list(max_epochs) if isinstance(max_epochs, Sequence) else [max_epochs] * len(tasks)
    return tuple(task._replace(limit=position_limit(task, cap, stop)) for task, cap in zip(tasks, caps, strict=True))
