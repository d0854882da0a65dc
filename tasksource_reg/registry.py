"""Discovery: where annotations, templates and mixtures lie, which tasks there are, and what a name means.

A registry is a list of roots, the first of which wins: those that the user names, the one that comes with the package,
and the demo data. A root is a folder that holds `annotations/`, and perhaps `templates/` and `mixtures/`. Everything is
answered from the index; no annotation is parsed unless it changed since the index was built.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasksource_reg.annotation.index import RootIndex, StatedVocabularies, TaskInfo, Vocabularies, load_index
from tasksource_reg.errors import Problem, did_you_mean, error
from tasksource_reg.paths import shown

if TYPE_CHECKING:
    from tasksource_reg.query import Query

__all__ = ["Registry", "Root", "Selection", "TaskInfo"]

_PACKAGE = Path(__file__).resolve().parent


class Root(NamedTuple):
    """A registry root: its folder, where it comes from, and the index that was shipped with it, if any."""

    path: Path
    origin: str
    prebuilt: Path | None = None


class Selection(NamedTuple):
    """What a query found.

    Attributes:
        tasks: the tasks, sorted by id.
        unknown: tasks that may fit: the answer hangs on something that nobody knows, such as an unknown licence.
        parked: parked tasks that fit but were not asked for.
        evaluation_only: tasks for evaluation that fit but were not asked for.
        hints: for each value of the query that no task has, a sentence that says so.
    """

    tasks: tuple[TaskInfo, ...]
    unknown: tuple[TaskInfo, ...] = ()
    parked: tuple[TaskInfo, ...] = ()
    evaluation_only: tuple[TaskInfo, ...] = ()
    hints: tuple[str, ...] = ()


class Registry:
    """All tasks, families and mixtures of several roots.

    Args:
        roots: folders that hold `annotations/`, the first wins; without any, those of TSR_REGISTRY (joined as paths
            are). The built-in registry and the demo data always follow.

    Raises:
        UsageError: TSR-U009, a folder that is no registry.

    Example:
        registry = Registry()
        registry.resolve("glue/rte").dataset  # "nyu-mll/glue"
    """

    def __init__(self, roots: Iterable[str | os.PathLike[str]] = ()) -> None:
        self.roots: tuple[Root, ...] = tuple(find_roots(roots))

    @property
    def named_roots(self) -> tuple[Path, ...]:
        """The folders of the roots beside those that every registry has."""
        return tuple(root.path for root in self.roots if root.origin not in ("built-in", "demo"))

    # What there is

    @cached_property
    def indices(self) -> tuple[RootIndex, ...]:
        """The index of each root."""
        return tuple(load_index(root.path, root.prebuilt) for root in self.roots)

    @cached_property
    def _all(self) -> tuple[dict[str, TaskInfo], tuple[Problem, ...], tuple[str, ...]]:
        """Tasks by id, problems, notes."""
        tasks: dict[str, TaskInfo] = {}
        problems: list[Problem] = []
        notes: list[str] = []
        for index in self.indices:
            own: dict[str, TaskInfo] = {}
            problems += index.problems
            for entry in index.annotations.values():
                for task in entry.tasks:
                    first = own.setdefault(task.id, task)
                    if first is not task:
                        message = f'the id "{task.id}" stands twice; first at {first.place.file}:{first.line}'
                        problems.append(Problem("TSR-A008", message, place=task.place))
            for id_, task in own.items():
                if (winner := tasks.setdefault(id_, task)) is not task:
                    notes.append(f'"{id_}" of {shown(winner.file)} takes the place of the one in {shown(task.file)}')
        return dict(sorted(tasks.items())), tuple(problems), tuple(notes)

    @property
    def by_id(self) -> dict[str, TaskInfo]:
        """All tasks, parked ones too, by id."""
        return self._all[0]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Files that cannot be read, and ids that stand twice in one root."""
        return self._all[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """Tasks of one root that take the place of another root's."""
        return self._all[2]

    def annotation_files(self) -> Iterator[Path]:
        """All annotation files, root by root."""
        for index in self.indices:
            for path in index.annotations:
                yield index.root / path

    # Queries and names

    def select(
        self, query: str | Query = "", *, include_parked: bool = False, include_evaluation_only: bool = True
    ) -> Selection:
        """What a query finds, and what was left out. A query that asks for `status:` decides itself.

        Args:
            query: words such as `family:nli lang:en`, or a parsed query.
            include_parked, include_evaluation_only: whether tasks of this status are among the tasks found.

        Raises:
            UsageError: TSR-U004, the query cannot be read.
        """
        parsed = self._parsed(query)
        wanted = {"parked": include_parked, "evaluation_only": include_evaluation_only}
        says_status = parsed is not None and parsed.uses("status")
        left_out = {status for status, include in wanted.items() if not include and not says_status}
        found: list[TaskInfo] = []
        unknown: list[TaskInfo] = []
        by_status: dict[str, list[TaskInfo]] = defaultdict(list)
        for task in self.by_id.values():
            verdict = parsed is None or parsed.verdict(task)
            if verdict is False:
                continue
            if task.status in left_out:
                if verdict:
                    by_status[task.status].append(task)
            else:
                (found if verdict else unknown).append(task)
        hints = parsed.hints(self.by_id.values()) if parsed is not None and not found else []
        return Selection(
            tuple(found), tuple(unknown), tuple(by_status["parked"]), tuple(by_status["evaluation_only"]), tuple(hints)
        )

    @staticmethod
    def _parsed(query: str | Query) -> Query | None:
        """The query; None if it asks for nothing, and then its module is not imported."""
        if query == "":
            return None
        from tasksource_reg.query import TASK_KEYS, parse

        return parse(query, TASK_KEYS) if isinstance(query, str) else query

    def tasks(
        self, query: str | Query = "", *, include_parked: bool = False, include_evaluation_only: bool = True
    ) -> list[TaskInfo]:
        """The tasks that a query finds, sorted by id; see `select`."""
        found = self.select(query, include_parked=include_parked, include_evaluation_only=include_evaluation_only)
        return list(found.tasks)

    def resolve(self, name: str) -> TaskInfo:
        """The task of a name: an id, `id@version`, an alias, or one of these in another case.

        Raises:
            UsageError: TSR-U001 there is no such task, TSR-U002 an alias of several, TSR-U008 another version.
        """
        found = self._named(name)
        if found is not None:
            return found
        base, at, version = name.rpartition("@")
        if at and version.isdecimal():
            found = self._named(base)
            if found is not None:
                if found.version != int(version):
                    message = f'"{found.id}" is at version {found.version}, not {int(version)}'
                    raise error("TSR-U008", message, fix=f"use {found.id}@{found.version}, or the package that had it")
                return found
        raise error("TSR-U001", f'no task "{name}"', fix=self._near(name))

    def _named(self, name: str) -> TaskInfo | None:
        if name in self.by_id:
            return self.by_id[name]
        folded = name.casefold()
        exact, loose = self._aliases
        for candidates in (exact.get(name, ()), self._folded_ids.get(folded, ()), loose.get(folded, ())):
            if len(candidates) == 1:
                return candidates[0]
            if candidates:
                ids = ", ".join(task.id for task in candidates)
                raise error("TSR-U002", f'"{name}" names {len(candidates)} tasks: {ids}')
        return None

    @cached_property
    def _folded_ids(self) -> dict[str, list[TaskInfo]]:
        """Tasks by their id without regard to case."""
        folded: dict[str, list[TaskInfo]] = defaultdict(list)
        for id_, task in self.by_id.items():
            folded[id_.casefold()].append(task)
        return dict(folded)

    @cached_property
    def _aliases(self) -> tuple[dict[str, list[TaskInfo]], dict[str, list[TaskInfo]]]:
        """Tasks by alias as written, and without regard to case."""
        exact: dict[str, list[TaskInfo]] = defaultdict(list)
        loose: dict[str, list[TaskInfo]] = defaultdict(list)
        for task in self.by_id.values():
            for alias in dict.fromkeys(task.aliases):
                exact[alias].append(task)
            for alias in dict.fromkeys(alias.casefold() for alias in task.aliases):
                loose[alias].append(task)
        return dict(exact), dict(loose)

    def _near(self, name: str) -> str | None:
        """What to do about a name that is no task."""
        broken = sorted({p.place.file for p in self.problems if p.place is not None and p.severity == "error"})
        also = f"files that could not be read: {', '.join(broken[:3])}" if broken else None
        of_dataset = [t.id for t in self.by_id.values() if name in (t.dataset, *t.former_ids)]
        if of_dataset:
            more = f" and {len(of_dataset) - 8} more" if len(of_dataset) > 8 else ""
            return f"it is a dataset; its tasks: {', '.join(of_dataset[:8])}{more}"
        holding = [id_ for id_ in self.by_id if name.casefold() in id_.casefold()]
        if holding and name:
            more = f" and {len(holding) - 8} more" if len(holding) > 8 else ""
            return f"ids that hold it: {', '.join(holding[:8])}{more}"
        names = {*self.by_id, *self._aliases[0]}
        hint = did_you_mean(name, names)
        if hint is not None and not hint.startswith("did you mean"):
            hint = f"`tsr list` shows all {len(self.by_id):,}"  # rather than a dozen of many
        return " ".join(part for part in (hint, also) if part) or None

    # Files

    def template_roots(self) -> list[Path]:
        """The template folders, in the order of the roots; they hold `families/` and `schemas/`."""
        return [root.path / "templates" for root in self.roots if (root.path / "templates").is_dir()]

    def family_vocabularies(self) -> dict[str, Vocabularies]:
        """The label vocabularies of each family, None for open ones.

        The first root that says them wins; a root that adds templates to a family need not say them again.
        """
        stated: dict[str, StatedVocabularies] = {}
        for index in self.indices:
            for path, entry in index.templates.items():
                if path.startswith("templates/families/") and entry.name and stated.get(entry.name) is None:
                    stated[entry.name] = entry.labels
        return {name: None if labels == "open" else labels for name, labels in stated.items()}

    def template_counts(self, info: TaskInfo) -> dict[str, int]:
        """How many templates are written for a task's schema: by its family, and by the schema itself."""
        counts = {"family": 0, "schema": 0}
        for index in self.indices:
            for path, entry in index.templates.items():
                kind = "family" if path.startswith("templates/families/") else "schema"
                if entry.name == (info.family if kind == "family" else info.schema):
                    counts[kind] += entry.counts.get(info.schema, 0)
        return counts

    def mixture_path(self, name: str) -> Path:
        """The file of a mixture: a path as it is, or a name under the `mixtures/` of a root.

        Raises:
            UsageError: TSR-M008, there is no such mixture.
        """
        direct = Path(name).expanduser()
        if direct.suffix == ".yaml" and direct.is_file():
            return direct
        names: list[str] = []
        for root in self.roots:
            folder = root.path / "mixtures"
            files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.yaml")}
            if (found := files.get(name.removesuffix(".yaml"))) is not None:
                return found
            names += files
        raise error("TSR-M008", f'no mixture "{name}"', fix=did_you_mean(name, names))


def find_roots(roots: Iterable[str | os.PathLike[str]] = ()) -> Iterator[Root]:
    """The roots of a registry in the order in which they win, each once.

    Args:
        roots: folders that hold `annotations/`; without any, those of TSR_REGISTRY.

    Raises:
        UsageError: TSR-U009, a folder that holds no `annotations/`.
    """
    named = [Path(root) for root in roots]
    origin = "--registry"
    if not named:
        named = [Path(part) for part in os.environ.get("TSR_REGISTRY", "").split(os.pathsep) if part]
        origin = "TSR_REGISTRY"
    seen: set[Path] = set()
    for root in (*(_named_root(path, origin) for path in named), *_own_roots()):
        if root.path not in seen:
            seen.add(root.path)
            yield root


_PARTS = ("annotations", "templates", "mixtures")


def _named_root(path: Path, origin: str) -> Root:
    full = path.expanduser().resolve()
    if not any((full / part).is_dir() for part in _PARTS):
        fix = None
        if full.name in _PARTS and full.is_dir():
            fix = f'pass the folder that holds it: "{shown(full.parent)}"'
        what = f"holds none of {', '.join(f'{part}/' for part in _PARTS)}"
        message = f'"{path}" {what}' if full.is_dir() else f'there is no folder "{path}"'
        raise error("TSR-U009", f"{message} ({origin})", fix=fix)
    return Root(full, origin)


def _own_roots() -> Iterator[Root]:
    """What comes with the package: its registry (in a wheel, or around it in a checkout), and the demo data."""
    shipped, checkout = _PACKAGE / "_registry", _PACKAGE.parent
    if (shipped / "annotations").is_dir():
        yield Root(shipped, "built-in", shipped / "index.json")
        yield Root(_PACKAGE / "demo", "demo", shipped / "demo.index.json")
        return
    if (checkout / "annotations").is_dir() and (checkout / "templates").is_dir():
        yield Root(checkout, "built-in")
    yield Root(_PACKAGE / "demo", "demo")
