"""The row path's functions: what code they hold, and which rows they leave to Jinja."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from template_grammar import ROWS, templates

from tasksource_reg.prompting.environment import compiled
from tasksource_reg.prompting.rowwise import _HELPERS, LIMIT, RowText
from tasksource_reg.prompting.scope import names
from tasksource_reg.prompting.syntax import inspect

OWN = re.compile(r"[vtc]\d+")
FIXED = {*_HELPERS, *_HELPERS["__builtins__"], "n", "columns", "out", "add", "spent", "_"}
HOSTILE = [
    "+ __import__('os').system('id') +",
    "'; import os; os.abort() #",
    '"""\n\\\' \\x00',
    "{v1} %s \\N{DIGIT ONE}",
    "c3\n  import os",
    "limit",
]


def row_text(source: str, constants: dict[str, Any] | None = None) -> RowText:
    text = compiled(source)
    constants = constants or {}
    return RowText(text.tree, sorted(text.names - constants.keys()), constants)


def assert_only_own_code(source: str) -> None:
    """Names are made up or fixed, attributes are those of the writer's own lists, constants are its own too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            assert OWN.fullmatch(node.id) or node.id in FIXED, node.id
        elif isinstance(node, ast.Attribute):
            assert node.attr in {"append", "isspace"}
        elif isinstance(node, ast.Constant):
            assert node.value in {None, True, "a loop"} or type(node.value) is int, node.value
        else:
            assert not isinstance(node, (ast.Import, ast.ImportFrom, ast.Lambda, ast.Global, ast.JoinedStr))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_template_becomes_code(text: str) -> None:
    literal = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    source = (
        f"{text.replace('{', '(').replace('%', '')}{{{{ {literal} }}}}{{{{ v ~ {literal} }}}}{{{{ v[{literal}] }}}}"
        f"{{{{ v | replace({literal}, {literal}) }}}}{{% if v == {literal} %}}{literal}{{% endif %}}"
    )
    made = row_text(source)
    assert_only_own_code(made.source)
    assert all(word not in made.source for word in ("import", "os.", "DIGIT", "system"))
    assert made.render({"v": ["x"]}, 1) == [None]
    assert row_text(f"{{{{ {literal} }}}}").render({}, 2) == [text, text]


def test_no_name_of_a_template_becomes_code() -> None:
    source = (
        "{% set ｌimit = 9 %}{% set out = 'o' %}{% set row_errors = 1 %}{% set c1 = 2 %}"
        "{% for spent in import %}{{ spent.__x if '' else 0 }}{% endfor %}{{ out }}"
    ).replace("{{ spent.__x if '' else 0 }}", "{{ spent.lambda }}{{ lambda.exec }}{% set len = spent.eval %}{{ len }}")
    made = row_text(source)
    assert_only_own_code(made.source)
    row = {"import": [[{"lambda": "a", "eval": "b"}]], "lambda": [{"exec": "c"}]}
    assert made.render(row, 1) == ["acbo"]


@settings(max_examples=60)
@given(data=st.data(), schema=st.sampled_from(sorted(ROWS)))
def test_random_templates_become_own_code_only(data: st.DataObject, schema: str) -> None:
    source = data.draw(templates(schema))
    assume(inspect(source, names(schema)).tree is not None)
    assert_only_own_code(row_text(source).source)


def test_functions_see_no_builtins_but_those_that_they_use() -> None:
    assert "open" not in _HELPERS["__builtins__"]
    assert "__import__" not in _HELPERS["__builtins__"]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ v }}", None),
        ("{{ v }}", []),
        ("{{ v }}", ""),
        ("{{ v }}", " \n"),
        ("{{ v | upper }}", None),
        ("{{ v[1] }}", ["a"]),
        ("{% for x in v %}{{ x }}{% endfor %}", "text"),
        ("{% for x in v %}{{ x }}{% endfor %}", ["x" * 1000] * (LIMIT // 1000)),
        ("{% for x in v %}{% for y in v %}{% endfor %}{% endfor %}.", ["x"] * 2000),
        ("{% for x in v %}{% if x in v[0] %}{% endif %}{% endfor %}.", ["x" * 2000] * 1000),
        ("{{ v }}", "x" * (LIMIT + 1)),
        ("{{ v | upper | length }}{{ v | lower | length }}", "x" * (LIMIT // 2 + 1)),
        ("{% set w = v ~ v %}{% set w = w ~ w %}{{ w | length }}", "x" * (LIMIT // 4)),
        ("{{ 'a' | join }}", "x"),
    ],
)
def test_rows_that_are_left_to_jinja(source: str, value: Any) -> None:
    made = row_text(source)
    assert made.render({"v": [value, *([["y"]] if isinstance(value, list) else ["y"])]}, 2)[0] is None


def test_a_row_that_is_refused_costs_no_other_row_its_text() -> None:
    made = row_text("{{ v | upper }}{{ w }}", {"w": "!"})
    assert made.names == ["v"]
    assert made.render({"v": ["a", None, "", 3, ["x"], "b"], "other": []}, 6) == ["A!", None, "!", "3!", None, "B!"]


def test_constants_are_computed_once_and_names_may_be_set_anew() -> None:
    source = "{{ w | join(', ') }}{% set w = v %}{{ w }}{% for x in u %}{% set w = x %}{{ w }}{% endfor %}{{ w }}"
    made = row_text(source, {"w": ["a", "b"], "u": ["1", "2"]})
    assert made.render({"v": ["x", "y"]}, 2) == ["a, bx12x", "a, by12y"]


def test_a_text_of_many_pieces_is_measured_as_it_grows() -> None:
    made = row_text("{{ v }}, " * 100)
    assert made.render({"v": ["ab"]}, 1) == ["ab, " * 100]
    widths = [line.count(",") for line in made.source.splitlines() if "join((" in line]
    assert max(widths) < 20 and len(widths) > 6
    assert made.source.count("over()") == len(widths) - 1


def test_the_deepest_nesting_compiles() -> None:
    deep = "{{ " + "v and (" * 50 + "v" + ")" * 50 + " }}"
    made = row_text("{% if v %}" * 6 + "{% for x in w %}" * 6 + deep + "{% endfor %}" * 6 + "{% endif %}" * 6)
    assert made.render({"v": ["a"], "w": [["x"]]}, 1) == ["a"]
    many = row_text(
        "{% if v == '0' %}0" + "".join(f"{{% elif v == '{i}' %}}{i}" for i in range(1, 101)) + "{% endif %}"
    )
    assert many.render({"v": ["0", "77", "100", "x"]}, 4) == ["0", "77", "100", None]
