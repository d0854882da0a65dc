"""A registry and a mirror that a test writes for itself, a few rows at a time: tasks, templates, locks, mixtures.

Every task is `own/<name>` of the dataset `own/<name>`, by default of the schema generation and the family echo, with
the columns `said`, `heard` and whatever else its rows hold. The family's one template, `echo/plain`, renders
"said=heard", with ";" between shots, so that a test reads off a text which rows it was made of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasksource_reg.annotation.load import read_annotation
from tasksource_reg.authoring.lock import lock_file
from tasksource_reg.authoring.tokens import Tokenizer
from tasksource_reg.mixing.blocks import Block
from tasksource_reg.mixing.resolve import Resolved, resolve_mixture
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.prompting.library import TemplateLibrary
from tasksource_reg.provenance.locks import write_lock
from tasksource_reg.registry import Registry
from tasksource_reg.workspace import Workspace

PLAIN: dict[str, Any] = {
    "id": "echo/plain", "prompt": "{{ input }}", "response": "{{ target }}", "joint": "=", "shot_joint": ";",
}  # fmt: skip
LICENSE = {"spdx": "CC0-1.0", "evidence": [{"where": "this project", "says": "written for its tests"}]}


def echoes(name: str, count: int, **columns: Any) -> list[dict[str, Any]]:
    """Rows such as {said: a3, heard: A3}; a column that is a function gets the row's number."""
    extra = {key: value if callable(value) else (lambda _, value=value: value) for key, value in columns.items()}
    return [
        {"said": f"{name}{i}", "heard": f"{name.upper()}{i}", **{key: of(i) for key, of in extra.items()}}
        for i in range(count)
    ]


class SmallRegistry:
    """A registry under a folder; `task` adds to it, `space`, `resolve` and `data` read it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.mirror, self.cache = folder / "registry", folder / "mirror", folder / "cache"
        (self.root / "annotations").mkdir(parents=True)
        (self.root / "mixtures").mkdir()
        self.mirror.mkdir()
        self.templates("families", "echo", [PLAIN])

    def templates(
        self, kind: str, name: str, templates: Sequence[Mapping[str, Any]], schema: str = "generation", **more: Any
    ) -> None:
        """Writes a template file; `kind` is families or schemas."""
        body = {"format": 1, "for": {"schema": schema}, "templates": list(templates), **more}
        if kind == "schemas":
            del body["for"]
        body["family" if kind == "families" else "schema"] = name
        path = self.root / "templates" / kind / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(body))

    def task(
        self,
        name: str,
        rows: Mapping[str, Sequence[Mapping[str, Any]]] | Sequence[Mapping[str, Any]],
        *,
        lock: bool = True,
        **keys: Any,
    ) -> str:
        """Writes a task with its rows (a plain list is its train split) and its lock; returns its id."""
        data = self.mirror / "own" / name / "data"
        data.mkdir(parents=True, exist_ok=True)
        for split, some in (rows if isinstance(rows, Mapping) else {"train": rows}).items():
            (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
        annotation = {
            "format": 1, "dataset": f"own/{name}", "id": f"own/{name}", "title": name, "languages": ["en"],
            "license": LICENSE,
            "schema": "generation", "family": "echo", "fields": {"input": "said", "target": "heard"},
        }  # fmt: skip
        self.annotation(name).parent.mkdir(exist_ok=True)
        self.annotation(name).write_text(json.dumps({k: v for k, v in (annotation | keys).items() if v is not None}))
        if lock:
            self.lock(name)
        return f"own/{name}"

    def annotation(self, name: str) -> Path:
        """The annotation file of a task."""
        return self.root / "annotations" / "own" / f"{name}.yaml"

    def lock(self, name: str, tokenizer: Tokenizer | None = None) -> None:
        """Counts a task, perhaps its tokens too, and writes its lock."""
        space, file = self.space(), read_annotation(self.annotation(name))
        done = lock_file(file, space.vocabularies, space.sources, space.cache, tokenizer=tokenizer)
        assert done.lock is not None, done.problems
        write_lock(self.annotation(name), done.lock)

    def mixture(self, name: str, spec: Mapping[str, Any]) -> Path:
        """Writes a mixture file."""
        path = self.root / "mixtures" / f"{name}.yaml"
        path.write_text(json.dumps({"mixture": name, **spec}))
        return path

    def space(self) -> Workspace:
        """A new workspace on it, which reads the templates as they are now (a library is kept for a whole process)."""
        space = Workspace(Registry((self.root,)), (self.mirror,), offline=True, cache=self.cache)
        space.__dict__["library"] = TemplateLibrary([folder.parent for folder in space.registry.template_roots()])
        return space

    def resolve(self, spec: Mapping[str, Any] | str | Path) -> Resolved:
        """A mixture, resolved; a dict without parts takes all of its tasks."""
        if isinstance(spec, Mapping):
            spec = {"parts": [{"select": "dataset:own/*"}], "shape": "text", **spec}
        return resolve_mixture(self.space(), spec)

    def data(self, **spec: Any) -> MixtureData:
        """The data of a mixture."""
        resolved = self.resolve(spec)
        return MixtureData(self.space(), resolved)

    def block(self, **spec: Any) -> Block:
        """All positions of a mixture."""
        data = self.data(**spec)
        return data.block(np.arange(data.plan.length or 100))

    def texts(self, **spec: Any) -> list[str]:
        """The texts of all positions of a mixture of the shape text."""
        texts: list[str] = self.block(**spec).rows.column("text").to_pylist()
        return texts
