"""What `stream_peers.py` asks of litdata and mosaicml-streaming: their formats written, their mixtures read as dicts.

    python benchmarks/peers_stream.py litdata|mosaic write|read FOLDER ROWS

It runs in an environment of the peers' own, so it imports nothing of the project. FOLDER holds `sizes.json` and
`rows/*.parquet`; each peer makes its own files of these by its own writer. Reading begins with opening them, imports
are not counted; rates are by rows^0.5, and both peers shuffle.

- litdata: a `CombinedStreamingDataset` with weights over a `StreamingDataset` for each task, of chunks of 64 MB. It
  ends when the first task does, so tasks too small for their share of ROWS are upsampled, by `subsample` above 1.
- mosaic: one `StreamingDataset` over a `Stream` with its proportion for each task, in an epoch of ROWS rows.
"""

from __future__ import annotations

import json
import sys
import time
import types
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NAMES = ("prompt", "response")
BATCH = 32  # mosaic wants to know it, though nobody batches here


def rows_of(path: str) -> Iterator[dict[str, str]]:
    """The rows of a Parquet file."""
    import pyarrow.parquet as pq

    yield from pq.read_table(path).to_pylist()


def write_litdata(folder: Path, sizes: list[int]) -> None:
    import litdata

    for number in range(len(sizes)):
        litdata.optimize(
            fn=rows_of,
            inputs=[str(folder / "rows" / f"t{number:02d}.parquet")],
            output_dir=str(folder / "litdata" / f"t{number:02d}"),
            chunk_bytes="64MB",
            num_workers=1,
            verbose=False,
        )


def read_litdata(folder: Path, sizes: list[int], rates: list[float], rows: int) -> Iterable[Any]:
    import litdata

    parts = []
    for number, (size, rate) in enumerate(zip(sizes, rates, strict=True)):
        wanted = 1.1 * rate * rows + 100  # shares are drawn, so a task may be asked for more than its own
        place = str(folder / "litdata" / f"t{number:02d}")
        parts.append(litdata.StreamingDataset(place, shuffle=True, seed=5, subsample=max(1.0, wanted / size)))
    return litdata.CombinedStreamingDataset(parts, seed=5, weights=rates, iterate_over_all=False)


IMAGES = {
    "": (),
    ".datasets": ("VisionDataset", "CIFAR10"),
    ".transforms": (),
    ".transforms.functional": ("to_tensor",),
}


def import_mosaic() -> Any:
    """The package. It imports torchvision, for datasets of images; where that is missing, its names are made up."""
    if find_spec("torchvision") is None:
        for name, holds in IMAGES.items():
            module = types.ModuleType("torchvision" + name)
            module.__spec__ = ModuleSpec(module.__name__, None)
            vars(module).update(dict.fromkeys(holds, object))
            sys.modules[module.__name__] = module
    import streaming

    return streaming


def write_mosaic(folder: Path, sizes: list[int]) -> None:
    streaming = import_mosaic()
    for number in range(len(sizes)):
        place = str(folder / "mosaic" / f"t{number:02d}")
        with streaming.MDSWriter(out=place, columns=dict.fromkeys(NAMES, "str")) as out:
            for row in rows_of(str(folder / "rows" / f"t{number:02d}.parquet")):
                out.write(row)


def read_mosaic(folder: Path, sizes: list[int], rates: list[float], rows: int) -> Iterable[Any]:
    streaming = import_mosaic()
    parts = [
        streaming.Stream(local=str(folder / "mosaic" / f"t{number:02d}"), proportion=rate)
        for number, rate in enumerate(rates)
    ]
    return streaming.StreamingDataset(
        streams=parts, epoch_size=rows, batch_size=BATCH, shuffle=True, shuffle_seed=5, batching_method="random"
    )


def main() -> None:
    peer, what, folder, rows = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    sizes = json.loads((folder / "sizes.json").read_text())
    if what == "write":
        {"litdata": write_litdata, "mosaic": write_mosaic}[peer](folder, sizes)
        return
    roots = [size**0.5 for size in sizes]
    rates = [root / sum(roots) for root in roots]
    if peer == "mosaic":
        import_mosaic()
    else:
        import litdata  # noqa: F401
    read = {"litdata": read_litdata, "mosaic": read_mosaic}[peer]
    start = time.perf_counter()
    seen, first = 0, 0.0
    for _ in read(folder, sizes, rates, rows):
        first = first or time.perf_counter() - start
        seen += 1
        if seen >= rows:
            break
    rate = seen / (time.perf_counter() - start)
    if seen < rows:
        sys.exit(f"{peer} ended after {seen:,} rows")
    print(json.dumps({"rate": rate, "first": first}), flush=True)


if __name__ == "__main__":
    main()
