"""Template files: what people write (pydantic), and the frozen `Template` and `Family` that the rest works with.

`read_file` reads one file of `templates/families` or `templates/schemas` and reports every problem with its place:
unknown keys, texts outside the closed syntax, names outside the scope, answers that clash. Only a file without problems
gives templates that render.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasksource_reg.errors import Place, Problem, did_you_mean, excerpt
from tasksource_reg.prompting.scope import VERBALIZED, names
from tasksource_reg.prompting.syntax import inspect
from tasksource_reg.prompting.trees import Finding
from tasksource_reg.schemas import SCHEMAS
from tasksource_reg.yaml_reader import Mapping, Node, Scalar, Sequence, read, walk

Kind = Literal["family", "schema"]
Form = Literal["question", "instruction", "completion", "dialogue"]
Length = Literal["terse", "wordy", "definition"]
Vocabularies = tuple[tuple[str, ...], ...] | Literal["open"] | None

ID = re.compile(r"[a-z0-9_]+/[a-z0-9._-]+")

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Template:
    """A prompt and response pair for one schema.

    Attributes:
        id: `<family or schema>/<name>`.
        family: None for the templates of a schema file.
        schema: a key of `SCHEMAS`.
        languages: BCP-47 tags; None fits every language.
        system, prompt, response: texts in the closed Jinja of `syntax.py`.
        answers: label name -> how this template says it; labels left out are said by their name.
        joint: between prompt and response, `shot_joint` between shots, in shapes that need one text.
        needs: fields that a row must have.
        form, options_shown, length, inverted, origin: facets, for choosing templates.
        names: what the texts take from the scope.
        place: where the template stands.
    """

    id: str
    family: str | None
    schema: str
    prompt: str
    response: str
    system: str | None = None
    languages: tuple[str, ...] | None = None
    answers: AnyMapping[str, str] = field(default_factory=dict, hash=False)
    joint: str = "\n"
    shot_joint: str = "\n\n"
    needs: tuple[str, ...] = ()
    form: str | None = None
    options_shown: bool | None = None
    length: str | None = None
    inverted: bool = False
    origin: str | None = None
    names: frozenset[str] = field(default=frozenset(), compare=False)
    place: Place | None = field(default=None, compare=False)

    @cached_property
    def hash(self) -> str:
        """32 hexadecimal digits over all that decides a rendered text: texts, answers, joints."""
        parts = [self.system, self.prompt, self.response, sorted(self.answers.items()), self.joint, self.shot_joint]
        text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def selective(self) -> bool:
        """Whether single rows of a task that it fits may be ones that it does not fit."""
        return bool(self.needs) or not self.speaks("en")

    def speaks(self, language: str) -> bool:
        """Whether it is in a language (BCP-47), or fits every one; variants of a language count as that language."""
        return self.languages is None or any(_primary(tag) == _primary(language) for tag in self.languages)

    def says(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Labels in this template's words."""
        return tuple(self.answers.get(label, label) for label in labels)


def _primary(tag: str) -> str:
    return tag.split("-")[0].lower()


@dataclass(frozen=True)
class Family:
    """A family: its name, its vocabularies (order = class ids; `open` = each task's own), its templates by id."""

    name: str
    labels: Vocabularies
    templates: tuple[Template, ...]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)


class ForForm(_Form):
    """What a template is for."""

    schema_name: str | None = Field(default=None, alias="schema")
    languages: list[str] | None = None


class TemplateForm(_Form):
    """One template as people write it."""

    id: str
    for_: ForForm = Field(default=ForForm(), alias="for")
    system: str | None = None
    prompt: str
    response: str
    answers: dict[str, str] = {}
    joint: str = "\n"
    shot_joint: str = "\n\n"
    needs: list[str] = []
    form: Form | None = None
    options_shown: bool | None = None
    length: Length | None = None
    inverted: bool = False
    origin: str | None = None


class FileForm(_Form):
    """A template file; its templates are read one by one."""

    format: int
    family: str | None = None
    schema_name: str | None = Field(default=None, alias="schema")
    labels: list[list[str]] | Literal["open"] | None = None
    for_: ForForm = Field(default=ForForm(), alias="for")
    templates: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """What one file gives."""

    labels: Vocabularies
    templates: tuple[Template, ...]


def read_file(path: Path, kind: Kind, problems: list[Problem]) -> TemplateFile:
    """Reads one template file.

    Args:
        path: the file; its stem is the name of the family or schema.
        kind: which of the two folders it stands in.
        problems: every problem found is added here.

    Returns:
        The vocabularies, and the templates that have no problem of their own.
    """
    document = read(path)
    problems += document.problems
    empty = TemplateFile(None, ())
    if document.root is None or document.problems:
        return empty
    if not isinstance(document.root, Mapping):
        problems.append(Problem("TSR-A003", "the file is not a mapping", place=document.root.place))
        return empty
    root = document.root
    form = _validated(FileForm, root, problems)
    if form is None:
        return empty
    if form.format != 1:
        problems.append(Problem("TSR-A020", f"format {form.format}", place=walk(root, ["format"]).place))
        return empty
    name, written = path.stem, form.family if kind == "family" else form.schema_name
    if written != name or (form.family is None) == (form.schema_name is None):
        message = f'the file is of the {kind} "{name}", as its name says, and its `{kind}` is "{written}"'
        problems.append(Problem("TSR-T007", message, f"write `{kind}: {name}`", _at(root, kind).place))
        return empty
    if kind == "schema" and name not in SCHEMAS:
        problems.append(_unknown_schema(name, _at(root, "schema")))
        return empty
    labels = _vocabularies(form, root, problems)
    templates = []
    nodes = root.get("templates")
    assert isinstance(nodes, Sequence), "FileForm has seen a list"
    for node in nodes.items:
        assert isinstance(node, Mapping), "FileForm has seen mappings"
        found: list[Problem] = []
        template = _template(node, form, kind, name, labels, root, found)
        problems += found
        if template is not None and not found:
            templates.append(template)
    return TemplateFile(labels, tuple(templates))


def answer_problems(template: Template, labels: Vocabularies) -> list[Problem]:
    """Vocabularies in which two labels would be said in the same words.

    Args:
        template: its `place` is where the problems point.
        labels: the vocabularies of its family.
    """
    out = []
    for vocabulary in labels if isinstance(labels, tuple) and template.schema in VERBALIZED else ():
        first: dict[str, str] = {}
        for label, said in zip(vocabulary, template.says(vocabulary), strict=True):
            if said in first:
                message = f'{template.id}: the labels "{first[said]}" and "{label}" are both said "{excerpt(said, 40)}"'
                out.append(Problem("TSR-T006", message, place=template.place))
            first[said] = label
    return out


def _template(
    node: Mapping, file: FileForm, kind: Kind, name: str, labels: Vocabularies, root: Mapping, problems: list[Problem]
) -> Template | None:
    form = _validated(TemplateForm, node, problems)
    if form is None:
        return None
    if not ID.fullmatch(form.id) or not form.id.startswith(f"{name}/"):
        message, fix = f'the id "{excerpt(form.id, 60)}" does not fit the file', f"write {name}/ and a short name"
        problems.append(Problem("TSR-T007", message, fix, _at(node, "id").place))
    own = node.get("for")
    schema = _schema_of(node, form, file, kind, name, root, problems)
    if schema is None:
        return None
    languages = form.for_.languages if isinstance(own, Mapping) and "languages" in own else file.for_.languages
    used = _check_texts(form, schema, node, problems)
    _check_answers(form, schema, labels, node, problems)
    template = Template(
        id=form.id,
        family=name if kind == "family" else None,
        schema=schema,
        prompt=form.prompt,
        response=form.response,
        system=form.system,
        languages=None if languages is None else tuple(languages),
        answers=form.answers,
        joint=form.joint,
        shot_joint=form.shot_joint,
        needs=tuple(form.needs),
        form=form.form,
        options_shown=form.options_shown,
        length=form.length,
        inverted=form.inverted,
        origin=form.origin,
        names=frozenset(used),
        place=_at(node, "id").place,
    )
    problems += answer_problems(template, labels)
    return template


def _schema_of(
    node: Mapping, form: TemplateForm, file: FileForm, kind: Kind, name: str, root: Mapping, problems: list[Problem]
) -> str | None:
    """The schema that a template is for: its own, else the file's; a schema file's templates are for that schema."""
    own = node.get("for")
    schema = form.for_.schema_name or file.for_.schema_name or (name if kind == "schema" else None)
    if schema is None:
        problems.append(Problem("TSR-A002", "`for: {schema: ...}` is missing", place=node.place))
        return None
    where = own if isinstance(own, Mapping) and "schema" in own else root.get("for")
    at = _at(where, "schema") if isinstance(where, Mapping) else node
    if schema not in SCHEMAS:
        problems.append(_unknown_schema(schema, at))
        return None
    if kind == "schema" and schema != name:
        message = f'a template for "{schema}" in the file of the schema "{name}"'
        problems.append(Problem("TSR-T007", message, "move it to the file of its schema", at.place))
    return schema


def _check_texts(form: TemplateForm, schema: str, node: Mapping, problems: list[Problem]) -> set[str]:
    """Checks the texts and `needs`; returns the names that the texts take from the scope."""
    fields = [f.name for f in SCHEMAS[schema].all_fields]
    for i, need in enumerate(form.needs):
        if need not in fields:
            message, place = f'the schema {schema} has no field "{need}"', walk(node, ["needs", i]).place
            problems.append(Problem("TSR-T003", message, did_you_mean(need, fields), place))
    used: set[str] = set()
    for part in ("system", "prompt", "response"):
        source = getattr(form, part)
        if source is None:
            continue
        at = _at(node, part)
        inspection = inspect(source, names(schema))
        problems += [_problem(finding, at) for finding in inspection.findings]
        used |= inspection.names
        if not source.strip():
            problems.append(Problem("TSR-T008", f"the {part} is empty", place=at.place))
    return used


def _check_answers(
    form: TemplateForm, schema: str, labels: Vocabularies, node: Mapping, problems: list[Problem]
) -> None:
    answers = node.get("answers")
    if not form.answers or not isinstance(answers, Mapping):
        return
    if schema not in VERBALIZED:
        message = f"{schema} has no labels that a template says in its own words"
        problems.append(Problem("TSR-T006", message, "remove `answers`", _key(node, "answers")))
        return
    known = {label for vocabulary in labels for label in vocabulary} if isinstance(labels, tuple) else None
    seen: dict[str, str] = {}
    for label, said in form.answers.items():
        place = _key(answers, label)
        if known is not None and label not in known:
            message = f'no vocabulary of the family has the label "{excerpt(label, 40)}"'
            problems.append(Problem("TSR-T006", message, did_you_mean(label, known), place))
        if not said.strip():
            problems.append(Problem("TSR-T006", f'the answer for "{excerpt(label, 40)}" is blank', place=place))
        if known is None and said in seen:
            message = f'the labels "{seen[said]}" and "{label}" are both said "{excerpt(said, 40)}"'
            problems.append(Problem("TSR-T006", message, place=place))
        seen[said] = label


def _vocabularies(form: FileForm, root: Mapping, problems: list[Problem]) -> Vocabularies:
    if form.labels is None or form.labels == "open":
        return form.labels
    for i, vocabulary in enumerate(form.labels):
        if len(set(vocabulary)) != len(vocabulary):
            place = walk(root, ["labels", i]).place
            problems.append(Problem("TSR-T006", "a label stands twice in a vocabulary", "remove one of the two", place))
    return tuple(tuple(vocabulary) for vocabulary in form.labels)


# Places.


def _at(node: Node, key: str) -> Node:
    """The value under a key, or the mapping itself."""
    return walk(node, [key])


def _key(node: Mapping, key: str) -> Place:
    return (node.key_node(key) or node).place


def _unknown_schema(name: str, node: Node) -> Problem:
    message = f'there is no schema "{excerpt(name, 40)}"'
    return Problem("TSR-A004", message, did_you_mean(name, SCHEMAS), node.place)


def _problem(finding: Finding, node: Node) -> Problem:
    return Problem(finding.code, finding.message, finding.fix, place_in_text(node, finding.line, finding.word))


def place_in_text(node: Node, line: int, word: str | None) -> Place:
    """Where a line of a scalar's text stands in the file, at a word of it if it is there.

    Args:
        node: the scalar; exact for block text (`|`) and for text on one line.
        line: 1-based line of the text.
        word: what to look for in that line.
    """
    place = node.place
    block = isinstance(node, Scalar) and (place.text or "")[place.column - 1 : place.column] == "|"
    if not block:
        at = -1 if word is None or place.text is None else place.text.find(word, place.column - 1)
        return place if at < 0 else Place(place.file, place.line, at + 1, place.text)
    number = place.line + line
    if number > len(node.source.lines):
        return place
    text = node.source.lines[number - 1]
    at = text.find(word) if word else -1
    return Place(place.file, number, (at if at >= 0 else len(text) - len(text.lstrip())) + 1, text)


# Pydantic to problems.


def _validated(model: type[M], node: Mapping, problems: list[Problem]) -> M | None:
    try:
        return model.model_validate(node.plain())
    except ValidationError as exc:
        problems += [_form_problem(model, item, node) for item in exc.errors(include_url=False)]
        return None


def _form_problem(model: type[BaseModel], item: Any, node: Mapping) -> Problem:
    loc = [step for step in item["loc"] if not (isinstance(step, str) and ("[" in step or step.startswith("literal")))]
    key = str(loc[-1]) if loc else ""
    at = walk(node, loc)
    path = ".".join(map(str, loc))
    if item["type"] == "missing":
        return Problem("TSR-A002", f'the key "{key}" is missing', place=walk(node, loc[:-1]).place)
    if item["type"] == "extra_forbidden":
        parent = walk(node, loc[:-1])
        keys = ForForm.model_fields if "for" in loc[:-1] else model.model_fields
        allowed = [f.alias or name for name, f in keys.items()]
        place = _key(parent, key) if isinstance(parent, Mapping) else at.place
        return Problem("TSR-A001", f'there is no key "{excerpt(key, 40)}" here', did_you_mean(key, allowed), place)
    return Problem("TSR-A003", f"{path}: {item['msg']}", place=at.place)
