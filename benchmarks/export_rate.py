"""The rate of an export beside a plain pyarrow copy of the same bytes: W1 sentence pairs, W2 choices, W3 tagged tokens.

    python benchmarks/export_rate.py [--only W1] [--rows 400000] [--repeats 5] [--keep DIR]

Makes rows of pseudo-words (frequencies by Zipf's law, the same in every run) as a mirror with annotations, and exports
them in shuffled order through the public API: validation, keyed choices, ten templates of the library a task (eight for
W3), passports, zstd-3. The copy reads the exported Parquet row group by row group and writes it again: pyarrow's own
defaults, zstd-3, the same row groups. Every run is a process of its own, interleaved; imports are not timed, sources
are prepared. Prints medians, ratios beside their bars, CPU and anonymous memory (RssAnon); ends with 1 where a bar is
missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from processes import ROOT, Ran, run

CLOCK = """
import json, resource, sys, time

def used():
    own, gone = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), own.ru_utime + own.ru_stime + gone.ru_utime + gone.ru_stime

def timed(run):
    wall, cpu = used()
    run()
    wall2, cpu2 = used()
    print(json.dumps({"wall": wall2 - wall, "cpu": cpu2 - cpu}))
"""
EXPORT = (
    CLOCK
    + """
if __name__ == "__main__":
    import tasksource_reg as tsr
    import datasets, pandas, pyarrow.parquet, tasksource_reg.export.export, tasksource_reg.api

    folder, name, out, workers = sys.argv[1:]
    def export():
        options = {"registry": folder + "/registry", "mirror": folder + "/mirror", "offline": True}
        mix = tsr.mixture(folder + f"/{name}.yaml", **options)
        mix.export(out, workers=int(workers))
    timed(export)
"""
)
COPY = (
    CLOCK
    + """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import pyarrow.compute, pyarrow.parquet as pq

def copy(path):
    with pq.ParquetFile(path) as file:
        with pq.ParquetWriter(target / path.name, file.schema_arrow, compression="zstd", compression_level=3) as writer:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                writer.write_table(table, row_group_size=table.num_rows)

source, target, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
target.mkdir(parents=True, exist_ok=True)
files = sorted((source / "data").glob("*.parquet"))
def run():
    if threads == 1:
        for path in files:
            copy(path)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(copy, files))
timed(run)
"""
)
LABELS = ("entailment", "neutral", "contradiction")
TAGS = ("O", "B-person", "I-person", "B-place", "I-place", "B-work", "I-work")
NLI = (
    "can-we-infer", "premise-hypothesis", "strict-judge", "letter-of-definition", "draft-against-source",
    "then-the-claim-is", "does-it-follow", "json", "annotation-sheet", "second-reader",
)  # fmt: skip
CHOICES = (
    "letters", "bulleted-text", "best-of", "letter-clerk", "no-options", "this-or-that", "key-and-distractors",
    "json-item", "sort-out", "open-ended",
)  # fmt: skip
TOKENS = (
    "token-tab-tag", "tags-only", "slashes", "json-array", "tag-first", "one-each", "column", "write-sentence",
)  # fmt: skip


@dataclass(frozen=True)
class Workload:
    """Rows, their annotation and templates, and what the export's rate has to be beside the copy's."""

    name: str
    rows: int
    annotation: dict[str, object]
    table: Callable[[np.random.Generator, int], pa.Table]
    templates: tuple[str, ...]
    bar: float
    two: float | None = None
    """Bar of two processes beside a copy with two threads."""


def texts(lots: np.random.Generator, lengths: np.ndarray) -> pa.Array:
    """Sentences of so many pseudo-words each."""
    return pc.binary_join(words(lots, lengths), " ")


def words(lots: np.random.Generator, lengths: np.ndarray) -> pa.ListArray:
    """Lists of so many pseudo-words each, from 20,000 by Zipf's law."""
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    vocabulary = ["".join(lots.choice(letters, size)) for size in lots.integers(2, 10, 20_000)]
    chances = 1 / np.arange(10, 20_010)
    picked = lots.choice(20_000, int(lengths.sum()), p=chances / chances.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vocabulary).take(pa.array(picked)))


def pairs(lots: np.random.Generator, n: int) -> pa.Table:
    """W1: two sentences and a label."""
    return pa.table(
        {
            "premise": texts(lots, lots.integers(6, 22, n)),
            "hypothesis": texts(lots, lots.integers(4, 12, n)),
            "label": pa.array(LABELS).take(pa.array(lots.integers(0, 3, n))),
        }
    )


def questions(lots: np.random.Generator, n: int) -> pa.Table:
    """W2: a context, a question, four options and which is right."""
    options = texts(lots, lots.integers(1, 8, 4 * n))
    return pa.table(
        {
            "passage": texts(lots, lots.integers(20, 60, n)),
            "question": texts(lots, lots.integers(5, 16, n)),
            "options": pa.ListArray.from_arrays(pa.array(np.arange(0, 4 * n + 1, 4, dtype=np.int32)), options),
            "answer": pa.array(lots.integers(0, 4, n)),
        }
    )


def tagged(lots: np.random.Generator, n: int) -> pa.Table:
    """W3: tokens with BIO tags, about one in six in an entity."""
    lengths = lots.integers(5, 35, n)
    tokens = words(lots, lengths)
    total = int(lengths.sum())
    kind, begins = lots.integers(0, 3, total), lots.random(total) < 0.11
    first = np.zeros(total, bool)
    first[tokens.offsets.to_numpy()[:-1]] = True
    tags = np.where(begins, 1 + 2 * kind, 0)
    goes_on = (np.roll(tags, 1) > 0) & (lots.random(total) < 0.5) & ~first & (tags == 0)
    tags = np.where(goes_on, np.roll(tags, 1) + 1, tags)
    return pa.table(
        {"tokens": tokens, "tags": pa.ListArray.from_arrays(tokens.offsets, pa.array(TAGS).take(pa.array(tags)))}
    )


def annotation(name: str, **keys: object) -> dict[str, object]:
    """The annotation of a made-up dataset."""
    license = {"spdx": "CC0-1.0", "evidence": [{"where": "this project", "says": "made by its benchmarks"}]}
    about = {"title": name, "languages": ["en"], "license": license}
    return {"format": 1, "dataset": f"bench/{name}", "id": f"bench/{name}", **about, **keys}


WORKLOADS = (
    Workload(
        "W1",
        400_000,
        annotation(
            "pairs",
            schema="classification",
            family="nli",
            labels=list(LABELS),
            fields={"text": "premise", "text_pair": "hypothesis", "label": "label"},
        ),
        pairs,
        tuple(f"nli/{name}" for name in NLI),
        0.9,
        0.8,
    ),
    Workload(
        "W2",
        100_000,
        annotation(
            "questions",
            schema="multiple_choice",
            ask="Which option answers the question?",
            choice_order="shuffled",
            fields={"context": "passage", "question": "question", "choices": "options", "gold": "answer"},
        ),
        questions,
        tuple(f"multiple_choice/{name}" for name in CHOICES),
        0.7,
    ),
    Workload(
        "W3",
        100_000,
        annotation(
            "tagged",
            schema="token_tags",
            ask="Tag the names.",
            scheme="BIO",
            labels=list(TAGS),
            fields={"tokens": "tokens", "tags": "tags"},
        ),
        tagged,
        tuple(f"token_tags/{name}" for name in TOKENS),
        0.45,
    ),
)


def prepare(folder: Path, work: Workload, rows: int) -> None:
    """Writes the rows, the annotation with its lock, and the mixture."""
    name = str(work.annotation["dataset"])
    data, home = folder / "mirror" / name / "data", folder / "registry" / "annotations" / f"{name}.yaml"
    data.mkdir(parents=True, exist_ok=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    table = work.table(np.random.default_rng(17), rows)
    pq.write_table(table, data / "train-00000-of-00001.parquet")
    home.write_text(json.dumps(work.annotation))
    mixture = {
        "mixture": work.name,
        "seed": 5,
        "parts": [{"task": work.annotation["id"]}],
        "templates": {"where": "id:" + ",".join(work.templates)},
        "shape": "inputs_targets",
    }
    (folder / f"{work.name}.yaml").write_text(json.dumps(mixture))
    sys.path.insert(0, str(ROOT))
    from tasksource_reg.annotation.load import read_annotation
    from tasksource_reg.api import workspace
    from tasksource_reg.authoring.lock import lock_file
    from tasksource_reg.provenance.locks import write_lock

    space = workspace(registry=folder / "registry", mirror=folder / "mirror", offline=True)
    done = lock_file(read_annotation(home), space.vocabularies, space.sources, space.cache)
    assert done.lock is not None, done.problems
    write_lock(home, done.lock)


def measure(folder: Path, work: Workload, repeats: int) -> bool:
    """Runs everything by turns and prints the medians; whether every bar is met."""
    cases: dict[str, Callable[[int], Ran]] = {
        "export": lambda i: run(EXPORT, folder, work.name, folder / f"{work.name}-1-{i}", 1),
        "copy": lambda i: run(COPY, folder / f"{work.name}-1-0", folder / f"{work.name}-copy", 1),
    }
    if work.two is not None:
        cases["export, two processes"] = lambda i: run(EXPORT, folder, work.name, folder / f"{work.name}-2-{i}", 2)
        cases["copy, two threads"] = lambda i: run(COPY, folder / f"{work.name}-1-0", folder / f"{work.name}-copy", 2)
    ran: dict[str, list[Ran]] = {name: [] for name in cases}
    run(EXPORT, folder, work.name, folder / f"{work.name}-warm", 1)
    for i in range(repeats):
        for name, case in cases.items():
            ran[name].append(case(i))
    wall = {name: statistics.median(json.loads(r.printed)["wall"] for r in some) for name, some in ran.items()}
    cpu = {name: statistics.median(json.loads(r.printed)["cpu"] for r in some) for name, some in ran.items()}
    manifest = json.loads((folder / f"{work.name}-1-0" / "manifest.json").read_text())
    rows, stored = manifest["rows"], sum(shard["data"]["bytes"] for shard in manifest["shards"])
    print(f"\n{work.name}: {rows:,} rows, {stored:,} bytes\n")
    print("| | wall s | rows/s | CPU s | RssAnon MiB |\n|---|---|---|---|---|")
    for name, some in ran.items():
        memory = max(r.megabytes for r in some)
        print(f"| {name} | {wall[name]:.3f} | {rows / wall[name]:,.0f} | {cpu[name]:.3f} | {memory:.0f} |")
    memory = max(r.megabytes for r in ran["export"])
    checks = [("rate beside the copy", wall["copy"] / wall["export"], work.bar, True)]
    if work.two is not None:
        checks.append(("CPU beside the copy", cpu["export"] / cpu["copy"], 1.2, False))
        two = wall["copy, two threads"] / wall["export, two processes"]
        checks.append(("two processes beside the two-thread copy", two, work.two, True))
    checks.append(("RssAnon, MiB", memory, 350, False))
    kept = True
    for what, value, bar, least in checks:
        met = value >= bar if least else value <= bar
        kept &= met
        print(f"{what}: {value:.2f}, bar {'>=' if least else '<='} {bar} {'ok' if met else 'MISSED'}")
    return kept


def main() -> int:
    """Prints the tables; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[work.name for work in WORKLOADS])
    parser.add_argument("--rows", type=int, help="in place of each workload's own number")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    options = parser.parse_args()
    kept = True
    with tempfile.TemporaryDirectory(prefix="tsr-rate-") as temporary:
        folder = options.keep or Path(temporary)
        for work in WORKLOADS:
            if options.only in (None, work.name):
                prepare(folder, work, options.rows or work.rows)
                kept &= measure(folder, work, options.repeats)
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
