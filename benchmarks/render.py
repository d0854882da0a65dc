"""How fast rows become text, by each path, against compiled `jinja2.Template.render`; and the library's share of paths.

Three workloads of made-up rows, the same in every run: W1 sentence pairs with a label, W2 questions with four options,
W3 tokens with tags. The plain Jinja template is written with Jinja's own filters and given the same values, and its
texts are compared with ours before anything is timed. Rates are by CPU time, medians of interleaved runs; the slower
paths render fewer rows, since a row costs them the same.

    python benchmarks/render.py [--rows 100000] [--repeats 5]

Bars: 5 times plain Jinja by generated functions, 1.5 times by our Jinja path; 90 % of the library's templates by
kernels; 1.5 times plain Jinja for templates that were written for other projects, whatever they are made of.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pyarrow as pa

from tasksource_reg.interop.foreign_templates import ForeignTemplate
from tasksource_reg.prompting.library import TemplateLibrary
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.render import PATHS, Renderer
from tasksource_reg.schemas import SCHEMAS, TaskProfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))

import constructs  # noqa: E402
import plain  # noqa: E402

SLOW_ROWS = 10_000
WORDS = ("river", "stone", "quiet", "market", "seven", "lantern", "under", "walked", "bright", "because", "Ana", "tea")
LABELS = ("entailment", "neutral", "contradiction")
TAGS = ("O", "B-person", "I-person", "B-place", "I-place")
BARS = {"rowwise": 5.0, "jinja": 1.5}
FOREIGN_ROWS = 3_000
FOREIGN_BAR = 1.5


@dataclass(frozen=True)
class Workload:
    """Rows of a schema, a template for them, and the same template for plain Jinja."""

    name: str
    profile: TaskProfile
    template: Template
    plain: tuple[str, str]
    batch: pa.RecordBatch

    def plain_rows(self, n: int) -> list[dict[str, object]]:
        """The first rows with the names that the plain template uses."""
        labels = self.profile.labels
        rows: list[dict[str, object]] = self.batch.slice(0, n).to_pylist()
        for row in rows:
            if "label" in row:
                row |= {"answer": labels[row["label"]], "options": labels}  # type: ignore[call-overload]
            if "choices" in row:
                row |= {"answer_letter": "ABCD"[row["gold"]]}  # type: ignore[call-overload]
            if "tags" in row:
                row |= {"tags": [labels[tag] for tag in row["tags"]], "options": labels}  # type: ignore[attr-defined]
        return rows


def batch(schema: str, columns: dict[str, list[object]]) -> pa.RecordBatch:
    """Columns as a harmonized batch; the others are null."""
    arrow = SCHEMAS[schema].arrow()
    n = len(next(iter(columns.values())))
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type) for f in arrow]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow)


def workloads(n: int) -> list[Workload]:
    """The three workloads with n rows each."""
    lots = random.Random(17)

    def words(least: int, most: int) -> list[str]:
        return lots.choices(WORDS, k=lots.randint(least, most))

    def text(least: int, most: int) -> str:
        return " ".join(words(least, most)).capitalize() + lots.choice([".", ".", "?", "… – “é”"])

    pairs = batch(
        "classification",
        {
            "text": [text(8, 24) for _ in range(n)],
            "text_pair": [text(4, 14) for _ in range(n)],
            "label": [lots.randrange(3) for _ in range(n)],
            "ask": [lots.choice([None, None, None, "Which one holds?"]) for _ in range(n)],
        },
    )
    questions = batch(
        "multiple_choice",
        {
            "question": [text(6, 18) for _ in range(n)],
            "context": [lots.choice([None, text(20, 60)]) for _ in range(n)],
            "choices": [[text(1, 6) for _ in range(4)] for _ in range(n)],
            "gold": [lots.randrange(4) for _ in range(n)],
        },
    )
    tokens = [words(6, 40) for _ in range(n)]
    tagged = batch("token_tags", {"tokens": tokens, "tags": [[lots.randrange(5) for _ in row] for row in tokens]})
    return [
        Workload(
            "W1 pairs",
            TaskProfile("made-up/pairs", "classification", "nli", labels=LABELS),
            Template(
                "bench/pairs",
                None,
                "classification",
                'Premise: {{ text }}\n{{ ask or "Does this follow?" }} "{{ text_pair }}"\n{{ options | one_of }}?',
                "{{ answer }}",
            ),
            (
                'Premise: {{ text }}\n{{ ask or "Does this follow?" }} "{{ text_pair }}"\n'
                "{{ options[:-1] | join(', ') }} or {{ options[-1] }}?",
                "{{ answer }}",
            ),
            pairs,
        ),
        Workload(
            "W2 choices",
            TaskProfile("made-up/choices", "multiple_choice"),
            Template(
                "bench/choices",
                None,
                "multiple_choice",
                '{{ context | then("\\n") }}{{ question }}\n{{ options | lettered }}\nAnswer:',
                " {{ answer_letter }}",
            ),
            (
                "{% if context %}{{ context }}\n{% endif %}{{ question }}\n"
                "{% for c in choices %}{{ 'ABCD'[loop.index0] }}. {{ c }}\n{% endfor %}Answer:",
                " {{ answer_letter }}",
            ),
            questions,
        ),
        Workload(
            "W3 tags",
            TaskProfile("made-up/tags", "token_tags", labels=TAGS, scheme="BIO"),
            Template(
                "bench/tags",
                None,
                "token_tags",
                'Tag each token with one of {{ options | join(", ") }}.\n{{ tokens | join(" ") }}',
                "{{ tokens | zip_lines(tags, '\\t') }}",
            ),
            (
                'Tag each token with one of {{ options | join(", ") }}.\n{{ tokens | join(" ") }}',
                "{% for t in tokens %}{{ t }}\t{{ tags[loop.index0] }}{% if not loop.last %}\n{% endif %}{% endfor %}",
            ),
            tagged,
        ),
    ]


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def rates(work: Workload, repeats: int) -> dict[str, float]:
    """Rows a second of plain Jinja and of each path."""
    few = work.batch.slice(0, SLOW_ROWS)
    rows = work.plain_rows(SLOW_ROWS)
    environment = jinja2.Environment(keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    prompt, response = (environment.from_string(source) for source in work.plain)
    renderers = {path: Renderer(work.profile, work.template, path) for path in PATHS}
    assert [renderer.path for renderer in renderers.values()] == list(PATHS), renderers["columnar"].explain()
    wanted = [(prompt.render(**row), response.render(**row)) for row in rows]
    for path, renderer in renderers.items():
        done = renderer.render(few)
        assert list(zip(done.prompt.to_pylist(), done.response.to_pylist(), strict=True)) == wanted, path

    def plainly() -> None:
        for row in rows:
            prompt.render(**row)
            response.render(**row)

    runs: dict[str, tuple[Callable[[], object], int]] = {"plain jinja2": (plainly, few.num_rows)}
    runs["jinja"] = (lambda: renderers["jinja"].render(few), few.num_rows)
    runs["rowwise"] = (lambda: renderers["rowwise"].render(few), few.num_rows)
    runs["columnar"] = (lambda: renderers["columnar"].render(work.batch), work.batch.num_rows)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, (run, _) in runs.items():
            taken[name].append(seconds(run))
    return {name: n / statistics.median(taken[name]) for name, (_, n) in runs.items()}


def foreign_rates(n: int, repeats: int) -> dict[str, list[float]]:
    """For each group of constructs, how many times faster than plain Jinja each of its templates is.

    Plain Jinja is given rows that are Python values already, ours the batch. What the rows of the plain side hold is
    frozen, so that the garbage collector does not walk it on our time.
    """
    batch, ratios = constructs.batch(constructs.rows(n)), {}
    for group, templates in constructs.CONSTRUCTS.items():
        ratios[group] = [_foreign(source, choices, batch, repeats) for source, choices in templates]
    return ratios


def _foreign(source: str, choices: str | None, batch: pa.RecordBatch, repeats: int) -> float:
    template = ForeignTemplate(source, choices)
    text = plain.PLAIN.from_string(source)
    given = None if choices is None else plain.PLAIN.from_string(choices)
    taken: list[tuple[float, float]] = []
    for _ in range(repeats):
        rows = plain.guarded(batch.to_pylist())
        gc.collect()
        gc.freeze()
        start = time.process_time()
        plainly = [plain.render(text, given, row) for row in rows]
        middle = time.process_time()
        ours = template.render(batch).texts
        taken.append((middle - start, time.process_time() - middle))
        assert ours == plainly, source
        gc.unfreeze()
    return statistics.median(first for first, _ in taken) / statistics.median(second for _, second in taken)


def library_paths() -> Counter[str]:
    """How many templates of the library take each path."""
    library = TemplateLibrary.load([ROOT])
    paths: Counter[str] = Counter()
    for template in library.all():
        family = library.family(template.family) if template.family else None
        labels = family.labels[0] if family and isinstance(family.labels, tuple) else LABELS
        profile = TaskProfile("made-up/task", template.schema, template.family, ("en",), labels, LABELS, (0.0, 1.0))
        paths[Renderer(profile, template).path] += 1
    return paths


def main() -> int:
    """Prints the tables; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    missed = False
    print("| workload | path | rows/s | x plain jinja2 |\n|---|---|---|---|")
    for work in workloads(options.rows):
        measured = rates(work, options.repeats)
        for name, rate in measured.items():
            ratio = rate / measured["plain jinja2"]
            missed |= ratio < BARS.get(name, 0)
            print(f"| {work.name} | {name} | {rate:,.0f} | {ratio:.1f} |")
    print("\n| templates of other projects | x plain jinja2, group | slowest | templates |\n|---|---|---|---|")
    for group, ratios in foreign_rates(FOREIGN_ROWS, options.repeats).items():
        ratio = statistics.geometric_mean(ratios)
        missed |= ratio < FOREIGN_BAR
        print(f"| {group} | {ratio:.1f} | {min(ratios):.2f} | {len(ratios)} |")
    paths = library_paths()
    share = paths["columnar"] / paths.total()
    print(f"\n{paths.total()} templates of the library: {dict(paths)}; {share:.1%} by kernels")
    return int(missed or share < 0.9)


if __name__ == "__main__":
    sys.exit(main())
