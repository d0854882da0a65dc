"""Elastic resumption: runs stopped twice, each leg under other ranks, workers and batch sizes, against one run.

For each pair of cut points, number of ranks and number of workers a run is stopped twice; the first leg has these ranks
and workers, the later ones draw theirs, and every leg draws its batch size. States go through JSON. Compared is the
global sequence, in order.

- positions: every run, by the arithmetic that the loaders use (`Deal`), worker by worker, without computing a row;
- rows: for each number of ranks and workers some runs with torch's own `DataLoader`, on real tasks, each row by a
  digest of all its values.

Then the peers that are installed, in `elastic_peers.py`: the same rows, the same cuts, with nothing changed at the
stops, or what their interface lets one change.

    python benchmarks/elastic.py --mirror ../shared/hub [--cuts 200] [--runs 1] [--peers PYTHON]

Bar: the sequence of the interrupted runs equals that of the uninterrupted one in 100 % of the runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import tasksource_reg as tsr
from tasksource_reg.mixing.deal import Deal

MIXTURE = Path(__file__).parent / "mixtures" / "real-20.yaml"
WORLDS, WORKERS, SIZES = (1, 2, 3, 4, 8), (0, 2, 5), (1, 2, 3, 4, 7, 8, 16, 32)

Leg = Callable[[int, int, int, int, dict[str, Any] | None], list[list[list[Any]]]]
"""(ranks, workers, batch size, batches, state) -> for each rank its batches, each a list of rows."""


def digest(row: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()


def digests(batch: list[dict[str, Any]]) -> list[str]:
    return [digest(row) for row in batch]


def by_arithmetic(mix: tsr.Mixture) -> Leg:
    """Legs as positions: what each worker of each rank is dealt, put together in the order a loader asks for it."""
    data = mix._data

    def leg(world: int, workers: int, size: int, count: int, state: dict[str, Any] | None) -> list[list[list[Any]]]:
        start = 0 if state is None else state["position"]
        deal = Deal.of(data.plan, data.spec.tail, start, world, size)
        ranks = []
        for rank in range(world):
            batches: dict[int, list[int]] = {}
            for worker in range(max(workers, 1)):
                numbers = np.arange(worker, min(count, deal.batches(rank)), max(workers, 1), dtype=np.int64)
                positions, lengths = deal.positions(numbers, rank)
                cuts = np.split(positions, np.cumsum(lengths)[:-1]) if len(lengths) else []
                batches |= {n: cut.tolist() for n, cut in zip(numbers.tolist(), cuts, strict=True)}
            ranks.append([batches[n] for n in sorted(batches)])
        return ranks

    return leg


def by_loaders(mix: tsr.Mixture) -> Leg:
    """Legs as rows that torch's `DataLoader` gave, rank after rank, each with its own worker processes."""

    def leg(world: int, workers: int, size: int, count: int, state: dict[str, Any] | None) -> list[list[list[Any]]]:
        ranks = []
        for rank in range(world):
            dataset = mix.to_torch(size, rank=rank, world=world, state=state, collate=digests)
            ranks.append(list(islice(dataset.loader(num_workers=workers), count)))
        return ranks

    return leg


def sequence(ranks: list[list[list[Any]]]) -> list[Any]:
    """The rows in the order of the run: batch by batch, the k-th row of each rank, then the next."""
    out = []
    for number in range(max(map(len, ranks))):
        step = [rank[number] if number < len(rank) else [] for rank in ranks]
        for k in range(max(map(len, step))):
            out += [batch[k] for batch in step if k < len(batch)]
    return out


def interrupted(
    mix: tsr.Mixture, leg: Leg, draws: random.Random, first: tuple[int, int], rows: int, cuts: Sequence[int]
) -> tuple[list[Any], int]:
    """A run stopped near both cuts; its sequence, and the bytes of the largest state."""
    state: dict[str, Any] | None = None
    seen: list[Any] = []
    largest = 0
    for end, places in zip((*cuts, rows), (first, None, None), strict=True):
        world, workers = places or (draws.choice(WORLDS), draws.choice(WORKERS))
        size = draws.choice(SIZES)
        at = 0 if state is None else state["position"]
        count = max(0, end - at) // (world * size)
        seen += sequence(leg(world, workers, size, count, state))
        text = json.dumps(mix.state_at(batches=count, batch_size=size, world=world, state=state))
        largest, state = max(largest, len(text.encode())), json.loads(text)
    return seen, largest


def compare(name: str, mix: tsr.Mixture, leg: Leg, whole: list[Any], runs: int, seed: int) -> int:
    """Runs for every number of ranks and workers; prints what differs, returns how many runs do."""
    draws, begun = random.Random(seed), time.perf_counter()
    bad = total = lost = repeated = displaced = compared = largest = 0
    for world in WORLDS:
        for workers in WORKERS:
            for _ in range(runs):
                cuts = sorted(draws.sample(range(len(whole)), 2))
                seen, size = interrupted(mix, leg, draws, (world, workers), len(whole), cuts)
                expected = whole[: len(seen)]
                total, compared, largest = total + 1, compared + len(seen), max(largest, size)
                bad += seen != expected or size > 200
                lost += len(set(expected) - set(seen))
                repeated += len(seen) - len(set(seen))
                displaced += sum(a != b for a, b in zip(seen, expected, strict=True))
    print(
        f"{name:<10} {total - bad:,} of {total:,} runs equal ({compared:,} rows): {lost} lost, {repeated} repeated, "
        f"{displaced} out of place; states of at most {largest} bytes; {time.perf_counter() - begun:.0f} s",
        flush=True,
    )
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mirror", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "hub")
    parser.add_argument("--mixture", type=Path, default=MIXTURE)
    parser.add_argument("--cuts", type=int, default=200, help="pairs of cut points for each number of ranks, workers")
    parser.add_argument("--runs", type=int, default=1, help="pairs of these that torch's loaders run on rows")
    parser.add_argument("--rows", type=int, default=3000, help="rows of a run")
    parser.add_argument("--seed", type=int, default=0, help="draws cut points, batch sizes, later ranks and workers")
    parser.add_argument("--peers", default=sys.executable, help="the Python that has the peers installed")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    mix = tsr.mixture(options.mixture, mirror=options.mirror, offline=True)
    rows = [digest(row) for row in islice(mix, options.rows)]
    print(f"{len(mix.plan().tasks)} tasks, runs of {options.rows:,} rows, ranks {WORLDS}, workers {WORKERS}")
    bad = compare("positions", mix, by_arithmetic(mix), list(range(options.rows)), options.cuts, options.seed)
    bad += compare("rows", mix, by_loaders(mix), rows, options.runs, options.seed)
    peers = Path(__file__).with_name("elastic_peers.py")
    arguments = ["--cuts", str(options.cuts), "--rows", str(options.rows), "--seed", str(options.seed)]
    subprocess.run([options.peers, str(peers), *arguments], check=False)
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
