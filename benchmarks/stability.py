"""How many rows of a mixture change when other tasks, their order, templates or the order of rows change.

    python benchmarks/stability.py --mirror DIR

The tasks of `mixtures/real-20.yaml`, each row once, at most 3,000 rows a task, with shots. A row is known by its task,
split, source row and part; it has changed if its text, template or shots have. Three tasks leave, two come, the parts
stand in another order, a template comes, rows come from short to long, the control is taken. Bar: 0 changed rows, but
for those that take the new template, whose share is printed beside what it should be.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from processes import ROOT

MIXTURE = Path(__file__).parent / "mixtures" / "real-20.yaml"
ROWS = 3000
LEAVE = "id:banking77,gsm8k,scan/simple"
COME = "id:sick/label,monli"
TEMPLATE = {"id": "sentiment/stability", "prompt": "{{ text }} - so?", "response": "{{ answer }}", "form": "question"}

Rows = dict[tuple[str, str, int, int], tuple[str, str]]


def rows_of(spec: Mapping[str, Any], mirror: str, registry: Path | None = None) -> Rows:
    """Every row of a mixture by its address: its template, and everything else of it as JSON."""
    import tasksource_reg as tsr

    out: Rows = {}
    mix = tsr.mixture(spec, mirror=mirror, registry=registry, offline=True)
    for batch in mix.batches():
        for row in batch.to_pylist():
            p = row.pop("provenance")
            address = (p["task"], p["split"], p["row"], p["part"])
            assert address not in out, "each row comes once"
            out[address] = (p["template"], json.dumps(row, ensure_ascii=False))
    return out


def main() -> int:
    """Prints the table; 1 if rows have changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", required=True, help="a mirror that holds the datasets of the mixture")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tasksource_reg.mixing.spec import read_mixture

    spec = read_mixture(MIXTURE).model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    for part in spec["parts"]:
        part["rows_per_task"] = ROWS
    spec["stop"] = "each_once"
    before = rows_of(spec, options.mirror)
    print(f"{len(before):,} rows of {len({task for task, *_ in before})} tasks\n")
    print("| change | rows in both | changed | gone | new |\n|---|---|---|---|---|")
    others = {
        "three tasks leave": spec | {"exclude": LEAVE},
        "two tasks come": spec | {"parts": [*spec["parts"], {"select": COME, "rows_per_task": ROWS}]},
        "parts in another order": spec | {"parts": spec["parts"][::-1]},
        "other shares": spec
        | {"parts": [part | {"share": share} for part, share in zip(spec["parts"], (0.1, 0.3, 0.6), strict=True)]},
        "from short to long, paced": spec | {"order": {"by": "length", "pacing": "root"}},
        "the unordered control": spec | {"control": "unordered"},
    }
    missed = False
    for name, other in others.items():
        missed |= bool(changed(name, before, rows_of(other, options.mirror)))
    with tempfile.TemporaryDirectory(prefix="tsr-stability-") as folder:
        file = Path(folder) / "templates" / "families" / "sentiment.yaml"
        file.parent.mkdir(parents=True)
        body = {"format": 1, "family": "sentiment", "for": {"schema": "classification"}, "templates": [TEMPLATE]}
        file.write_text(json.dumps(body))
        after = rows_of(spec, options.mirror, Path(folder))
    taken = {address for address, (template, _) in after.items() if template == TEMPLATE["id"]}
    kept = {address: row for address, row in after.items() if address not in taken}
    same = {address: row for address, row in before.items() if address not in taken}
    missed |= bool(changed("a template comes, rows of the others", same, kept))
    tasks = {task for task, *_ in taken}
    of_tasks = [address for address in after if address[0] in tasks]
    ways = len({after[address][0] for address in of_tasks})
    print(f"\nthe new template took {len(taken):,} of {len(of_tasks):,} rows of {len(tasks)} tasks;", end=" ")
    print(f"with {ways} templates {len(of_tasks) / max(ways, 1):,.0f} are expected")
    return int(missed or not taken)


def changed(name: str, before: Rows, after: Rows) -> int:
    """Prints a line; how many of the rows that both have are not the same."""
    both = before.keys() & after.keys()
    count = sum(before[address] != after[address] for address in both)
    verdict = "ok" if not count else "MISSED"
    gone, new = len(before) - len(both), len(after) - len(both)
    print(f"| {name} | {len(both):,} | {count:,} {verdict} | {gone:,} | {new:,} |", flush=True)
    return count


if __name__ == "__main__":
    sys.exit(main())
