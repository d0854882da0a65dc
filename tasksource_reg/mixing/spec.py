"""The mixture file as people write it: parts, rates, templates, shots, stop rule.

Read by the strict YAML reader, so that problems point at lines; a plain dict is accepted in its place, under the same
rules. What the names in it stand for is found out in `resolve.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingType
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from tasksource_reg.errors import Problem, did_you_mean, error, raise_problems
from tasksource_reg.mixing.spec_parts import (
    MOST_SHOTS,
    UNRENDERED,
    ControlSpec,
    LocalitySpec,
    Name,
    OrderSpec,
    PacingSpec,
    PartSpec,
    QuarantineLimitSpec,
    ReweightSpec,
    ScoresSpec,
    ShapeName,
    ShotsSpec,
    StageSpec,
    StopName,
    StopSpec,
    Strict,
    TemplatesSpec,
    TokensSpec,
    Within,
)
from tasksource_reg.yaml_reader import Mapping, Node, parse, read, walk

__all__ = [
    "MOST_SHOTS", "UNRENDERED", "ControlSpec", "LocalitySpec", "MixtureSpec", "OrderSpec", "PacingSpec", "PartSpec",
    "QuarantineLimitSpec", "ReweightSpec", "ScoresSpec", "ShapeName", "ShotsSpec", "StageSpec", "StopName", "StopSpec",
    "Strict", "TemplatesSpec", "TokensSpec", "Within", "controlled_spec", "read_mixture",
]  # fmt: skip


class MixtureSpec(Strict):
    """A mixture file. Defaults: seed 0, split train, choose hash, no shots, one epoch, quarantine, messages, drop.

    It has `parts`, mixed with each other, or `stages` of parts, one after the other.
    """

    format: Literal[1] = 1
    mixture: Name = "mixture"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    split: Name = "train"
    stages: Annotated[tuple[StageSpec, ...], Field(strict=False)] = ()
    parts: Annotated[tuple[PartSpec, ...], Field(strict=False)]
    exclude: str | None = None
    dedupe: bool = False
    tokens: TokensSpec = TokensSpec()
    templates: TemplatesSpec = TemplatesSpec()
    shots: ShotsSpec = ShotsSpec()
    stop: StopSpec | StopName = StopSpec(epochs=1)
    order: Literal["shuffled"] | OrderSpec = "shuffled"
    locality: Literal["block"] | LocalitySpec | None = None
    reweight: Annotated[tuple[ReweightSpec, ...], Field(strict=False)] = ()
    control: Literal["unordered"] | ControlSpec | None = None
    on_error: Literal["quarantine", "raise"] = "quarantine"
    quarantine_limit: QuarantineLimitSpec = QuarantineLimitSpec(fraction=0.2)
    shape: ShapeName = "messages"
    tail: Literal["drop", "repeat", "uneven"] = "drop"

    @model_validator(mode="before")
    @classmethod
    def _parts_or_stages(cls, data: Any) -> Any:
        """A file with stages needs no parts."""
        return {**data, "parts": ()} if isinstance(data, dict) and "stages" in data and "parts" not in data else data

    @field_validator("parts", mode="after")
    @classmethod
    def _one_of_both(cls, parts: tuple[PartSpec, ...], info: ValidationInfo) -> tuple[PartSpec, ...]:
        stages = info.data.get("stages")
        if stages is not None and not parts and not stages:
            raise ValueError("give at least one part")
        if parts and stages:
            raise ValueError("a mixture has parts or stages; move these parts into a stage")
        return parts

    @model_validator(mode="after")
    def _stages_stop_themselves(self) -> MixtureSpec:
        if self.stages and self.stop != type(self).model_fields["stop"].default:
            raise ValueError("each stage has a stop of its own; move stop into the stages")
        return self

    @field_validator("reweight", mode="after")
    @classmethod
    def _in_order(cls, entries: tuple[ReweightSpec, ...]) -> tuple[ReweightSpec, ...]:
        if any(later.at <= sooner.at for sooner, later in pairwise(entries)):
            raise ValueError("positions rise from entry to entry; each holds from its own on")
        return entries

    @model_validator(mode="after")
    def _one_order_of_rows(self) -> MixtureSpec:
        if self.scored is not None and self.locality is not None:
            raise ValueError("rows that are ordered by a score come from everywhere; remove locality")
        return self

    @model_validator(mode="after")
    def _fits_the_shape(self) -> MixtureSpec:
        if self.shape in UNRENDERED:
            if max(self.shot_probabilities) > 0:
                raise ValueError(f"the shape {self.shape} has no prompts, and takes no shots")
            if self.templates != TemplatesSpec():
                raise ValueError(f"the shape {self.shape} takes no templates")
        return self

    @property
    def every_stage(self) -> tuple[StageSpec, ...]:
        """The stages; a mixture of parts is one stage."""
        return self.stages or (StageSpec(parts=self.parts, stop=self.stop),)

    @property
    def every_part(self) -> tuple[PartSpec, ...]:
        """The parts of all stages."""
        return tuple(part for stage in self.every_stage for part in stage.parts)

    @property
    def batch(self) -> int:
        """So many positions in a row are of one task."""
        return (self.order.unmixed or 1) if isinstance(self.order, OrderSpec) else 1

    @property
    def scored(self) -> OrderSpec | None:
        """How rows are ordered by a score; None where they are shuffled."""
        return self.order if isinstance(self.order, OrderSpec) and self.order.by is not None else None

    @property
    def local(self) -> tuple[int, int] | None:
        """Rows of a block and blocks of a window, where rows are mixed within windows only."""
        if self.locality is None:
            return None
        spec = LocalitySpec() if self.locality == "block" else self.locality
        return spec.rows, spec.window

    @property
    def shot_probabilities(self) -> dict[int, float]:
        """Probability of each number of shots, those that never come left out; sums to 1."""
        k = self.shots.k
        assert isinstance(k, dict), "the validator makes a number a dict"
        total = sum(k.values())
        return {n: p / total for n, p in sorted(k.items()) if p > 0}


def controlled_spec(spec: MixtureSpec, task: str | None = None) -> MixtureSpec:
    """The spec of a mixture's control: unordered, or one task alone; its name says so.

    Raises:
        UsageError: TSR-U005, the mixture is a control itself.
    """
    if spec.control is not None:
        raise error("TSR-U005", f'"{spec.mixture}" is a control itself', fix="take the control of its mixture")
    name = f"{spec.mixture}-unordered" if task is None else f"{spec.mixture}-only-{task}"
    control = "unordered" if task is None else ControlSpec(task=task)
    return spec.model_copy(update={"mixture": name, "control": control})


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
        try:
            return MixtureSpec.model_validate(json.loads(text))
        except ValidationError:
            document = parse(text, "<mixture>")  # says what is wrong, and where
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
    "stages": StageSpec, "order": OrderSpec, "tokens": TokensSpec, "quarantine_limit": QuarantineLimitSpec,
    "reweight": ReweightSpec, "locality": LocalitySpec, "by": ScoresSpec, "pacing": PacingSpec,
    "control": ControlSpec,
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
