"""From a mixture's tasks and rates to its plan: subsets, budgets, stages, orders, re-weightings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from tasksource_reg.errors import did_you_mean, error
from tasksource_reg.mixing.build import build_plan, build_stages
from tasksource_reg.mixing.pacing import Curriculum
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.scores import ScoreTable
from tasksource_reg.mixing.segments import SIZE_UNIT, PlanTask, Stop, StopKind, ranks
from tasksource_reg.mixing.spec import MixtureSpec, OrderSpec, ReweightSpec, StopName, StopSpec

Budget = Literal["characters", "tokens"]


@dataclass(frozen=True, slots=True)
class Planned:
    """What a plan needs to know of a task.

    Attributes:
        id, split: its name.
        surviving: rows of the split; taken: how many of them it gives.
        copies: how often each of them comes in an epoch (once with each template).
        rates: for each stage its rate there, 0 where it does not come.
        max_epochs: its cap.
        total: characters or tokens of all surviving rows, where a budget is in them.
    """

    id: str
    split: str
    surviving: int
    taken: int
    copies: int
    rates: tuple[float, ...]
    max_epochs: float | None = None
    total: int | None = None


def plan_of(spec: MixtureSpec, tasks: Sequence[Planned], scores: ScoreTable | None = None) -> Plan:
    """The plan of a mixture, its control left aside.

    Args:
        spec: gives seed, stages, stop rules, orders and re-weightings.
        tasks: in plan order.
        scores: the table that the spec's order names, if it names one.

    Raises:
        TsrError: as `build_plan`, `build_stages` and `reweighted`.
    """
    rows = [_plan_task(task) for task in tasks]
    found = [task.max_epochs for task in tasks]
    caps = found if any(cap is not None for cap in found) else None
    if spec.stages:
        stages = [
            ([task.rates[number] for task in tasks], stop_of(stage.stop)) for number, stage in enumerate(spec.stages)
        ]
        plan = build_stages(rows, stages, spec.seed, caps, spec.batch)
    else:
        plan = build_plan(rows, [task.rates[0] for task in tasks], stop_of(spec.stop), spec.seed, caps, spec.batch)
    if spec.locality is not None:
        plan = replace(plan, locality=spec.local)
    if spec.scored is not None:
        plan = replace(plan, curriculum=_curriculum(spec.scored, plan, scores))
    for entry in spec.reweight:
        plan = reweighted(plan, entry)
    return plan


def _curriculum(order: OrderSpec, plan: Plan, scores: ScoreTable | None) -> Curriculum:
    """An order by scores, over the occurrences that a plan has before its rates are changed."""
    by = "length" if scores is None else f"scores {scores.digest} {scores.column}"
    extents = None if plan.length is None else tuple(plan.occurrences_before(plan.length).tolist())
    return Curriculum(by, order.descending, order.pace, order.epochs, extents)


def _plan_task(task: Planned) -> PlanTask:
    of = None if task.taken == task.surviving else task.surviving
    size = None if task.total is None else task.total * SIZE_UNIT // task.surviving
    copies = 1 if of is None else task.copies
    return PlanTask(task.id, task.split, task.taken * task.copies, None, of, copies, size)


def stop_of(stop: StopSpec | StopName) -> Stop:
    """A stop rule as the plan reads it."""
    if not isinstance(stop, StopSpec):
        return Stop(stop)
    kind, amount = stop.rule
    return Stop(cast(StopKind, kind), amount)


def budget_of(spec: MixtureSpec) -> Budget | None:
    """What the mixture's budget is in; None without one.

    Raises:
        TsrError: TSR-A003, its stages have budgets of both kinds.
    """
    kinds = {stop_of(stage.stop).kind for stage in spec.every_stage} & {"characters", "tokens"}
    if len(kinds) > 1:
        raise error("TSR-A003", "stages stop by characters and by tokens", fix="use one of the two in all stages")
    return cast(Budget, kinds.pop()) if kinds else None


def reweighted(plan: Plan, entry: ReweightSpec) -> Plan:
    """A plan with other rates from a position on.

    Raises:
        TsrError: TSR-U001 a rate for no task of the plan, TSR-M003 a task without a rate, or rates that are all 0; as
            `Plan.reweight`.
    """
    names = [task.id for task in plan.tasks]
    if entry.rates is not None:
        return plan.reweight(entry.at, _in_order(entry.rates, names))
    weights = entry.weights or ()
    if len(weights) != len(names):
        raise error("TSR-M003", f"reweight at {entry.at:,}: {len(weights)} weights for {len(names)} tasks")
    return plan.reweight(entry.at, [float(weights[place]) for place in ranks(plan.tasks).tolist()])


def reweighting(plan: Plan, at: int, rates: Mapping[str, float]) -> ReweightSpec:
    """Rates as a mixture keeps them: whole weights in the order of the ids, a few bytes a task.

    Raises:
        TsrError: as `reweighted`.
    """
    names = [task.id for task in plan.tasks]
    weights = plan.whole_weights(_in_order(rates, names))
    by_name = dict(zip(ranks(plan.tasks).tolist(), weights, strict=True))
    return ReweightSpec(at=at, weights=tuple(by_name[place] for place in range(len(names))))


def _in_order(rates: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """Rates in plan order; each task has one, and no other name does."""
    known = set(names)
    for name in rates:
        if name not in known:
            message = f'a rate is given for "{name}", which is no task of the mixture'
            raise error("TSR-U001", message, fix=did_you_mean(name, names))
    for name in names:
        if name not in rates:
            raise error("TSR-M003", "other rates are given, but none for this task", fix="0 pauses it", task=name)
    return [rates[name] for name in names]
