"""`tsr mix`: plan, head, lock and diff, as a user calls them."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_registry import SmallRegistry, echoes

from tasksource_reg.cli import main, mix
from tasksource_reg.mixing.report import PlannedTask, report


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallRegistry:
    own = SmallRegistry(tmp_path)
    own.task("a", echoes("a", 10))
    own.task("b", [{"said": " " if i < 2 else f"b{i}", "heard": f"B{i}"} for i in range(30)])
    own.mixture("both", {"parts": [{"select": "dataset:own/*"}], "shape": "text", "seed": 3})
    monkeypatch.setenv("TSR_REGISTRY", str(own.root))
    monkeypatch.setenv("TSR_MIRROR", str(own.mirror))
    return own


class Terminal(io.StringIO):
    """Output that is a terminal."""

    def isatty(self) -> bool:
        return True


def tsr(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_the_plan_is_a_table_with_the_licence_of_the_whole(own: SmallRegistry) -> None:
    done = tsr("mix", "plan", "both")
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert lines[0].split() == [
        "TASK", "SPLIT", "ROWS", "RATE", "SHARE", "POSITIONS", "EPOCHS", "CHARACTERS", "TEMPLATES",
        "LANG", "LICENSE", "COMMERCIAL",
    ]  # fmt: skip
    assert lines[1].split() == [
        "own/a", "train", "10", "10", "25.00%", "10", "1.00", "40", "1", "en",
        "CC0-1.0", "yes",
    ]  # fmt: skip
    assert lines[-2].startswith("both: 2 tasks, 40 positions, seed 3, plan ")
    assert lines[-1].startswith("as a whole: commercial use yes, ")


def test_the_plan_opens_nothing_and_says_what_was_left_out(own: SmallRegistry) -> None:
    own.task("held", echoes("h", 3), status="evaluation_only", because="a benchmark")
    (own.mirror / "own").rename(own.mirror / "gone")
    done = tsr("mix", "plan", "both")
    assert done.exit_code == 0
    assert done.stderr == "note: dataset:own/*: 1 for evaluation only left out (own/held)\n"
    assert tsr("mix", "plan", "both", "--quiet").stderr == ""


def test_a_narrow_terminal_goes_without_columns_but_not_without_ids(
    own: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = mix._columns(report(own.resolve("both")))
    widths = {}
    for width in (200, 80, 60, 30):
        monkeypatch.setattr("shutil.get_terminal_size", lambda width=width: os.terminal_size((width, 24)))
        monkeypatch.setattr("sys.stdout", Terminal())
        kept = mix._fitting(columns)
        monkeypatch.undo()
        widths[width] = set(columns) - set(kept)
    assert widths[200] == set()
    assert widths[80] == {"rate", "templates", "characters"}
    assert {"rate", "templates", "lang"} <= widths[60] < widths[30] == set(mix.DISPENSABLE)


def test_the_plan_as_json(own: SmallRegistry) -> None:
    value = json.loads(tsr("mix", "plan", "both", "--json").stdout)
    assert [task["id"] for task in value["tasks"]] == ["own/a", "own/b"]
    assert value["plan"]["length"] == 40


def test_an_endless_plan(own: SmallRegistry) -> None:
    path = own.mixture("endless", {"parts": [{"task": "own/a"}], "stop": "never"})
    assert "1 task, endless, seed 0" in tsr("mix", "plan", path).stdout


def test_the_head_shows_rows_and_what_is_in_quarantine(own: SmallRegistry) -> None:
    done = tsr("mix", "head", "both", "-n", "40")
    assert done.exit_code == 0
    assert done.stdout.count("own/a train row") == 10
    assert done.stdout.count("own/b train row") == 28
    assert "text: a3=A3" in done.stdout
    assert done.stderr.count("is in quarantine: own/b train row") == 2
    value = json.loads(tsr("mix", "head", "both", "-n", "40", "--json").stdout)
    assert (len(value["rows"]), len(value["quarantined"])) == (38, 2)
    assert value["rows"][0]["provenance"]["position"] == 0


def test_the_head_starts_anywhere_and_ends_at_the_end(own: SmallRegistry) -> None:
    value = json.loads(tsr("mix", "head", "both", "-n", "5", "--start", "37", "--json").stdout)
    shown = [row["provenance"]["position"] for row in value["rows"]] + [q["position"] for q in value["quarantined"]]
    assert sorted(shown) == [37, 38, 39]
    done = tsr("mix", "head", "both", "--start", "40")
    assert (done.exit_code, "TSR-M006" in done.stderr) == (2, True)


def test_messages_are_shown_turn_by_turn() -> None:
    done = tsr("mix", "head", "demo", "-n", "1")
    assert done.stdout.startswith("[0] demo/")
    assert "\n  user: " in done.stdout
    assert "\n  assistant: " in done.stdout


def test_a_lock_freezes_the_mixture(own: SmallRegistry) -> None:
    done = tsr("mix", "lock", "both")
    path = own.root / "mixtures" / "both.lock.json"
    assert (done.exit_code, done.stdout) == (0, f"{path}: 2 tasks\n")
    assert tsr("mix", "plan", "both").exit_code == 0
    own.task("c", echoes("c", 3))
    refused = tsr("mix", "plan", "both")
    assert refused.exit_code == 1
    assert 'TSR-M013  "own/c" is selected now, but was not' in refused.stderr
    assert json.loads(tsr("mix", "lock", "both", "--json").stdout) == {"lock": str(path), "tasks": 3}
    assert tsr("mix", "plan", "both").exit_code == 0


@pytest.mark.parametrize("verb", ["plan", "head", "lock"])
def test_a_mixture_that_is_not_there(own: SmallRegistry, verb: str) -> None:
    done = tsr("mix", verb, "bth")
    assert done.exit_code == 2
    assert done.stderr == 'TSR-M008  no mixture "bth"\n    try: did you mean "both"?\n'
    problems = json.loads(tsr("mix", verb, "bth", "--json").stdout)["problems"]
    assert [problem["code"] for problem in problems] == ["TSR-M008"]


def test_a_broken_mixture_file_is_shown_with_its_line(own: SmallRegistry) -> None:
    path = own.root / "mixtures" / "broken.yaml"
    path.write_text("parts:\n  - {selct: 'family:echo'}\n")
    done = tsr("mix", "plan", "broken")
    assert done.exit_code == 1
    assert f"{path}:2:6  TSR-A001" in done.stderr
    assert 'did you mean "select"?' in done.stderr


def test_a_source_that_is_away_ends_with_3(own: SmallRegistry) -> None:
    (own.mirror / "own").rename(own.mirror / "gone")
    done = tsr("mix", "head", "both", "--offline")
    assert (done.exit_code, "TSR-N008" in done.stderr) == (3, True)


def test_the_plan_says_where_rates_come_from(own: SmallRegistry) -> None:
    lines = tsr("mix", "plan", "both", "--why").stdout.splitlines()
    assert lines[-2:] == ["own/a: rate 10 = dataset:own/*: 10 rows", "own/b: rate 30 = dataset:own/*: 30 rows"]


def test_the_plan_as_csv_has_every_column(own: SmallRegistry) -> None:
    done = tsr("mix", "plan", "both", "--csv")
    first, second = csv.DictReader(io.StringIO(done.stdout))
    assert (first["id"], first["rows"], first["characters"], first["license"]) == ("own/a", "10", "40", "CC0-1.0")
    assert (second["share"], second["why"]) == ("0.75", "dataset:own/*: 30 rows")
    assert list(first) == [field.name for field in fields(PlannedTask)]
    assert tsr("mix", "plan", "both", "--csv", "--json").exit_code == 2


def test_a_difference_ends_with_1_and_none_with_0(own: SmallRegistry) -> None:
    own.mixture("other", {"parts": [{"select": "dataset:own/*"}], "shape": "text", "seed": 4})
    done = tsr("mix", "diff", "both", "other")
    assert (done.exit_code, done.stdout) == (1, "seed: 3 became 4\n")
    assert done.stderr == "mixture both, mixture other: 1 difference\n"
    value = json.loads(tsr("mix", "diff", "both", "other", "--json").stdout)
    assert value["changes"] == [{"kind": "seed", "text": "seed: 3 became 4", "task": None}]
    same = tsr("mix", "diff", "both", "both")
    assert (same.exit_code, same.stdout) == (0, "")


def test_a_lock_shows_what_the_registry_changed(own: SmallRegistry) -> None:
    tsr("mix", "lock", "both")
    lock = own.root / "mixtures" / "both.lock.json"
    assert tsr("mix", "diff", lock, "both").exit_code == 0
    own.task("c", echoes("c", 3))
    done = tsr("mix", "diff", lock, "both")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[0] == "task own/c (train): new, 3 rows"
    body = json.loads(lock.read_text())
    del body["positions"]
    lock.write_text(json.dumps(body))
    assert "of an older version, and holds neither rates nor settings" in tsr("mix", "diff", lock, "both").stderr


def test_a_changed_file_is_refused_with_what_changed(own: SmallRegistry) -> None:
    tsr("mix", "lock", "both")
    own.mixture("both", {"parts": [{"select": "dataset:own/*"}], "shape": "text", "seed": 5})
    refused = tsr("mix", "plan", "both")
    assert (refused.exit_code, "the mixture's file has changed; seed: 3 became 5" in refused.stderr) == (1, True)


def test_control_writes_a_mixture_that_resolves_and_keeps_comments(own: SmallRegistry, tmp_path: Path) -> None:
    file = tmp_path / "mine" / "m.yaml"
    file.parent.mkdir()
    scores = "".join(json.dumps({"task": "own/a", "row": i, "score": i * 7 % 10}) + "\n" for i in range(10))
    (file.parent / "s.jsonl").write_text(scores)
    file.write_text(
        "# how it began\nmixture: m\nparts:\n  - {task: own/a}  # the only one\n"
        "order: {by: {scores: s.jsonl}}\nshape: text\n"
    )
    out = tmp_path / "m-control.yaml"
    done = tsr("mix", "control", file, "--out", out)
    assert (done.exit_code, done.stdout) == (0, f"{out}: m-unordered, 10 positions\n")
    assert out.read_text() == (
        "# how it began\nmixture: m-unordered\nparts:\n  - {task: own/a} # the only one\n"
        "order: {by: {scores: mine/s.jsonl}}\ncontrol: unordered\nshape: text\n"
    )
    rows = [json.loads(tsr("mix", "head", path, "-n", 10, "--json").stdout)["rows"] for path in (file, out)]
    first, second = (sorted(row["text"] for row in some) for some in rows)
    assert first == second and len(first) == 10
    assert tsr("mix", "head", file, "-n", 10).stdout != tsr("mix", "head", out, "-n", 10).stdout
    again = tsr("mix", "control", file, "--out", out)
    assert (again.exit_code, "exists" in again.stderr) == (2, True)
    of_control = tsr("mix", "control", out, "--out", tmp_path / "x.yaml")
    assert (of_control.exit_code, "is a control itself" in of_control.stderr) == (2, True)


def test_the_plan_says_its_order(own: SmallRegistry, tmp_path: Path) -> None:
    own.mixture("sorted", {"parts": [{"task": "own/a"}], "order": {"unmixed": 2, "by": "length", "pacing": "root"}})
    lines = tsr("mix", "plan", "sorted").stdout.splitlines()
    said = "rows by length, root from 0.2 to all at 0.8, over 10 positions"
    assert lines[-2] == f"order: batches of 2 of one task; {said}"
    assert "order" not in tsr("mix", "plan", "both").stdout


def test_control_of_one_task(own: SmallRegistry, tmp_path: Path) -> None:
    out = tmp_path / "new" / "alone.yaml"
    done = tsr("mix", "control", "both", "--task", "own/a", "--out", out)
    assert (done.exit_code, done.stdout) == (0, f"{out}: both-only-own/a, 10 positions\n")
    shares = json.loads(tsr("mix", "plan", out, "--json").stdout)["tasks"]
    assert [(task["id"], task["positions"]) for task in shares] == [("own/a", 10)]
    wrong = tsr("mix", "control", "both", "--task", "own/z", "--out", tmp_path / "no.yaml")
    assert wrong.exit_code == 2 and "TSR-U001" in wrong.stderr and not (tmp_path / "no.yaml").exists()
    blocked = tsr("mix", "control", "both", "--out", out / "under-a-file.yaml")
    assert (blocked.exit_code, "TSR-U005" in blocked.stderr) == (2, True)
