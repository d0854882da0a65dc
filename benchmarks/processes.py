"""Runs Python code in processes of its own and samples the anonymous memory of their trees (RssAnon, Linux only)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Ran:
    """A process that ended: wall time, the most anonymous memory of it and its children (MiB), what it printed."""

    seconds: float
    megabytes: float
    largest: float
    printed: str


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [p for child in task.read_text().split() for p in tree(int(child))]
        except OSError:  # it ended
            continue
    return found


def anonymous(pid: int) -> float:
    """RssAnon of a process in MiB; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def run(code: str, *args: object, kill: Callable[[], bool] = lambda: False, python: str = sys.executable) -> Ran:
    """Runs Python code in a new process, sampling the memory of its tree; `kill` says when to kill it."""
    script = Path(tempfile.mkdtemp(prefix="tsr-bench-")) / "run.py"
    script.write_text(code)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    process = subprocess.Popen([python, str(script), *map(str, args)], stdout=subprocess.PIPE, env=env, text=True)
    most = largest = 0.0
    killed = False
    while process.poll() is None:
        sizes = [anonymous(pid) for pid in tree(process.pid)]
        most, largest = max(most, sum(sizes)), max(largest, *sizes)
        if not killed and kill():
            process.kill()
            killed = True
        time.sleep(SAMPLE_SECONDS)
    seconds = time.perf_counter() - start
    assert process.stdout is not None
    if process.returncode and not killed:
        sys.exit(f"the process ended with {process.returncode}")
    return Ran(seconds, most, largest, process.stdout.read().strip())
