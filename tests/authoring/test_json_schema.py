"""The JSON Schemas of the three formats: they take every file of the project, and refuse what `tsr check` refuses."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasksource_reg.authoring.json_schema import FORMATS, schema_text
from tasksource_reg.ops.conditions import VERBS
from tasksource_reg.ops.reference import describe
from tasksource_reg.yaml_reader import parse, read

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "annotation": ("annotations", "tasksource_reg/demo/annotations"),
    "template": ("templates",),
    "mixture": ("mixtures",),
}
COMMITTED = [(n, p) for n, folders in FILES.items() for f in folders for p in sorted((ROOT / f).rglob("*.yaml"))]
HEAD = "format: 1\ndataset: a/b\nid: t\nlicense: {spdx: MIT}\nschema: classification\n"


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema_text(name)))


def with_text_keys(value: Any) -> Any:
    """As editors see it: JSON has no other keys."""
    if isinstance(value, dict):
        return {k if isinstance(k, str) else json.dumps(k): with_text_keys(v) for k, v in value.items()}
    return [with_text_keys(v) for v in value] if isinstance(value, list) else value


def accepts(name: str, text: str) -> bool:
    return validator(name).is_valid(with_text_keys(parse(text, "x").require().plain()))


@pytest.mark.parametrize("name", FORMATS)
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(validator(name).schema)


@pytest.mark.parametrize("name", FORMATS)
def test_the_files_under_docs_are_fresh(name: str) -> None:
    assert (ROOT / f"docs/schemas/{name}.json").read_text(encoding="utf-8") == schema_text(name), "run `make docs`"


@pytest.mark.parametrize(("name", "path"), COMMITTED, ids=lambda v: v if isinstance(v, str) else v.stem)
def test_every_file_of_the_project_fits(name: str, path: Path) -> None:
    errors = [e.message[:200] for e in validator(name).iter_errors(with_text_keys(read(path).require().plain()))]
    assert not errors


def examples() -> list[str]:
    return [text for entry in describe() for text in entry["example"]]


@pytest.mark.parametrize("text", examples())
def test_every_example_of_the_reference_fits(text: str) -> None:
    assert accepts("annotation", f"{HEAD}let: {{value: {text}}}\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_known(verb: str) -> None:
    right = {"list": "[1]", "flag": "true", "verbs": "{equals: 1}", "text": "x", "pattern": "x"}.get(
        VERBS[verb].right, "1"
    )
    assert accepts("annotation", f"{HEAD}where: [{{of: a, {verb}: {right}, because: b}}]\n")


@pytest.mark.parametrize(
    "text",
    [
        "for_each: {v: [1, 2]}\nversion: $(v)\nmax_examples: $(v)\n",
        "for_each: [{s: BIO}]\nscheme: $(s)\n",
        "languages: [$(lang)]\n",
        "fields: {text: null, label: {map: a, to: {1: x}, otherwise: 'null'}}\n",
        "ask: Is it?\n",
        "ask: {map: a, to: {1: Is it?}}\n",
        "pool: [a, {config: b, fields: {text: x}}]\n",
        "splits: {test: withheld, validation: {carve: {from: train, fraction: 0.1}}, train: [a, b], dev: null}\n",
    ],
)
def test_what_the_format_allows(text: str) -> None:
    assert accepts("annotation", HEAD + text)


@pytest.mark.parametrize(
    "text",
    [
        "feilds: {text: a}\n",
        "fields: {texts: a}\n",
        "fields: {text: {joni: a}}\n",
        "fields: {text: {join: a, separator: b}}\n",
        "fields: {text: {regex: a}}\n",
        "fields: {text: {case: a, to: loud}}\n",
        "where: [{of: a, equal: 1, because: b}]\n",
        "where: [{of: a, equals: 1}]\n",
        "scheme: BILOU\n",
        "version: '1'\n",
        "languages: [English]\n",
        "splits: {validation: {carve: {from: train}}}\n",
        "tasks: [{id: u}]\n",
        "cap: {by: a}\n",
    ],
)
def test_what_the_format_does_not_allow(text: str) -> None:
    assert not accepts("annotation", HEAD + text)


def test_keys_of_tasks_may_stand_at_file_level() -> None:
    head = "format: 1\ndataset: a/b\n"
    assert accepts("annotation", head + "license: {spdx: MIT}\nschema: score\ntasks: [{id: t}, {id: u}]\n")
    assert accepts("annotation", head + "schema: score\ntasks: [{id: t, license: {spdx: MIT}}]\n")
    assert not accepts("annotation", head + "schema: score\ntasks: [{id: t, license: {spdx: MIT}}, {id: u}]\n")
    assert not accepts("annotation", head + "schema: score\nlicense: {spdx: MIT}\n")


def test_templates_and_mixtures_refuse_what_their_models_refuse() -> None:
    template = "templates: [{id: f/a, prompt: p, response: r}]\n"
    assert accepts("template", "format: 1\nfamily: f\n" + template)
    assert not accepts("template", "format: 1\nfamily: f\nschema: score\n" + template)
    assert not accepts("template", "format: 1\nfamily: f\n" + template.replace("prompt", "promt"))
    assert accepts("mixture", "parts: [{task: a}]\nshots: {k: {0: 0.5, 2: 0.5}}\nstop: {rows: 5}\n")
    assert accepts("mixture", "stages: [{parts: [{task: a}], stop: {tokens: 5}}]\norder: {unmixed: 8}\n")
    assert not accepts("mixture", "shape: text\n")
    assert not accepts("mixture", "stages: [{stop: {rows: 5}}]\n")
    assert not accepts("mixture", "parts: [{task: a}]\nreweight: [{at: 5}]\n")
    assert not accepts("mixture", "parts: [{task: a}]\nstop: {rows: 5, tokens: 5}\n")
    assert not accepts("mixture", "parts: [{task: a, mixture: b}]\n")
    assert not accepts("mixture", "parts: [{task: a}]\nshape: prose\n")
