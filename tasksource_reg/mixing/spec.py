"""The mixture file as people write it: parts, rates, templates, shots, stop rule.

Read by the strict YAML reader, so that problems point at lines; a plain dict is accepted in its place, under the same
rules. What the names in it stand for is found out in `resolve.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingType
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tasksource_reg.errors import Problem, did_you_mean, error, raise_problems
from tasksource_reg.yaml_reader import Mapping, Node, parse, read, walk

ShapeName = Literal[
    "text", "inputs_targets", "prompt_completion", "messages", "preference", "unpaired", "sharegpt", "alpaca", "fields",
    "rank_classification",
]  # fmt: skip
StopName = Literal["first_exhausted", "all_exhausted", "each_once", "never"]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
Name: TypeAlias = Annotated[str, Field(min_length=1)]

UNRENDERED = ("fields", "preference", "unpaired")
"""Shapes that show the harmonized fields themselves: no template, no shots."""
MOST_SHOTS = 64


class Strict(BaseModel):
    """Unknown keys are errors, values are not converted, and do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Within(Strict):
    """How a part's share is divided among its tasks: `by` size (scale, cap, temperature, as in seqio), or `rates`."""

    by: Literal["examples", "equal", "characters", "tokens"] = "examples"
    scale: Positive = 1.0
    cap: Positive | None = None
    temperature: Positive = 1.0
    max_epochs: Positive | None = None
    rates: dict[str, Positive] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Within:
        asked = [
            n for n in ("by", "scale", "cap", "temperature") if getattr(self, n) != type(self).model_fields[n].default
        ]
        if self.rates is not None and asked:
            raise ValueError(f"rates stand alone; remove {', '.join(asked)}")
        sizes = [n for n in asked if n != "by"]
        if self.by == "equal" and sizes:
            raise ValueError(f"by: equal looks at no size; remove {', '.join(sizes)}")
        return self


class PartSpec(Strict):
    """One line of a mixture: the tasks of a query, one task, or another mixture; `share` is a fraction of the whole.

    Of another mixture the parts and `exclude` count, as its rates; its seed, split, templates, shots, stop and shape
    do not.
    """

    select: str | None = None
    task: Name | None = None
    mixture: Name | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    within: Within = Within()

    @model_validator(mode="after")
    def _one_source(self) -> PartSpec:
        given = [n for n in ("select", "task", "mixture") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError("a part has one of select, task and mixture")
        if self.mixture is not None and self.within != Within():
            raise ValueError("within is for select and task; the other mixture divides its share by its own rates")
        return self

    @property
    def name(self) -> str:
        """How messages call the part."""
        return self.select or self.task or (f"mixture {self.mixture}" if self.mixture else "all tasks")


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
    """Where the mixture ends: so many rows, or epochs over the sum of its tasks' rows."""

    rows: Annotated[int, Field(gt=0)] | None = None
    epochs: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> StopSpec:
        if (self.rows is None) == (self.epochs is None):
            raise ValueError(f"stop has rows or epochs, or is one of {', '.join(get_args(StopName))}")
        return self


class MixtureSpec(Strict):
    """A mixture file. Defaults: seed 0, split train, choose hash, no shots, one epoch, quarantine, messages, drop."""

    format: Literal[1] = 1
    mixture: Name = "mixture"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    split: Name = "train"
    parts: Annotated[tuple[PartSpec, ...], Field(min_length=1, strict=False)]
    exclude: str | None = None
    templates: TemplatesSpec = TemplatesSpec()
    shots: ShotsSpec = ShotsSpec()
    stop: StopSpec | StopName = StopSpec(epochs=1)
    on_error: Literal["quarantine", "raise"] = "quarantine"
    shape: ShapeName = "messages"
    tail: Literal["drop", "repeat", "uneven"] = "drop"

    @model_validator(mode="after")
    def _fits_the_shape(self) -> MixtureSpec:
        if self.shape in UNRENDERED:
            if max(self.shot_probabilities) > 0:
                raise ValueError(f"the shape {self.shape} has no prompts, and takes no shots")
            if self.templates != TemplatesSpec():
                raise ValueError(f"the shape {self.shape} takes no templates")
        return self

    @property
    def shot_probabilities(self) -> dict[int, float]:
        """Probability of each number of shots, those that never come left out; sums to 1."""
        k = self.shots.k
        assert isinstance(k, dict), "the validator makes a number a dict"
        total = sum(k.values())
        return {n: p / total for n, p in sorted(k.items()) if p > 0}


def read_mixture(source: str | Path | MappingType[str, Any]) -> MixtureSpec:
    """Reads a mixture from a file or a dict.

    Raises:
        FindingsError: everything that is wrong with it, with lines where it is a file.
        UsageError: TSR-Y012, the file cannot be read.
    """
    if isinstance(source, MappingType):
        try:
            text = json.dumps(dict(source), ensure_ascii=False, indent=1, allow_nan=False)
        except (TypeError, ValueError) as exc:
            raise error(
                "TSR-A003", f"the mixture is not plain data: {exc}", fix="use texts, numbers, lists, dicts"
            ) from exc
        document = parse(text, "<mixture>")
    else:
        document = read(source)
    root = document.require()
    if not isinstance(root, Mapping):
        raise error("TSR-A003", "the mixture is not a mapping", place=root.place)
    try:
        return MixtureSpec.model_validate(root.plain())
    except ValidationError as exc:
        raise_problems(_problems(exc, root))
    raise AssertionError("every validation error is a problem")


_MODELS: dict[str, type[BaseModel]] = {
    "parts": PartSpec, "within": Within, "templates": TemplatesSpec, "shots": ShotsSpec, "stop": StopSpec,
}  # fmt: skip


def _problems(exc: ValidationError, root: Mapping) -> list[Problem]:
    """One problem for each place; of a value that fits no form of a union, the one for the form that was meant."""
    found: dict[tuple[str | int, ...], list[tuple[str, Problem]]] = {}
    for item in exc.errors(include_url=False):
        loc = _written(item["loc"], root, absent=item["type"] == "missing")
        found.setdefault(loc, []).append((item["type"], _problem(item, loc, root)))
    out = []
    for loc, several in found.items():
        if any(other[: len(loc)] == loc and other != loc for other in found):
            continue  # the place inside says it better
        is_mapping = isinstance(walk(root, loc), Mapping)
        meant = [p for kind, p in several if (kind == "literal_error") != is_mapping]
        out.append((meant or [p for _, p in several])[0])
    return out


def _written(loc: tuple[str | int, ...], root: Node, *, absent: bool) -> tuple[str | int, ...]:
    """A location without pydantic's names for the forms of a union: the path as it stands in the file.

    Args:
        loc: of a pydantic error.
        root: the whole file.
        absent: the last step does not stand in the file, because it should.
    """
    out: list[str | int] = []
    node: Any = root.plain()
    for step in loc:
        steps = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        if step in steps:
            out.append(step)
            node = node[step]
    return (*out, loc[-1]) if absent else tuple(out)


def _problem(item: Any, loc: tuple[str | int, ...], root: Node) -> Problem:
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if item["type"] == "extra_forbidden":
        parent = walk(root, loc[:-1])
        at = parent.key_node(str(loc[-1])) if isinstance(parent, Mapping) else None
        hint = did_you_mean(str(loc[-1]), _keys_at(loc[:-1]))
        return Problem(
            "TSR-A001", f'"{loc[-1]}" is no key of {_dotted(loc[:-1]) or "a mixture"}', hint, (at or parent).place
        )
    if item["type"] == "missing":
        return Problem("TSR-A002", f'"{loc[-1]}" is missing', place=walk(root, loc[:-1]).place)
    if loc == ("format",):
        return Problem("TSR-A020", f"format {item['input']!r}", place=walk(root, loc).place)
    if item["type"] == "literal_error":
        options = [option.strip("'") for option in str(item["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        message = f'"{item["input"]}" is none of {", ".join(options)}'
        hint = did_you_mean(str(item["input"]), options)
        return Problem("TSR-A003", f"{_dotted(loc)}: {message}", hint, walk(root, loc).place)
    return Problem("TSR-A003", f"{_dotted(loc)}: {message}" if loc else message, place=walk(root, loc).place)


def _dotted(loc: tuple[str | int, ...]) -> str:
    return ".".join(str(step) for step in loc)


def _keys_at(loc: tuple[str | int, ...]) -> list[str]:
    names = [step for step in loc if isinstance(step, str)]
    model = _MODELS.get(names[-1], MixtureSpec) if names else MixtureSpec
    return [field.alias or name for name, field in model.model_fields.items()]
