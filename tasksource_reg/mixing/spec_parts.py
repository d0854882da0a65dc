"""The pieces of a mixture file: parts and their rates, stages, templates, shots, stop rules, limits.

Models of what people write, under the strict rules of `spec.py`; what the names in them stand for is found out later.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasksource_reg.mixing.pacing import Pacing, PacingName

ShapeName = Literal[
    "text", "inputs_targets", "prompt_completion", "messages", "preference", "unpaired", "sharegpt", "alpaca", "fields",
    "rank_classification",
]  # fmt: skip
StopName = Literal["first_exhausted", "all_exhausted", "each_once", "never"]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
Name: TypeAlias = Annotated[str, Field(min_length=1)]

Fraction: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Whole: TypeAlias = Annotated[int, Field(gt=0)]

UNRENDERED = ("fields", "preference", "unpaired")
"""Shapes that show the harmonized fields themselves: no template, no shots."""
MOST_SHOTS = 64


class Strict(BaseModel):
    """Unknown keys are errors, values are not converted, and do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Within(Strict):
    """How a part's share is divided among its tasks: `by` size (scale, cap, temperature, as in seqio), or `rates`.

    `cap_over: dataset` lets the tasks made of one config of a dataset share a cap. `t0` and `flan` are the rules of
    these collections, with their own caps unless `cap` says otherwise.
    """

    by: Literal["examples", "equal", "characters", "tokens", "t0", "flan"] = "examples"
    scale: Positive = 1.0
    cap: Positive | None = None
    cap_over: Literal["task", "dataset"] = "task"
    temperature: Positive = 1.0
    max_epochs: Positive | None = None
    rates: dict[str, Positive] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Within:
        keys = ("by", "scale", "cap", "cap_over", "temperature")
        asked = [n for n in keys if getattr(self, n) != type(self).model_fields[n].default]
        if self.rates is not None and asked:
            raise ValueError(f"rates stand alone; remove {', '.join(asked)}")
        sizes = [n for n in asked if n != "by"]
        if self.by == "equal" and sizes:
            raise ValueError(f"by: equal looks at no size; remove {', '.join(sizes)}")
        own = [n for n in sizes if n != "cap"]
        if self.by in ("t0", "flan") and own:
            raise ValueError(f"by: {self.by} has a formula of its own; remove {', '.join(own)}")
        if self.by in ("t0", "flan") and self.cap is not None and self.cap != int(self.cap):
            raise ValueError(f"by: {self.by} takes a whole number as cap")
        if self.cap_over != "task" and self.cap is None:
            raise ValueError("cap_over says who shares a cap; give a cap")
        return self


class PartSpec(Strict):
    """One line of a mixture: the tasks of a query, one task, or another mixture; `share` is a fraction of the whole.

    Of another mixture the parts, `exclude` and `dedupe` count, as its rates; its seed, split, templates, shots, stop,
    order and shape do not. `fraction` and `rows_per_task` take a subset of each task's rows, drawn by keyed hash; a
    smaller one lies inside a larger one.
    """

    select: str | None = None
    task: Name | None = None
    mixture: Name | None = None
    share: Fraction | None = None
    within: Within = Within()
    fraction: Fraction | None = None
    rows_per_task: Whole | None = None

    @model_validator(mode="after")
    def _one_source(self) -> PartSpec:
        given = [n for n in ("select", "task", "mixture") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError("a part has one of select, task and mixture")
        if self.mixture is not None and self.within != Within():
            raise ValueError("within is for select and task; the other mixture divides its share by its own rates")
        if self.fraction is not None and self.rows_per_task is not None:
            raise ValueError("a part takes a fraction of its tasks' rows, or rows_per_task; remove one of the two")
        return self

    @property
    def name(self) -> str:
        """How messages call the part."""
        return self.select or self.task or (f"mixture {self.mixture}" if self.mixture else "all tasks")


Parts: TypeAlias = Annotated[tuple[PartSpec, ...], Field(min_length=1, strict=False)]


class TemplatesSpec(Strict):
    """Which templates render the rows, how one is chosen for each, and in which language (`data`: the row's own).

    With `max_options` a row shows at most so many labels or choices, sampled, its right ones among them.
    """

    choose: Literal["hash", "round_robin", "all"] | dict[str, Positive] = "hash"
    where: str | None = None
    language: Name | dict[Name, Positive] | None = None
    max_options: Annotated[int, Field(ge=2)] | None = None

    @field_validator("choose", mode="after")
    @classmethod
    def _some(cls, choose: Any) -> Any:
        if choose == {}:
            raise ValueError("give weights by template id")
        return choose

    @model_validator(mode="after")
    def _room_to_choose(self) -> TemplatesSpec:
        if self.language == {}:
            raise ValueError("language: give shares, such as {data: 0.5, en: 0.5}")
        if self.choose == "all" and self.language is not None:
            raise ValueError("choose: all leaves no choice of language; write where: lang:en instead")
        return self

    @property
    def language_shares(self) -> dict[str, float] | None:
        """Shares by language, `data` among them perhaps; None where languages do not matter."""
        return {self.language: 1.0} if isinstance(self.language, str) else self.language


class ShotsSpec(Strict):
    """How many rows stand before each row as examples (`k`: a number, or probabilities by number), and whence.

    `from: train` is the train split of the row's own task, `from: family` those of all tasks of its family in the
    mixture. `balanced` draws as many of each label as can be. `max_characters` bounds the row with its shots (in the
    shape text): shots that do not fit are left out.
    """

    k: dict[int, float] | Annotated[int, Field(ge=0, le=MOST_SHOTS)] = Field(default={0: 1.0})
    from_: Literal["train", "family"] = Field(default="train", alias="from")
    balanced: bool = False
    max_characters: Annotated[int, Field(gt=0)] | None = None

    @field_validator("k", mode="before")
    @classmethod
    def _probabilities(cls, k: Any) -> dict[int, float]:
        if isinstance(k, int) and not isinstance(k, bool):
            k = {k: 1.0}
        if not isinstance(k, dict):
            raise ValueError("give a number of shots, or probabilities by number, such as {0: 0.7, 2: 0.3}")
        out: dict[int, float] = {}
        for key, value in k.items():
            if (
                not (isinstance(key, int) or (isinstance(key, str) and key.isdecimal()))
                or not 0 <= int(key) <= MOST_SHOTS
            ):
                raise ValueError(f"a number of shots is from 0 to {MOST_SHOTS}, not {key}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(f"a probability is a number of at least 0, not {value}")
            out[int(key)] = float(value)
        if not sum(out.values()) > 0:
            raise ValueError("the probabilities are all 0")
        return out


class StopSpec(Strict):
    """Where the mixture ends: so many rows, epochs over the sum of its tasks' rows, or characters or tokens of text.

    A budget of characters or tokens counts the texts of the tasks' fields, not those of templates, for each row the
    mean of its task: it ends before the first position at which the sum is over the budget.
    """

    rows: Whole | None = None
    epochs: Positive | None = None
    characters: Positive | None = None
    tokens: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> StopSpec:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            names = "rows, epochs, characters or tokens"
            raise ValueError(f"stop has one of {names}, or is one of {', '.join(get_args(StopName))}")
        return self

    @property
    def rule(self) -> tuple[str, float]:
        """The kind that is given, and its number."""
        return next((n, v) for n in type(self).model_fields if (v := getattr(self, n)) is not None)


class StageSpec(Strict):
    """One stage of a mixture: parts with their own shares, and where it ends; the next stage begins there."""

    name: Name | None = None
    parts: Parts
    stop: StopSpec | StopName = StopSpec(epochs=1)


class PacingSpec(Strict):
    """How fast harder rows become available: `start` of the rows at once, all from `full_at` of the epoch on."""

    function: PacingName
    start: Fraction = 0.2
    full_at: Fraction = 0.8


class ScoresSpec(Strict):
    """A table of scores, one for each row: its file (relative to the mixture's), and the column of the scores."""

    scores: Name
    column: Name = "score"


class OrderSpec(Strict):
    """An order other than shuffled: batches of one task, rows of each task by a score, or both.

    `unmixed: B` gives B positions in a row to one task, then to another. `by: length` (characters of the fields' texts)
    or a table of scores puts the rows of each task in ascending order within an epoch (`descending`: the highest score
    first), loosened by `pacing`; `epochs` of a task are ordered, the later ones shuffled.
    """

    unmixed: Annotated[int, Field(gt=1)] | None = None
    by: Literal["length"] | ScoresSpec | None = None
    descending: bool = False
    pacing: PacingName | PacingSpec | None = None
    epochs: Whole | None = None

    @model_validator(mode="after")
    def _something(self) -> OrderSpec:
        if self.unmixed is None and self.by is None:
            raise ValueError("order is shuffled, or has unmixed, or by")
        own = [n for n in ("descending", "pacing", "epochs") if getattr(self, n) != type(self).model_fields[n].default]
        if self.by is None and own:
            raise ValueError(f"{', '.join(own)}: say by what rows are ordered")
        return self

    @property
    def pace(self) -> Pacing | None:
        """The pacing function, if there is one."""
        if self.pacing is None:
            return None
        found = self.pacing if isinstance(self.pacing, PacingSpec) else PacingSpec(function=self.pacing)
        return Pacing(found.function, found.start, found.full_at)


class ControlSpec(Strict):
    """A control of the mixture: the rows that one of its tasks has in it, alone."""

    task: Name


class LocalitySpec(Strict):
    """Blocks of `rows` rows are shuffled as wholes, and the rows of every `window` blocks in that order mixed.

    For tasks so large that their rows do not fit into memory: a run reads `window` blocks of a task at a time. Tasks of
    at most `rows * window` rows are shuffled fully.
    """

    rows: Annotated[int, Field(ge=1)] = 16_384
    window: Annotated[int, Field(ge=1)] = 64


class TokensSpec(Strict):
    """Whose token counts are meant: those that the locks have of a tokenizer, or counts given here by task id."""

    tokenizer: Name | None = None
    counts: dict[Name, Whole] | None = None

    @model_validator(mode="after")
    def _one(self) -> TokensSpec:
        if self.tokenizer is not None and self.counts is not None:
            raise ValueError("tokens has a tokenizer, whose counts are in the locks, or counts; remove one of the two")
        return self


class QuarantineLimitSpec(Strict):
    """How many positions may fail before the run stops: so many, or a fraction of those that were computed."""

    rows: Annotated[int, Field(ge=0)] | None = None
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _some(self) -> QuarantineLimitSpec:
        if self.rows is None and self.fraction is None:
            raise ValueError("give rows, a fraction, or both")
        return self


class ReweightSpec(Strict):
    """Other rates from a position on: `rates` by id for every task (0 pauses one), or `weights` by sorted ids."""

    at: Annotated[int, Field(ge=0)]
    rates: dict[Name, Annotated[float, Field(ge=0)]] | None = None
    weights: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False)] | None = None

    @model_validator(mode="after")
    def _one(self) -> ReweightSpec:
        if (self.rates is None) == (self.weights is None):
            raise ValueError("give rates by task id, or weights in the order of the ids")
        return self
