"""A mixture of 100 positions, ten of them in quarantine, for the loaders of other libraries."""

from __future__ import annotations

from typing import Any

import pytest
from small_registry import SmallRegistry, echoes

import tasksource_reg as tsr

LENGTH = 100


class Mixtures:
    """Makes mixtures of the two tasks, as users do."""

    def __init__(self, own: SmallRegistry) -> None:
        self.options: dict[str, Any] = {"registry": own.root, "mirror": own.mirror, "offline": True}

    def __call__(self, **spec: Any) -> tsr.Mixture:
        """A mixture of both tasks; `sound=True` takes the one without quarantine."""
        parts = [{"task": "own/b"}] if spec.pop("sound", False) else [{"select": "dataset:own/*"}]
        return tsr.mixture({"parts": parts, "shape": "text", "stop": {"rows": LENGTH}, **spec}, **self.options)


@pytest.fixture(scope="package")
def mixtures(tmp_path_factory: pytest.TempPathFactory) -> Mixtures:
    own = SmallRegistry(tmp_path_factory.mktemp("adapters"))
    own.task("a", [{"said": " " if i % 4 == 0 else f"a{i}", "heard": f"A{i}"} for i in range(40)])
    own.task("b", echoes("b", 60))
    return Mixtures(own)


@pytest.fixture(scope="package")
def mix(mixtures: Mixtures) -> tsr.Mixture:
    return mixtures()


@pytest.fixture(scope="package")
def alive(mix: tsr.Mixture) -> list[int]:
    """The positions that yield a row."""
    return [row["provenance"]["position"] for row in mix]
