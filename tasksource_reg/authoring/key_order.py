"""The order of keys in the three file formats, which blocks are always tall, and where data begins.

A `Role` says what a value of a file is: which keys stand first, what its values are, or that it is an expression (the
op first, its arguments as the op declares them, `because` last). Data (map keys, examples, splits, variables) keeps the
order in which people wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Literal

from tasksource_reg.authoring.op_forms import op_forms
from tasksource_reg.authoring.yaml_layout import Branch, Leaf
from tasksource_reg.schemas import COMMON, SCHEMAS

Kind = Literal["annotation", "template", "mixture"]


@dataclass(frozen=True)
class Role:
    """What a value is.

    Attributes:
        order: keys in their order; others follow as written.
        keys: the roles of values under these keys; `rest` that of all others.
        each: the role of a list's entries.
        tall: one entry a line however short; `tall_mappings`: from two mappings in a list; `tall_depth`: where
            collections nest deeper.
        expression: an expression (a mapping of one op), or a list of them.
        fields: a mapping of a schema's fields.
    """

    order: tuple[str, ...] = ()
    keys: MappingType[str, Role] = field(default_factory=dict)
    rest: Role | None = None
    each: Role | None = None
    tall: bool = False
    tall_mappings: bool = False
    tall_depth: int | None = None
    expression: bool = False
    fields: bool = False


DATA = Role()
EXPRESSION = Role(expression=True)
NESTED = Role(rest=EXPRESSION, expression=True)  # an expression, names with expressions, or verbs
CONDITIONS = Role(each=EXPRESSION, expression=True, tall_mappings=True)
GROUPS = Role(("by", "at", "conflicts", "keep", "because"), {"by": EXPRESSION})

EVIDENCE = Role(each=Role(("where", "says", "url", "checked")), tall_mappings=True)
LICENSE = Role(("spdx", "evidence"), {"evidence": EVIDENCE})
SPLITS = Role(rest=Role(("carve",), {"carve": Role(("from", "fraction"))}))
LET = Role(rest=EXPRESSION, tall_depth=3)
FIELDS = Role(fields=True, rest=EXPRESSION, tall_depth=2)
STAGE = Role(("each", "as", "index"), {"each": EXPRESSION})
EXAMPLES = Role(each=Role(("given", "expect"), tall=True), tall=True)

FILE_KEYS = ("format", "dataset", "former_ids")
MEANING_KEYS = (
    "title", "languages", "domains", "license", "cite",
)  # fmt: skip
TASK_KEYS = (
    "status", "because", "config", "source", "pool", "view", "schema", "family", "scheme", "labels", "entity_labels",
    "ordered", "range", "levels", "unlabelled", "choice_order", "ask", "max_examples", "splits", "explode", "let",
    "fields", "where", "distinct", "disjoint", "cap", "carry", "unused", "examples", "tasks",
)  # fmt: skip
_TASK: dict[str, Role] = {
    "license": LICENSE,
    "source": Role(("revision", "branch", "dir", "files", "format")),
    "splits": SPLITS,
    "let": LET,
    "fields": FIELDS,
    "ask": EXPRESSION,
    "where": CONDITIONS,
    "for_each": Role(tall_mappings=True),
    "explode": Role(STAGE.order, STAGE.keys, each=STAGE, tall_mappings=True),
    "distinct": GROUPS,
    "disjoint": GROUPS,
    "cap": GROUPS,
    "examples": EXAMPLES,
    "pool": Role(
        each=Role(
            ("config", "splits", "let", "fields", "where"),
            {"splits": SPLITS, "let": LET, "fields": FIELDS, "where": CONDITIONS},
        ),
        tall_mappings=True,
    ),
}
# In a file the variables of `for_each` stand above what uses them; in a task they follow the id that they make.
_IN_FILE = (*FILE_KEYS, "id", "aliases", "version", *MEANING_KEYS, "for_each", *TASK_KEYS)
_IN_TASK = ("id", "aliases", "version", "for_each", *MEANING_KEYS, *TASK_KEYS)

_TEMPLATE = Role(
    (
        "id", "for", "needs", "form", "options_shown", "length", "inverted", "origin", "system", "answers", "prompt",
        "response", "joint", "shot_joint",
    ),
    {"for": Role(("schema", "languages"))},
    tall=True,
)  # fmt: skip
_PARTS = Role(
    each=Role(
        ("select", "task", "mixture", "share", "fraction", "rows_per_task", "within"),
        {"within": Role(("by", "scale", "cap", "cap_over", "temperature", "max_epochs", "rates"))},
    ),
    tall=True,
)
ROLES: dict[Kind, Role] = {
    "annotation": Role(
        _IN_FILE, {**_TASK, "tasks": Role(each=Role(_IN_TASK, _TASK, tall=True), tall=True)}, tall=True
    ),
    "template": Role(
        ("format", "family", "schema", "labels", "for", "templates"),
        {"for": Role(("schema", "languages")), "templates": Role(each=_TEMPLATE, tall=True)},
        tall=True,
    ),
    "mixture": Role(
        (
            "format", "mixture", "seed", "split", "parts", "stages", "exclude", "dedupe", "tokens", "templates",
            "shots", "stop", "order", "locality", "reweight", "control", "on_error", "quarantine_limit", "shape",
            "tail",
        ),
        {
            "parts": _PARTS,
            "stages": Role(each=Role(("name", "parts", "stop"), {"parts": _PARTS}, tall=True), tall=True),
            "templates": Role(("choose", "where", "language", "max_options")),
            "shots": Role(("k", "from", "balanced", "max_characters")),
            "order": Role(
                ("unmixed", "by", "descending", "pacing", "epochs"),
                {"by": Role(("scores", "column")), "pacing": Role(("function", "start", "full_at"))},
            ),
            "reweight": Role(each=Role(("at", "rates", "weights"))),
        },
        tall=True,
    ),
}  # fmt: skip


def arrange(value: Leaf | Branch, role: Role, schema: str | None = None) -> None:
    """Puts the keys below a value into their order, in place.

    Args:
        value: a tree of `yaml_layout`.
        role: what it is.
        schema: the schema around it, for the order of fields; a `schema:` of its own wins.
    """
    if isinstance(value, Leaf):
        return
    value.tall = (
        role.tall
        or (role.tall_mappings and sum(isinstance(i.value, Branch) and i.value.mapping for i in value.items) > 1)
        or (role.tall_depth is not None and _depth(value) > role.tall_depth)
    )
    if not value.mapping:
        for item in value.items:
            arrange(item.value, role.each or (EXPRESSION if role.expression else DATA), schema)
        return
    own = next((i.value.value for i in value.items if i.name == "schema" and isinstance(i.value, Leaf)), None)
    schema = own if isinstance(own, str) else schema
    if role.expression and _arrange_op(value):
        return
    _sort(value, _field_order(schema) if role.fields else role.order)
    for item in value.items:
        inner = role.keys.get(str(item.name), role.rest or DATA)
        arrange(item.value, inner, schema)


def _arrange_op(value: Branch) -> bool:
    """Orders a mapping that is an expression; false if it has no op."""
    names = [str(i.name) for i in value.items]
    op = "of" if "of" in names else next((name for name in names if name in op_forms()), None)
    if op is None:
        return False
    forms = {} if op == "of" else op_forms()[op]
    value.items.sort(key=lambda i: i.name != op)
    _sort(value, (op, *forms))
    value.items.sort(key=lambda i: i.name == "because")
    for item in value.items:
        literal = forms.get(str(item.name)) == "literal" or item.name == "because"
        arrange(item.value, DATA if literal else NESTED)
    return True


def _field_order(schema: str | None) -> tuple[str, ...]:
    """`ask`, the schema's own fields, then those that all schemas have."""
    own = SCHEMAS[schema].fields if schema in SCHEMAS else ()
    return ("ask", *(f.name for f in own), *(f.name for f in COMMON if f.name != "ask"))


def _depth(value: Leaf | Branch) -> int:
    """How deep collections nest."""
    return 0 if isinstance(value, Leaf) else 1 + max((_depth(i.value) for i in value.items), default=0)


def _sort(value: Branch, order: tuple[str, ...]) -> None:
    """Known keys in their order, then the others as written."""
    places = {name: place for place, name in enumerate(order)}
    value.items.sort(key=lambda item: places.get(item.name, len(places)) if isinstance(item.name, str) else len(places))


def kind_of(root: Branch) -> Kind | None:
    """Which of the three formats a file is in, by its keys; None if it is in none."""
    names = {item.name for item in root.items}
    if "dataset" in names:
        return "annotation"
    if names & {"mixture", "parts", "stages"}:
        return "mixture"
    return "template" if "templates" in names else None


__all__ = ["ROLES", "Kind", "Role", "arrange", "kind_of"]
