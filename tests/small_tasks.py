"""Small tasks over rows written in the test: an annotation text and tables in memory, compiled and run for real."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from tasksource_reg import yaml_reader
from tasksource_reg.annotation.compile import CompiledTask, ConfigFacts, Vocabularies, compile_task
from tasksource_reg.annotation.expand import ExpandedTask, expand
from tasksource_reg.errors import Problem
from tasksource_reg.features import arrow_of
from tasksource_reg.rows import RowIndex, build_index
from tasksource_reg.sources import Sources, SourceSpec
from tasksource_reg.sources.spec import Origin, SourceDescription
from tasksource_reg.task import SplitData, TaskData
from tasksource_reg.yaml_reader import Mapping as Node

HEADER = """\
format: 1
dataset: someone/things
license: {spdx: CC0-1.0}
"""
FAMILIES: dict[str, Vocabularies] = {
    "nli": (("entailment", "neutral", "contradiction"), ("entailment", "not_entailment")),
    "topic": None,
}
ENTAILMENT = {"class_label": ["entailment", "neutral", "contradiction"]}
PAIRS: dict[str, Any] = {"a": "string", "b": "string", "label": ENTAILMENT}
Rows = Sequence[Mapping[str, Any]]


@dataclass
class Table:
    """A source split in memory, as `SourceSplit` shows itself."""

    features: Mapping[str, Any]
    rows: Rows
    name: str = "train"
    config: str = ""
    revision: str = "r1"
    size: int = 8192
    reads: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        arrays = [pa.array([r.get(n) for r in self.rows], arrow_of(f)) for n, f in self.features.items()]
        self.batch = pa.RecordBatch.from_arrays(arrays, names=list(self.features))
        self.num_rows = len(self.rows)
        self.streamed = False

    def batches(self, columns: Sequence[str] | None = None, rows: int = 0) -> Iterator[tuple[int, pa.RecordBatch]]:
        names = list(self.features) if columns is None else list(columns)
        self.reads.append(names)
        for start in range(0, self.num_rows, self.size):
            yield start, self.batch.select(names).slice(start, self.size)

    def gather(self, rows: Any, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        names = list(self.features) if columns is None else list(columns)
        return self.batch.select(names).take(pa.array(np.asarray(rows)))

    def schema(self, columns: Sequence[str] | None = None) -> pa.Schema:
        return self.batch.schema


@dataclass
class Tables:
    """Sources in memory: tables by config and split."""

    tables: Mapping[str | None, Mapping[str, Table]]
    opened: list[tuple[str | None, str]] = field(default_factory=list)

    def open(self, spec: SourceSpec, split: str) -> Table:
        self.opened.append((spec.config, split))
        return self.tables[spec.config][split]

    def describe(self, spec: SourceSpec) -> SourceDescription:
        splits = {name: t.num_rows for name, t in self.tables[spec.config].items()}
        first = next(iter(self.tables[spec.config].values()))
        origin = Origin("mirror", "memory")
        return SourceDescription(
            tuple(c or "" for c in self.tables), spec.config or "", splits, dict(first.features), "r1", origin
        )

    def facts(self) -> dict[str | None, ConfigFacts]:
        return {
            config: ConfigFacts(next(iter(splits.values())).features, {s: t.num_rows for s, t in splits.items()})
            for config, splits in self.tables.items()
        }


def tables(features: Mapping[str, Any], size: int = 8192, /, **splits: Rows) -> Tables:
    """The splits of one config; `size` is how many rows a batch has."""
    return Tables({None: {name: Table(features, rows, name, size=size) for name, rows in splits.items()}})


def expanded(text: str, problems: list[Problem]) -> list[ExpandedTask]:
    """The tasks of an annotation text; the header is put in front of one that has none."""
    whole = text if text.startswith("format:") else HEADER + text
    root = yaml_reader.parse(whole, "a.yaml").require()
    assert isinstance(root, Node)
    return expand(root, problems)


def compiled(
    text: str,
    facts: Mapping[str | None, ConfigFacts] | None = None,
    labels: tuple[str, ...] | None = None,
    number: int = 0,
) -> tuple[CompiledTask | None, list[Problem]]:
    """One task of a text, and all problems."""
    problems: list[Problem] = []
    tasks = expanded(text, problems)
    if not tasks:
        return None, problems
    task = compile_task("someone/things", (), tasks[number], facts or {}, FAMILIES, problems, labels)
    return task, problems


def task_of(text: str, facts: Mapping[str | None, ConfigFacts] | None = None, **options: Any) -> CompiledTask:
    """One task of a text that has no errors."""
    task, problems = compiled(text, facts, **options)
    errors = [p for p in problems if p.severity == "error"]
    assert task is not None and not errors, "\n".join(map(str, errors))
    return task


def pair_facts(**splits: int) -> dict[str | None, ConfigFacts]:
    """What is on record of a source with the columns a, b and label."""
    return {None: ConfigFacts(PAIRS, splits or {"train": 10, "validation": 5, "test": 5})}


def data_of(
    text: str, source: Tables, cache: Path, facts: Mapping[str | None, ConfigFacts] | None = None, **options: Any
) -> TaskData:
    """A task over tables in memory; `facts`: what is on record of them, by default all."""
    return TaskData(task_of(text, facts or source.facts(), **options), cast(Sources, source), cache)


def index_of(text: str, source: Tables, split: str = "train", **options: Any) -> RowIndex:
    """The index of a split, computed anew; every source row is accounted for."""
    task = task_of(text, source.facts(), **options)
    opened = {
        name: [source.open(SourceSpec("x", config=p.config), p.split) for p in pieces]
        for name, pieces in task.splits.items()
    }
    index = build_index(task, cast(Any, opened), split)
    assert index.candidates == len(index) + sum(index.filtered.values()) + sum(index.quarantined.values())
    return index


def rows_of(split: SplitData) -> list[dict[str, Any]]:
    """All rows of a split, without fields that are null."""
    rows = split.batch(np.arange(len(split))).to_pylist()
    return [{k: v for k, v in row.items() if v is not None} for row in rows]


def run(text: str, features: Mapping[str, Any], rows: Rows, cache: Path, **options: Any) -> list[dict[str, Any]]:
    """The harmonized rows of one train split."""
    return rows_of(data_of(text, tables(features, train=rows), cache, **options).split("train"))


def places(problems: Sequence[Problem], severity: str = "error") -> list[tuple[str, int]]:
    """(code, line of the text below the header) of each problem."""
    head = HEADER.count("\n")
    return [(p.code, p.place.line - head if p.place else 0) for p in problems if p.severity == severity]
