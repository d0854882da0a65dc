"""One split of a task as a mixture of one: the same rendering, with the rows in the order of the split.

So that `load_task(...).render(...)` and `tsr preview` show what a mixture would make of a row, they take its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from tasksource_reg.errors import did_you_mean, error
from tasksource_reg.mixing.plan import IntArray, Located, Plan
from tasksource_reg.mixing.resolve import SHAPE_SCHEMAS, MixtureTask, Resolved
from tasksource_reg.mixing.segments import PlanTask, Stop
from tasksource_reg.mixing.spec import UNRENDERED, MixtureSpec, ShapeName
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.prompting.library import fits
from tasksource_reg.prompting.model import Template
from tasksource_reg.provenance.locks import SplitCounts
from tasksource_reg.registry import TaskInfo
from tasksource_reg.schemas import TaskProfile
from tasksource_reg.task import SplitData
from tasksource_reg.workspace import Workspace


@dataclass(frozen=True)
class InOrder(Plan):
    """The plan of one task whose positions are its surviving rows."""

    def locate(self, positions: npt.ArrayLike) -> tuple[npt.NDArray[np.int32], IntArray]:
        """Task 0, and the position as its occurrence."""
        at = np.atleast_1d(np.asarray(positions, dtype=np.int64))
        if len(at):
            self._check(int(at.min()), int(at.max()))
        return np.zeros(len(at), dtype=np.int32), at

    def rows_of(self, task: npt.NDArray[np.int32], occurrence: IntArray) -> Located:
        """The occurrence as surviving row; the epoch is 0."""
        return Located(task, np.zeros(len(occurrence), dtype=np.int64), occurrence)


def single(
    workspace: Workspace,
    info: TaskInfo,
    split: SplitData,
    template: str | None,
    shape: str,
    seed: int,
    max_options: int | None = None,
) -> MixtureData:
    """A split as a mixture whose position i is surviving row i; needs no lock.

    Args:
        workspace: where the task comes from; info: the task; split: one of its splits.
        template: the id of the one that renders all rows; None: each row draws one that fits.
        shape: the name of a shape.
        seed: keys templates, the order of shuffled choices and what options are sampled.
        max_options: labels or choices that a row shows, at most.

    Raises:
        UsageError: TSR-U007, no such template; TSR-U005, fewer than two options.
        FindingsError: TSR-M012 a shape that the task cannot take, TSR-T010 no template fits.
    """
    shapes = get_args(ShapeName)
    if shape not in shapes:
        raise error("TSR-M012", f'there is no shape "{shape}"', fix=did_you_mean(shape, shapes))
    schema = split.task.schema.name
    takes = SHAPE_SCHEMAS.get(shape, (schema,))
    if schema not in takes:
        raise error("TSR-M012", f"the shape {shape} takes {' and '.join(takes)}, this is {schema}", task=info.id)
    if max_options is not None and max_options < 2:
        raise error("TSR-U005", f"at most {max_options} options", fix="show at least 2")
    parts, templates_spec = [{"task": info.id}], {"max_options": max_options} if shape not in UNRENDERED else {}
    spec = MixtureSpec.model_validate(
        {
            "parts": parts,
            "split": split.name,
            "seed": seed,
            "shape": shape,
            "on_error": "raise",
            "templates": templates_spec,
        }
    )
    profile = split.task.profile
    templates = () if shape in UNRENDERED else _templates(workspace, profile, template, shape)
    rows = len(split)
    counts = SplitCounts(split.index.source_rows, split.index.candidates, rows, characters=split.index.characters)
    task = MixtureTask(info, split.task, split.name, counts, info.id, 1.0, templates, None)
    plan = InOrder((PlanTask(info.id, split.name, max(rows, 1)),), (), rows, seed, Stop("each_once"))
    return MixtureData(workspace, Resolved(spec, (task,), plan, ()))


def _templates(workspace: Workspace, profile: TaskProfile, template: str | None, shape: str) -> tuple[Template, ...]:
    library = workspace.library
    if template is None:
        return library.for_task(profile, lambda t: not (t.inverted and shape == "rank_classification"))
    found = library.get(template)
    family = library.family(profile.family) if profile.family in library.families else None
    if not fits(found, profile, family):
        message = f"the template {found.id} does not fit the task's schema, languages or labels"
        raise error("TSR-T010", message, task=profile.id)
    return (found,)
