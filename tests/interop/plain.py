"""What plain Jinja makes of a template of another project, told by the rules of its home."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import jinja2

from tasksource_reg.interop.foreign_templates import GUARD


def most_frequent(items: Any) -> list[Any] | None:
    """The values that occur most often; nothing for what is empty, of whatever kind."""
    if not items:
        return None
    counts = Counter(items)
    return [item for item in counts if counts[item] == max(counts.values())]


def environment() -> jinja2.Environment:
    """Jinja with its own defaults, and the three names that the home adds."""
    plain = jinja2.Environment()
    plain.globals["zip"] = zip
    plain.filters |= {"choice": random.choice, "most_frequent": most_frequent}
    return plain


PLAIN = environment()


def guarded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose own separators are not taken for the template's."""
    return [
        {name: cell.replace("|||", GUARD) if isinstance(cell, str) else cell for name, cell in row.items()}
        for row in rows
    ]


def render(text: jinja2.Template, choices: jinja2.Template | None, row: dict[str, Any]) -> tuple[str, ...] | None:
    """The parts of a guarded row, by compiled templates; None where plain Jinja raises."""
    try:
        given = None if choices is None else cut(choices.render(**row))
        return tuple(cut(text.render(**row, answer_choices=given)))
    except Exception:
        return None


def cut(text: str) -> list[str]:
    return [part.strip().replace(GUARD, "|||") for part in text.split("|||")]
