"""What the bytes of an export depend on: two exports with one identity are the same, byte for byte."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tasksource_reg import __version__
from tasksource_reg.export.layout import Layout
from tasksource_reg.export.recipe import spec_json
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.provenance.manifest import FORMAT

PACKAGES = ("pyarrow", "datasets", "jinja2", "numpy", "pandas", "pydantic", "ftfy")


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of the packages that compute rows."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    found = {"tasksource_reg": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def identity(data: MixtureData, layout: Layout) -> dict[str, Any]:
    """Everything that an export's bytes depend on, as plain JSON values. Opens the sources."""
    return {
        "format": FORMAT,
        "spec": lasting(spec_json(data.spec)),
        "plan": data.plan.to_json(),
        "tasks": [record.to_json() for record in data.records],
        "passport": "full" if data.full_passport else "slim",
        "shard_rows": layout.shard_rows,
        "versions": versions(),
    }


def lasting(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec without what no row depends on: how many rows may fail before a run stops."""
    return {name: value for name, value in spec.items() if name != "quarantine_limit"}


def identity_digest(value: dict[str, Any]) -> str:
    """64 hexadecimal digits over an identity."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What tells two identities apart, in a few words."""
    parts = [name for name in now if before.get(name) != now[name]]
    if parts == ["versions"]:
        old, new = before.get("versions", {}), now["versions"]
        return ", ".join(f"{k} {old.get(k)} became {new[k]}" for k in new if old.get(k) != new[k])
    return "other " + ", ".join(part for part in parts if part != "versions") if parts else "nothing"
