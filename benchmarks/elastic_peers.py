"""What other loaders lose and repeat when a mixture is stopped twice and resumed from their states.

Four sources of ids, mixed by their sizes, every id once in a run that is not interrupted. Each peer is stopped at the
same cuts, its state goes through pickle, and a new loader, built in the same way, goes on. Peers that are not
installed are left out, and what a peer cannot do is printed as its error. This file imports nothing of the project, so
that it runs in an environment of the peers' own; `elastic.py` calls it.

    python benchmarks/elastic_peers.py [--cuts 200] [--rows 3000]
"""

from __future__ import annotations

import argparse
import logging
import pickle
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Any

from peers_stream import import_mosaic

SHARES = {"a": 8, "b": 4, "c": 2, "d": 1}
BUFFER = 1000  # rows of a shuffle buffer, the usual size

Sources = dict[str, list[str]]
Make = Callable[[int], Any]
"""How often it was stopped -> a new loader: with `iter`, or with the state of its iterator."""


def sources_of(rows: int) -> Sources:
    total = sum(SHARES.values())
    return {name: [f"{name}{i}" for i in range(rows * share // total)] for name, share in SHARES.items()}


# `datasets`: the loader has the state.


def interleaved(sources: Sources, buffer: int | None = None) -> Any:
    import datasets

    parts = [datasets.Dataset.from_dict({"id": ids}).to_iterable_dataset(num_shards=4) for ids in sources.values()]
    mixed = datasets.interleave_datasets(
        parts,
        probabilities=[share / sum(SHARES.values()) for share in SHARES.values()],
        seed=1,
        stopping_strategy="all_exhausted_without_replacement",
    )
    return mixed if buffer is None else mixed.shuffle(seed=1, buffer_size=buffer)


def in_torchdata(dataset: Any, workers: int) -> Any:
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(dataset, batch_size=None, num_workers=workers)


# grain: the iterator has the state.


class Grain:
    """Sources mixed by grain, every one shuffled; given a state, its iterator begins there."""

    def __init__(self, sources: Sources, size: int, workers: int = 0) -> None:
        import grain

        parts = [grain.MapDataset.source(ids).shuffle(seed=i) for i, ids in enumerate(sources.values())]
        mixed = grain.MapDataset.mix(parts, weights=list(SHARES.values())).to_iter_dataset().batch(size)
        self._dataset = mixed.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers)) if workers else mixed
        self._state: Any = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._iterator = iter(self._dataset)
        if self._state is not None:
            self._iterator.set_state(self._state)
        return chain.from_iterable(({"id": str(value)} for value in batch) for batch in self._iterator)

    def state_dict(self) -> Any:
        """Grain's own."""
        return self._iterator.get_state()

    def load_state_dict(self, state: Any) -> None:
        """The next iterator begins there."""
        self._state = state


# litdata: its own loader over its own format.


def as_row(row: str) -> dict[str, str]:
    return {"id": row}


def litdata_loader(folder: Path, workers: int) -> Any:
    import litdata

    parts = [litdata.StreamingDataset(str(folder / name), shuffle=True, seed=1) for name in SHARES]
    mixed = litdata.CombinedStreamingDataset(parts, seed=1, iterate_over_all=True)
    return litdata.StreamingDataLoader(mixed, batch_size=1, num_workers=workers, collate_fn=list)


def write_litdata(sources: Sources, folder: Path) -> None:
    import litdata

    for name, ids in sources.items():
        out = str(folder / name)
        litdata.optimize(fn=as_row, inputs=ids, output_dir=out, chunk_size=64, num_workers=1, verbose=False)


# mosaicml-streaming: its own loader over its own format; the loader has the state, in whole batches.


class Mosaic:
    """Streams mixed by their sizes, shuffled, as rows.

    Args:
        folder: what `write_mosaic` wrote; read under a name of its own each time, for two datasets of one process may
            not share a folder.
        size, workers: of the loader.
    """

    def __init__(self, folder: Path, size: int, workers: int = 0) -> None:
        streaming = import_mosaic()
        home = Path(tempfile.mkdtemp(dir=folder.parent)) / "streams"
        home.symlink_to(folder)
        dataset = streaming.StreamingDataset(
            streams=[streaming.Stream(local=str(home / name)) for name in SHARES],
            shuffle=True,
            shuffle_seed=1,
            batch_size=size,
        )
        fork = "fork" if workers else None  # Linux's own; litdata changes it for the process
        self._loader = streaming.StreamingDataLoader(
            dataset, batch_size=size, num_workers=workers, multiprocessing_context=fork
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return ({"id": value} for batch in self._loader for value in batch["id"])

    def state_dict(self) -> Any:
        """The loader's own."""
        return self._loader.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """The next iterator begins there."""
        self._loader.load_state_dict(state)


def write_mosaic(sources: Sources, folder: Path) -> None:
    streaming = import_mosaic()
    for name, ids in sources.items():
        with streaming.MDSWriter(out=str(folder / name), columns={"id": "str"}) as out:
            for row in ids:
                out.write(as_row(row))


# Runs.


def ids_of(items: Any) -> list[str]:
    rows = chain.from_iterable(item if isinstance(item, list) else [item] for item in items)
    return [row["id"] for row in rows]


def interrupted(make: Make, cuts: list[int], rows: int) -> list[str]:
    seen: list[str] = []
    state: bytes | None = None
    for stopped, end in enumerate((*cuts, rows)):
        loader = make(stopped)
        if state is not None:
            loader.load_state_dict(pickle.loads(state))
        seen += ids_of(islice(loader, end - len(seen)))
        state = pickle.dumps(loader.state_dict())
    return seen


def measure(name: str, make: Make, runs: int, step: int, seed: int) -> None:
    """Stops a peer twice in each run, at multiples of `step`; prints what it lost and repeated of its own order."""
    begun, draws = time.perf_counter(), random.Random(seed)
    lost = repeated = displaced = equal = 0
    try:
        whole = ids_of(make(0))
        for _ in range(runs):
            cuts = [cut - cut % step for cut in sorted(draws.sample(range(len(whole)), 2))]
            seen = interrupted(make, cuts, len(whole))
            equal += seen == whole
            lost += len(set(whole) - set(seen))
            repeated += len(seen) - len(set(seen))
            displaced += sum(a != b for a, b in zip(seen, whole, strict=False))
    except Exception as failure:
        said = str(failure).strip().splitlines()
        print(f"{name:<52} fails: {type(failure).__name__} {said[-1][:90] if said else ''}", flush=True)
        return
    print(
        f"{name:<52} {equal} of {runs} runs equal; a run of {len(whole):,} rows lost {lost / runs:,.0f}, repeated "
        f"{repeated / runs:,.0f}, out of place {displaced / runs:,.0f}; {time.perf_counter() - begun:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cuts", type=int, default=200, help="pairs of cut points")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    sources, few = sources_of(options.rows), min(options.cuts, 5)  # few where worker processes start

    def run(name: str, make: Make, runs: int = options.cuts, step: int = 1) -> None:
        measure(name, make, runs, step, options.seed)

    if find_spec("datasets"):
        run("datasets interleave", lambda _: interleaved(sources))
        run(f"datasets interleave, buffer of {BUFFER:,}", lambda _: interleaved(sources, BUFFER))
        if find_spec("torchdata"):
            named = "datasets in torchdata"
            run(f"{named}, 2 workers", lambda _: in_torchdata(interleaved(sources), 2), few)
            run(f"{named}, buffer, 2 workers", lambda _: in_torchdata(interleaved(sources, BUFFER), 2), few)
            run(f"{named}, 2 workers, then 3", lambda n: in_torchdata(interleaved(sources), 2 + (n > 0)), few)
    if find_spec("grain"):
        run("grain mix, batches of 8", lambda _: Grain(sources, 8), step=8)
        run("grain mix, batches of 8, then 4", lambda n: Grain(sources, 8 if n == 0 else 4), step=8)
        run("grain mix, 2 workers", lambda _: Grain(sources, 8, 2), few, step=8)
        run("grain mix, 2 workers, then 3", lambda n: Grain(sources, 8, 2 + (n > 0)), few, step=8)
    if find_spec("litdata"):
        with tempfile.TemporaryDirectory() as folder:
            write_litdata(sources, Path(folder))
            run("litdata combined", lambda _: litdata_loader(Path(folder), 0), few)
            run("litdata combined, 2 workers", lambda _: litdata_loader(Path(folder), 2), few)
            run("litdata combined, 2 workers, then 3", lambda n: litdata_loader(Path(folder), 2 + (n > 0)), few)

    if find_spec("streaming"):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "mosaic"
            write_mosaic(sources, home)
            run("mosaic streams, batches of 8", lambda _: Mosaic(home, 8), few, step=8)
            run("mosaic streams, batches of 8, then 4", lambda n: Mosaic(home, 8 if n == 0 else 4), few, step=8)
            run("mosaic streams, 2 workers", lambda _: Mosaic(home, 8, 2), few, step=8)
            run("mosaic streams, 2 workers, then 3", lambda n: Mosaic(home, 8, 2 + (n > 0)), few, step=8)


if __name__ == "__main__":
    main()
