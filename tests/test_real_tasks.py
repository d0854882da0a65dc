"""Every annotated task over the mirror of real datasets: each split opens, and every row is accounted for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasksource_reg.authoring.lock import split_counts
from tasksource_reg.errors import TsrError
from tasksource_reg.likeness import shared_rows
from tasksource_reg.registry import Registry, TaskInfo
from tasksource_reg.workspace import Workspace

QUICK = (  # one of each shape: a pair, choices, shuffled choices, tags, spans, scores, several labels, text to text
    "sick/label",
    "sick/relatedness",
    "cos_e/v1.0",
    "truthful_qa/mc1",
    "poem_sentiment",
    "hatemoji",
    "openai_humaneval",
    "wnut_17",
    "ncbi_disease",
    "avicenna/syllogism",
    "winowhy",
)
TASKS = {
    info.id: info
    for info in Registry().tasks(include_parked=True)
    if not info.dataset.startswith("tasksource-reg-demo/")
}


@pytest.fixture(scope="module")
def space(shared_hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(Registry(), (shared_hub,), offline=True, cache=tmp_path_factory.mktemp("rows"))


def missing_config(space: Workspace, info: TaskInfo) -> str | None:
    """What the mirror says where it has the dataset, but not the config of a task."""
    try:
        data = space.data(info)
        _ = data.split(next(iter(data.task.splits))).index
    except TsrError as exc:
        if [problem.code for problem in exc.problems] != ["TSR-N004"]:
            raise
        return exc.problems[0].message
    return None


def check(space: Workspace, info: TaskInfo, shared_hub: Path) -> None:
    """Opens every split, compares its counts with the lock, and reads some rows twice, in two orders."""
    if not any((shared_hub / name).is_dir() for name in (info.dataset, *info.former_ids)):
        pytest.skip(f"the rows of {info.dataset} are not in the mirror")
    if info.verified != "rows" and (missing := missing_config(space, info)):
        pytest.skip(missing)
    data = space.data(info)
    assert data.task.splits, info.id
    shared = shared_rows({name: data.split(name) for name in data.task.splits}, data.task.schema)
    for name in data.task.splits:
        split = data.split(name)
        index = split.index
        assert index.candidates == len(index) + sum(index.filtered.values()) + sum(index.quarantined.values())
        assert replace(split_counts(index), shared=shared[name]) == space.counts(info, name)
        assert len(index) > 0
        numbers = np.unique(np.linspace(0, len(index) - 1, 40).astype(np.int64))
        rows = split.batch(numbers)
        rows.validate(full=True)
        assert rows.schema == data.task.schema.arrow()
        assert split.batch(numbers[::-1]).to_pylist() == rows.to_pylist()[::-1]
        for field in data.task.schema.fields:
            assert not field.required or rows.column(field.name).null_count == 0
        assert isinstance(rows, pa.RecordBatch)


@pytest.mark.parametrize("id_", [id_ for id_ in QUICK if id_ in TASKS])
def test_a_few_tasks(id_: str, space: Workspace, shared_hub: Path) -> None:
    check(space, TASKS[id_], shared_hub)


def test_the_few_are_tasks_of_the_registry() -> None:
    assert set(QUICK) <= set(TASKS)


@pytest.mark.slow
@pytest.mark.parametrize("id_", sorted(TASKS))
def test_every_task(id_: str, space: Workspace, shared_hub: Path) -> None:
    check(space, TASKS[id_], shared_hub)
