"""A mixture over a large dataset of the hub: streamed, prepared whole, and by `datasets` with `streaming=True`.

    python benchmarks/streamed_sources.py [--rows 1600000] [--read 200000] [--latency 0.02] [--keep DIR]

Writes a dataset of eight Parquet files (zstd, row groups of 8,192 rows, three text columns of which the task reads two)
and serves it on loopback by the tests' own hub, each answer after some latency. Each case is a process of its own with
empty caches; imports are not timed. Ours renders a template, draws keys and carries passports, with a locality of
16,384 rows and a window of 8; `datasets` shuffles in a buffer of 10,000 rows. Printed: seconds to the first row and the
bytes that the hub sent until then, rows a second and bytes over so many rows, the most anonymous memory (RssAnon), the
bytes on disk at the end; then the same of a run that goes on at the middle, in a new process, with what the first run
left on disk and without.

Bar: the streamed run's rows are those of the prepared one; its first row comes sooner, and for a quarter of the bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from processes import ROOT, run

sys.path.insert(0, str(ROOT / "tests"))

from hub_server import HubServer

FILES, GROUP = 8, 8192
MEGABYTE = 1e6

OURS = """
import hashlib, json, sys, time
import datasets, pandas, pyarrow.parquet, huggingface_hub
import tasksource_reg as tsr, tasksource_reg.api
folder, rows, start, streaming = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "streamed"

def main():
    begun = time.perf_counter()
    mix = tsr.mixture(folder + "/mixture.yaml", registry=folder + "/registry", streaming=streaming)
    total = hashlib.sha256()
    seen, first = 0, None
    for batch in mix.batches(start=start, stop=start + rows):
        if first is None:
            first = time.perf_counter() - begun
            print("first", flush=True)
        seen += batch.num_rows
        total.update("".join(batch.column("text").to_pylist()).encode())
    seconds = time.perf_counter() - begun
    print(json.dumps({"first": first, "seconds": seconds, "rows": seen, "digest": total.hexdigest()[:8]}))

main()
"""
THEIRS = """
import json, sys, time
import datasets, pyarrow.parquet, huggingface_hub
folder, rows, start = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def main():
    begun = time.perf_counter()
    data = datasets.load_dataset("own/large", streaming=True, split="train").shuffle(seed=1, buffer_size=10_000)
    if start:
        data.load_state_dict(json.load(open(folder + "/state.json")))
    seen, first = 0, None
    for row in data:
        if first is None:
            first = time.perf_counter() - begun
            print("first", flush=True)
        seen += 1
        if seen == rows:
            break
    seconds = time.perf_counter() - begun
    if not start:
        json.dump(data.state_dict(), open(folder + "/state.json", "w"))
    print(json.dumps({"first": first, "seconds": seconds, "rows": seen, "digest": ""}))

main()
"""


@dataclass(frozen=True)
class Result:
    """One case: seconds and megabytes until the first row and in all, rows a second, memory and disk in MB."""

    name: str
    first: float
    first_megabytes: float
    rate: float
    megabytes: float
    anonymous: float
    disk: float
    digest: str

    def line(self) -> str:
        """A row of the table."""
        cells = [
            self.name, f"{self.first:.2f}", f"{self.first_megabytes:,.1f}", f"{self.rate:,.0f}",
            f"{self.megabytes:,.0f}", f"{self.anonymous:,.0f}", f"{self.disk:,.0f}", self.digest,
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


def write(folder: Path, rows: int) -> float:
    """The dataset on the hub; its size in megabytes."""
    target = folder / "hub" / "own" / "large"
    if not target.exists():
        target.mkdir(parents=True)
        random = np.random.default_rng(11)
        each = rows // FILES
        for number in range(FILES):
            bits = random.bytes(each * 320).hex()
            columns = {
                "said": [bits[i * 640 : i * 640 + 440] for i in range(each)],
                "heard": [bits[i * 640 + 440 : i * 640 + 500] for i in range(each)],
                "other": [bits[i * 640 + 500 : i * 640 + 640] for i in range(each)],
            }
            name = f"train-{number:05d}-of-{FILES:05d}.parquet"
            pq.write_table(pa.table(columns), target / name, row_group_size=GROUP, compression="zstd")
    return sum(path.stat().st_size for path in target.iterdir()) / MEGABYTE


def register(folder: Path) -> None:
    """The registry with the task, counted by a stream, and the mixture."""
    from small_registry import SmallRegistry

    from tasksource_reg.annotation.load import read_annotation
    from tasksource_reg.authoring.lock import lock_file
    from tasksource_reg.provenance.locks import write_lock
    from tasksource_reg.registry import Registry
    from tasksource_reg.workspace import Workspace

    shutil.rmtree(folder / "registry", ignore_errors=True)
    shutil.rmtree(folder / "mirror", ignore_errors=True)
    own = SmallRegistry(folder)
    own.task("large", [], lock=False)
    space = Workspace(Registry((own.root,)), cache=folder / "index", streaming=True)
    done = lock_file(read_annotation(own.annotation("large")), space.vocabularies, space.sources, space.cache)
    assert done.lock is not None, done.problems
    write_lock(own.annotation("large"), done.lock)
    spec = {
        "mixture": "large", "parts": [{"task": "own/large"}], "shape": "text", "seed": 1, "stop": "never",
        "locality": {"rows": 2 * GROUP, "window": 8},
    }  # fmt: skip
    (folder / "mixture.yaml").write_text(json.dumps(spec))


def case(hub: HubServer, folder: Path, name: str, code: str, rows: int, start: int, how: str, fresh: bool) -> Result:
    """Runs one case; `fresh` empties its caches first."""
    caches = folder / "caches" / how
    if fresh:
        shutil.rmtree(caches, ignore_errors=True)
    os.environ |= {
        "HF_HOME": str(caches / "hf"),
        "TSR_CACHE": str(caches / "tsr"),
        "HF_DATASETS_CACHE": str(caches / "hf" / "datasets"),
    }
    hub.delivered, until_first = 0, [0]
    output = caches.parent / "first"
    output.unlink(missing_ok=True)
    watched = code.replace('print("first", flush=True)', f"open({str(output)!r}, 'w').close()")

    def look() -> bool:
        if not until_first[0] and output.exists():
            until_first[0] = hub.delivered
        return False

    done = run(watched, folder, rows, start, how, kill=look)
    found: dict[str, Any] = json.loads(done.printed.splitlines()[-1])
    disk = sum(path.stat().st_size for path in caches.rglob("*") if path.is_file() and not path.is_symlink())
    return Result(
        name,
        found["first"],
        until_first[0] / MEGABYTE,
        found["rows"] / found["seconds"],
        hub.delivered / MEGABYTE,
        done.megabytes,
        disk / MEGABYTE,
        found["digest"],
    )


def main() -> int:
    """Prints the table; 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_600_000, help="of the dataset")
    parser.add_argument("--read", type=int, default=200_000, help="rows that a run reads")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds before each answer")
    parser.add_argument("--keep", type=Path, help="where the dataset is written, and kept")
    options = parser.parse_args()
    folder = (options.keep or Path(tempfile.mkdtemp(prefix="tsr-streaming-"))).resolve()
    hub = HubServer()
    os.environ |= {
        "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TSR_CACHE": str(folder / "caches" / "lock"),
    }  # fmt: skip
    size = write(folder, options.rows)
    hub.reset(folder / "hub")
    register(folder)
    hub.seconds = options.latency
    read, middle = options.read, options.rows // 2
    print(f"{options.rows:,} rows in {FILES} files, {size:,.0f} MB; {read:,} rows are read\n")
    print("| run | first row s | MB until then | rows/s | MB in all | RssAnon MB | disk MB | rows' digest |")
    print("|---|---|---|---|---|---|---|---|")
    results = {}
    for name, code, start, how, fresh in (
        ("streamed", OURS, 0, "streamed", True),
        ("prepared whole", OURS, 0, "prepared", True),
        ("`datasets`, streaming", THEIRS, 0, "theirs", True),
        ("streamed, again", OURS, 0, "streamed", False),
        ("streamed, on from the middle", OURS, middle, "streamed", True),
        ("streamed, on from the middle, what was fetched is there", OURS, middle, "streamed", False),
        ("prepared, on from the middle, what was prepared is there", OURS, middle, "prepared", False),
    ):
        results[name] = case(hub, folder, name, code, read, start, how, fresh)
        print(results[name].line(), flush=True)
    results["before"] = case(hub, folder, "", THEIRS, middle, 0, "theirs", True)
    print(case(hub, folder, "`datasets`, on from the middle", THEIRS, read, middle, "theirs", False).line())
    mine, whole = results["streamed"], results["prepared whole"]
    met = mine.digest == whole.digest and mine.first < whole.first and mine.first_megabytes < whole.first_megabytes / 4
    print(f"\nbar: {'met' if met else 'MISSED'}")
    if options.keep is None:
        shutil.rmtree(folder)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
