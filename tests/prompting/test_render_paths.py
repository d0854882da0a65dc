"""The three paths of rendering give the same texts and the same failures, whatever the template and the rows."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from prompting_rows import OPEN_LABELS, batch, profile, rows
from template_grammar import ROWS, templates

from tasksource_reg.nested import python_values
from tasksource_reg.prompting import render as render_module
from tasksource_reg.prompting.columnar import render_slice
from tasksource_reg.prompting.library import TemplateLibrary
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.render import Path as RenderPath
from tasksource_reg.prompting.render import Rendered, Renderer, columns_of
from tasksource_reg.prompting.scope import Scope, names
from tasksource_reg.prompting.syntax import inspect
from tasksource_reg.schemas import TaskProfile

ROOT = Path(__file__).resolve().parents[2]
FAST: tuple[RenderPath, ...] = ("columnar", "rowwise")


def told(rendered: Rendered) -> tuple[Any, ...]:
    """Everything that a rendering says, as plain values."""
    system = None if rendered.system is None else rendered.system.to_pylist()
    failures = [(f.row, f.code, f.message) for f in rendered.failures]
    return system, rendered.prompt.to_pylist(), rendered.response.to_pylist(), failures


def agree(task: TaskProfile, template: Template, made_up: pa.RecordBatch) -> tuple[Any, ...]:
    """What all paths say."""
    expected = told(Renderer(task, template, "jinja").render(made_up))
    for path in FAST:
        rendered = Renderer(task, template, path).render(made_up)
        assert told(rendered) == expected, path
        for column in (rendered.prompt, rendered.response):
            column.validate(full=True)
    return expected


HEALTH = [HealthCheck.filter_too_much, HealthCheck.too_slow]


@pytest.mark.parametrize("schema", sorted(ROWS))
@settings(max_examples=150, deadline=None, suppress_health_check=HEALTH)
@given(data=st.data())
def test_random_templates_on_random_rows(schema: str, data: st.DataObject) -> None:
    random_template_on_random_rows(schema, data)


@pytest.mark.slow
@pytest.mark.parametrize("schema", sorted(ROWS))
@settings(max_examples=2500, deadline=None, suppress_health_check=HEALTH)
@given(data=st.data())
def test_many_random_templates_on_random_rows(schema: str, data: st.DataObject) -> None:
    random_template_on_random_rows(schema, data)


def random_template_on_random_rows(schema: str, data: st.DataObject) -> None:
    """Draws a template and rows, and holds the paths against each other."""
    prompt, response = data.draw(templates(schema)), data.draw(templates(schema))
    known = names(schema)
    assume(inspect(prompt, known).tree is not None and inspect(response, known).tree is not None)
    made_up = batch(schema, data.draw(st.lists(ROWS[schema], max_size=6)))
    template = Template("x/y", None, schema, prompt, response, answers={OPEN_LABELS[0]: "ß und Σ"})
    event(Renderer(profile(schema), template).path)
    agree(profile(schema), template, made_up)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "templates").glob("*/*.yaml")), ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_every_template_of_the_library_on_all_paths(path: Path) -> None:
    library = TemplateLibrary.load([ROOT])
    is_family = path.parent.name == "families"
    family = library.family(path.stem) if is_family else None
    templates = family.templates if family else [t for t in library.all() if t.family is None and t.schema == path.stem]
    vocabularies = family.labels if family and isinstance(family.labels, tuple) else (OPEN_LABELS,)
    assert templates
    for each in templates:
        for labels in vocabularies:
            task = profile(each.schema, each.family, labels)
            made_up = batch(each.schema, [*rows(each.schema, labels), {}])
            agree(task, each, made_up)
            assert Renderer(task, each).path == "columnar", Renderer(task, each).explain()


def made_up_pairs(n: int, **more: Any) -> pa.RecordBatch:
    return batch(
        "classification", [{"text": f"t{i}", "label": i % 3, "ask": "a" if i % 2 else None, **more} for i in range(n)]
    )


def test_slices_and_failures_keep_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_module, "SLICE_ROWS", 7)
    monkeypatch.setattr(render_module, "ROWS_AT_ONCE", 2)
    each = Template("x/y", None, "classification", "{{ text }} {{ ask }}", "{{ answer }}", system="{{ ask }}.")
    *texts, failures = agree(profile("classification"), each, made_up_pairs(30))
    assert [row for row, *_ in failures] == list(range(0, 30, 2))
    assert texts[1] == [f"t{i} a" if i % 2 else None for i in range(30)]


def test_a_slice_that_is_too_big_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_module, "_SMALLEST_SLICE", 2)
    sizes: list[int] = []

    def counted(trees: Any, columns: Any, n: int) -> Any:
        sizes.append(n)
        return render_slice(trees, columns, n)

    monkeypatch.setattr(render_module, "render_slice", counted)
    each = Template(
        "x/y",
        None,
        "multiple_choice",
        "{% for x in choices %}{% for y in choices %}{{ y }}{% endfor %}{% endfor %}",
        "r",
    )
    lists = [["a"] * (1001 if i == 5 else 2) for i in range(16)]
    made_up = batch("multiple_choice", [{"choices": choices} for choices in lists])
    rendered = Renderer(profile("multiple_choice"), each, "columnar").render(made_up)
    assert [f.code for f in rendered.failures] == ["TSR-T005"]
    assert rendered.prompt.to_pylist() == [None if i == 5 else "aaaa" for i in range(16)]
    assert sizes == [16, 8, 4, 4, 2, 2, 8]
    agree(profile("multiple_choice"), each, made_up)


def test_few_rows_take_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    kernels = render_module.render_slice
    monkeypatch.setattr(
        render_module, "render_slice", lambda trees, columns, n: [sizes.append(n), kernels(trees, columns, n)][1]
    )
    each = Template("x/y", None, "classification", "{{ text }}", "{{ answer }}")
    for n in (1, 31, 32, 100):
        Renderer(profile("classification"), each).render(made_up_pairs(n))
    assert sizes == [32, 100]


@pytest.mark.parametrize(
    ("prompt", "path", "why"),
    [
        ("{{ text | upper }}", "columnar", "columnar"),
        ("{{ text.title() }}", "columnar", "columnar (value by value: title)"),
        ("a\n{{ text or 3 }}", "rowwise", "rowwise: prompt, line 2: text and whole number in one place"),
        (
            "{{ options | lines(text) }}",
            "rowwise",
            "rowwise: prompt, line 1: lines with a pattern that differs from row to row",
        ),
        (
            "{% for x in options %}{{ text }}{% endfor %}{% set text = 'a' %}",
            "jinja",
            "jinja: a loop before {% set %} mentions text",
        ),
    ],
)
def test_the_path_and_what_kept_a_template_off_a_faster_one(prompt: str, path: str, why: str) -> None:
    each = Template("x/y", None, "classification", prompt, "{{ answer }}")
    renderer = Renderer(profile("classification"), each)
    assert (renderer.path, renderer.explain()) == (path, why)
    agree(profile("classification"), each, made_up_pairs(3))


def test_rows_of_a_sayable_template_are_not_in_doubt() -> None:
    """Rows in doubt are slow; there are none where no row fails."""
    text = "ÇA ß Σς\u0307 “x”"
    rows_ = [
        {"text": text, "text_pair": pair, "label": 1, "ask": ask} for pair in ("ΟΔΟΣ", "é") for ask in (None, "q?")
    ]
    each = Template(
        "x/y",
        None,
        "classification",
        "{{ ask | then(' ') }}{{ text | lower }} {{ text_pair.upper() }} {{ text[0:3] | capitalize }}"
        "{% if ask %}!{% endif %}"
        "{% for o in options %}{{ loop.index }}{{ o }}{% endfor %}{{ options | one_of }}",
        "{{ answer | lower_first }}",
    )
    renderer = Renderer(profile("classification"), each)
    made_up = batch("classification", rows_)
    scope = Scope(made_up, renderer.profile, {})
    _, doubtful, by_value = render_slice(renderer._trees, columns_of(scope), made_up.num_rows)
    assert not doubtful.any()
    assert by_value == frozenset()
    agree(profile("classification"), each, made_up)


def test_text_beyond_the_budgets_fails_on_every_path() -> None:
    each = Template("x/y", None, "classification", "{{ text }}{{ text | upper }}", "{{ answer }}")
    made_up = batch("classification", [{"text": "é" * size, "label": 0} for size in (10, 600_000, 300_000, 5)])
    *_, failures = agree(profile("classification"), each, made_up)
    assert [(row, code) for row, code, _ in failures] == [(1, "TSR-T005")]


def test_a_kernel_that_meets_a_budget_leaves_the_row_to_jinja() -> None:
    each = Template("x/y", None, "classification", "{{ text" + " | json" * 24 + " }}", "{{ answer }}")
    made_up = batch("classification", [{"text": text, "label": 0} for text in ('"' * 1000, "a")])
    *_, failures = agree(profile("classification"), each, made_up)
    assert [(row, code) for row, code, _ in failures] == [(0, "TSR-T005"), (1, "TSR-T005")]


def test_python_values_are_those_of_arrow() -> None:
    for schema in ROWS:
        made_up = batch(schema, [*rows(schema), {}])
        for column in (*made_up.columns, *made_up.slice(1).columns):
            assert repr(python_values(column)) == repr(column.to_pylist())


def test_a_part_of_a_constant_is_refused() -> None:
    for source in ("{{ ''[0] or text }}", "{{ 'ab'[1] }}", "{{ not ('a' or 'b').c }}", "{{ (1 and 'x')[5] }}"):
        (finding,) = inspect(source).findings
        assert (finding.code, finding.message) == ("TSR-T002", "a part of a constant may not stand in a template")
    assert inspect("{{ 'ab'[1:] }}{{ ('a' | upper)[0] }}").tree is not None


TRICKY = [
    "{% set w = 'v' %}{% for x in choices %}{{ w }}{% set w = loop.index %}{{ w }}{% endfor %}{{ w }}",
    "{% for x in choices %}{% for x in choices %}{{ x }}{{ loop.last }}{% endfor %}{{ x }}{{ loop.index }}{% endfor %}",
    "{% for x in choices %}{% if x %}{% set question = x %}{% endif %}{{ question }}{% endfor %}.",
    "{% if context %}{% set question = 'q' %}{% endif %}{{ question }}.",
    "{% set w = 'v' %}{% if context %}{% elif question %}a{% else %}{% set w = task.languages[9] %}{% endif %}{{ w }}.",
    "{{ choices | zip_lines(letters, ask or '-') }}.",
    "{{ choices | zip_lines(choices[1:], '-') }}.",
    "{{ (choices | first).id | default('none') }}.",
    "{{ context.id | default('none') }}.",
    "{{ choices[9].id | default('none') }}.",
    "{{ choices[gold] }}|{{ letters[gold] }}|{{ context[gold] }}.",
    "{{ context[gold:] }}|{{ context[:gold] }}|{{ choices[gold:2] | join }}|{{ choices[-2:] | join }}.",
    "{% if context is none %}n{% elif context == '' %}e{% else %}{{ context }}{% endif %}.",
    "{% if gold == 1 or gold is none %}{{ gold or 'zero' }}{% endif %}.",
    "{{ context in choices }}{{ 'a' in context }}{{ gold in golds }}{{ none in choices }}{{ context in languages }}.",
    "{{ context < question }}{{ gold >= 1 }}{{ gold == true }}{{ context == 3 }}{{ choices == options }}.",
    "{{ golds | join('+') }}{{ golds | one_of }}{{ golds | json }}{{ choices | json }}{{ context | json }}.",
    "{{ context | then(question) }}{{ choices | then('x') }}{{ gold | then('!') }}.",
    "{{ context or question or 'none' }}{{ context and question and 'both' }}.",
    "{% for x in options %}{% if loop.first %}{{ context }}{% endif %}{{ x | upper }}{% endfor %}.",
    "{% for x in choices %}{% if x == context %}{{ question }}{% endif %}{% endfor %}.",
    "{{ task.languages | join }}{% for x in task.languages %}{{ x }}{{ loop.index }}{% endfor %}{{ languages.en }}.",
    "{{ languages[ask] | default('?') }}{{ 'b'.join(choices) }}{{ ', '.join(golds) }}.",
    "{{ question.split('a') | lettered }}{{ question.split() | length }}{{ question.strip(context) }}.",
]


@pytest.mark.parametrize("prompt", TRICKY)
def test_tricky_templates(prompt: str) -> None:
    texts = [None, "", "a b", "ß"]
    made_up = [
        {"question": question, "context": context, "choices": choices, "gold": gold, "golds": golds, "ask": ask}
        for question, context in product(texts, texts)
        for choices, gold, golds, ask in (
            (["a b", "", "Σς"], 1, [0, 2], "en"),
            ([], None, None, None),
            (None, -1, [], "x"),
            (["ß", None], 7, [1, 1], ""),
        )
    ]
    each = Template("x/y", None, "multiple_choice", prompt, "r")
    told_ = agree(profile("multiple_choice"), each, batch("multiple_choice", made_up))
    assert any(told_[1])
