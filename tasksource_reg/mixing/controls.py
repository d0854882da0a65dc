"""Controls of a mixture: the same rows in no order, or those of one task alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasksource_reg.errors import error
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.segments import Segment, Stop


def unordered(plan: Plan) -> Plan:
    """The same rows in an order that nothing but the seed decides.

    Raises:
        TsrError: TSR-M009, the plan has no end.
    """
    if plan.length is None:
        raise error("TSR-M009", "the control of a mixture has all its rows, in another order")
    return replace(plan, unordered=True)


def alone(plan: Plan, task: int, beside: Sequence[int] = ()) -> Plan:
    """The positions of one task: its rows as the whole plan has them, in the same order.

    Args:
        plan: the whole.
        task: its number; beside: those of tasks that stay in the plan, without positions.

    Raises:
        TsrError: TSR-M016, it has no positions.
    """
    kept = sorted({task, *beside})
    last, length = plan.segments[-1], None
    if plan.length is not None:
        length = int(plan.occurrences_before(plan.length)[task])
    elif not last.weights[task]:  # it has left for good
        length = last.first[task]
    if length == 0:
        raise error("TSR-M016", "the task has no positions in the mixture", task=plan.tasks[task].id)
    curriculum = plan.curriculum
    if curriculum is not None and curriculum.extents is not None:
        curriculum = replace(curriculum, extents=tuple(curriculum.extents[number] for number in kept))
    weights = tuple(int(number == task) for number in kept)
    return replace(
        plan,
        tasks=tuple(plan.tasks[number] for number in kept),
        segments=(Segment(0, weights, (0,) * len(kept)),),
        length=length,
        stop=Stop("never") if length is None else Stop("rows", length),
        batch=1,
        curriculum=curriculum,
    )
