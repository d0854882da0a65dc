"""Templates of other projects give plain Jinja's text or fail where it fails; what they may not do is refused."""

from __future__ import annotations

import copy
from collections import Counter
from datetime import date
from typing import Any

import constructs
import plain
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from payloads import BOMBS, ESCAPES

from tasksource_reg.errors import FindingsError
from tasksource_reg.interop.foreign_syntax import FILTERS, METHODS, TESTS, read
from tasksource_reg.interop.foreign_templates import ENVIRONMENT, ForeignTemplate
from tasksource_reg.prompting.environment import ENVIRONMENT as OURS

ALL = [(source, choices) for group in constructs.CONSTRUCTS.values() for source, choices in group]


def wanted(source: str, choices: str | None, rows: list[dict[str, Any]]) -> list[tuple[str, ...] | None]:
    """What plain Jinja gives for each row; None where it raises."""
    text = plain.PLAIN.from_string(source)
    given = None if choices is None else plain.PLAIN.from_string(choices)
    return [plain.render(text, given, row) for row in plain.guarded(copy.deepcopy(rows))]


def agree(source: str, choices: str | None, batch: pa.RecordBatch) -> list[tuple[str, ...] | None]:
    rendered = ForeignTemplate(source, choices).render(batch)
    assert rendered.texts == wanted(source, choices, batch.to_pylist())
    assert [f.row for f in rendered.failures] == [row for row, text in enumerate(rendered.texts) if text is None]
    assert {f.code for f in rendered.failures} <= {"TSR-T009"}
    return rendered.texts


@pytest.mark.parametrize(("source", "choices"), ALL)
def test_every_construct_gives_the_text_of_plain_jinja(source: str, choices: str | None) -> None:
    texts = agree(source, choices, constructs.batch(constructs.rows(300)))
    assert sum(text is not None for text in texts) > 200


WORDS = st.text(alphabet="ab Aß.|Σ{}\n'%é😀", max_size=8)
ROWS = st.fixed_dictionaries(
    {
        "text": WORDS,
        "pair": st.none() | WORDS,
        "label": st.integers(0, 2) | st.integers(-3, 9),
        "score": st.floats(allow_nan=False, width=32) | st.none(),
        "flag": st.booleans(),
        "options": st.lists(WORDS | st.none(), max_size=4) | st.lists(WORDS, min_size=3, max_size=3) | st.none(),
        "numbers": st.lists(st.integers(-2, 3), max_size=4),
        "record": st.fixed_dictionaries(
            {"name": WORDS, "age": st.none() | st.integers(0, 99), "parts": st.lists(WORDS, max_size=2)}
        ),
        "records": st.lists(st.fixed_dictionaries({"kind": WORDS, "value": st.none() | st.integers(0, 3)}), max_size=3),
        "day": st.just(date(2021, 3, 4)),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(ROWS, min_size=1, max_size=4), part=st.integers(0, 3))
def test_every_construct_on_random_rows(rows: list[dict[str, Any]], part: int) -> None:
    batch = constructs.batch(rows)
    for source, choices in ALL[part::4]:
        agree(source, choices, batch)


_VALUES = (
    *("text", "pair", "label", "score", "flag", "options", "numbers", "record", "records", "nothing", "record.name"),
    *("options[0]", "options[label]", "numbers[1:]", "records[0].kind", "record['age']", "none", "'a'", "[]", "'a,b'"),
    *("[text, label]", "{'a': text}", "(1, 'b')", "3", "1.5", "true", "x", "loop.index", "ns.a", "text[0]", "day.year"),
)
_PIPES = (
    *("upper", "lower", "title", "trim", "length", "list", "string", "first", "last", "join", "join('-')", "abs"),
    *("int", "float", "round", "round(1)", "default('d')", "default('d', true)", "replace('a', 'b')", "capitalize"),
    *("sort", "sort(reverse=true)", "unique | list", "map('upper') | list", "map(attribute='kind') | list", "max"),
    *("select | list", "reject('none') | list", "selectattr('value') | list", "min", "sum", "reverse | list", "items"),
    *("rejectattr('value', 'gt', 1) | list", "most_frequent", "wordcount", "dictsort", "sort(attribute='value')"),
    *("join(', ', attribute='kind')", "map('default', 'z') | join('/')", "truncate(3)", "sum(attribute='value')"),
    *("select('string') | join", "map('length') | list", "map(attribute='value', default=0) | list", "format(1, 2)"),
)
_METHODS = (
    *("split()", "split('a')", "split('a', 1)", "strip()", "upper()", "replace('a', 'b')", "startswith('a')", "keys()"),
    *("items()", "get('a')", "index('a')", "count('a')", "append(1)", "pop()", "join(['a', 'b'])", "find('a')"),
    *("format(label, text)", "insert(0, text)", "values() | list", "update(a=1)", "lower().strip()", "reverse()"),
)
_OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or")
_TESTS = ("defined", "none", "string", "number", "odd", "mapping", "iterable", "undefined", "sequence", "not true")


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> str:
    value = draw(st.sampled_from(_VALUES))
    if depth == 0:
        return value
    inner = expressions(depth - 1)
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return value
    if kind in (1, 2):
        return f"({draw(inner)} | {draw(st.sampled_from(_PIPES))})"
    if kind == 3:
        return f"({draw(inner)}.{draw(st.sampled_from(_METHODS))})"
    if kind == 4:
        return f"({draw(inner)} {draw(st.sampled_from(_OPERATORS))} {draw(inner)})"
    if kind == 5:
        return f"({draw(inner)} if {draw(inner)} is {draw(st.sampled_from(_TESTS))} else {draw(inner)})"
    return f"{draw(inner)}[{draw(st.sampled_from(['0', '-1', '1:', '::-1', 'label', repr('kind')]))}]"


@st.composite
def statements(draw: st.DrawFn, depth: int = 2) -> str:
    kind = draw(st.integers(0, 8)) if depth else draw(st.integers(0, 1))
    if kind == 0:
        return draw(st.sampled_from(["a ", "\n", " ||| ", "{# x #}", "  \n"]))
    if kind in (1, 2, 3):
        return f"{{{{ {draw(expressions())} }}}}"
    body = "".join(draw(st.lists(statements(depth - 1), max_size=3)))
    value = draw(expressions(1))
    if kind == 4:
        return f"{{% if {value} %}}{body}{{%- else -%}} b {{% endif %}}"
    if kind == 5:
        counters = draw(
            st.sampled_from(["", "{{ loop.index }}", "{{ loop.last }}{{ loop.length }}{{ loop.revindex0 }}"])
        )
        again = draw(st.sampled_from(["", "{{ loop.previtem }}", "{% for y in numbers %}{{ loop.first }}{% endfor %}"]))
        where = draw(st.sampled_from(["", "", " if x"]))
        return f"{{% for x in {value}{where} %}}{counters}{body}{again}{{% else %}}none{{% endfor %}}"
    if kind == 6:
        return f"{{% set x = {value} %}}{body}{{{{ x }}}}"
    if kind == 7:
        return f"{{% set ns = namespace(a=1) %}}{body}{{% set ns.a = {value} %}}{{{{ ns.a }}}}"
    return f"{{% set x %}}{body}{{% endset %}}{{{{ x | length }}}}"


def has_address(text: str) -> bool:
    """Whether a text shows where an object lies in memory, which no two runs agree on."""
    return " at 0x" in text


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # Python's, about code such as 3[0]
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(parts=st.lists(statements(), min_size=1, max_size=4), rows=st.lists(ROWS, min_size=1, max_size=3))
def test_random_templates_on_random_rows(parts: list[str], rows: list[dict[str, Any]]) -> None:
    random_template_agrees(parts, rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(parts=st.lists(statements(), min_size=1, max_size=4), rows=st.lists(ROWS, min_size=1, max_size=3))
def test_many_random_templates_on_random_rows(parts: list[str], rows: list[dict[str, Any]]) -> None:
    random_template_agrees(parts, rows)


def random_template_agrees(parts: list[str], rows: list[dict[str, Any]]) -> None:
    """Renders a template here and by plain Jinja."""
    source = "".join(parts)
    assume(read(source).tree is not None)
    batch = constructs.batch(rows)
    rendered = ForeignTemplate(source).render(batch)
    for row, text, plainly in zip(
        range(len(rows)), rendered.texts, wanted(source, None, batch.to_pylist()), strict=True
    ):
        if text is None:  # over a budget, or a method that is not called: refused where plain Jinja goes on
            reason = next(f for f in rendered.failures if f.row == row)
            assert plainly is None or reason.code == "TSR-T005" or reason.message.startswith("SecurityError"), reason
        else:
            assert text == plainly or (plainly is not None and any(map(has_address, plainly)))


def test_picks_are_those_of_the_row_whatever_the_batch() -> None:
    rows = constructs.rows(600)
    for source, choices in constructs.PICKS:
        template = ForeignTemplate(source, choices)
        whole = template.render(constructs.batch(rows)).texts
        assert whole == template.render(constructs.batch(rows)).texts
        assert whole[100:] == template.render(constructs.batch(rows[100:]), range(100, 600)).texts
        assert whole != ForeignTemplate(source, choices, seed=1).render(constructs.batch(rows)).texts
        assert None not in whole


def test_picks_are_even_and_lie_among_the_items() -> None:
    batch = constructs.batch(constructs.rows(3000))
    template = ForeignTemplate("{{ ['a', 'b', 'c'] | choice }}{{ ['a', 'b', 'c'] | random }}")
    counts = Counter(text for texts in template.render(batch).texts for text in texts or ())
    assert set(counts) == {a + b for a in "abc" for b in "abc"}
    assert min(counts.values()) > 250
    assert ForeignTemplate("{{ [] | random }}.").render(batch.slice(0, 1)).texts == [(".",)]
    assert ForeignTemplate("{{ [] | choice }}.").render(batch.slice(0, 1)).texts == [None]


def test_a_separator_in_the_data_cuts_nothing() -> None:
    batch = pa.RecordBatch.from_pylist([{"text": "a ||| b", "parts": ["x ||| y"]}])
    assert ForeignTemplate("{{ text }} ||| t").render(batch).texts == [("a ||| b", "t")]
    assert ForeignTemplate("{{ parts[0] }} ||| t").render(batch).texts == [("x", "y", "t")]  # as in its home
    assert ForeignTemplate("{{ text }} ||| t\n", separator=None).render(batch).texts == [("a ||| b ||| t",)]
    assert ForeignTemplate(" {{ nothing }} ").render(batch).texts == [("",)]


def test_choices_come_first_and_are_none_without() -> None:
    batch = pa.RecordBatch.from_pylist([{"text": "a"}])
    assert ForeignTemplate("{{ answer_choices }}").render(batch).texts == [("None",)]
    assert ForeignTemplate("{{ answer_choices }}", "{{ text }} ||| b|||").render(batch).texts == [("['a', 'b', '']",)]
    with pytest.raises(ValueError, match="answer_choices"):
        ForeignTemplate("x", "a ||| b").render(pa.RecordBatch.from_pylist([{"answer_choices": "a"}]))
    assert ForeignTemplate("x").render(pa.RecordBatch.from_pylist([])).texts == []


def test_a_list_of_a_row_that_a_template_changes_is_that_rows_own() -> None:
    batch = constructs.batch(constructs.rows(3))
    template = ForeignTemplate("{{ options.append('z') }}{{ options | last }}{{ options | length }}")
    assert template.render(batch).texts == template.render(batch).texts == [("Nonez5",), ("Nonez6",), ("Nonez7",)]


TELLING = ("<class", "<function", "<built-in", "<bound", "<module", "<slot", "<method", "root:", "uid=", "0x")


@pytest.mark.parametrize("source", ESCAPES)
def test_no_escape_reaches_python(source: str) -> None:
    row = {"text": "t", "options": ["a", "b"], "entities": [{"type": "x"}], "ask": None, "languages": {"en": "English"}}
    try:
        rendered = ForeignTemplate(source).render(pa.RecordBatch.from_pylist([row]))
    except FindingsError as exc:
        assert {problem.code for problem in exc.problems} <= {"TSR-T001", "TSR-T002", "TSR-T004", "TSR-T005"}
        return
    for texts in rendered.texts:
        assert texts is None or not any(word in text for text in texts for word in TELLING), texts


ATTACKS = [
    "{{ {'__class__': 1}.__class__ }}",
    "{{ record['__cla' ~ 'ss__'] }}{{ ''['__cla' ~ 'ss__'] }}",
    "{{ records | map(attribute='__class__') | list }}",
    "{{ records | map(attribute='kind.__class__.__mro__') | list }}",
    "{{ records | sum(attribute='__class__') }}",
    "{{ options | sort(attribute='__class__.__name__') }}",
    "{{ options | join(attribute='__class__') }}",
    "{{ options | selectattr('__class__') | list }}",
    "{{ options | map('attr', '__class__') | list }}",
    "{{ options | map('pprint') | list }}",
    "{{ options | select('callable') | list }}",
    "{{ options | map('.append') | list }}",
    "{{ '{0.__class__}'.format(text) }}",
    "{{ '{x.__init__.__globals__}'.format(x=text) }}",
    "{{ '{0[__class__]}'.format(text) }}",
    "{{ '{:{}}'.format('x', 99999) }}",
    "{{ '{0.append}'.format(options) }}",
    "{{ (options | map('upper')).gi_frame }}",
    "{{ (options | map('upper'))['gi_frame'] }}",
    "{{ zip(options, options).__self__ }}",
    "{% for o in options if true %}{{ loop['_iterator'] }}{{ loop['__init__'] }}{% endfor %}",
    "{% for o in options if true %}{{ loop.cycle }}{% endfor %}",
    "{% set ns = namespace() %}{{ ns['__init__'] }}{{ ns.values }}{{ ns['__cla' ~ 'ss__'] }}",
    "{{ namespace['__init__'] }}",
    "{{ namespace }}{{ range }}{{ dict }}{{ zip }}",
    "{{ _called_range }}",
    "{{ range['__class__'] }}{{ dict.fromkeys }}",
    "{{ text['format'] }}",
    "{{ options['append'] }}",
    "{{ options.append }}",
    "{{ day.__class__ }}",
    "{{ day['today'] }}",
]


@pytest.mark.parametrize("source", ATTACKS)
def test_no_attack_on_the_wider_syntax_reaches_python(source: str) -> None:
    try:
        rendered = ForeignTemplate(source).render(constructs.batch(constructs.rows(2)))
    except FindingsError as exc:
        assert {problem.code for problem in exc.problems} <= {"TSR-T002", "TSR-T004"}
        return
    for texts in rendered.texts:
        assert texts is None or not any(word in text for text in texts for word in TELLING), texts


WIDER_BOMBS = [
    "{{ 'x' * 1000000000 }}",
    "{{ text * 1000000000 }}",
    "{{ [1] * 1000000000 }}",
    "{{ 1000000000 * (text,) }}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ 2 ** 99999 }}",
    "{% set ns = namespace(x=7) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x | replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x | list | join(ns.x) %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x.join(ns.x) %}{% endfor %}",
    "{{ range(1000000000) | list }}",
    "{{ range(1000000000) | sum }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{{ i }} and some more text here{% endfor %}",
    "{% set l = [1] %}{% for i in l %}{% set _ = l.append(i) %}{% endfor %}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%*d' % (999999999, 1) }}",
    "{{ '%.999999999f' % 1.0 }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ '{:999999999}'.format(1) }}",
    "{{ '{:{}}'.format(1, 999999999) }}",
    "{{ 1.5 | round(1000000000, 'floor') }}",
]


@pytest.mark.parametrize("source", list(dict.fromkeys([*WIDER_BOMBS, *BOMBS])), ids=lambda source: source[:40])
def test_bombs_are_refused_or_meet_a_budget(source: str) -> None:
    try:
        rendered = ForeignTemplate(source).render(constructs.batch(constructs.rows(1)))
    except FindingsError as exc:
        assert {problem.code for problem in exc.problems} <= {"TSR-T001", "TSR-T002", "TSR-T004", "TSR-T005"}
        assert source not in WIDER_BOMBS
        return
    assert rendered.texts == [None] or source not in WIDER_BOMBS
    assert all(len(text) < 1 << 20 for texts in rendered.texts for text in texts or ())


def test_names_that_may_be_called_are_the_rows_own_where_they_are_not() -> None:
    batch = pa.RecordBatch.from_pylist([{"zip": "10115", "range": [1, 2]}])
    template = ForeignTemplate("{{ zip }} {{ range[1] }} {% for a, b in zip(range, range) %}{{ a + b }}{% endfor %}")
    assert template.render(batch).texts == [("10115 2 24",)]


@pytest.mark.parametrize(
    "source",
    ["{% for loop in options %}{% endfor %}", "{% for o in options %}{% set loop = 1 %}{{ loop }}{% endfor %}"],
)
def test_what_jinja_refuses_to_compile_is_refused(source: str) -> None:
    with pytest.raises(FindingsError) as caught:
        ForeignTemplate(source)
    assert caught.value.problems[0].code == "TSR-T001"


def test_what_is_not_known_is_refused_with_its_line() -> None:
    with pytest.raises(FindingsError) as caught:
        ForeignTemplate(
            "a\n{{ text | uper }}\n{% include 'x' %}{{ text.encode() }}{{ text is callable }}{{ cycler() }}"
        )
    problems = [(problem.code, problem.message) for problem in caught.value.problems]
    assert [code for code, _ in problems] == ["TSR-T004", "TSR-T002", "TSR-T004", "TSR-T004", "TSR-T004"]
    assert problems[0][1] == 'template, line 2: imported templates have no filter "uper"'
    with pytest.raises(FindingsError, match="answer_choices, line 1"):
        ForeignTemplate("x", "{{ a.b() }}")


def test_the_environment_is_apart_from_ours_and_closed() -> None:
    assert ENVIRONMENT is not OURS
    assert set(ENVIRONMENT.globals) == {"_called_dict", "_called_namespace", "_called_range", "_called_zip"}
    assert set(FILTERS) <= set(ENVIRONMENT.filters)
    assert set(ENVIRONMENT.tests) == set(TESTS)
    assert not {"attr", "callable", "eval", "pprint", "safe"} & (set(ENVIRONMENT.filters) | set(ENVIRONMENT.tests))
    assert not any(name.startswith("_") for names in METHODS.values() for name in names)
