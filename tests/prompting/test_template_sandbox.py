"""The closed syntax: escapes and bombs are refused before they run, or by a budget of the row."""

from __future__ import annotations

import pytest
from payloads import BOMBS, ESCAPES, ROW_BOMBS, ROW_REFUSED, SCOPE, outcome

from tasksource_reg.prompting.environment import MAX_OUTPUT, ROW_ERRORS, compiled, render_text
from tasksource_reg.prompting.filters import BudgetError
from tasksource_reg.prompting.render import PATHS
from tasksource_reg.prompting.syntax import inspect


@pytest.mark.parametrize(("source", "code"), ESCAPES.items(), ids=lambda value: value[:40])
def test_an_escape_is_refused_before_it_runs(source: str, code: str) -> None:
    inspection = inspect(source, SCOPE)
    assert inspection.tree is None
    assert inspection.findings[0].code == code
    if code != "TSR-T003":  # names are looked up later, in the scope of the schema
        with pytest.raises(ValueError, match="did not pass inspection"):
            compiled(source)


@pytest.mark.parametrize(("source", "code"), BOMBS.items(), ids=lambda value: value[:40])
def test_a_bomb_is_refused_before_it_runs(source: str, code: str) -> None:
    findings = inspect(source, SCOPE).findings
    assert findings[0].code == code
    assert len(findings) < 5000


def test_there_are_at_least_sixty_payloads_and_codes_are_of_four_kinds() -> None:
    assert len(ESCAPES) + len(BOMBS) + len(ROW_BOMBS) + len(ROW_REFUSED) >= 250
    assert set(ESCAPES.values()) == {"TSR-T001", "TSR-T002", "TSR-T003", "TSR-T004"}
    assert set(BOMBS.values()) == {"TSR-T001", "TSR-T002", "TSR-T005"}


@pytest.mark.parametrize("source", ROW_BOMBS, ids=lambda source: source[:40])
def test_a_bomb_that_needs_a_row_meets_a_budget_on_every_path(source: str) -> None:
    assert inspect(source).findings == ()
    assert [outcome(source, path) for path in PATHS] == ["left to jinja", "left to jinja", "TSR-T005"]


@pytest.mark.parametrize("source", ROW_REFUSED)
def test_what_passes_reading_reaches_no_attribute_of_python(source: str) -> None:
    assert inspect(source).findings == ()
    assert [outcome(source, path) for path in PATHS] == ["left to jinja", "left to jinja", "TSR-T009"]


def test_output_up_to_the_budget_passes() -> None:
    assert len(render_text("{{ text }}", {"text": "x" * MAX_OUTPUT})) == MAX_OUTPUT
    with pytest.raises(BudgetError):
        render_text("{{ text }}.", {"text": "x" * MAX_OUTPUT})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ value }}", "null is printed"),
        ("{{ value ~ '!' }}", "null"),
        ("{{ value | upper }}", "null"),
        ("{{ value.strip() }}", "null"),
        ("{{ value.part }}", "null has no"),
        ("{{ value[0] }}", "no item 0"),
        ("{{ value[1:] }}", "null"),
        ("{{ value | join }}", "null"),
        ("{{ value | length }}", "null"),
        ("{{ value | rounded(1) }}", "null"),
        ("{% for x in value %}{% endfor %}", "null"),
        ("{{ value < 1 }}", "null cannot be compared"),
        ("{{ items }}", "a list is printed"),
        ("{{ record }}", "a record is printed"),
        ("{{ record.other }}", "other"),
        ("{{ record.keys }}", "keys"),
        ("{{ record['other'] }}", "other"),
        ("{{ items[9] }}", "no item 9"),
        ("{{ items.real }}", 'a list has no "real"'),
        ("{{ text.real }}", 'a text has no "real"'),
        ("{{ number.real }}", 'a number has no "real"'),
        ("{{ items.strip() }}", "strip is a list"),
        ("{{ missing }}", "'missing' is undefined"),
        ("{% for c in text %}{{ c }}{% endfor %}", "a loop needs a list"),
        ("{{ languages[value] }}", "no item"),
        ("{{ items | join(value) }}", "null"),
        ("{{ nulls | join(', ') }}", "null"),
        ("{% if items[9] %}{% endif %}", "no item 9"),
        ("{{ text.split('') }}", "separator is empty"),
    ],
)
def test_what_has_no_text_is_an_error_of_the_row(source: str, message: str) -> None:
    row = {
        "value": None,
        "items": ["a"],
        "nulls": ["a", None],
        "record": {"text": "x"},
        "text": "t",
        "number": 3,
        "languages": {"en": "English"},
    }
    with pytest.raises(ROW_ERRORS, match=message):
        render_text(source, row)
    assert "None" not in source


def test_findings_carry_line_and_word_and_all_are_reported() -> None:
    findings = inspect("a\n{{ txt }}\n{{ text | uper }}\n{% include 'x' %}", SCOPE).findings
    assert [(f.code, f.line) for f in findings] == [("TSR-T004", 3), ("TSR-T002", 4)]
    assert findings[0].fix == 'did you mean "upper"?'
    (finding,) = inspect("a\n{{ txt }}", SCOPE).findings
    assert (finding.code, finding.line, finding.word, finding.fix) == ("TSR-T003", 2, "txt", 'did you mean "text"?')


@pytest.mark.parametrize(
    ("source", "fine"),
    [
        ("{% if ask %}{% set x = ask %}{% endif %}{{ x }}", False),
        ("{% for y in options %}{% set x = y %}{% endfor %}{{ x }}", False),
        ("{% for y in options %}{% endfor %}{{ y }}", False),
        ("{% if ask %}{% set x = ask %}{% else %}{% set x = text %}{% endif %}{{ x }}", False),
        ("{% set x = text %}{% set x = x ~ 1 %}{% if ask %}{% set x = ask %}{% endif %}{{ x }}", True),
        ("{% for ask in options %}{{ ask }}{% endfor %}{{ ask }}", True),
    ],
)
def test_a_name_set_in_a_branch_or_loop_is_not_used_outside(source: str, fine: bool) -> None:
    findings = inspect(source, SCOPE).findings
    assert [(f.code, f.fix) for f in findings] == (
        [] if fine else [("TSR-T003", "set it before the if, and outside the loop")]
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ text | join('a', 'b') }}", '"join" takes 0 to 1 arguments, and got 2'),
        ("{{ text | then }}", '"then" takes 1 argument, and got 0'),
        ("{{ text.startswith() }}", '"startswith" takes 1 argument, and got 0'),
    ],
)
def test_the_number_of_arguments_is_checked_at_load(source: str, message: str) -> None:
    (finding,) = inspect(source, SCOPE).findings
    assert finding.code == "TSR-T004"
    assert message in finding.message


def test_a_text_that_did_not_pass_is_never_compiled() -> None:
    with pytest.raises(ValueError, match="did not pass inspection"):
        compiled("{{ text.__class__ }}")
