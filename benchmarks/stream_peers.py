"""Streaming rows of 50 rendered tasks, beside `datasets.interleave_datasets`, litdata and mosaicml-streaming.

    python benchmarks/stream_peers.py [--rows 500000] [--repeats 3] [--peers PYTHON] [--keep DIR]

50 tasks of rendered rows (prompt, response), 1.13 million in all, of log-uniform sizes; rates by rows^0.5. Each case is
a process of its own: opening included, imports not, sources prepared, cases interleaved, medians. Ours renders (the
template is `{{ input }}` and `{{ target }}`), draws keys and carries passports; the peers copy. PYTHON is the
interpreter of an environment with litdata, mosaicml-streaming and pyarrow; how they are used stands in
`peers_stream.py`. Their own formats are written beforehand.

Bars: dicts >= 8x map-style interleave and >= 3x litdata, record batches >= 2x interleave's, 50 tasks at most twice as
slow as 2, first row <= 0.3 s; resuming at row 250,000 <= 0.2 s and the next batch equal; a 600-task mixture's first row
< 1 s, anonymous memory < 500 MiB, at most 64 open files. Printed, too, is the slope of
anonymous memory over 10 times as many rows, after as many with which it comes to rest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from export_rate import texts
from processes import ROOT, run

TOTAL, TASKS = 1_130_000, 50

OURS = """
import json, os, sys, time
import numpy as np
import pyarrow.parquet, datasets, pandas
import tasksource_reg as tsr, tasksource_reg.api
from itertools import islice
folder, what, name, rows = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
options = {"registry": folder + "/registry", "mirror": folder + "/mirror", "offline": True}
start = time.perf_counter()
mix = tsr.mixture(f"{folder}/{name}.yaml", **options)
out = {}
if what == "resume":
    it = mix.iterator(start=250_000)
    state = it.state_dict()
    wanted = list(islice(mix.iterator(start=250_000), 1000))
    again = tsr.mixture(f"{folder}/{name}.yaml", **options)
    list(islice(again.iterator(), 10))  # sources are open, as in a run that goes on
    start = time.perf_counter()
    it = again.iterator()
    it.load_state_dict(json.loads(json.dumps(state)))
    got = list(islice(it, 1000))
    out = {"seconds": time.perf_counter() - start, "equal": got == wanted, "state": len(json.dumps(state))}
elif what == "slope":
    seen, sizes = 0, []
    for batch in mix.batches():
        seen += batch.num_rows
        status = open("/proc/self/status").read().splitlines()
        sizes.append((seen, next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon"))))
        if seen >= 20 * rows:
            break
    half = np.array(sizes[len(sizes) // 2 :])
    out = {"slope": float(np.polyfit(half[:, 0] / 1e6, half[:, 1], 1)[0]), "spread": float(half[:, 1].std())}
else:
    rows_seen = 0
    if what == "dicts":
        it = iter(mix)
        next(it)
        out["first"] = time.perf_counter() - start
        rows_seen = 1 + sum(1 for _ in islice(it, rows - 1))
    elif what == "batches":
        for batch in mix.batches(1000):
            out.setdefault("first", time.perf_counter() - start)
            rows_seen += batch.num_rows
            if rows_seen >= rows:
                break
    out |= {"rate": rows_seen / (time.perf_counter() - start)}
status = open("/proc/self/status").read().splitlines()
out["anonymous"] = next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon"))
maps = {line.split()[-1] for line in open("/proc/self/maps") if line.rstrip().endswith(".arrow")}
out["open"] = len(os.listdir("/proc/self/fd")) + len(maps)
print(json.dumps(out))
"""
INTERLEAVE = """
import json, sys, time
from pathlib import Path
import datasets
datasets.disable_progress_bars()
folder, what, rows = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
files = sorted((folder / "hf").glob("*"))
sizes = json.loads((folder / "sizes.json").read_text())
start = time.perf_counter()
parts = [datasets.load_from_disk(str(path)) for path in files]
roots = [size**0.5 for size in sizes]
mixed = datasets.interleave_datasets(
    parts, [root / sum(roots) for root in roots], seed=5, stopping_strategy="all_exhausted")
seen, first = 0, None
if what == "dicts":
    for row in mixed:
        first = first or time.perf_counter() - start
        seen += 1
        if seen >= rows:
            break
else:
    for batch in mixed.with_format("arrow").iter(1000):
        first = first or time.perf_counter() - start
        seen += batch.num_rows
        if seen >= rows:
            break
print(json.dumps({"rate": seen / (time.perf_counter() - start), "first": first}))
"""
PEERS = Path(__file__).with_name("peers_stream.py").read_text()
BESIDE = ("litdata", "mosaic")


def sizes_of(tasks: int, total: int) -> list[int]:
    """Log-uniform sizes that sum to about `total`."""
    drawn = np.exp(np.random.default_rng(3).uniform(np.log(200), np.log(200_000), tasks))
    return np.maximum(20, drawn * total / drawn.sum()).astype(int).tolist()


def prepare(folder: Path, name: str, sizes: list[int], *, peers: bool) -> None:
    """Writes the rows as a mirror with annotations and locks, the mixture, and what the peers read."""
    sys.path.insert(0, str(ROOT))
    import datasets

    from tasksource_reg.annotation.load import read_annotation
    from tasksource_reg.api import workspace
    from tasksource_reg.authoring.lock import lock_file
    from tasksource_reg.provenance.locks import write_lock

    datasets.disable_progress_bars()
    lots = np.random.default_rng(11)
    registry, license = (
        folder / "registry",
        {"spdx": "CC0-1.0", "evidence": [{"where": "this project", "says": "made"}]},
    )
    templates = registry / "templates" / "families" / "rendered.yaml"
    templates.parent.mkdir(parents=True, exist_ok=True)
    template = {"id": "rendered/as-it-is", "prompt": "{{ input }}", "response": "{{ target }}"}
    body = {"format": 1, "family": "rendered", "for": {"schema": "generation"}, "templates": [template]}
    templates.write_text(json.dumps(body))
    homes = []
    for number, size in enumerate(sizes):
        dataset = f"bench/{name}-t{number:03d}"
        table = pa.table(
            {"prompt": texts(lots, lots.integers(15, 40, size)), "response": texts(lots, lots.integers(1, 8, size))}
        )
        data = folder / "mirror" / dataset / "data"
        data.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, data / "train-00000-of-00001.parquet")
        home = registry / "annotations" / f"{dataset}.yaml"
        home.parent.mkdir(parents=True, exist_ok=True)
        about = {
            "format": 1,
            "dataset": dataset,
            "id": dataset,
            "title": dataset,
            "languages": ["en"],
            "license": license,
        }
        fields = {"input": "prompt", "target": "response"}
        home.write_text(json.dumps({**about, "schema": "generation", "family": "rendered", "fields": fields}))
        homes.append(home)
        if peers:
            (folder / "rows").mkdir(exist_ok=True)
            pq.write_table(table, folder / "rows" / f"t{number:02d}.parquet")
            datasets.Dataset(table).save_to_disk(str(folder / "hf" / f"t{number:02d}"))
    for home in homes:
        space = workspace(registry=registry, mirror=folder / "mirror", offline=True)
        done = lock_file(read_annotation(home), space.vocabularies, space.sources, space.cache)
        assert done.lock is not None, done.problems
        write_lock(home, done.lock)
    if peers:
        (folder / "sizes.json").write_text(json.dumps(sizes))
    within = {"by": "examples", "temperature": 2}
    mixture = {"mixture": name, "seed": 5, "parts": [{"select": f"dataset:bench/{name}-*", "within": within}]}
    shape = {"shape": "inputs_targets", "stop": "never"}
    (folder / f"{name}.yaml").write_text(json.dumps({**mixture, **shape}))


def main() -> int:
    """Prints the table; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", help="the Python of an environment with litdata and mosaicml-streaming")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it; what it holds is used again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tsr-stream-") as temporary:
        folder = options.keep or Path(temporary)
        for name, sizes in (
            ("fifty", sizes_of(TASKS, TOTAL)),
            ("two", [300_000] * 2),
            ("many", sizes_of(600, 600_000)),
        ):
            if not (folder / f"{name}.yaml").exists():
                prepare(folder, name, sizes, peers=name == "fifty")
        return measure(folder, options.rows, options.repeats, options.peers)


def _peer(name: str, folder: Path, rows: int, python: str) -> str:
    """What a peer printed last; it reads in a process of its own."""
    return run(PEERS, name, "read", folder, rows, python=python).printed


def measure(folder: Path, rows: int, repeats: int, peers: str | None) -> int:
    """Runs the cases by turns and compares."""
    cases: dict[str, Callable[[], str]] = {
        "ours, dicts": lambda: run(OURS, folder, "dicts", "fifty", rows).printed,
        "ours, batches": lambda: run(OURS, folder, "batches", "fifty", rows).printed,
        "ours, dicts, 2 tasks": lambda: run(OURS, folder, "dicts", "two", rows).printed,
        "ours, dicts, 600 tasks": lambda: run(OURS, folder, "dicts", "many", rows).printed,
        "interleave, dicts": lambda: run(INTERLEAVE, folder, "dicts", rows).printed,
        "interleave, batches": lambda: run(INTERLEAVE, folder, "batches", rows).printed,
        "resume": lambda: run(OURS, folder, "resume", "fifty", rows).printed,
    }
    for peer in BESIDE if peers else ():
        if not (folder / peer).exists():
            run(PEERS, peer, "write", folder, rows, python=str(peers))
        cases[f"{peer}, dicts"] = partial(_peer, peer, folder, rows, str(peers))
    for name in ("fifty", "two", "many"):
        run(OURS, folder, "batches", name, 1000)
    slope = json.loads(run(OURS, folder, "slope", "fifty", rows).printed.splitlines()[-1])
    print(f"RssAnon from row {10 * rows:,} to {20 * rows:,}: {slope['slope']:+.2f} MiB a million rows")
    print(f"(it moves by {slope['spread']:.1f} MiB between blocks)\n")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            found[name].append(json.loads(case().splitlines()[-1]))

    def median(name: str, key: str) -> float:
        return statistics.median(one[key] for one in found[name])

    print("| case | rows/s | first row, s |\n|---|---|---|")
    for name in cases:
        if name != "resume":
            print(f"| {name} | {median(name, 'rate'):,.0f} | {median(name, 'first'):.2f} |")
    dicts, slow = median("ours, dicts", "rate"), median("ours, dicts, 2 tasks", "rate")
    batches = median("ours, batches", "rate")
    checks = [
        ("dicts beside interleave", dicts / median("interleave, dicts", "rate"), 8, True),
        ("batches beside interleave", batches / median("interleave, batches", "rate"), 2, True),
        ("2 tasks beside 50", slow / dicts, 2, False),
        ("first row of 50 tasks, s", median("ours, dicts", "first"), 0.3, False),
        ("first row of 600 tasks, s", median("ours, dicts, 600 tasks", "first"), 1, False),
        ("RssAnon of 600 tasks, MiB", median("ours, dicts, 600 tasks", "anonymous"), 500, False),
        ("open files and maps of 600 tasks", median("ours, dicts, 600 tasks", "open"), 64, False),
        ("resume at 250,000, s", median("resume", "seconds"), 0.2, False),
    ]
    if peers:
        checks.insert(1, ("dicts beside litdata", dicts / median("litdata, dicts", "rate"), 3, True))
    missed = not all(one["equal"] for one in found["resume"])
    print(f"\nthe next 1,000 rows after resuming are equal: {not missed}; state {median('resume', 'state'):.0f} bytes")
    for what, value, bar, least in checks:
        met = value >= bar if least else value <= bar
        missed |= not met
        print(f"{what}: {value:.2f}, bar {'>=' if least else '<='} {bar} {'ok' if met else 'MISSED'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
