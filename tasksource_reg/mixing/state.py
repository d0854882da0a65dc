"""Where a run stands, and what tells two plans apart.

A state is a position with short digests of what gives it its meaning: at most 200 bytes of plain JSON. Resuming needs
nothing else, for every row is a pure function of its position; a state of another plan, or of other templates or
revisions, is refused with the name of what changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from tasksource_reg.errors import error
from tasksource_reg.mixing.plan import VERSION, Plan
from tasksource_reg.mixing.segments import PlanTask

_Weights: TypeAlias = dict[tuple[str, str], int]


class Marks(NamedTuple):
    """What a position means: what every row at every position hangs on, as short digests.

    Attributes:
        plan: the beginning of the plan's digest, 8 hex digits.
        parts: for each kind of thing that rows hang on, the beginning of its digest, 6 hex digits: the kinds of
            `Plan.digests`, and for a mixture those of `Resolved.digests`.
    """

    plan: str
    parts: dict[str, str]

    @classmethod
    def of(cls, plan: Plan, digests: Mapping[str, str] | None = None) -> Marks:
        """The marks of a plan, or of a mixture with this plan and these digests of its parts."""
        parts = plan.digests if digests is None else digests
        return cls(plan.digest[:8], {kind: digest[:6] for kind, digest in parts.items()})


@dataclass(frozen=True, slots=True)
class State:
    """A position, with what it means.

    Attributes:
        position: the next position of the plan, all ranks together.
        marks: of the mixture, or of the plan alone.
        version: of the plan's meaning.
    """

    position: int
    marks: Marks
    version: int = VERSION

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; at most 200 bytes when written."""
        return {"version": self.version, "position": self.position, "plan": self.marks.plan, "parts": self.marks.parts}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> State:
        """The state that `to_json` gave.

        Raises:
            TsrError: TSR-M005 for values that are no state.
        """
        position, parts = value.get("position"), value.get("parts")
        if not isinstance(position, int) or position < 0 or not isinstance(parts, Mapping):
            raise error("TSR-M005", f"not a state: {json.dumps(dict(value), default=str)[:80]}")
        return cls(position, Marks(str(value.get("plan")), dict(parts)), value.get("version", 0))

    def check(self, marks: Marks) -> None:
        """Raises TSR-M005, naming what changed, unless these are the state's own marks."""
        if self.version != VERSION:
            raise error("TSR-M005", f"the state has version {self.version}, this package makes {VERSION}")
        kinds = (*marks.parts, *(kind for kind in self.marks.parts if kind not in marks.parts))
        changed = [_SAID.get(k, k) for k in kinds if self.marks.parts.get(k) != marks.parts.get(k)]
        if changed or self.marks.plan != marks.plan:
            fix = "`tsr mix diff`, or `mix.diff`, names each change from the old mixture, its lock or an export of it"
            raise error("TSR-M005", f"the plan has changed since: other {', '.join(changed) or 'digest'}", fix=fix)


# Kinds of things that hold more than their names say.
_SAID = {"rates": "rates or order", "seed": "seed or locality", "templates": "templates, shots or shape"}


class Change(NamedTuple):
    """One thing that tells two plans, mixtures or exports apart.

    Attributes:
        kind: what sort of thing: tasks, rows, rates, order, stop, seed; `diff.py` adds others.
        text: what it was and what it became.
        task: the id of the task that it is about, if it is about one.
    """

    kind: str
    text: str
    task: str | None = None


def difference(one: Plan, other: Plan) -> list[str]:
    """What tells two plans apart, a line for each fact; empty where they give the same rows at the same positions."""
    return [change.text for change in changes(one, other)]


def changes(one: Plan, other: Plan) -> list[Change]:
    """What tells two plans apart; empty where they give the same rows at the same positions."""
    found = _task_changes(one, other)
    if one.seed != other.seed:
        found.append(Change("seed", f"seed: {one.seed} became {other.seed}"))
    if one.stop != other.stop:
        found.append(Change("stop", f"stop: {_stop_text(one)} became {_stop_text(other)}"))
    if one.length != other.length:
        found.append(Change("stop", f"length: {_number(one.length)} became {_number(other.length)}"))
    if one.batch != other.batch:
        found.append(Change("order", f"order: {_batch_text(one)} became {_batch_text(other)}"))
    if one.locality != other.locality:
        found.append(Change("order", f"locality: {_local_text(one)} became {_local_text(other)}"))
    if one.curriculum != other.curriculum:
        found.append(Change("order", f"order of rows: {_order_text(one)} became {_order_text(other)}"))
    if one.unordered != other.unordered:
        found.append(Change("order", f"control: {_control_text(one)} became {_control_text(other)}"))
    return found + _share_changes(one, other)


def order_said(plan: Plan) -> str:
    """The order of a plan in a few words; empty where nothing but the rates decides it."""
    parts = [
        "" if plan.batch == 1 else _batch_text(plan),
        "" if plan.curriculum is None else f"rows {_order_text(plan)}",
        "" if plan.locality is None else _local_text(plan),
        "unordered control" if plan.unordered else "",
    ]
    return "; ".join(part for part in parts if part)


def _task_changes(one: Plan, other: Plan) -> list[Change]:
    before, after = _by_name(one), _by_name(other)
    found = [Change("tasks", f"task {_name(key)}: left", key[0]) for key in before if key not in after]
    found += [
        Change("tasks", f"task {_name(key)}: new, {_rows(after[key])}", key[0]) for key in after if key not in before
    ]
    for key in before:
        if key in after:
            old, new = before[key], after[key]
            if _rows(old) != _rows(new):
                text = f"task {_name(key)}: {_rows(old)} became {_rows(new).removesuffix(' rows')}"
                found.append(Change("rows", text, key[0]))
            if old.limit != new.limit:
                text = f"epoch cap of {_number(old.limit)} became {_number(new.limit)} positions"
                found.append(Change("rates", f"task {_name(key)}: {text}", key[0]))
    return found


def _share_changes(one: Plan, other: Plan) -> list[Change]:
    """Shares segment by segment, only the first segment that differs; where tasks left or came, among the others."""
    plans = (one, other)
    shares = [
        [(segment.start, dict(zip(_names(plan), segment.weights, strict=True))) for segment in plan.segments]
        for plan in plans
    ]
    names = sorted(_by_name(one).keys() & _by_name(other).keys())
    if len(names) < max(len(plan.tasks) for plan in plans):
        old, new = ({name: weights[name] for name in names} for ((_, weights), *_) in shares)
        return _shares_that_moved(0, old, new, " among the tasks of both")
    for (start, old), (other_start, new) in zip(*shares, strict=False):
        if start != other_start:
            return [Change("rates", f"rates: change at position {start:,}, now at {other_start:,}")]
        found = _shares_that_moved(start, old, new)
        if found or old != new:
            same = f"rates: the same shares from position {start:,}, in other whole numbers"
            return found or [Change("rates", same)]
    if len(one.segments) != len(other.segments):
        shorter, longer = sorted(plans, key=lambda plan: len(plan.segments))
        start = longer.segments[len(shorter.segments)].start
        return [Change("rates", f"rates: one plan changes them once more, at {start:,}")]
    return []


def _shares_that_moved(start: int, old: _Weights, new: _Weights, among: str = "") -> list[Change]:
    """The tasks whose shares differ; where not all tasks are compared, by more than rounding to whole weights."""
    total, now = sum(old.values()), sum(new.values())
    if not total or not now:
        return []
    slack = 1e-6 if among else 0.0
    return [
        Change(
            "rates",
            f"rates: the share of {_name(name)} from position {start:,}{among} was {old[name] / total:.6g}, "
            f"is {new[name] / now:.6g}",
            name[0],
        )
        for name in sorted(old)
        if abs(old[name] * now - new[name] * total) > slack * max(old[name] * now, new[name] * total)
    ]


def _names(plan: Plan) -> list[tuple[str, str]]:
    return [(task.id, task.split) for task in plan.tasks]


def _by_name(plan: Plan) -> dict[tuple[str, str], PlanTask]:
    return {(task.id, task.split): task for task in plan.tasks}


def _rows(task: PlanTask) -> str:
    """How many rows a task gives."""
    return f"{task.rows:,} rows" if task.of is None else f"{task.rows:,} rows (a subset of {task.of:,})"


def _batch_text(plan: Plan) -> str:
    return "shuffled" if plan.batch == 1 else f"batches of {plan.batch} of one task"


def _local_text(plan: Plan) -> str:
    return "none" if plan.locality is None else "blocks of {:,} rows in windows of {:,}".format(*plan.locality)


def _order_text(plan: Plan) -> str:
    found = plan.curriculum
    if found is None:
        return "shuffled"
    pace = found.pacing
    parts = [
        f"by {found.by}",
        *(["descending"] if found.descending else []),
        *([] if pace is None else [f"{pace.function} from {pace.start:g} to all at {pace.full_at:g}"]),
        *([] if found.epochs is None else [f"{found.epochs} epochs"]),
        "" if found.extents is None else f"over {sum(found.extents):,} positions",
    ]
    return ", ".join(part for part in parts if part)


def _control_text(plan: Plan) -> str:
    return "unordered" if plan.unordered else "none"


def _name(key: tuple[str, str]) -> str:
    return f"{key[0]} ({key[1]})"


def _number(value: int | None) -> str:
    return "no end" if value is None else f"{value:,}"


def _stop_text(plan: Plan) -> str:
    return plan.stop.kind if plan.stop.amount is None else f"{plan.stop.kind} {plan.stop.amount:g}"
