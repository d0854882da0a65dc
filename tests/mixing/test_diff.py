"""What tells two mixtures, locks or exports apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_registry import PLAIN, SmallRegistry, echoes

from tasksource_reg.errors import TsrError
from tasksource_reg.export.export import export
from tasksource_reg.mixing.diff import compare, read_side
from tasksource_reg.mixing.lock import mixture_lock_path, write_mixture_lock
from tasksource_reg.mixing.state import Change

BODY: dict[str, Any] = {"parts": [{"select": "dataset:own/*"}], "shape": "text"}


@pytest.fixture
def two(own: SmallRegistry) -> SmallRegistry:
    own.task("a", echoes("a", 10))
    own.task("b", echoes("b", 30))
    own.mixture("one", BODY)
    return own


def differences(own: SmallRegistry, a: object, b: object) -> list[Change]:
    space = own.space()
    return compare(read_side(space, str(a)), read_side(space, str(b)))


def against(own: SmallRegistry, **changes: Any) -> list[str]:
    own.mixture("other", {**BODY, **changes})
    return [change.text for change in differences(own, "one", "other")]


def test_a_mixture_its_lock_and_its_export_are_the_same(two: SmallRegistry, tmp_path: Path) -> None:
    path = two.root / "mixtures" / "one.yaml"
    lock = write_mixture_lock(path, two.resolve(path))
    export(two.data(**BODY), tmp_path / "out")
    sides = ("one", path, lock, tmp_path / "out", tmp_path / "out" / "manifest.json")
    assert [differences(two, "one", side) for side in sides] == [[]] * 5


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"seed": 3}, ["seed: 0 became 3"]),
        ({"stop": {"rows": 40}}, ["stop: epochs 1 became rows 40"]),
        ({"stop": {"rows": 41}}, ["stop: epochs 1 became rows 41", "length: 40 became 41"]),
        ({"shape": "messages"}, ["shape: text became messages"]),
        (
            {"shots": {"k": 2}},
            ["shots: {k: {0: 1.0}, from: train, balanced: False} became {k: {2: 1.0}, from: train, balanced: False}"],
        ),
        ({"order": {"unmixed": 2}}, ["order: shuffled became batches of 2 of one task"]),
        (
            {"parts": [{"select": "dataset:own/*", "within": {"by": "equal"}}]},
            [
                "rates: the share of own/a (train) from position 0 was 0.25, is 0.5",
                "rates: the share of own/b (train) from position 0 was 0.75, is 0.5",
            ],
        ),
        (
            {"parts": [{"select": "dataset:own/*", "fraction": 0.5, "within": {"rates": {"own/a": 1, "own/b": 3}}}]},
            [
                "task own/a (train): 10 rows became 5 rows (a subset of 10)",
                "task own/b (train): 30 rows became 15 rows (a subset of 30)",
                "length: 40 became 20",
                "rates: the same shares from position 0, in other whole numbers",
            ],
        ),
        ({"exclude": "id:own/a"}, ["task own/a (train): left", "length: 40 became 30"]),
    ],
)
def test_every_change_of_a_mixture_is_a_line(two: SmallRegistry, changes: Any, lines: list[str]) -> None:
    assert against(two, **changes) == lines


def test_shares_among_the_tasks_of_both(two: SmallRegistry) -> None:
    two.task("c", echoes("c", 7))
    own = {"within": {"rates": {"own/b": 3, "own/c": 1}}}
    two.mixture("left", {**BODY, "parts": [{"select": "id:own/a,own/b"}], "stop": {"rows": 40}})
    two.mixture("right", {**BODY, "parts": [{"select": "id:own/b,own/c", **own}], "stop": {"rows": 40}})
    assert [c.text for c in differences(two, "left", "right")] == [
        "task own/a (train): left",
        "task own/c (train): new, 7 rows",
    ]
    three = [{"select": "dataset:own/*", "within": {"by": "equal"}}]
    two.mixture("right", {**BODY, "parts": three, "stop": {"rows": 40}})
    texts = [c.text for c in differences(two, "left", "right")]
    assert "rates: the share of own/a (train) from position 0 among the tasks of both was 0.25, is 0.5" in texts


def more_rows(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 12))


def another_meaning(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 10), ask="Repeat it.")


def another_text(own: SmallRegistry) -> None:
    own.templates("families", "echo", [{**PLAIN, "prompt": "{{ input }}!"}])


def another_template(own: SmallRegistry) -> None:
    own.templates("families", "echo", [{**PLAIN, "id": "echo/new"}])


@pytest.mark.parametrize(
    ("change", "kinds", "text"),
    [
        (more_rows, {"rows", "stop", "rates", "revision"}, "task own/a: 10 rows of the source became 12"),
        (another_meaning, {"meaning"}, "task own/a: means something else now"),
        (another_text, {"templates"}, "task own/a: the template echo/plain reads otherwise now"),
        (another_template, {"templates"}, "task own/b: the template echo/new is new"),
    ],
)
def test_what_the_registry_changed_since_a_lock_or_an_export(
    two: SmallRegistry, tmp_path: Path, change: Callable[[SmallRegistry], None], kinds: set[str], text: str
) -> None:
    path = two.root / "mixtures" / "one.yaml"
    lock = write_mixture_lock(path, two.resolve(path))
    export(two.data(**BODY), tmp_path / "out")
    change(two)
    for side in (lock, tmp_path / "out"):
        found = differences(two, side, path)
        assert {c.kind for c in found} == kinds
        assert any(c.text.startswith(text) and c.task in text for c in found if c.task)


def test_a_lock_of_an_older_version_says_what_it_can(two: SmallRegistry) -> None:
    path = two.root / "mixtures" / "one.yaml"
    lock = write_mixture_lock(path, two.resolve(path))
    body = json.loads(lock.read_text())
    del body["positions"], body["settings"], body["tasks"]["own/a"]
    lock.write_text(json.dumps(body))
    assert differences(two, lock, path) == [Change("tasks", "task own/a: new", "own/a")]
    assert mixture_lock_path(path) == lock


@pytest.mark.parametrize(("name", "code"), [("nope", "TSR-M008"), ("x.lock.json", "TSR-L004"), (".", "TSR-X007")])
def test_what_cannot_be_compared(two: SmallRegistry, tmp_path: Path, name: str, code: str) -> None:
    given = name if code == "TSR-M008" else tmp_path / name
    with pytest.raises(TsrError) as caught:
        differences(two, "one", given)
    assert caught.value.problems[0].code == code
