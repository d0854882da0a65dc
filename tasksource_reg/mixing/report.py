"""The plan as people read it: of each task rows, rate, share, epochs, characters, languages, licence, and why.

All of it from the locks, before a source is opened. Characters are those of the tasks' fields: a position counts the
mean of its task's rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from tasksource_reg.mixing.plan import Plan as PositionPlan
from tasksource_reg.mixing.resolve import Resolved
from tasksource_reg.provenance.licences import Verdict, roll_up, verdict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One line of a plan.

    Attributes:
        id, split, schema, family, languages, license: the task; commercial: what its licence says of that.
        part: the part of the mixture that brought it.
        rows: surviving rows of the split; taken: how many of them the mixture draws from.
        rate: its rate; share: of all positions (of those that never end, in an endless plan).
        positions: how many positions it has, None in an endless plan; epochs: positions by the rows of an epoch.
        characters: of all its positions, about.
        templates: how many may render it.
        why: where its rate comes from.
    """

    id: str
    split: str
    schema: str
    family: str | None
    languages: tuple[str, ...]
    license: str
    commercial: str
    part: str
    rows: int
    taken: int
    rate: float
    share: float
    positions: int | None
    epochs: float | None
    characters: int | None
    templates: int
    why: str


@dataclass(frozen=True)
class Plan:
    """A mixture's plan.

    Attributes:
        name, seed: of the mixture; tasks: one line each, in plan order.
        positions: the pure function behind it (`locate`, `resolve`, `reweight`).
        notes: what was left out, and why.
    """

    name: str
    seed: int
    tasks: tuple[PlannedTask, ...]
    positions: PositionPlan
    notes: tuple[str, ...]

    def __len__(self) -> int:
        if self.positions.length is None:
            raise TypeError("an endless plan has no length")
        return self.positions.length

    def __iter__(self) -> Iterator[PlannedTask]:
        return iter(self.tasks)

    @property
    def license(self) -> Verdict:
        """The verdict on the mixture as a whole: the strictest answers of its tasks' licences."""
        return roll_up(t.license for t in self.tasks)

    def to_json(self) -> dict[str, Any]:
        """The table, the positions and the notes as plain JSON values."""
        return {
            "mixture": self.name,
            "tasks": [asdict(t) | {"languages": list(t.languages)} for t in self.tasks],
            "license": self.license.to_json(),
            "plan": self.positions.to_json(),
            "notes": list(self.notes),
        }

    def to_csv(self) -> str:
        """The table as CSV, one line a task; several languages are parted by spaces."""
        out = io.StringIO()
        writer = csv.DictWriter(out, [f.name for f in fields(PlannedTask)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(t) | {"languages": " ".join(t.languages)} for t in self.tasks)
        return out.getvalue()

    def to_pandas(self) -> pd.DataFrame:
        """The table, one row a task."""
        import pandas as pd

        return pd.DataFrame([asdict(t) for t in self.tasks], columns=[f.name for f in fields(PlannedTask)])


def report(resolved: Resolved) -> Plan:
    """The plan of a resolved mixture."""
    plan = resolved.plan
    counts = [None] * len(plan.tasks) if plan.length is None else plan.occurrences_before(plan.length).tolist()
    weights = plan.segments[-1].weights
    lines = []
    for task, planned, weight, count in zip(resolved.tasks, plan.tasks, weights, counts, strict=True):
        share = weight / sum(weights) if count is None else count / max(plan.length or 1, 1)
        model = task.compiled.model
        lines.append(
            PlannedTask(
                id=task.info.id,
                split=task.split,
                schema=model.schema_name,
                family=model.family,
                languages=model.languages,
                license=model.license.spdx,
                commercial=verdict(model.license.spdx).commercial,
                part=task.part,
                rows=task.counts.rows,
                taken=task.counts.rows if task.taken is None else task.taken,
                rate=task.rate,
                share=share,
                positions=count,
                epochs=None if count is None else count / planned.rows,
                characters=None if count is None else count * task.counts.characters // task.counts.rows,
                templates=len(task.templates),
                why=task.why,
            )
        )
    return Plan(resolved.spec.mixture, resolved.spec.seed, tuple(lines), plan, resolved.notes)
