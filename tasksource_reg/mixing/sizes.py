"""The rate of each task within its part, by its size, with the sentence that explains the number.

Sizes are what the lock counts of the rows that the task gives: all surviving rows, or a subset of them, which has its
part of the characters and tokens. Token counts are those of the tokenizer that the mixture means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tasksource_reg.errors import error
from tasksource_reg.mixing import rates as rules
from tasksource_reg.mixing.spec_parts import TokensSpec, Within
from tasksource_reg.provenance.locks import SplitCounts
from tasksource_reg.registry import TaskInfo

CountTokens: TypeAlias = Callable[[TaskInfo, str], int]
"""Counts the tokens of a split's surviving rows, from the rows."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A task as a part takes it: its split's counts, and how many of the surviving rows."""

    info: TaskInfo
    split: str
    counts: SplitCounts
    rows: int

    def part_of(self, total: int) -> float:
        """What of a total over all surviving rows falls to the rows taken."""
        return total if self.rows == self.counts.rows else total * self.rows / self.counts.rows


@dataclass
class TokenCounts:
    """Token counts of tasks: given, counted now, or from the locks.

    Attributes:
        spec: the mixture's word on it.
        count: counts from the rows; None: the locks are asked.
        found: what was used, by task id.
        tokenizer: the one whose counts the locks gave.
    """

    spec: TokensSpec = field(default_factory=TokensSpec)
    count: CountTokens | None = None
    found: dict[str, int] = field(default_factory=dict)
    tokenizer: str | None = None

    def of(self, task: Taken) -> int:
        """Tokens of all surviving rows of a task's split.

        Raises:
            FindingsError: TSR-M017, nobody has counted them.
        """
        name = task.info.id
        if name not in self.found:
            if self.count is not None:
                self.found[name] = self.count(task.info, task.split)
            elif self.spec.counts is not None:
                if name not in self.spec.counts:
                    message = f'tokens.counts has no number for "{name}"'
                    raise error("TSR-M017", message, fix="add it", task=name)
                self.found[name] = self.spec.counts[name]
            else:
                self.found[name] = self._locked(name, task.counts.tokens)
        return self.found[name]

    def _locked(self, name: str, counts: Mapping[str, int]) -> int:
        wanted = self.spec.tokenizer or self.tokenizer
        fitting = [key for key in counts if wanted is None or wanted in (key, key.partition("@")[0])]
        fix = f"run `tsr lock {name} --tokenizer FILE`, or give tokens.counts"
        if not fitting:
            whose = f" of {wanted}" if wanted else ""
            what = f"those of {', '.join(counts)}" if counts else "none"
            message = f'no token count{whose} in the lock of "{name}", which has {what}'
            raise error("TSR-M017", message, fix=fix, task=name)
        if len(fitting) > 1:
            message = f'the lock of "{name}" has token counts of {", ".join(fitting)}'
            raise error("TSR-M017", message, fix=f"say which: `tokens: {{tokenizer: {fitting[0]}}}`", task=name)
        self.tokenizer = self.spec.tokenizer or fitting[0]
        return counts[fitting[0]]


def part_rates(
    within: Within, tasks: Sequence[Taken], tokens: TokenCounts, templates: Callable[[TaskInfo], int]
) -> list[tuple[float, str]]:
    """The rate of each task within its part, and why.

    Args:
        within: the rule.
        tasks: those of the part.
        tokens: asked where the rule looks at tokens.
        templates: how many templates render a task; asked by the rules `t0` and `flan`.

    Raises:
        TsrError: TSR-M017, tokens that nobody has counted; as `rates.explicit`.
    """
    if within.rates is not None:
        rates = rules.explicit(within.rates, [t.info.id for t in tasks])
        return [(float(r), f"rate {r:g} as given") for r in rates]
    if within.by == "equal":
        return [(float(r), "equal") for r in rules.equal(len(tasks))]
    if within.by in ("t0", "flan"):
        return _collection(within, tasks, [templates(t.info) for t in tasks])
    sizes, unit = [float(t.rows) for t in tasks], "rows"
    if within.by == "characters":
        sizes, unit = [t.part_of(t.counts.characters) for t in tasks], "characters"
    elif within.by == "tokens":
        sizes, unit = [t.part_of(tokens.of(t)) for t in tasks], "tokens"
    for task, size in zip(tasks, sizes, strict=True):
        if not size > 0:
            raise error("TSR-M003", f"the task has no {unit}, so its rate is 0", task=task.info.id, split=task.split)
    groups = [(t.info.dataset, t.info.configs) for t in tasks] if within.cap_over == "dataset" else None
    rates = rules.examples(sizes, within.scale, within.cap, within.temperature, groups)
    return [(float(rate), _why(within, size, unit)) for rate, size in zip(rates, sizes, strict=True)]


def _why(within: Within, size: float, unit: str) -> str:
    text = f"{size:,.0f} {unit}"
    if within.scale != 1:
        text += f" x {within.scale:g}"
    if within.cap is not None:
        shared = " for the dataset" if within.cap_over == "dataset" else ""
        text = f"min({text}, {within.cap:,.0f}{shared})"
    return text if within.temperature == 1 else f"({text})^(1/{within.temperature:g})"


def _collection(within: Within, tasks: Sequence[Taken], templates: Sequence[int]) -> list[tuple[float, str]]:
    """The rules of T0 and FLAN."""
    rows = [t.rows for t in tasks]
    if within.by == "flan":
        cap = int(within.cap or rules.FLAN_CAP)
        why = [f"{n} templates x min({r:,} rows, {cap:,})" for r, n in zip(rows, templates, strict=True)]
        return list(zip(map(float, rules.flan(rows, templates, cap)), why, strict=True))
    cap = int(within.cap or rules.T0_CAP)
    why = [
        f"{n} templates x " + (f"({cap:,} // {n}), for {r:,} rows" if r > cap else f"{r:,} rows")
        for r, n in zip(rows, templates, strict=True)
    ]
    return list(zip(map(float, rules.t0(rows, templates, cap)), why, strict=True))
