"""RUN.json of an export: when it ran, on what kind of machine, and with which arguments the sources were opened.

The only file with times and local paths, so the only one that differs between two equal exports. `tsr trace` and
`tsr replay` read from it how to open the sources again.
"""

from __future__ import annotations

import datetime
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasksource_reg.export.layout import RUN
from tasksource_reg.export.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Run:
    """What happened: when it started, how long it took, how many workers, how many shards were done before."""

    started: datetime.datetime
    seconds: float
    workers: int
    resumed_shards: int


def run_record(run: Run, recipe: Recipe) -> str:
    """The text of RUN.json."""
    body = {
        "started": run.started.isoformat(timespec="seconds"),
        "seconds": round(run.seconds, 1),
        "workers": run.workers,
        "resumed_shards": run.resumed_shards,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "sources": {k: v for k, v in recipe.to_json().items() if k not in ("cache", "full_passport")},
    }
    return json.dumps(body, ensure_ascii=False, indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class SourceArguments:
    """How the sources of an export were opened, as far as RUN.json still says it."""

    mirrors: tuple[Path, ...] = ()
    registries: tuple[Path, ...] = ()
    offline: bool = False
    accept_drift: bool = False
    streaming: bool = False
    folder: Path | None = None


def source_arguments(out: Path) -> SourceArguments:
    """The arguments on record; folders that are gone are left out. Without a readable RUN.json there are none."""
    try:
        found: dict[str, Any] = json.loads((out / RUN).read_text(encoding="utf-8"))["sources"]
        return SourceArguments(
            tuple(Path(p) for p in found["mirrors"] if Path(p).is_dir()),
            tuple(Path(p) for p in found["registries"] if Path(p).is_dir()),
            bool(found["offline"]),
            bool(found["accept_drift"]),
            bool(found.get("streaming", False)),
            Path(folder) if (folder := found.get("folder")) and Path(folder).is_dir() else None,
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return SourceArguments()
