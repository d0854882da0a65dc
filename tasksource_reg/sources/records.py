"""Small records of opened sources, as JSON below the cache: what the next opening need not ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasksource_reg.files import write_whole
from tasksource_reg.paths import cache_dir


def record_path(key: str) -> Path:
    """The record of a key."""
    return cache_dir() / "sources" / "records" / f"{key}.json"


def read_record(key: str, version: int) -> dict[str, Any] | None:
    """What a record holds; None where there is none, or none of this version."""
    try:
        data: dict[str, Any] = json.loads(record_path(key).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return data if data.pop("version", None) == version else None


def write_record(key: str, version: int, data: Mapping[str, Any]) -> None:
    """Writes a record, whole or not at all."""
    path = record_path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"version": version, **data}, ensure_ascii=False).encode())
