"""Exports: the same bytes however they are made, resumed by shard, never half there."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exporting import ROOT, SHARD_ROWS, SMALL, demo_data, files_of, python, spotted_data

from tasksource_reg.errors import FindingsError, TsrError, UsageError
from tasksource_reg.export.export import ExportResult, Progress, export
from tasksource_reg.export.verify import verify
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.provenance.manifest import read_manifest

EXPORT = f"""
import os, signal, sys
from pathlib import Path
from exporting import SMALL, demo_data
from tasksource_reg.export.export import export

def run(out, workers, progress=None, **options):
    return export(demo_data(), Path(out), workers=workers, shard_rows={SHARD_ROWS}, progress=progress, **options)
"""
KILLED = (
    EXPORT
    + """
def kill(progress):  # the first block of the third shard
    if progress.done > 120:
        os.kill(os.getpid(), signal.SIGKILL)

run(sys.argv[1], int(sys.argv[2]), kill)
"""
)


ASCII_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Tokyo"}


def shard_paths(out: Path) -> list[Path]:
    return sorted((out / "data").glob("*.parquet"))


def test_an_export_holds_every_position_of_the_plan_in_order(small_export: ExportResult) -> None:
    data = demo_data()
    expected = data.block(np.arange(200)).rows
    found = [pq.read_table(path) for path in shard_paths(small_export.out)]
    assert [table.num_rows for table in found] == [60, 60, 60, 20]
    rows = [row for table in found for row in table.to_pylist()]
    assert rows == expected.to_pylist()


def test_two_exports_are_byte_identical(small_export: ExportResult, tmp_path: Path) -> None:
    again = export(demo_data(), tmp_path / "again", shard_rows=SHARD_ROWS)
    assert files_of(again.out) == files_of(small_export.out)


def test_two_workers_write_the_bytes_of_one(small_export: ExportResult, tmp_path: Path) -> None:
    seen: list[Progress] = []
    again = export(demo_data(), tmp_path / "again", shard_rows=SHARD_ROWS, workers=2, progress=seen.append)
    assert files_of(again.out) == files_of(small_export.out)
    assert (seen[0].done, seen[-1].done, seen[-1].shards_done) == (0, 200, 4)


def test_bytes_do_not_depend_on_blocks(
    small_export: ExportResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MixtureData, "block_rows", 7)
    again = export(demo_data(), tmp_path / "again", shard_rows=SHARD_ROWS)
    assert files_of(again.out) == files_of(small_export.out)


@pytest.mark.parametrize("environment", [{"PYTHONHASHSEED": "1"}, ASCII_LOCALE])
def test_bytes_do_not_depend_on_the_environment(
    small_export: ExportResult, tmp_path: Path, environment: dict[str, str]
) -> None:
    done = python(EXPORT + "run(sys.argv[1], 1)", tmp_path / "again", **environment)
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "again") == files_of(small_export.out)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_export_that_was_killed_goes_on(small_export: ExportResult, tmp_path: Path, workers: int) -> None:
    out = tmp_path / "out"
    done = python(KILLED, out, workers)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [p.code for p in verify(out)] == ["TSR-X004"]
    before = {path: path.stat().st_mtime_ns for path in shard_paths(out)}
    kept = {p.name for p in (out / ".progress").glob("shard-*.json")}
    result = export(demo_data(), out, shard_rows=SHARD_ROWS)
    assert result.resumed == len(kept) >= 1
    assert files_of(out) == files_of(small_export.out)
    assert sum(path.stat().st_mtime_ns == time for path, time in before.items()) >= len(kept)


def test_ctrl_c_ends_with_130_and_the_export_goes_on(small_export: ExportResult, tmp_path: Path) -> None:
    code = """
import contextlib, json, signal, sys
import tasksource_reg.cli.export as verb
from exporting import SMALL
from tasksource_reg.cli import main
from tasksource_reg.demo import mirror_path
from pathlib import Path

@contextlib.contextmanager
def bar(*_):
    yield lambda done, of: done > 60 and signal.raise_signal(signal.SIGINT)

verb.progress_bar = bar
mixture = Path(sys.argv[1]).with_name("small.yaml")
mixture.write_text(json.dumps(SMALL))
main(["export", str(mixture), "--out", sys.argv[1], "--mirror", str(mirror_path()), "--offline",
      "--workers", sys.argv[2], "--shard-rows", "60"])
"""
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        done = python(code, out, workers)
        assert done.returncode == 130, done.stderr
        assert "Traceback" not in done.stderr
        assert not list(out.rglob("*.tmp"))  # what was half done is gone
        assert [p.code for p in verify(out)] == ["TSR-X004"]
        export(demo_data(), out, shard_rows=SHARD_ROWS)
        assert files_of(out) == files_of(small_export.out)


def test_a_worker_that_dies_is_an_error_that_names_its_shard(tmp_path: Path) -> None:
    code = (
        EXPORT
        + """
import multiprocessing
from tasksource_reg.errors import TsrError

def kill(progress):
    for child in multiprocessing.active_children():
        child.kill()
try:
    run(sys.argv[1], 2, kill)
except TsrError as exc:
    print(exc)
"""
    )
    done = python(code, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("TSR-X010  the worker of shard "), done.stdout
    assert "signal 9" in done.stdout


def test_an_error_in_a_worker_arrives_as_itself(tmp_path: Path) -> None:
    data = spotted_data(tmp_path, on_error="raise")
    with pytest.raises(FindingsError) as caught:
        export(data, tmp_path / "out", workers=2, shard_rows=50)
    assert caught.value.problems[0].code == "TSR-T008"
    assert caught.value.problems[0].task == "spotted/echo"


def test_finished_shards_are_kept_and_damaged_ones_made_again(copied_export: Path, small_export: ExportResult) -> None:
    first, second = shard_paths(copied_export)[:2]
    first.write_bytes(first.read_bytes()[:-9])
    before = second.stat().st_mtime_ns
    result = export(demo_data(), copied_export, shard_rows=SHARD_ROWS)
    assert (result.written, result.resumed) == (1, 3)
    assert second.stat().st_mtime_ns == before
    assert files_of(copied_export) == files_of(small_export.out)


def test_a_finished_export_is_left_alone(copied_export: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied_export.rglob("*")}
    result = export(demo_data(), copied_export, shard_rows=SHARD_ROWS)
    assert (result.written, result.resumed) == (0, 4)
    assert {path: path.stat().st_mtime_ns for path in copied_export.rglob("*")} == before


def test_leftovers_of_a_killed_writer_are_removed(copied_export: Path, small_export: ExportResult) -> None:
    (copied_export / "manifest.json").unlink()
    leftover = copied_export / "data" / ".train-00003-of-00004.parquet.abc.tmp"
    leftover.write_bytes(b"half a shard")
    progress = copied_export / ".progress"
    progress.mkdir()
    with pytest.raises(UsageError, match="TSR-X001"):  # nothing says whose files these are
        export(demo_data(), copied_export, shard_rows=SHARD_ROWS)
    shutil.copy(small_export.out / "manifest.json", copied_export)
    export(demo_data(), copied_export, shard_rows=SHARD_ROWS)
    assert files_of(copied_export) == files_of(small_export.out)


def test_another_export_is_not_touched_without_overwrite(copied_export: Path) -> None:
    before = files_of(copied_export, but=())
    other = demo_data({**SMALL, "seed": 4})
    with pytest.raises(UsageError) as caught:
        export(other, copied_export, shard_rows=SHARD_ROWS)
    assert caught.value.problems[0].code == "TSR-X001"
    assert files_of(copied_export, but=()) == before
    (copied_export / "notes.txt").write_text("mine")
    export(other, copied_export, shard_rows=100, overwrite=True)
    assert verify(copied_export) == []
    assert [path.name for path in shard_paths(copied_export)] == [f"train-0000{i}-of-00002.parquet" for i in (0, 1)]
    assert (copied_export / "notes.txt").read_text() == "mine"


def test_a_folder_of_other_files_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x-of-y.parquet").write_text("mine")
    with pytest.raises(UsageError) as caught:
        export(demo_data(), tmp_path, overwrite=True)
    assert caught.value.problems[0].code == "TSR-X001"
    assert (tmp_path / "data" / "x-of-y.parquet").read_text() == "mine"


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen: list[TsrError] = []

    def second(progress: Progress) -> None:
        if not seen:
            with pytest.raises(UsageError) as caught:
                export(demo_data(), out, shard_rows=SHARD_ROWS)
            seen.append(caught.value)

    export(demo_data(), out, shard_rows=SHARD_ROWS, progress=second)
    assert seen[0].problems[0].code == "TSR-X009"
    assert verify(out) == []


def test_a_full_disk_is_an_error_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    code = (
        EXPORT
        + """
import resource
from tasksource_reg.errors import TsrError
data = demo_data()
data.records, data.block([0])
resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))  # no file may grow over this
try:
    export(data, Path(sys.argv[1]), shard_rows=60)
except TsrError as exc:
    print(exc.problems[0].code)
"""
    )
    done = python(code, tmp_path / "out")
    assert done.stdout.strip() == "TSR-X008", done.stderr
    assert shard_paths(tmp_path / "out") == []
    assert not list((tmp_path / "out").rglob("*.tmp"))


@pytest.mark.parametrize("failing", range(12))
def test_a_shard_that_lacks_a_block_is_never_finished(
    small_export: ExportResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Whichever write fails: what stands there is whole, and the export goes on from it."""
    from tasksource_reg.export import shards

    monkeypatch.setattr(shards, "MOST_ROWS", 25)  # three blocks a shard
    calls = iter(range(10_000))
    write = shards.RowWriter.write

    def failing_write(writer: shards.RowWriter, batch: pa.RecordBatch) -> None:
        if next(calls) == failing:
            raise ZeroDivisionError("a fault")
        write(writer, batch)

    out = tmp_path / "out"
    with monkeypatch.context() as faulty:
        faulty.setattr(shards.RowWriter, "write", failing_write)
        if failing < 10:  # three shards of three blocks, and one of one
            with pytest.raises(ZeroDivisionError):
                export(demo_data(), out, shard_rows=SHARD_ROWS)
            assert not list(out.glob("data/.*"))
    for path in (out / "data").glob("*.parquet"):
        assert path.read_bytes() == (small_export.out / "data" / path.name).read_bytes()
    export(demo_data(), out, shard_rows=SHARD_ROWS)
    assert files_of(out) == files_of(small_export.out)


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="TSR-X008"):
        export(demo_data(), tmp_path / "out")


def test_an_endless_plan_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TSR-M009"):
        export(demo_data({**SMALL, "stop": "never"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{"workers": 0}, {"shard_rows": 0}, {"passport": "fat"}])
def test_arguments_out_of_range_are_errors(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="TSR-U005"):
        export(demo_data(), tmp_path / "out", **options)  # type: ignore[arg-type]


def test_quarantined_positions_are_listed_and_everything_adds_up(tmp_path: Path) -> None:
    data = spotted_data(tmp_path)
    result = export(data, tmp_path / "out", shard_rows=40)
    manifest = read_manifest(result.out)
    assert verify(result.out) == []
    assert manifest.quarantined > 0
    assert manifest.rows + manifest.quarantined == 100
    echo = manifest.counts["spotted/echo"]
    assert (echo.source_rows, echo.candidates, echo.surviving) == (30, 30, 25)
    assert echo.filtered == {"null target": 5}
    assert echo.positions == 80
    assert echo.rows + sum(echo.quarantined.values()) == 80
    assert set(echo.quarantined) == {"TSR-T008"}
    listed = [row for path in sorted((result.out / "quarantine").iterdir()) for row in pq.read_table(path).to_pylist()]
    assert len(listed) == manifest.quarantined
    assert {row["template"] for row in listed} == {"generation/echo"}
    assert all(row["row"] % 6 == 0 and "blank" in row["message"] for row in listed)
    exported = [p for path in shard_paths(result.out) for p in pq.read_table(path)["provenance"].to_pylist()]
    assert sorted([row["position"] for row in listed] + [p["position"] for p in exported]) == list(range(100))


def test_an_export_without_quarantine_has_no_such_folder(small_export: ExportResult) -> None:
    assert not (small_export.out / "quarantine").exists()


def test_a_shard_may_be_all_quarantine(tmp_path: Path) -> None:
    spec = {"parts": [{"task": "spotted/echo"}], "templates": {"choose": {"generation/echo": 1.0}}}
    result = export(spotted_data(tmp_path, **spec), tmp_path / "out", shard_rows=1)
    assert verify(result.out) == []
    assert 0 in {shard.rows for shard in result.manifest.shards}


def test_run_json_is_the_only_file_with_times_or_local_paths(small_export: ExportResult) -> None:
    run = json.loads((small_export.out / "RUN.json").read_text())
    assert run["workers"] == 1
    year = run["started"][:4]
    for name, content in files_of(small_export.out).items():
        assert str(ROOT).encode() not in content, name
        assert f"{year}-".encode() not in content, name
