"""`tsr templates check`: templates rendered for the tasks that can use them, on the examples of their annotations.

What the syntax of a template cannot say is seen in its texts: an answer that the prompt gives away, options that are
not shown, a field that is left out, blanks that stand twice (`template_texts`), words that are another template's
(`template_words`). The first example is rendered with each label or choice in turn, so that every label of every task
is seen. Tasks that look alike to a template are tried once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasksource_reg.annotation.compiled import CompiledTask, ConfigFacts
from tasksource_reg.annotation.load import read_annotation
from tasksource_reg.authoring.examples import example_rows, with_shown_labels
from tasksource_reg.authoring.template_texts import Finding, Shown, answer_findings, row_findings
from tasksource_reg.authoring.template_words import ALIKE, likeness
from tasksource_reg.errors import Problem, TsrError, did_you_mean
from tasksource_reg.nested import python_values
from tasksource_reg.prompting.library import TemplateLibrary, fits
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.render import Failure, Renderer
from tasksource_reg.prompting.scope import Constant, Scope, names
from tasksource_reg.registry import Registry
from tasksource_reg.schemas import TaskProfile

STAND_IN = "That much can be told from what is given."
"""What is put for a text that a template needs and that no example has."""

MOST_ANSWERS = 64
"""Of how many labels or choices a row gets each in turn; those after them are seen in the examples alone."""


@dataclass(frozen=True)
class Case:
    """Rows that templates are tried on: a task and its example rows, with the Arrow schema of the task's schema."""

    profile: TaskProfile
    mapped: frozenset[str]
    rows: pa.RecordBatch

    @property
    def looks(self) -> tuple[Any, ...]:
        """What a template can tell of the task; one task of each look is enough."""
        p = self.profile
        languages = tuple(sorted({tag.split("-")[0] for tag in p.languages}))
        scale = (p.range, p.levels, p.scheme)
        return p.schema, p.family, p.labels, p.entity_labels, scale, languages, self.mapped

    @property
    def build(self) -> tuple[Any, ...]:
        """What a template of a schema can tell of the task, but for the words of its labels."""
        p = self.profile
        return p.schema, min(len(p.labels), 3), p.range is None, bool(p.levels), p.scheme, self.mapped


def case_of(task: CompiledTask, rows: pa.RecordBatch) -> Case:
    """The case of a task."""
    return Case(task.profile, frozenset(name for part in task.parts for name in part.fields), rows)


def cases_of(registry: Registry, templates: Collection[Template]) -> list[Case]:
    """One case for each look of the tasks that these templates may be for.

    Tasks that are parked or do not compile are left out.
    """
    wanted = {(template.family, template.schema) for template in templates}
    vocabularies = registry.family_vocabularies()
    found: dict[tuple[Any, ...], Case] = {}
    for path in registry.annotation_files():
        file = read_annotation(path)
        for task in file.tasks:
            schema = task.text("schema") or ""
            if task.text("status") == "parked" or not {(task.text("family"), schema), (None, schema)} & wanted:
                continue
            try:
                compiled = file.compile(task, vocabularies, [])
            except TsrError:  # a lock that cannot be read: `tsr check` says so
                continue
            if compiled is not None:
                compiled = with_shown_labels(compiled, task)
                facts = file.facts.get(compiled.parts[0].config, ConfigFacts())
                case = case_of(compiled, example_rows(compiled, task, facts))
                found.setdefault(case.looks, case)
    return list(found.values())


def check_library(registry: Registry, library: TemplateLibrary, wanted: Collection[str]) -> list[Problem]:
    """Everything that is wrong with some templates.

    Args:
        registry: whose tasks they are tried on.
        library: the templates.
        wanted: their ids.
    """
    known = {template.id: template for template in library.all()}
    cases = cases_of(registry, [known[id_] for id_ in wanted])
    groups: dict[str, list[Template]] = defaultdict(list)
    problems: list[Problem] = []
    for template in (known[id_] for id_ in sorted(wanted)):
        groups[template.id.partition("/")[0]].append(template)
        usable = usable_cases(template, cases, library)
        problems += [*check_template(template, usable), *check_origin(template, known)]
    problems += check_same(known[id_] for id_ in sorted(wanted))
    return [*problems, *(p for group in groups.values() for p in check_alike(group))]


def usable_cases(template: Template, cases: Collection[Case], library: TemplateLibrary) -> list[Case]:
    """The cases that can use a template.

    One of a schema stands in where a family has none that fits, and for whoever names it: it is tried on every task of
    the first kind, and on one task of each build of the second. One that no task can use yet is tried on tasks that
    could, were they in its language, or of its family.
    """
    if template.family is not None:
        family = library.family(template.family)
        own = [case for case in cases if case.profile.family == template.family]
        for some in (own, [_as_for(template, case) for case in own]):
            if fitting := [case for case in some if fits(template, case.profile, family)]:
                return fitting
        made = (_as_for(template, case) for case in cases)
        return list({case.build: case for case in made if fits(template, case.profile, family)}.values())
    found: dict[tuple[Any, ...], Case] = {}
    for case in cases:
        if fits(template, case.profile, None):
            other = library.family(case.profile.family) if case.profile.family in library.families else None
            served = other is not None and any(fits(one, case.profile, other) for one in other.templates)
            found.setdefault(case.build if served else case.looks, case)
    return list(found.values())


def _as_for(template: Template, case: Case) -> Case:
    """A case as if its task were of the family and in the language of a template."""
    languages = template.languages or case.profile.languages
    profile = replace(case.profile, family=template.family, languages=tuple(languages), row_languages=False)
    return replace(case, profile=profile)


def check_template(template: Template, cases: Iterable[Case]) -> list[Problem]:
    """What is wrong with the texts that a template gives; each kind of finding once, at the first row that shows it.

    Args:
        template: without problems of its own.
        cases: tasks that can use it; where no row of theirs has the texts that it needs, rows with a stand-in for them.
    """
    tried = [(case, rows) for case in cases if (rows := eligible_rows(template, case)).num_rows]
    if not tried:
        given = [replace(case, rows=with_needs(case.rows, template.needs)) for case in cases]
        tried = [(case, rows) for case in given if (rows := eligible_rows(template, case)).num_rows]
    found: dict[str, Problem] = {}
    for problem in (p for case, rows in tried for p in _try(template, case, rows)):
        found.setdefault(f"{problem.code} {problem.column}", problem)
    return list(found.values())


def eligible_rows(template: Template, case: Case) -> pa.RecordBatch:
    """The rows of a case that a template is for."""
    return case.rows.filter(pa.array(Renderer(case.profile, template).eligible(case.rows)))


def with_needs(rows: pa.RecordBatch, needs: Collection[str]) -> pa.RecordBatch:
    """Rows with a stand-in for those of some fields that are text and null."""
    made = [
        pc.fill_null(column, STAND_IN) if name in needs and pa.types.is_string(column.type) else column
        for name, column in zip(rows.schema.names, rows.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(made, schema=rows.schema)


def check_alike(templates: Iterable[Template]) -> list[Problem]:
    """Templates of one language whose words are nearly the same; see `likeness`.

    Args:
        templates: of one family or schema.
    """
    problems = []
    for one, other in combinations(templates, 2):
        if one.languages == other.languages and (alike := likeness(one, other)) > ALIKE:
            message = f"{other.id} has nearly the words of {one.id} ({alike:.2f} of 1)"
            problems.append(Problem("TSR-T014", message, place=other.place))
    return problems


def check_same(templates: Iterable[Template]) -> list[Problem]:
    """Templates of different files with the very same texts and answers."""
    first: dict[tuple[Any, ...], Template] = {}
    problems = []
    for template in templates:
        texts = (template.system, template.prompt, template.response, tuple(sorted(template.answers.items())))
        one = first.setdefault((template.schema, *texts), template)
        if one is not template and one.id.partition("/")[0] != template.id.partition("/")[0]:
            message = f"{template.id} has the texts of {one.id}"
            problems.append(Problem("TSR-T014", message, place=template.place))
    return problems


def check_origin(template: Template, known: Mapping[str, Template]) -> list[Problem]:
    """Whether a translation names a template that is there."""
    word, _, source = (template.origin or "").partition(" from ")
    if word != "translated" or source in known:
        return []
    message = f'{template.id} is translated from "{source}", which is no template'
    return [Problem("TSR-T015", message, did_you_mean(source, known), template.place)]


def _try(template: Template, case: Case, rows: pa.RecordBatch) -> Iterator[Problem]:
    renderer = Renderer(case.profile, template)
    found: list[Finding] = []
    in_turn = with_each_answer(rows.slice(0, 1), case.profile)
    for batch in (rows, in_turn) if in_turn.num_rows else (rows,):
        shown, failures = _shown(renderer, batch)
        found += [(failure.code, failure.message, None) for failure in failures]
        found += [f for row in shown for f in row_findings(template, row, case.mapped, case.profile.labels)]
        if batch is in_turn:
            found += answer_findings(template, shown)
    for code, message, column in found:
        text = f"{template.id}: {message}"
        yield Problem(code, text, place=template.place, task=case.profile.id, column=column)


def with_each_answer(row: pa.RecordBatch, profile: TaskProfile) -> pa.RecordBatch:
    """One row, once for each label or choice that could be its answer; no rows where the schema has neither.

    Args:
        row: harmonized, one row.
        profile: of its task.
    """
    (fields,) = row.to_pylist()
    if profile.schema == "classification":
        made = [{**fields, "label": i, "label_dist": None} for i in range(len(profile.labels))]
    elif profile.schema == "multi_label":
        made = [{**fields, "labels": [i]} for i in range(len(profile.labels))]
    elif profile.schema == "multiple_choice":
        made = [{**fields, "gold": i, "golds": None, "choice_dist": None} for i in range(len(fields["choices"]))]
    else:
        made = []
    return pa.RecordBatch.from_pylist(made[:MOST_ANSWERS], row.schema)


def _shown(renderer: Renderer, rows: pa.RecordBatch) -> tuple[list[Shown], tuple[Failure, ...]]:
    """The rows that can be rendered, with their texts and what follows from their fields; and those that cannot."""
    n, template, profile = rows.num_rows, renderer.template, renderer.profile
    done = renderer.render(rows)
    scope = Scope(rows, profile, template.answers)

    def values(name: str) -> list[Any]:
        if name not in names(profile.schema):
            return [None] * n
        column = scope.column(name)
        return [column.value] * n if isinstance(column, Constant) else python_values(column)

    options, types, answers = values("options"), values("types"), values("answer")
    letters, all_letters = values("answer_letter"), values("letters")
    system = done.system.to_pylist() if done.system is not None else [None] * n
    failed = {failure.row for failure in done.failures}
    shown = []
    for i, fields in enumerate(rows.to_pylist()):
        if i in failed:
            continue
        said, letter = [str(answers[i])] if answers[i] not in (None, "") else [], [letters[i]] if letters[i] else []
        if (several := fields.get("labels", fields.get("golds"))) is not None:
            said = [options[i][number] for number in several]
            letter = [all_letters[i][number] for number in several]
        texts = system[i] or "", done.prompt[i].as_py(), done.response[i].as_py()
        shown.append(Shown(*texts, fields, options[i] or (), types[i] or (), said, letter))
    return shown, done.failures
