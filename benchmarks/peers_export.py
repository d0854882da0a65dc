"""Rows a second beside the peers, on the same rows: tasksource end to end, promptsource and lm-eval rendering.

    python benchmarks/peers_export.py --peers PYTHON [--repeats 3]

PYTHON is the interpreter of an environment with tasksource 0.1.1, lm-eval 0.4.13 and promptsource 0.2.3 (the last one
by `pip install --no-deps --ignore-requires-python`; it asks for an older Python, but its templates run). The rows are
those of `export_rate.py`, fewer of them for the peers, whose cost a row does not depend on the number. tasksource
reads, harmonizes, recasts to instructions and writes Parquet; ours exports with passports. Runs are interleaved;
medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from export_rate import EXPORT, TAGS, WORKLOADS, prepare
from processes import run

PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
what, path, out, repair = sys.argv[1:]
import datasets
datasets.disable_progress_bars()

def tasksource(name):
    from tasksource.preprocess import Classification, MultipleChoice, TokenClassification
    from tasksource import recast
    mapping = {
        "W1": lambda: Classification(sentence1="premise", sentence2="hypothesis", labels="label"),
        "W2": lambda: MultipleChoice(inputs="question", choices_list="options", labels="answer"),
        "W3": lambda: TokenClassification(tokens="tokens", labels="tags"),
    }[name]()
    if repair == "no":
        recast.clean_text = lambda text: text
    start = time.perf_counter()
    rows = datasets.load_dataset("parquet", data_files={"train": path}, cache_dir=out + "/cache")
    done = recast.recast_instruct(mapping(rows))
    done["train"].to_parquet(out + "/rows.parquet")
    return time.perf_counter() - start

def promptsource():
    from promptsource.templates import Template
    template = Template(
        "pairs", '{{premise}}\\n\\nDoes this follow? "{{hypothesis}}" Entailment, neutral or contradiction?'
        " ||| {{label}}", "", answer_choices="entailment ||| neutral ||| contradiction")
    rows = datasets.Dataset.from_parquet(path, cache_dir=out + "/cache")
    start = time.perf_counter()
    rows.map(lambda row: dict(zip(("inputs", "targets"), template.apply(row))), new_fingerprint=str(start))
    return time.perf_counter() - start

def lm_eval():
    from lm_eval.utils import apply_template
    rows = datasets.Dataset.from_parquet(path, cache_dir=out + "/cache")
    prompt = '{{premise}}\\n\\nDoes this follow? "{{hypothesis}}" Entailment, neutral or contradiction?'
    start = time.perf_counter()
    for row in rows:
        apply_template(prompt, row), apply_template("{{label}}", row)
    return time.perf_counter() - start

print(json.dumps(globals()[what.split(":")[0]](*what.split(":")[1:])))
"""
PEER_ROWS = {"W1": 50_000, "W2": 25_000, "W3": 25_000}
RENDERED_ROWS = 5_000
BARS = {"W1": 60, "W2": 50, "W3": 15}


def rate(code: str, *args: object, rows: int, python: str = sys.executable) -> float:
    """Rows a second of one run."""
    printed = json.loads(run(code, *args, python=python).printed.splitlines()[-1])
    return rows / (printed["wall"] if isinstance(printed, dict) else printed)


def with_class_names(table: pa.Table) -> pa.Table:
    """Tags as class numbers whose names `datasets` finds in the file, as tasksource wants them."""
    if "tags" not in table.column_names:
        return table
    tags = table.column("tags").combine_chunks()
    numbers = pa.ListArray.from_arrays(tags.offsets, pc.index_in(tags.flatten(), pa.array(TAGS)).cast(pa.int64()))
    tokens = {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    classes = {"feature": {"names": list(TAGS), "_type": "ClassLabel"}, "_type": "List"}
    info = json.dumps({"info": {"features": {"tokens": tokens, "tags": classes}}})
    return pa.table({"tokens": table.column("tokens"), "tags": numbers}).replace_schema_metadata({"huggingface": info})


def main() -> int:
    """Prints the table; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="the Python of the peers' environment")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    missed = False
    print("| workload | ours, rows/s | peer | its rows/s | ours is | bar |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tsr-peers-") as temporary:
        folder = Path(temporary)
        for work in WORKLOADS:
            prepare(folder, work, work.rows)
            run(EXPORT, folder, work.name, folder / f"{work.name}-warm", 1)
            source = folder / "mirror" / str(work.annotation["dataset"]) / "data" / "train-00000-of-00001.parquet"
            cases = [(f"tasksource:{work.name}", PEER_ROWS[work.name], "yes", BARS[work.name])]
            if work.name == "W1":
                cases.append(("tasksource:W1", PEER_ROWS["W1"], "no", 20))
                cases += [(peer, RENDERED_ROWS, "yes", 200) for peer in ("promptsource", "lm_eval")]
            few = {}
            for rows in {rows for _, rows, _, _ in cases}:
                few[rows] = folder / f"{work.name}-{rows}.parquet"
                pq.write_table(with_class_names(pq.read_table(source).slice(0, rows)), few[rows])
            ours: list[float] = []
            theirs: list[list[float]] = [[] for _ in cases]
            for i in range(options.repeats):
                ours.append(rate(EXPORT, folder, work.name, folder / f"{work.name}-{i}", 1, rows=work.rows))
                for k, (what, rows, repair, _) in enumerate(cases):
                    out = folder / f"peer-{work.name}-{i}-{k}"
                    out.mkdir()
                    theirs[k].append(rate(PEER, what, few[rows], out, repair, rows=rows, python=options.peers))
            own = statistics.median(ours)
            for (what, _, repair, bar), rates in zip(cases, theirs, strict=True):
                peer = what.split(":")[0] + (" without text repair" if repair == "no" else "")
                ratio = own / statistics.median(rates)
                missed |= ratio < bar
                said = f"{statistics.median(rates):,.0f} | {ratio:.0f}x | {bar}x {'ok' if ratio >= bar else 'MISSED'}"
                print(f"| {work.name} | {own:,.0f} | {peer} | {said} |", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
