"""Templates tried on examples: each finding has a template that has it, and one beside it that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prompting_rows import batch, profile

from tasksource_reg.authoring.template_check import (
    Case,
    check_alike,
    check_origin,
    check_same,
    check_template,
    usable_cases,
    with_each_answer,
)
from tasksource_reg.authoring.template_draft import _BODIES, stand_in
from tasksource_reg.authoring.template_words import likeness, printed, words
from tasksource_reg.prompting.library import TemplateLibrary
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.render import Renderer
from tasksource_reg.schemas import SCHEMAS

LABELS = ("yes it is", "not_sure")
PAIR = {"text": "The shop is open.", "text_pair": "It sells bread.", "label": 1}
CHOICE = {"question": "Who came?", "context": "A bell rang.", "choices": ["Ana", "Ben", "the postman"], "gold": 2}
SHOWN = "{{ text }} {{ text_pair }} Say {{ options | one_of }}."


def template(prompt: str, response: str = "{{ answer }}", schema: str = "classification", **more: Any) -> Template:
    return Template("own/one", "own", schema, prompt, response, **more)


def case(schema: str, *rows: dict[str, Any]) -> Case:
    mapped = frozenset(name for row in rows for name in row)
    return Case(profile(schema, labels=LABELS), mapped, batch(schema, list(rows)))


def found(one: Template, *rows: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(p.code, p.column) for p in check_template(one, [case(one.schema, *rows or (PAIR,))])]


ASKED = "{{ text }} {{ text_pair }}"
LISTED = "{{ text }} {{ text_pair }} {{ options | one_of }}"
FINDINGS: list[tuple[Template, Template, str, str | None]] = [
    (template(SHOWN), template(SHOWN + "{{ ask }}"), "TSR-T009", None),
    (template(SHOWN), template(SHOWN, "{{ ask | then('') }}"), "TSR-T008", None),
    (template(SHOWN), template(SHOWN + " "), "TSR-T011", "prompt"),
    (template(SHOWN + "\n", joint=""), template(SHOWN + " ", joint=""), "TSR-T011", "prompt"),
    (template(SHOWN), template(SHOWN, "{{ answer }} "), "TSR-T011", "response"),
    (template(SHOWN, " {{ answer }}", joint=""), template(SHOWN, " {{ answer }}"), "TSR-T011", "joint"),
    (template(SHOWN + " So", " {{ answer }}", joint=""), template(SHOWN + " So", joint=""), "TSR-T011", "joint"),
    (template(SHOWN), template("{{ text }} {{ text_pair }} {{ ask or '' }} Say so."), "TSR-T011", "blanks"),
    (template(LISTED, options_shown=True), template(ASKED, options_shown=True), "TSR-T012", "options"),
    (template(LISTED, options_shown=True), template(LISTED, "{{ text }}", options_shown=True), "TSR-T012", "response"),
    (template(ASKED, options_shown=False), template(ASKED + " {{ label }}", options_shown=False), "TSR-T012", "answer"),
    (template(ASKED, options_shown=False), template(LISTED, options_shown=False), "TSR-T012", "options"),
    (template(SHOWN), template("{{ text }} Say {{ options | one_of }}."), "TSR-T013", "text_pair"),
    (template(SHOWN, "{{ answer }}"), template(SHOWN, "fine"), "TSR-T006", "response"),
    (template(LISTED, options_shown=True), template(LISTED + " {{ label }}", options_shown=True), "TSR-T012", "answer"),
    (template(ASKED, options_shown=False), template(ASKED + " Not sure?", options_shown=False), "TSR-T012", "label"),
    (
        template("{{ options | lettered }} " + ASKED, "{{ answer_letter }}", options_shown=True),
        template("{{ options | bulleted }} " + ASKED, "{{ answer_letter }}", options_shown=True),
        "TSR-T012",
        "letter",
    ),
    (template(SHOWN, joint=""), template(SHOWN + "\n\n", "\n{{ answer }}", joint=""), "TSR-T011", "joint"),
    (template(SHOWN), template("{{ text }} \n{{ text_pair }} Say {{ options | one_of }}."), "TSR-T011", "blanks"),
    (template(SHOWN), template("{{ text }}\n\n\n{{ text_pair }} Say {{ options | one_of }}."), "TSR-T011", "blanks"),
]


@pytest.mark.parametrize(("good", "bad", "code", "column"), FINDINGS)
def test_each_finding(good: Template, bad: Template, code: str, column: str | None) -> None:
    assert found(good) == []
    assert (code, column) in found(bad)


@pytest.mark.parametrize(
    "fine",
    [
        template('{"a": {{ text | json }}, "b": {{ text_pair | json }}}'),
        template("{{ text | upper }} {{ text_pair | lower }}"),
        template("{{ text }}\n{{ text_pair }}\n{{ options | join(', ') | replace('_', ' ') }}", options_shown=True),
        template("{{ text }} {{ text_pair }} {{ options | lettered }}", "{{ answer_letter }}", options_shown=True),
        template("Say why it is {{ label }}.", "{{ text }}", inverted=True, options_shown=False),
    ],
)
def test_what_is_fine(fine: Template) -> None:
    """Fields may take another form, and an inverted template shows the label."""
    row = {"text": 'He said "no"\nand  left.', "text_pair": "It is_so.", "label": 1}
    assert found(fine, row) == []


def test_the_rows_own_words_are_not_held_against_a_template() -> None:
    row = {**PAIR, "text": "yes it is  "}
    assert found(template("{{ text_pair }} {{ text }}", options_shown=False), row) == []


def test_choices_and_what_is_in_their_place() -> None:
    shown = "{{ context }} {{ question }} {{ options | lettered }}"
    hidden = "{{ context }} {{ question }}"
    multiple = {"schema": "multiple_choice"}
    assert found(template(shown, options_shown=True, **multiple), CHOICE) == []
    assert found(template(hidden, options_shown=False, **multiple), CHOICE) == []
    assert found(template(hidden, **multiple), CHOICE) == []
    assert ("TSR-T012", "options") in found(template(hidden, options_shown=True, **multiple), CHOICE)
    told = template(hidden + " It was {{ choices[gold] }}.", options_shown=False, **multiple)
    assert found(told, CHOICE) == [("TSR-T012", "answer")]
    other = template("{{ context }} {{ question }} Not {{ choices[0] }}man.", options_shown=False, **multiple)
    assert found(other, CHOICE) == []


def test_several_labels_are_looked_for_one_by_one() -> None:
    row = {"text": "Bread and tea.", "labels": [0, 1]}
    listed = template(
        "{{ text }} {{ options | bulleted }}", "{{ labels | join('\n') }}", "multi_label", options_shown=True
    )
    assert found(listed, row) == []
    half = template("{{ text }} {{ options | bulleted }}", "{{ labels[0] }}", "multi_label", options_shown=True)
    assert found(half, row) == [("TSR-T012", "response")]


def test_every_label_is_tried_and_not_only_those_of_the_examples() -> None:
    """The one row is "not_sure"; that "yes it is" gets no response of its own shows all the same."""
    merged = template(SHOWN, "{% if label == 'not_sure' %}{{ answer }}{% else %}not sure{% endif %}")
    assert ("TSR-T006", "response") in found(merged)
    empty = template(SHOWN, "{% if label == 'not_sure' %}{{ answer }}{% endif %}")
    assert ("TSR-T008", None) in found(empty)


def test_a_row_with_each_answer_in_turn() -> None:
    def each(schema: str, row: dict[str, Any]) -> list[dict[str, Any]]:
        return with_each_answer(batch(schema, [row]), profile(schema, labels=LABELS)).to_pylist()

    assert [row["label"] for row in each("classification", PAIR)] == [0, 1]
    assert [row["labels"] for row in each("multi_label", {"text": "a", "labels": []})] == [[0], [1]]
    several = {**CHOICE, "gold": None, "golds": [0, 1]}
    assert [(row["gold"], row["golds"]) for row in each("multiple_choice", several)] == [
        (0, None),
        (1, None),
        (2, None),
    ]
    assert each("generation", {"input": "a", "target": "b"}) == []


def test_the_answer_in_the_prompt_of_a_schema_without_options() -> None:
    row = {"input": "Who came?", "target": "the postman"}
    assert found(template("{{ input }}", "{{ target }}", "generation"), row) == []
    told = template("{{ input }} It was {{ target }}.", "{{ target }}", "generation")
    assert found(told, row) == [("TSR-T012", "answer")]
    reasons = template("{{ input }} It was {{ target }}. Why?", "{{ rationale }}", "generation")
    assert found(reasons, {**row, "rationale": "He had a letter."}) == []


def test_what_a_task_asks_is_shown_or_waived() -> None:
    row = {**PAIR, "ask": "Does the shop sell bread?"}
    told = {"yes it is": "Yes, the shop is open", "not_sure": "Who knows"}
    assert found(template(SHOWN + " {{ ask }}"), row) == []
    assert found(template(SHOWN), row) == [("TSR-T013", "ask")]
    assert found(template(SHOWN, answers=told), row) == []
    assert found(template(SHOWN, languages=("de",)), row) == []


def test_rows_without_what_a_template_needs_are_tried_only_where_no_row_has_it() -> None:
    """Then they get a stand-in, so that the template is seen at all."""
    needy = template("{{ text }} {{ text_pair }} {{ rationale }}", needs=("rationale",))
    short = {**PAIR, "rationale": "So it says."}
    assert found(needy, short) == []
    assert found(template("{{ text }}", needs=("rationale",)), PAIR) == [("TSR-T013", "text_pair")]
    unlike = {"text": "A.", "text_pair": "Too  wide. ", "label": 0}
    spaced = template("{{ text }}  {{ text_pair }} {{ rationale }}", needs=("rationale",))
    assert found(spaced, {**unlike, "rationale": "So it says."}, PAIR) == []


def test_a_template_that_no_task_can_use_is_tried_on_tasks_that_could(tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "families"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text("format: 1\nfamily: own\nlabels: open\ntemplates: []\n")
    library = TemplateLibrary([tmp_path])
    english = case("classification", PAIR)
    assert usable_cases(template(SHOWN), [english], library)[0].profile.family == "own"
    (tried,) = usable_cases(template(SHOWN, languages=("de",)), [english], library)
    assert tried.profile.languages == ("de",)
    assert usable_cases(template(SHOWN, schema="score"), [english], library) == []


def test_words_are_what_the_texts_print_and_the_names_they_take() -> None:
    one = template(
        "{% if ask == 'no' %}Say:{% endif %} {{ text | replace('a', 'b') }} {{ ask or 'Is it so?' }}", "到此"
    )
    assert words(one) == ("{ask}", "say", "{text}", "a", "b", "{ask}", "is", "it", "so", "到", "此")
    assert printed(one.prompt).split() == ["Say:", "a", "b", "Is", "it", "so?"]


def test_likeness_is_the_larger_of_two_overlaps() -> None:
    turned = [template("one two three", "four"), template("four three two", "one")]
    assert likeness(*turned) == 1
    assert likeness(template("a a a a a b", "c"), template("a a a a a d", "e")) == pytest.approx(5 / 7)
    assert likeness(template("a", "b"), template("c", "d")) == 0


def test_templates_of_two_files_with_the_same_texts() -> None:
    one, two = template(SHOWN), Template("more/one", "more", "classification", SHOWN, "{{ answer }}")
    assert [p.code for p in check_same([one, two])] == ["TSR-T014"]
    assert check_same([one, Template("more/one", "more", "classification", SHOWN + "!", "{{ answer }}")]) == []


def test_templates_that_are_nearly_the_same() -> None:
    words = "Read the text below and say in one word what its writer thinks of the shop: {{ text }}"
    one, two = (
        template(words),
        Template("own/two", "own", "classification", words.replace("shop", "store"), "{{ answer }}"),
    )
    assert [p.code for p in check_alike([one, two])] == ["TSR-T014"]
    other = Template(
        "own/two", "own", "classification", "{{ text }} How does the writer like the shop?", "{{ answer }}"
    )
    assert check_alike([one, other]) == []
    german = Template("own/two", "own", "classification", words, "{{ answer }}", languages=("de",))
    assert check_alike([one, german]) == []


def test_a_translation_names_what_it_was_made_from() -> None:
    one = template(SHOWN)
    assert check_origin(template(SHOWN, origin="translated from own/one"), {one.id: one}) == []
    assert check_origin(template(SHOWN, origin="written by hand"), {}) == []
    (problem,) = check_origin(template(SHOWN, origin="translated from own/on"), {one.id: one})
    assert problem.code == "TSR-T015" and "own/one" in problem.advice


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_draft_of_every_schema_renders_cleanly(schema: str) -> None:
    from prompting_rows import rows

    prompt, response = _BODIES[schema]
    draft = Template("own/draft", None, schema, prompt, response)
    assert Renderer(stand_in(draft, {}), draft).path == "columnar"
    made = Renderer(profile(schema), draft).render(batch(schema, rows(schema)))
    assert not made.failures and all(text.strip() for text in made.prompt.to_pylist())
