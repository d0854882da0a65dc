"""The template library: which templates there are under the registry's roots, and which of them fit a task.

Files are read when a family or schema is first asked for, and again once one of them has changed. A later root adds
templates and vocabularies to the families of earlier ones; an id stands once in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tasksource_reg.errors import Problem, TsrError, did_you_mean, error, raise_problems
from tasksource_reg.prompting.model import Family, Kind, Template, Vocabularies, answer_problems, read_file
from tasksource_reg.prompting.scope import SCHEMES, VERBALIZED
from tasksource_reg.schemas import TaskProfile

Predicate = Callable[[Template], bool]

_FOLDERS: dict[str, Kind] = {"families": "family", "schemas": "schema"}


@dataclass(frozen=True, slots=True)
class _Group:
    """What all files of one name give: the family of that name, and the templates of the schema of that name."""

    family: Family | None
    schema: tuple[Template, ...]
    problems: tuple[Problem, ...]

    @property
    def templates(self) -> tuple[Template, ...]:
        return (*(self.family.templates if self.family else ()), *self.schema)


class TemplateLibrary:
    """The templates under some roots. Use `load`, which keeps one library for the same files."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(roots)
        self._files: dict[str, list[tuple[Kind, Path]]] = {}
        for kind, path in _template_files(self.roots):
            self._files.setdefault(path.stem, []).append((kind, path))
        self._groups: dict[str, _Group] = {}

    @staticmethod
    def load(roots: Sequence[Path]) -> TemplateLibrary:
        """The library of these roots; reads no file yet.

        Args:
            roots: folders that hold `templates/`; roots without it add nothing.
        """
        resolved = tuple(Path(root).resolve() for root in roots)
        stats = [(path, path.stat()) for _, path in _template_files(resolved)]
        return _library(resolved, tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats))

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families that have a file, sorted."""
        return tuple(sorted(name for name, files in self._files.items() if any(k == "family" for k, _ in files)))

    def family(self, name: str) -> Family:
        """A family.

        Raises:
            FindingsError: TSR-A021 if it has no file; the problems of its files.
        """
        family = self._good(name).family
        if family is None:
            raise error("TSR-A021", f'there is no family "{name}"', fix=did_you_mean(name, self.families))
        return family

    def all(self) -> tuple[Template, ...]:
        """Every template, by id.

        Raises:
            FindingsError: the problems of all files.
        """
        raise_problems(self.problems())
        return _by_id(t for name in self._files for t in self._group(name).templates)

    def problems(self) -> list[Problem]:
        """Every problem of every file, in the order of the files' names."""
        return [problem for name in sorted(self._files) for problem in self._group(name).problems]

    def get(self, template_id: str) -> Template:
        """The template of an id.

        Raises:
            UsageError: TSR-U007 if there is none.
            FindingsError: the problems of the files that it should stand in.
        """
        for template in self._good(template_id.partition("/")[0]).templates:
            if template.id == template_id:
                return template
        ids = [t.id for name in self._files for t in self._group(name).templates]
        raise error("TSR-U007", f'there is no template "{template_id}"', fix=did_you_mean(template_id, ids))

    def for_task(self, profile: TaskProfile, where: Predicate | None = None) -> tuple[Template, ...]:
        """The templates that fit a task, by id.

        Those of its family that fit its schema, languages and labels; where the family has none, those of its schema.

        Args:
            profile: what is known of the task.
            where: keeps the templates for which it is true.

        Raises:
            FindingsError: TSR-T010 if none is left; the problems of the files that were read.
        """
        family = self._good(profile.family).family if profile.family else None
        fitting = [t for t in family.templates if fits(t, profile, family)] if family else []
        if not fitting:
            fitting = [t for t in self._good(profile.schema).schema if fits(t, profile, None)]
        kept = _by_id(t for t in fitting if where is None or where(t))
        if not kept:
            why = (
                "all that fit are excluded by the condition" if fitting else "neither its family nor its schema has one"
            )
            message = f"no template fits the schema {profile.schema}, family {profile.family}: {why}"
            raise error("TSR-T010", message, task=profile.id)
        return kept

    def _good(self, name: str) -> _Group:
        group = self._group(name)
        raise_problems(group.problems)
        return group

    def _group(self, name: str) -> _Group:
        if name not in self._groups:
            self._groups[name] = self._read(name)
        return self._groups[name]

    def _read(self, name: str) -> _Group:
        problems: list[Problem] = []
        first: dict[str, Template] = {}
        labels: Vocabularies = None
        is_family = False
        for kind, path in self._files.get(name, ()):
            try:
                file = read_file(path, kind, problems)
            except TsrError as exc:  # the file cannot be read
                problems += exc.problems
                continue
            if kind == "family":
                is_family, labels = True, _both(labels, file.labels)
            for template in file.templates:
                if template.id in first:
                    message = f'the id "{template.id}" stands twice; first at {first[template.id].place}'
                    problems.append(Problem("TSR-T007", message, place=template.place))
                first.setdefault(template.id, template)
        for template in first.values():
            if template.family:
                found = answer_problems(template, labels)  # vocabularies of other roots may clash too
                problems += [p for p in found if p not in problems]
        family = Family(name, labels, _by_id(t for t in first.values() if t.family)) if is_family else None
        return _Group(family, _by_id(t for t in first.values() if not t.family), tuple(problems))


def fits(template: Template, profile: TaskProfile, family: Family | None) -> bool:
    """Whether a template can be used for a task.

    Its schema is the task's; it has no languages, is English, or is in the task's language (of several only where the
    rows say which is theirs); the labels of the task are distinct in its words, and where it has words of its own, it
    or its family knows every one of them; what it reads from tags can be read with the task's scheme, and a scale that
    it names is known.
    """
    if template.schema != profile.schema or not _language_fits(template, profile):
        return False
    if "entities" in template.names and profile.schema == "token_tags" and profile.scheme not in SCHEMES:
        return False
    if template.names & {"low", "high"} and profile.range is None:
        return False
    if profile.schema not in VERBALIZED:
        return True
    said = template.says(profile.labels)
    known = set(template.answers)
    if family is not None and isinstance(family.labels, tuple):
        known |= {label for vocabulary in family.labels for label in vocabulary}
    everything_known = not template.answers or known >= set(profile.labels)
    return everything_known and len(set(said)) == len(said)


def _language_fits(template: Template, profile: TaskProfile) -> bool:
    if template.speaks("en"):
        return True
    spoken = [template.speaks(tag) for tag in profile.languages]
    return any(spoken) and (profile.row_languages or all(spoken))


def _both(one: Vocabularies, other: Vocabularies) -> Vocabularies:
    """Vocabularies of two roots: those of the first, then new ones; `open` wins."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, str) or isinstance(other, str):
        return "open"
    return (*one, *(v for v in other if v not in one))


def _by_id(templates: Iterable[Template]) -> tuple[Template, ...]:
    return tuple(sorted(templates, key=lambda t: t.id))


def _template_files(roots: Sequence[Path]) -> Iterator[tuple[Kind, Path]]:
    for root in roots:
        for folder, kind in _FOLDERS.items():
            for path in sorted((root / "templates" / folder).glob("*.yaml")):
                yield kind, path


@lru_cache(maxsize=8)
def _library(roots: tuple[Path, ...], files: tuple[tuple[Path, int, int], ...]) -> TemplateLibrary:
    """The library of roots whose files were last changed, and are as large, as said."""
    return TemplateLibrary(roots)
