"""`tsr fmt`: one canonical text for one content, comments with what they stand beside, the same meaning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tasksource_reg.authoring.fmt import format_file, format_text, same_meaning
from tasksource_reg.errors import FindingsError
from tasksource_reg.yaml_reader import parse

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted(
    path
    for folder in ("annotations", "templates", "mixtures", "tasksource_reg/demo/annotations")
    for path in (ROOT / folder).rglob("*.yaml")
)


def fmt(text: str) -> str:
    return format_text(text, "test.yaml")


# Keys, styles, widths


def test_keys_of_files_and_tasks_stand_in_the_order_of_the_format() -> None:
    text = """
tasks:
- examples: []
  fields: {label: label, text: a}
  config: x
  for_each: {lang: [en, de]}
  id: t/$(lang)
cite: someone2020
license: {evidence: [{says: mit, where: hub card}], spdx: MIT}
schema: classification
dataset: a/b
format: 1
"""
    assert (
        fmt(text)
        == """\
format: 1
dataset: a/b
license: {spdx: MIT, evidence: [{where: hub card, says: mit}]}
cite: someone2020
schema: classification
tasks:
  - id: t/$(lang)
    for_each: {lang: [en, de]}
    config: x
    fields: {text: a, label: label}
    examples: []
"""
    )


def test_ops_stand_before_their_arguments_and_because_last() -> None:
    text = "dataset: d\nwhere: [{because: none, length: {at_least: 1}, of: {sep: x, join: a}}]\n"
    assert fmt(text) == "dataset: d\nwhere: [{of: {join: a, sep: x}, length: {at_least: 1}, because: none}]\n"


def test_data_keeps_its_order() -> None:
    text = "dataset: d\nfields:\n  label: {map: label, to: {z: b, a: c}}\nsplits: {test: x, dev: z}\n"
    assert fmt(text) == "dataset: d\nsplits: {test: x, dev: z}\nfields:\n  label: {map: label, to: {z: b, a: c}}\n"


def test_a_line_has_120_columns_and_no_more() -> None:
    fits = "dataset: d\nunused: [" + ", ".join(["a" * 10] * 9) + ", " + "b" * 2 + "]\n"
    assert max(map(len, fits.splitlines())) == 120
    assert fmt(fits) == fits
    assert fmt(fits.replace("bb", "bbb")) == "dataset: d\nunused:\n" + "  - aaaaaaaaaa\n" * 9 + "  - bbb\n"


def test_template_and_mixture_files_have_their_own_order() -> None:
    template = "templates:\n- {response: x, prompt: p, id: f/a, form: question}\nfamily: f\nformat: 1\n"
    assert fmt(template) == (
        "format: 1\nfamily: f\ntemplates:\n  - id: f/a\n    form: question\n    prompt: p\n    response: x\n"
    )
    mixture = 'shape: text\nparts: [{share: 0.5, select: "family:nli"}]\nmixture: m\n'
    assert fmt(mixture) == 'mixture: m\nparts:\n  - {select: "family:nli", share: 0.5}\nshape: text\n'


# Scalars


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("'plain text'", "plain text"),
        ('"yes"', '"yes"'),
        ("'010'", '"010"'),
        ('"2024-05-01"', '"2024-05-01"'),
        ("'a, b'", "a, b"),
        ("'a: b'", '"a: b"'),
        ("'say \"so\"'", 'say "so"'),
        ("'\"so\" it was'", "'\"so\" it was'"),
        ('"it\'s"', "it's"),
        ('"caf\\u00e9"', "café"),
        ('"a\\u00a0b"', '"a\\xa0b"'),
        ('"\\ufe0f"', '"\\ufe0f"'),
        ('"a\\\\n"', '"a\\\\n"'),
        ("''", '""'),
        ("1.50", "1.50"),
        ("", "null"),
        ("[ ]", "[]"),
    ],
)
def test_text_is_quoted_only_where_it_must_be(written: str, canonical: str) -> None:
    assert fmt(f"dataset: d\ntitle: {written}\n") == f"dataset: d\ntitle: {canonical}\n"


def test_text_with_commas_or_question_marks_is_quoted_in_flow_only() -> None:
    assert fmt("dataset: d\nask: 'Why?'\nunused: ['Why?', 'a, b']\n") == (
        'dataset: d\nask: Why?\nunused: ["Why?", "a, b"]\n'
    )


def test_block_text_stays_to_the_byte() -> None:
    text = """\
family: f
templates:
  - id: f/a
    prompt: |-
      {{ text }}

        indented, and  spaces
      # no comment
    response: |
      one line end
"""
    assert fmt(text) == text
    deeper = text.replace("\n      ", "\n          ").replace("          one", "        one")
    assert fmt(deeper) == text


@given(st.text(alphabet=" a\n\t#:|-", min_size=1))
@example("\n a")
@example(" \n\na\n\n")
def test_block_text_of_any_form_keeps_its_meaning(text: str) -> None:
    written = f"dataset: d\ntitle: {yaml.dump(text, default_style='|', allow_unicode=True, width=10**6)}"
    assume(not parse(written, "x").problems)
    out = parse(fmt(written), "x").require().plain()
    assert out == parse(written, "x").require().plain()


# Comments


def test_comments_stay_with_what_they_stand_beside() -> None:
    text = """\
# What this file is.
format: 1
dataset: d
tasks: # all of them
  # About the first.
  - id: a   # its id
    fields:
      # About the label.
      label: {map: x, to: {1: a}} # a map
      text: t
      # The end of the fields.
    # The end of the first.
  - # About the second.
    id: b
    where: [
      # inside
      {of: a, equals: 1, because: c}, # beside
      # the end
    ]
schema: classification # its schema
# The end.
"""
    assert (
        fmt(text)
        == """\
# What this file is.
format: 1
dataset: d
schema: classification # its schema
tasks: # all of them
  # About the first.
  - id: a # its id
    fields:
      text: t
      # About the label.
      label: {map: x, to: {1: a}} # a map
      # The end of the fields.
    # The end of the first.
  # About the second.
  - id: b
    where:
      # inside
      - {of: a, equals: 1, because: c} # beside
      # the end
# The end.
"""
    )


def test_a_comment_on_the_header_of_block_text_is_kept() -> None:
    text = "family: f\ntemplates:\n  - id: f/a\n    prompt: |- # as in the paper\n      # a\n    response: x\n"
    assert fmt(text) == text


def test_a_file_on_one_line_keeps_its_comments() -> None:
    assert fmt("{dataset: d, format: 1} # beside\n# below\n") == "format: 1\ndataset: d # beside\n# below\n"


# Meaning


KEYS = ["format", "dataset", "id", "fields", "let", "where", "tasks", "examples", "license", "map", "of", "because"]
ODD = ["yes", "010", "1e3", "a: b", "a #b", "- a", "?", "{x}", "null", "~", "", " a", "a ", "<<", "'", '"', "\\n"]
TEXTS = st.text(max_size=12) | st.sampled_from([*ODD, "\u2028", "\x85", "\u200d", "\ufe0f"])
SCALARS = TEXTS | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | TEXTS, inner, max_size=4),
    max_leaves=20,
)
FILES = st.fixed_dictionaries({"dataset": st.just("d")}, optional=dict.fromkeys(KEYS[2:], VALUES))


def dumped(value: Any, **style: Any) -> str:
    """A value as PyYAML writes it, if the strict reader takes it."""
    text: str = yaml.dump(value, sort_keys=False, allow_unicode=True, **style)
    assume(not parse(text, "x").problems)
    return text


@given(FILES)
def test_the_form_depends_on_the_content_alone(content: dict[str, Any]) -> None:
    flow = fmt(dumped(content, default_flow_style=True, width=10**6))
    tall = fmt(dumped(content, default_flow_style=False, indent=5))
    assert flow == tall


@given(FILES, st.data())
def test_fmt_is_idempotent_and_keeps_meaning_and_comments(content: dict[str, Any], data: st.DataObject) -> None:
    style = data.draw(st.sampled_from([True, False, None])), data.draw(st.sampled_from([20, 10**6]))
    lines = dumped(content, default_flow_style=style[0], width=style[1]).rstrip("\n").split("\n")
    for number in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(lines)))
        if data.draw(st.booleans()) or at == len(lines):
            lines.insert(at, " " * data.draw(st.integers(0, 8)) + f"# comment {number}")
        else:
            lines[at] += f" # comment {number}"
    text = "\n".join(lines) + "\n"
    before = parse(text, "x")
    assume(not before.problems)
    once = fmt(text)
    assert fmt(once) == once
    assert same_meaning(before.require(), parse(once, "x").require())
    assert sorted(re.findall(r"# comment \d", text)) == sorted(re.findall(r"# comment \d", once))


@pytest.mark.parametrize("text", ["dataset: [", "dataset: d\ndataset: e\n", "dataset: yes\n", "a: 1\n", "- 1\n"])
def test_a_file_with_problems_is_refused(text: str) -> None:
    with pytest.raises(FindingsError):
        fmt(text)


# The project's own files


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_projects_files_are_canonical(path: Path) -> None:
    assert not format_file(path).changed, f"run `tsr fmt {path.relative_to(ROOT)}`"


@pytest.mark.parametrize("inner", ["''", "'', b"])
def test_a_comment_inside_the_first_entry_of_an_entry_moves_above_it_at_once(inner: str) -> None:
    text = f"dataset: d\nid: [a, [\n# why\n{inner}]]\n"
    once = fmt(text)
    assert fmt(once) == once == f"dataset: d\nid:\n  - a\n  # why\n  - [{inner}]\n".replace("''", '""')
