"""How well `locality: block` shuffles, and how many blocks of a source a run touches for it.

    python benchmarks/locality.py [--rows 20000000] [--block 16384] [--window 64]

One task of so many rows, which its source holds in the worst order there is: sorted by label, ten labels. For the full
shuffle and for blocks in windows it prints how often neighbours in the order come from one block, how far the share of
a label strays in any 10,000 rows that follow each other, how many blocks 65,536 rows in a row touch (what must be read,
or stay in memory), and the time that a position takes.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tasksource_reg.mixing.permutation import permute, permute_blocks

LABELS = 10
STRETCH = 10_000
READ = 65_536


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--block", type=int, default=16_384)
    parser.add_argument("--window", type=int, default=64)
    options = parser.parse_args()
    n, block, window = options.rows, options.block, options.window
    orders = {
        "full shuffle": lambda at: permute(7, n, 0, at),
        f"blocks of {block:,}, {window} a window": lambda at: permute_blocks(7, n, 0, at, block, window),
    }
    print(f"{n:,} rows, {-(-n // block):,} blocks, sorted by {LABELS} labels\n")
    print("| order | neighbours of one block | share of a label in 10,000 rows | blocks for 65,536 rows | us a row |")
    print("|---|---|---|---|---|")
    sample = np.arange(min(n, 2_000_000), dtype=np.int64)
    for name, order in orders.items():
        start = time.perf_counter()
        element = order(sample)
        taken = (time.perf_counter() - start) / len(sample)
        together = np.mean(np.diff(element // block) == 0)
        label = element * LABELS // n
        shares = np.stack([np.bincount(part, minlength=LABELS) for part in label.reshape(-1, STRETCH)]) / STRETCH
        touched = np.mean(
            [len(np.unique(element[at : at + READ] // block)) for at in range(0, len(sample) - READ, READ)]
        )
        worst = f"{shares.min():.3f} to {shares.max():.3f}"
        print(f"| {name} | {together:.4%} | {worst} (1/{LABELS}) | {touched:,.0f} | {taken * 1e6:.2f} |")


if __name__ == "__main__":
    main()
