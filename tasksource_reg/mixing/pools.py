"""Which rows may be shots of a mixture's rows, and how many each is to have: what `shots.py` draws from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasksource_reg.keyed import draw, stream_key
from tasksource_reg.likeness import WORDLESS, fingerprints
from tasksource_reg.mixing.blocks import TaskRows
from tasksource_reg.mixing.choice import pick
from tasksource_reg.mixing.resolve import MixtureTask, kindred
from tasksource_reg.mixing.shots import DrawnShots, ShotPool, ShotSource, Wanting, draw_shots, origins, pruned
from tasksource_reg.nested import Ints, take_rows
from tasksource_reg.prompting.choose import NONE
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.render import Rendered, Renderer
from tasksource_reg.prompting.shapes import Shots

if TYPE_CHECKING:
    from tasksource_reg.mixing.stream import MixtureData


class ShotPools:
    """The pools of a mixture's tasks. Opens their splits when the first row asks for shots.

    Args:
        data: the mixture.
    """

    def __init__(self, data: MixtureData) -> None:
        self._data, self._spec = data, data.spec
        self._pools: dict[int, tuple[ShotPool, int]] = {}

    def shots(self, task: TaskRows, chosen: Ints) -> DrawnShots | None:
        """The shots of the rows that have a template; None if no row is to have any.

        Args:
            task: the rows.
            chosen: int64 [n], the number of each row's template; NONE where it has none.
        """
        probabilities, entry = self._spec.shot_probabilities, self._data.tasks[task.number]
        counters = (task.rows, task.parts, task.epochs)
        if entry.shot_split is None:
            return None
        lots = draw(stream_key(self._spec.seed, "shots", entry.info.id, entry.split), *counters)
        wanted = np.array(list(probabilities), dtype=np.int64)[pick(probabilities, lots)]
        wanted[chosen == NONE] = 0
        pool, own = self._pool(task.number)
        asking = np.flatnonzero(wanted)
        prints = np.full(len(wanted), WORDLESS, dtype=np.uint64)
        prints[asking] = fingerprints(take_rows(task.batch, asking), entry.compiled.schema)
        rows = Wanting(
            wanted,
            chosen,
            draw(stream_key(self._spec.seed, "shot", entry.info.id, entry.split), *counters),
            own,
            origins(self._data.split(task.number), task.rows),
            prints,
        )
        return draw_shots(pool, rows, balanced=self._spec.shots.balanced)

    def fitting(self, shots: Shots, template: Template, done: Rendered) -> Shots:
        """The shots that fit beside their rows."""
        most = self._spec.shots.max_characters
        if most is None:
            return shots
        own = [done.response] if done.system is None else [done.response, done.system]
        return pruned(shots, done.prompt, template.joint, template.shot_joint, own, most)

    def _pool(self, number: int) -> tuple[ShotPool, int]:
        """Where the shots of a task come from, and which of the pool's sources is its own split."""
        if number not in self._pools:
            tasks, of = self._data.tasks, [number]
            if self._spec.shots.from_ == "family":
                of = [i for i, other in enumerate(tasks) if i == number or kindred(tasks[number], other)]
            self._pools[number] = ShotPool([self._source(i, tasks[number]) for i in of]), of.index(number)
        return self._pools[number]

    def _source(self, number: int, asking: MixtureTask) -> ShotSource:
        """A task's shots for the rows of another one, or of its own."""
        data, entry = self._data, self._data.tasks[number]
        split = data.split(number, entry.shot_split)
        ids = {template.id: choice for choice, template in enumerate(entry.templates)}

        def batch(numbers: Ints) -> pa.RecordBatch:
            rows, parts = split.index.rows[numbers], split.index.parts[numbers].astype(np.int64)
            return data.optioned(split.batch(numbers, seed=self._spec.seed), split, rows, parts, 0)

        def renderer(choice: int) -> Renderer | None:
            own = ids.get(asking.templates[choice].id)
            return None if own is None else data.renderer(number, own)

        subset = data.plan.subset(number) if entry.shot_split == entry.split else None
        return ShotSource(split, batch, renderer, subset)
