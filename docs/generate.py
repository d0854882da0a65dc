"""Writes the generated parts of docs/ again, from the code that they describe.

A generated part of a page stands between `<!-- generated: NAME -->` and `<!-- end -->`; all other text is written by
hand and stays as it is. The JSON Schemas under docs/schemas are generated whole. `python docs/generate.py` writes what
is stale; a test fails when something is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tasksource_reg.annotation.views import VIEWS
from tasksource_reg.api import mixture
from tasksource_reg.authoring.drift_kinds import DriftKind
from tasksource_reg.authoring.json_schema import FORMATS, schema_text
from tasksource_reg.error_codes import CODES
from tasksource_reg.errors import EXIT_FINDINGS, EXIT_SOURCE, EXIT_USAGE
from tasksource_reg.ops.reference import describe, described
from tasksource_reg.prompting import environment, filters, scope, shapes, trees
from tasksource_reg.provenance import licence_table, licence_texts
from tasksource_reg.provenance.passport import COLUMN
from tasksource_reg.schemas import SCHEMAS

DOCS = Path(__file__).resolve().parent
SHOWN_BY = {"nli/premise-hypothesis": 1}  # the template of the page of shapes
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

AREAS = {
    "Y": "YAML syntax",
    "A": "Annotations",
    "E": "Expressions and their types",
    "R": "Rows",
    "L": "Locks and drift",
    "U": "Usage: ids, queries, arguments",
    "N": "Sources and the network",
    "T": "Templates",
    "M": "Mixtures and plans",
    "X": "Exports",
    "W": "Lints",
}
KINDS = {EXIT_FINDINGS: "findings", EXIT_USAGE: "usage", EXIT_SOURCE: "source"}


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; `|` in cells is escaped."""
    names = list(header)
    lines = [names, ["---"] * len(names), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def errors() -> str:
    """The catalogue of error codes, area by area."""
    parts = []
    for letter, area in AREAS.items():
        codes = {name: code for name, code in CODES.items() if name.startswith(f"TSR-{letter}")}
        rows = [(f"`{name}`", code.title, code.fix, f"{code.exit} {KINDS[code.exit]}") for name, code in codes.items()]
        parts.append(f"\n## {letter}: {area}\n\n{table(('code', 'what is wrong', 'what to do', 'exit'), rows)}")
    return "".join(parts)


def ops() -> str:
    """The op vocabulary, group by group; the verbs of conditions as one table."""
    entries = describe()
    parts = []
    for group in dict.fromkeys(entry["group"] for entry in entries):
        own = [entry for entry in entries if entry["group"] == group]
        parts.append(f"\n## {group.capitalize()}\n")
        if group == "verbs":
            rows = [(f"`{e['key']}`", e["arguments"][0]["type"], e["doc"], e["nulls"]) for e in own]
            parts.append("\n" + table(("verb", "right side", "holds when", "nulls"), rows))
        else:
            parts += [op(entry) for entry in own]
    return "".join(parts)


def op(entry: Mapping[str, Any]) -> str:
    """One op: what it does, its arguments, what becomes of nulls, an example."""
    lines = [f"\n### `{entry['key']}`\n", entry["doc"], ""]
    for argument in entry["arguments"]:
        name = f"`{argument['name']}`" if argument["name"] else "the value"
        default = "" if argument["default"] in (None, {}, (), []) else f", default `{json.dumps(argument['default'])}`"
        lines.append(f"- {name}: {argument['type']}{default}" + (" (required)" if argument["required"] else ""))
    lines += ["", f"Nulls: {entry['nulls']}"] if entry["nulls"] else []
    if entry["example"]:
        lines += ["", "```yaml", *entry["example"], "```"]
    return "\n".join(lines) + "\n"


def views() -> str:
    """The views: what each makes of what, its arguments, an example."""
    parts = []
    for name, view in VIEWS.items():
        entry = described(name, "views", view)
        entry["doc"] = f"Of a task of the schema `{view.of}`. {entry['doc']}"
        parts.append(op({**entry, "nulls": ""}).replace("\n### ", "\n#### ", 1))
    return "".join(parts)


def filter_table(entries: Mapping[str, filters.Filter]) -> str:
    """Filters or methods with the number of their arguments."""
    rows = []
    for name, entry in entries.items():
        count = str(entry.least) if entry.least == entry.most else f"{entry.least} or {entry.most}"
        if entry.most - entry.least > 1:
            count = f"{entry.least} to {entry.most}"
        rows.append((f"`{name}`", count, entry.doc))
    return table(("name", "arguments", "what it gives"), rows)


def tests() -> str:
    """The tests, as one line."""
    return ", ".join(f"`is {name}`" for name in filters.TESTS) + "\n"


def names() -> str:
    """The scope of each schema: its fields, and what follows from them."""
    shared = frozenset.intersection(*(scope.names(schema) for schema in SCHEMAS))
    rows = [("every schema", ", ".join(f"`{name}`" for name in sorted(shared)))]
    for schema in SCHEMAS:
        own = sorted(scope.names(schema) - shared)
        rows.append((f"`{schema}`", ", ".join(f"`{name}`" for name in own)))
    return table(("schema", "names"), rows)


def budgets() -> str:
    """The budgets of texts and rows."""
    rows = [
        ("a text", f"{trees.MAX_BYTES // 1024} KiB, {trees.MAX_NODES:,} parts"),
        ("nesting", f"{trees.MAX_DEPTH} expressions, {trees.MAX_BLOCKS} `for` and `if`"),
        ("one `if`", f"{trees.MAX_CASES} `elif`"),
        ("one row: output", f"{environment.MAX_OUTPUT:,} characters"),
        ("one row: loops", f"{environment.MAX_STEPS:,} steps"),
        ("one row: what filters, slices, comparisons and `~` build or read", f"{environment.MAX_WORK:,} characters"),
        ("what one filter builds", f"{filters.MAX_TEXT:,} characters"),
    ]
    return table(("budget", "at most"), rows)


def shape_table() -> str:
    """The shapes of rendered rows and their columns."""
    rows = [(f"`{s.name}`", s.doc, ", ".join(f"`{field.name}`" for field in s.schema)) for s in shapes.SHAPES.values()]
    return table(("shape", "what it is", "columns"), rows)


def shaped() -> str:
    """One demo row in every shape, as JSON."""
    told = {"parts": [{"task": "demo/weather-nli"}], "shots": {"k": 1}, "templates": {"choose": SHOWN_BY}}
    paired = {"parts": [{"select": "id:demo/* schema:preference"}]}
    bare = {"parts": [{"task": "demo/weather-nli"}]}
    parts = []
    for name, shape in {**{s.name: s.doc for s in shapes.SHAPES.values()}, "fields": "the harmonized fields"}.items():
        spec = paired if name in ("preference", "unpaired") else bare if name == "fields" else told
        row = mixture({**spec, "shape": name})[0]
        row = {key: value for key, value in row.items() if key != COLUMN and value is not None}
        parts.append(f"## `{name}`: {shape}\n\n```json\n{json.dumps(row, ensure_ascii=False, indent=1)}\n```\n")
    return "\n" + "\n".join(parts)


def licences() -> str:
    """The verdict table: rule by rule, the licences with the part of their text that decides, and its address."""
    parts = []
    for rule in licence_table.RULES:
        lines = sorted((x for x in licence_table.LICENCES.values() if x.rule is rule), key=lambda x: x.id.casefold())
        answers = ", ".join(f"{name.replace('_', ' ')} **{a}**" for name, a in rule.verdict.to_json().items())
        rows = [(f"[{line.id}]({line.source})", line.clause) for line in lines]
        parts.append(
            f"\n### {rule.name.capitalize()}: {rule.says}\n\n{answers}\n\n{table(('licence', 'rests on'), rows)}"
        )
    return "".join(parts)


def licence_readings() -> str:
    """How lines of evidence are read, and how they stand to an expression."""
    kinds = table(("reading", "the text"), [(f"`{name}`", says) for name, says in licence_texts.KINDS.items()])
    stances = table(("stance", "the line"), [(f"`{name}`", says) for name, says in licence_texts.STANCES.items()])
    return f"\n{kinds}\n{stances}"


def drift_kinds() -> str:
    """The kinds of drift, each with what it means."""
    return table(("kind", "what it means"), [(f"`{kind.value}`", kind.meaning) for kind in DriftKind])


PARTS: dict[str, Callable[[], str]] = {
    "errors": errors,
    "ops": ops,
    "views": views,
    "filters": lambda: filter_table(filters.FILTERS),
    "methods": lambda: filter_table(filters.METHODS),
    "tests": tests,
    "names": names,
    "budgets": budgets,
    "shapes": shape_table,
    "shaped": shaped,
    "licences": licences,
    "readings": licence_readings,
    "drift": drift_kinds,
}


def written(page: str) -> str:
    """A page's text with its generated parts made anew."""
    return PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}{part[3]}", page)


def fresh() -> dict[Path, str]:
    """What every page with generated parts, and every schema, should be."""
    pages = {path: written(path.read_text(encoding="utf-8")) for path in sorted(DOCS.glob("*.md"))}
    return pages | {DOCS / "schemas" / f"{name}.json": schema_text(name) for name in FORMATS}


def stale() -> list[Path]:
    """The files that are not what they would be if they were written now."""
    return [path for path, text in fresh().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main() -> None:
    """Writes the stale files."""
    for path in stale():
        path.parent.mkdir(exist_ok=True)
        path.write_text(fresh()[path], encoding="utf-8")
        print(f"wrote {path.relative_to(DOCS)}")


if __name__ == "__main__":
    main()
