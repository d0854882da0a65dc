"""JSON Schemas of the three file formats, for editors; generated from the models, so that they never say less or more.

They know the keys, their types and values, the ops and their arguments; what only a reader of the whole file knows
(ids, columns, types of expressions) is left to `tsr check`. In annotations `$(name)` may stand for any scalar, and the
keys of a task may stand at file level. `docs/schemas/` holds them as files: put
`# yaml-language-server: $schema=<path>` on top of a YAML file, or map the folders in the editor's settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel

from tasksource_reg.annotation.expand import FILE_KEYS
from tasksource_reg.annotation.model import EXPRESSION_KEYS, ID, LANGUAGE, TaskModel
from tasksource_reg.annotation.pool import OVERRIDES
from tasksource_reg.annotation.steps import GROUP_STEPS
from tasksource_reg.authoring.op_forms import op_forms
from tasksource_reg.mixing.spec import MixtureSpec
from tasksource_reg.ops import OPS
from tasksource_reg.ops.conditions import VERBS
from tasksource_reg.ops.reference import describe
from tasksource_reg.prompting import model as prompting
from tasksource_reg.schemas import SCHEMAS

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VARIABLE: Json = {"type": "string", "pattern": r"^\$\([A-Za-z_]\w*\)$"}
STRINGS: Json = {"type": "array", "items": {"type": "string"}}
SCALAR: Json = {"type": ["string", "number", "boolean"]}
CONDITION_OPS = ("all", "any", "not", "path", "field", "if", "coalesce", "map", "pick", "cast")
"""What may stand with a `because` under `where`, beside `of`."""


def ref(name: str) -> Json:
    """A reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def either(*options: Json) -> Json:
    """Any of several forms."""
    return {"anyOf": list(options)}


def closed(properties: Json, required: Iterable[str] = (), **more: Any) -> Json:
    """An object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False, **more}


def names_of(values: Json) -> Json:
    """An object of any names with values of one form."""
    return {"type": "object", "additionalProperties": values}


# Models of pydantic.


def _of_model(model: type[BaseModel], defs: Json) -> Json:
    """The schema of a model; those of inner models go into `defs`. Defaults and titles are left out."""
    schema = model.model_json_schema(by_alias=True)
    for name, inner in schema.pop("$defs", {}).items():
        defs[name] = _tidy(inner)
    out: Json = _tidy(schema)
    return out


def _tidy(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: _tidy(inner) for name, inner in value.items()}
        elif key != "default" and not (key == "title" and isinstance(value, str)):
            out[key] = _tidy(value)
    return out


def _variables_allowed(schema: Any) -> Any:
    """The same schema, with `$(name)` allowed wherever a scalar of another form is asked for."""
    if isinstance(schema, list):
        return [_variables_allowed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("integer", "number", "boolean") or "enum" in schema or "const" in schema:
        return either(schema, ref("variable"))
    if schema.get("type") == "string" and "pattern" in schema:
        return either(schema, {"type": "string", "pattern": r"\$\("})
    out = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            out[key] = {name: _variables_allowed(inner) for name, inner in value.items()}
        elif key in ("items", "prefixItems", "anyOf", "additionalProperties"):
            out[key] = _variables_allowed(value)
        else:
            out[key] = value
    return out


# Expressions.


def _expressions() -> Json:
    """Definitions of expressions: one for each op, `condition`, `verbs`, `reasoned` (a condition with `because`)."""
    docs = {entry["key"]: entry["doc"] for entry in describe() if entry["group"] != "verbs"}
    defs: Json = {f"op_{op}": _op(op, docs) for op in op_forms()}
    verbs = {name: _verb(name) for name in VERBS}
    expression = ref("expression")
    ops = [ref(f"op_{op}") for op in op_forms()]
    nested = {"type": "array", "items": expression}
    defs["expression"] = either(SCALAR, nested, ref("condition"), *ops)
    defs["condition"] = closed({"of": expression, **verbs}, ["of"], minProperties=2, description=docs["of"])
    defs["verbs"] = closed(verbs, minProperties=1)
    because: Json = {"type": "string", "description": "the reason under which the rows that it drops are counted"}
    reasoned = [closed({"of": expression, **verbs, "because": because}, ["of", "because"], minProperties=3)]
    for op in CONDITION_OPS:
        form = _op(op, docs)
        reasoned.append(closed({**form["properties"], "because": because}, [*form["required"], "because"]))
    defs["reasoned"] = either(*reasoned)
    return defs


def _op(op: str, docs: dict[str, str]) -> Json:
    """One op: its key with the input, and its arguments."""
    properties: Json = {}
    required = [op]
    own = OPS[op].model_json_schema(by_alias=True) if op in OPS else {}
    for name, role in op_forms()[op].items():
        field = "of" if name == op else name
        form = _FORMS[role]()
        if role == "literal":
            form = _BY_HAND.get((op, name)) or _tidy(own.get("properties", {}).get(field, {}))
        properties[name] = form
        if name != op and op not in ("each", "format") and name in own.get("required", ()):
            required.append(name)
    return closed(properties, required, description=docs[op])


_FORMS: dict[str, Callable[[], Json]] = {
    "literal": dict,
    "expression": lambda: ref("expression"),
    "tuple": lambda: {"type": "array", "items": ref("expression")},
    "dict": lambda: either(names_of(ref("expression")), STRINGS),
    "dict or expression": lambda: either(ref("expression"), names_of(ref("expression"))),
}
_BY_HAND: dict[tuple[str, str], Json] = {
    ("path", "path"): either({"type": "string"}, {"type": "array", "items": {"type": ["string", "integer"]}}),
    ("field", "field"): {"enum": sorted({f.name for s in SCHEMAS.values() for f in s.all_fields})},
    ("each", "as"): {"type": "string"},
    ("each", "index"): {"type": "string"},
    ("format", "format"): {"type": "string", "description": "text with {slots}"},
}


def _verb(name: str) -> Json:
    verb = VERBS[name]
    expression = {"allOf": [{"type": "object"}, ref("expression")]}
    forms: dict[str, Json] = {
        "value": either(SCALAR, {"type": "array"}, expression),
        "list": either({"type": "array"}, expression),
        "text": either({"type": "string"}, expression),
        "pattern": {"type": "string"},
        "flag": {"type": "boolean"},
        "verbs": either({"type": "integer"}, ref("verbs")) if name == "length" else ref("verbs"),
    }
    return {**forms[verb.right], "description": verb.doc}


# The three formats.


def annotation_schema() -> Json:
    """The JSON Schema of annotation files."""
    defs: Json = {}
    task = _of_model(TaskModel, defs)["properties"]
    task["id"] |= {"pattern": f"^{ID.pattern}$"}
    task["languages"]["items"] |= {"pattern": f"^{LANGUAGE.pattern}$"}
    task["schema"] |= {"enum": list(SCHEMAS)}
    del task["schema"]["type"]
    defs |= _expressions()
    defs["fields"] = {
        "type": "object",
        "propertyNames": {"enum": list(dict.fromkeys(f.name for s in SCHEMAS.values() for f in s.all_fields))},
        "additionalProperties": either(ref("expression"), {"type": "null"}),
        "description": "the fields of the schema, each with the expression that fills it; null removes a hoisted one",
    }
    task |= _expression_keys(defs)
    task["for_each"] = either(
        names_of({"type": "array", "items": SCALAR}), {"type": "array", "items": names_of(SCALAR), "minItems": 1}
    )
    defs["task"] = closed(task, ["id"])
    file_keys: Json = {
        "format": {"const": 1},
        "dataset": {"type": "string", "pattern": r"^[\w.-]+(/[\w.-]+)?$", "description": "the present hub id"},
        "former_ids": STRINGS,
        "tasks": {"type": "array", "items": ref("task"), "minItems": 1},
    }
    assert file_keys.keys() == set(FILE_KEYS)
    defs = {name: _variables_allowed(form) for name, form in defs.items()}
    defs["variable"] = VARIABLE
    each_task = [_in_file_or_tasks(key) for key in ("license", "schema")]
    either_id = {"oneOf": [{"required": ["id"]}, {"required": ["tasks"]}]}
    properties = {**file_keys, **{name: {"$ref": f"#/$defs/task/properties/{name}"} for name in task}}
    return _document(
        "An annotation of tasksource_reg: the tasks of one dataset",
        closed(properties, ["format", "dataset"], allOf=[either_id, *each_task]),
        defs,
    )


def _in_file_or_tasks(key: str) -> Json:
    """A key that every task has: at file level, or in each task."""
    in_tasks = {"properties": {"tasks": {"items": {"required": [key]}}}, "required": ["tasks"]}
    return either({"required": [key]}, in_tasks)


def _expression_keys(defs: Json) -> Json:
    """The keys of a task that hold expressions or row steps."""
    expression = ref("expression")
    let = names_of(either(expression, {"type": "null"}))
    stage = closed({"each": expression, "as": {"type": "string"}, "index": {"type": "string"}}, ["each", "as"])
    by = {"by": expression, "because": {"type": "string"}}
    settings: Json = {
        "conflicts": {"enum": ["drop", "first"]},
        "keep": {**STRINGS, "minItems": 1},
        "at": {"type": "integer", "minimum": 1},
    }
    out: Json = {
        "fields": ref("fields"),
        "let": let,
        "where": either(ref("reasoned"), {"type": "array", "items": ref("reasoned")}),
        "explode": either(stage, {"type": "array", "items": stage}),
        "unlabelled": names_of({"type": "array"}),
        "ask": either({"type": "string"}, expression),
        "examples": {"type": "array", "items": ref("example")},
    }
    for step, (keys, _) in GROUP_STEPS.items():
        out[step] = closed({**by, **{key: settings[key] for key in keys}}, ["by", "at"] if step == "cap" else ["by"])
    defs["example"] = closed(
        {"given": {"type": "object"}, "expect": {"type": ["object", "array"]}},
        ["given", "expect"],
        description="a source row written for this project, and what comes of it: fields, rows, or {dropped: why}",
    )
    part = closed({"config": {"type": "string"}, **{key: out[key] for key in OVERRIDES}}, ["config"])
    out["pool"] = {"type": "array", "items": either({"type": "string"}, part), "minItems": 1}
    assert out.keys() == set(EXPRESSION_KEYS)
    return out


def template_schema() -> Json:
    """The JSON Schema of template files."""
    defs: Json = {}
    file = _of_model(prompting.FileForm, defs)
    template = _of_model(prompting.TemplateForm, defs)
    template["properties"]["id"] |= {"pattern": f"^{prompting.ID.pattern}$"}
    defs["ForForm"]["properties"]["schema"] = {"enum": list(SCHEMAS)}
    defs["template"] = template
    file["properties"]["format"] = {"const": 1}
    file["properties"]["templates"] = {"type": "array", "items": ref("template")}
    file["oneOf"] = [{"required": ["family"]}, {"required": ["schema"]}]
    return _document("Templates of tasksource_reg: the prompts of one family or schema", file, defs)


def mixture_schema() -> Json:
    """The JSON Schema of mixture files."""
    defs: Json = {}
    file = _of_model(MixtureSpec, defs)
    defs["PartSpec"]["oneOf"] = [{"required": [key]} for key in ("select", "task", "mixture")]
    defs["StopSpec"]["oneOf"] = [{"required": [key]} for key in defs["StopSpec"]["properties"]]
    defs["ReweightSpec"]["oneOf"] = [{"required": ["rates"]}, {"required": ["weights"]}]
    defs["QuarantineLimitSpec"]["minProperties"] = 1
    defs["OrderSpec"]["anyOf"] = [{"required": ["unmixed"]}, {"required": ["by"]}]
    del file["required"]  # of all keys only parts was required
    file["anyOf"] = [{"required": ["parts"]}, {"required": ["stages"]}]
    file["properties"]["parts"]["minItems"] = 1
    return _document("A mixture of tasksource_reg: tasks, shares, templates, shots", file, defs)


def _document(title: str, schema: Json, defs: Json) -> Json:
    schema.pop("description", None)
    return {"$schema": DIALECT, "title": title, **schema, "$defs": dict(sorted(defs.items()))}


FORMATS: dict[str, Callable[[], Json]] = {
    "annotation": annotation_schema,
    "template": template_schema,
    "mixture": mixture_schema,
}


def schema_text(name: str) -> str:
    """The text of a schema file.

    Args:
        name: a key of `FORMATS`.
    """
    return json.dumps(FORMATS[name](), ensure_ascii=False, indent=1) + "\n"
