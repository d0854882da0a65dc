"""A recipe: the plain arguments from which a mixture's data are built again, in another process or on another day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasksource_reg.mixing.resolve import resolve_mixture
from tasksource_reg.mixing.spec import MixtureSpec
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.registry import Registry
from tasksource_reg.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a workspace was made (paths as text), the mixture's spec as plain JSON values, the folder of its paths."""

    registries: tuple[str, ...]
    mirrors: tuple[str, ...]
    offline: bool
    accept_drift: bool
    cache: str
    spec: Mapping[str, Any]
    folder: str
    full_passport: bool = False
    streaming: bool = False

    @staticmethod
    def of(data: MixtureData) -> Recipe:
        """The recipe of a mixture's data."""
        space = data.workspace
        return Recipe(
            registries=tuple(map(str, space.registry.named_roots)),
            mirrors=tuple(dict.fromkeys(str(Path(m).absolute()) for m in space.sources.mirrors)),
            offline=space.sources.offline,
            accept_drift=space.accept_drift,
            cache=str(space.cache),
            spec=spec_json(data.spec),
            folder=str(data.resolved.folder),
            full_passport=data.full_passport,
            streaming=space.sources.streaming,
        )

    def build(self) -> MixtureData:
        """The mixture's data, in this process."""
        space = Workspace(
            Registry(self.registries),
            tuple(Path(m) for m in self.mirrors),
            offline=self.offline,
            accept_drift=self.accept_drift,
            cache=Path(self.cache),
            streaming=self.streaming,
        )
        resolved = resolve_mixture(space, self.spec, folder=Path(self.folder))
        return MixtureData(space, resolved, full_passport=self.full_passport)

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain JSON values, without the spec."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if k != "spec"}


def spec_json(spec: MixtureSpec) -> dict[str, Any]:
    """A spec as plain JSON values, as it was written; `read_mixture` gives the spec back."""
    return spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
