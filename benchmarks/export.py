"""Measures an export of 200,000 rows mixed from 20 real tasks: time, memory, identity of bytes, passports, replay.

    python benchmarks/export.py [--hub ../shared/hub] [--mixture benchmarks/mixtures/real-20.yaml] [--keep DIR]

Exports five times (to warm the caches, twice with one worker, with two, and killed in the middle and resumed), verifies
and replays. Every export runs in processes of its own, whose anonymous memory (RssAnon, Linux only) is sampled every
50 ms. Prints one line a figure beside its bar, and ends with 1 if a bar is missed. About two minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path

from processes import ROOT, run

REPLAYED = 1000

EXPORT = """
import sys
import tasksource_reg as tsr

if __name__ == "__main__":
    mixture, hub, out, workers = sys.argv[1:]
    result = tsr.mixture(mixture, mirror=hub).export(out, workers=int(workers))
    print(result.written, result.resumed)
"""
VERIFY = """
import sys
from pathlib import Path
from tasksource_reg.export.verify import verify
problems = verify(Path(sys.argv[1]))
print(*problems, sep="\\n", file=sys.stderr)
print(len(problems))
"""
REPLAY = """
import sys
from pathlib import Path
from tasksource_reg.audit.replay import replay
from tasksource_reg.workspace import Workspace
found = replay(Path(sys.argv[1]), int(sys.argv[3]), 1, Workspace(mirrors=(Path(sys.argv[2]),)))
print(*found.problems(), *found.differences, sep="\\n", file=sys.stderr)
print(found.identical, found.sampled)
"""


def content(out: Path) -> dict[str, str]:
    """sha256 of every file of an export but RUN.json, which holds the time."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != "RUN.json"]
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def passport_bytes_a_row(out: Path) -> float:
    """Bytes on disk of the passports, a row."""
    from tasksource_reg.export.parquet import passport_bytes

    shards = json.loads((out / "manifest.json").read_text())["shards"]
    return sum(passport_bytes(out / s["data"]["path"]) for s in shards) / sum(s["rows"] for s in shards)


def line(name: str, value: str, bar: str = "", ok: bool = True) -> bool:
    """Prints a row of a Markdown table; gives `ok` back."""
    print(f"| {name} | {value} | {bar} {('ok' if ok else 'MISSED') if bar else ''} |", flush=True)
    return ok


def measure(mixture: Path, hub: Path, folder: Path) -> bool:
    """Prints all figures; whether every bar is kept."""
    outs = {name: folder / name for name in ("warm", "first", "second", "two", "killed")}
    print("| figure | measured | bar |\n|---|---|---|")
    run(EXPORT, mixture, hub, outs["warm"], 1)  # prepares the sources, so that the next ones are comparable
    ran = {
        name: run(EXPORT, mixture, hub, outs[name], 1 if name != "two" else 2) for name in ("first", "second", "two")
    }
    manifest = json.loads((outs["first"] / "manifest.json").read_text())
    rows = manifest["rows"]
    stored = sum(shard["data"]["bytes"] for shard in manifest["shards"])
    kept = [
        line("rows, tasks, quarantined", f"{rows:,}, {len(manifest['tasks'])}, {manifest['quarantined']:,}"),
        line("shards, bytes", f"{len(manifest['shards'])}, {stored:,} ({stored / rows:.0f} a row)"),
    ]
    for name, title in (("first", "one worker"), ("second", "one worker, again"), ("two", "two workers")):
        found = ran[name]
        kept.append(line(f"wall time, {title}", f"{found.seconds:.1f} s, {rows / found.seconds:,.0f} rows/s"))
        for what, size in (("largest process", found.largest), ("all processes", found.megabytes)):
            kept.append(line(f"RssAnon, {title}, {what}", f"{size:.0f} MB", "<= 600", size <= 600))
    first = content(outs["first"])
    for name in ("second", "two"):
        kept.append(line(f"files identical, first and {name}", str(len(first)), "all", content(outs[name]) == first))

    def half() -> bool:
        done = len(list((outs["killed"] / ".progress").glob("shard-*.json")))
        return done >= max(1, len(manifest["shards"]) // 2)

    run(EXPORT, mixture, hub, outs["killed"], 1, kill=half)
    unfinished = not (outs["killed"] / "manifest.json").exists()
    resumed = run(EXPORT, mixture, hub, outs["killed"], 2)
    same = unfinished and content(outs["killed"]) == first
    written = " written, ".join(resumed.printed.split()) + " kept"
    kept.append(line("files identical, killed and resumed", f"{len(first)} ({written})", "all", same))
    passport = passport_bytes_a_row(outs["first"])
    kept.append(line("passport", f"{passport:.2f} bytes a row", "<= 5", passport <= 5))
    verified = run(VERIFY, outs["first"])
    kept.append(line("verify", f"{verified.printed} problems, {verified.seconds:.1f} s", "0", verified.printed == "0"))
    replayed = run(REPLAY, outs["first"], hub, REPLAYED)
    identical = replayed.printed == f"{REPLAYED} {REPLAYED}"
    kept.append(
        line("replay", f"{replayed.printed.replace(' ', ' of ')} identical, {replayed.seconds:.1f} s", "all", identical)
    )
    return all(kept)


def main() -> int:
    """Prints the table; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", type=Path, default=ROOT.parent / "shared" / "hub", help="mirror of real datasets")
    parser.add_argument("--mixture", type=Path, default=ROOT / "benchmarks" / "mixtures" / "real-20.yaml")
    parser.add_argument("--keep", type=Path, help="folder for the exports; a temporary one by default")
    options = parser.parse_args()
    if not options.hub.is_dir():
        sys.exit(f"there is no mirror at {options.hub}")
    sys.path.insert(0, str(ROOT))
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        return 0 if measure(options.mixture, options.hub, options.keep) else 1
    with tempfile.TemporaryDirectory(prefix="tsr-export-") as folder:
        return 0 if measure(options.mixture, options.hub, Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
