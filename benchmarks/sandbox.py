"""How long the sandbox takes to refuse payloads, each in a process of its own.

    python benchmarks/sandbox.py [--limit 300]

Reads every payload of `tests/prompting/payloads.py`, and renders those that pass reading on their row by all three
paths. The environment of imported templates is given those that are refused when they are read. Each payload runs in a
fork that has done nothing before, so that nothing is cached; times are CPU times. Exits with 1 if one is executed,
dies, or takes longer than the limit in milliseconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa

from tasksource_reg.errors import FindingsError
from tasksource_reg.interop.foreign_templates import ForeignTemplate
from tasksource_reg.prompting.render import PATHS
from tasksource_reg.prompting.syntax import inspect

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "prompting"))

import payloads

PATIENCE = 20.0
TELLING = ("<class", "<function", "<built-in", "<bound", "<module", "<method", "root:", "uid=")


def reading(source: str) -> str:
    """The code that refuses a text when it is read."""
    findings = inspect(source, payloads.SCOPE).findings
    return findings[0].code if findings else "executed"


def imported(source: str) -> str:
    """What imported templates' environment makes of a payload; its wider syntax may give a harmless text."""
    row = {"text": "t", "options": ["a", "b"], "entities": [{"type": "x"}], "ask": None, "languages": {"en": "English"}}
    try:
        rendered = ForeignTemplate(source).render(pa.RecordBatch.from_pylist([row]))
    except FindingsError as exc:
        return exc.problems[0].code
    (texts,) = rendered.texts
    if texts is None:
        return rendered.failures[0].code
    return "executed" if any(word in text for text in texts for word in TELLING) else "harmless text"


def _child(run: Callable[[str], str], source: str, to: Connection) -> None:
    start = time.process_time()
    said = run(source)
    to.send((said, time.process_time() - start))


def fresh(run: Callable[[str], str], source: str) -> tuple[str, float]:
    """What a payload comes to in a process of its own, and the seconds that it took."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(run, source, there))
    process.start()
    there.close()
    try:
        said, seconds = here.recv() if here.poll(PATIENCE) else ("still running", PATIENCE)
    except EOFError:
        said, seconds = "died", 0.0
    process.kill()
    process.join()
    return said, seconds


def runs() -> list[tuple[str, str, Callable[[str], str], tuple[str, ...]]]:
    """Where, payload, what runs it, and what it may come to."""
    out: list[tuple[str, str, Callable[[str], str], tuple[str, ...]]] = []
    for source, code in (payloads.ESCAPES | payloads.BOMBS).items():
        out.append(("reading", source, reading, (code,)))
        codes = ("TSR-T001", "TSR-T002", "TSR-T004", "TSR-T005", "TSR-T009", "harmless text")
        out.append(("imported", source, imported, codes))
    for source in [*payloads.ROW_BOMBS, *payloads.ROW_REFUSED]:
        code = "TSR-T005" if source in payloads.ROW_BOMBS else "TSR-T009"
        for path in PATHS:
            wanted = (code,) if path == "jinja" else ("left to jinja",)
            out.append((path, source, lambda text, path=path: payloads.outcome(text, path), wanted))  # type: ignore[misc]
    return out


def main() -> int:
    """Prints a line for each place and each payload that is not refused; 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=300.0, help="milliseconds")
    limit = parser.parse_args().limit
    payloads.outcome("{{ text }}", "columnar")  # the first kernel of a process loads more of Arrow
    slowest: dict[str, tuple[float, str]] = {}
    counts: dict[str, int] = {}
    bad = 0
    for where, source, run, wanted in runs():
        said, seconds = fresh(run, source)
        counts[where] = counts.get(where, 0) + 1
        slowest[where] = max(slowest.get(where, (0.0, "")), (seconds * 1000, source[:60]))
        if said not in wanted or seconds * 1000 >= limit:
            bad += 1
            print(f"{where}: {said} after {seconds * 1000:.0f} ms: {source[:80]!r}")
    print("| where | payloads | slowest ms | which |\n|---|---|---|---|")
    for where, (milliseconds, source) in slowest.items():
        print(f"| {where} | {counts[where]} | {milliseconds:.0f} | {source!r} |")
    print(f"{bad} of {sum(counts.values())} runs executed, of another code, or slower than {limit:.0f} ms")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
