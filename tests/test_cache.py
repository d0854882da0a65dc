"""The cache within a size: the longest unused goes first, whole, and is made again when it is wanted."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_registry import SmallRegistry, echoes

from tasksource_reg import cache
from tasksource_reg.cli import main
from tasksource_reg.errors import UsageError


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallRegistry:
    """Three prepared datasets of about the same size, `a` the longest unused."""
    monkeypatch.setenv("TSR_CACHE", str(tmp_path / "cache"))
    found = SmallRegistry(tmp_path)
    for age, name in ((30, "a"), (20, "b"), (10, "c")):
        found.task(name, echoes(name, 50))
        for entry in cache.entries():
            if time.time() - entry.used < 3600:
                os.utime(entry.path, (time.time() - age * 86_400,) * 2)
    return found


def names() -> list[str]:
    return [entry.name.split("/")[-1] for entry in cache.entries() if entry.kind == "source"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("500MB", 500_000_000), (" 1.5 gb ", 1_500_000_000), ("2k", 2000), ("7 TB", 7 * 10**12)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert cache.size_in(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1", "5 PB", "1e9", "GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no size"):
        cache.size_in(text)


def test_the_longest_unused_goes_first_and_is_made_again(held: SmallRegistry) -> None:
    assert names() == ["own/a", "own/b", "own/c"] or names() == ["a", "b", "c"]
    sizes = {entry.path: entry.size for entry in cache.entries()}
    newest = [entry for entry in cache.entries() if time.time() - entry.used < 15 * 86_400]
    gone = cache.trim(sum(entry.size for entry in newest))
    assert names() == ["c"] and not any(entry.path.exists() for entry in gone)
    assert sum(sizes[e.path] for e in gone) + sum(e.size for e in cache.entries()) == sum(sizes.values())
    assert len(held.texts(parts=[{"task": "own/a"}])) == 50
    assert names() == ["c", "a"]


def test_what_is_opened_counts_as_used(held: SmallRegistry) -> None:
    held.texts(parts=[{"task": "own/a"}])
    assert names() == ["b", "c", "a"]
    cache.trim(0)  # spares what was used within the hour
    assert names() == ["a"]


def test_a_new_preparation_keeps_the_cache_within_its_bounds(
    held: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache.SIZE_VARIABLE, "1kB")
    held.task("d", echoes("d", 5))
    assert names() == ["d"]
    monkeypatch.setenv(cache.SIZE_VARIABLE, "a lot")
    with pytest.raises(UsageError, match="is no size"):
        cache.keep_within_bounds()


def test_data_that_is_mapped_stays_readable_when_it_goes(held: SmallRegistry) -> None:
    data = held.data(parts=[{"task": "own/b"}])
    before = data.block([0, 1]).rows.to_pylist()  # type: ignore[arg-type]
    cache.trim(0, unused_for=0)
    assert names() == []
    assert data.block([0, 1]).rows.to_pylist() == before  # type: ignore[arg-type]


def test_half_a_removal_is_no_entry(held: SmallRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as ending:
        ending.setattr("shutil.rmtree", lambda *_, **__: None)  # the process ends here
        cache.trim(0, unused_for=0)
    assert names() == []
    assert len(held.texts(parts=[{"task": "own/a"}])) == 50
    assert names() == ["a"]
    left = [*cache.cache_dir().rglob("*.going")]
    assert len(left) == 3
    cache.trim(0, unused_for=0, dry_run=True)
    assert all(path.exists() for path in left)
    cache.trim(0, unused_for=0)
    assert names() == [] and not [*cache.cache_dir().rglob("*.going")]


def test_the_command_lists_and_clears(held: SmallRegistry) -> None:
    run = CliRunner()
    listed = json.loads(run.invoke(main, ["cache", "list", "--json"]).stdout)
    assert listed["bytes"] == sum(entry["bytes"] for entry in listed["entries"]) > 0
    dry = json.loads(run.invoke(main, ["cache", "clear", "--older-than", "15", "--dry-run", "--json"]).stdout)
    assert len(dry["removed"]) == 4 and names() == ["a", "b", "c"]
    assert run.invoke(main, ["cache", "clear", "--older-than", "15"]).exit_code == 0
    assert names() == ["c"]
    assert "3 entries" not in run.invoke(main, ["cache", "list"]).stderr
    assert run.invoke(main, ["cache", "clear", "--keep", "a lot"]).exit_code == 2
    assert run.invoke(main, ["cache", "clear"]).exit_code == 0
    assert cache.entries() == []
