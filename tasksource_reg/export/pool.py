"""Worker processes for shards. Each builds its own mixture from a recipe and writes one shard after the other.

The parent hands out shard numbers over a pipe and hears of progress, finished shards and errors the same way. A worker
whose parent is gone ends at the next word to it; a worker that dies is an error that names its shard.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tasksource_reg.errors import TsrError, error
from tasksource_reg.export.identity import difference, identity, identity_digest
from tasksource_reg.export.layout import Layout
from tasksource_reg.export.recipe import Recipe
from tasksource_reg.export.shards import write_shards
from tasksource_reg.provenance.manifest import ShardRecord

_GRACE_SECONDS = 5.0


class WorkerBug(RuntimeError):
    """An unexpected exception in a worker, with its traceback."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs: how to build the mixture, and what it has to be; where the shards go."""

    recipe: Recipe
    identity: dict[str, Any]
    layout: Layout
    out: str


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    shard: int | None = field(default=None)


def write_in_processes(
    job: Job, shards: Sequence[int], workers: int, report: Callable[[int], None] | None = None
) -> Iterator[ShardRecord]:
    """Writes shards in worker processes.

    Args:
        job: what is exported.
        shards: their numbers, each written by one worker.
        workers: how many processes; at most one a shard is started.
        report: called with the number of positions done since the last call.

    Yields:
        The record of each shard, in the order in which they are done.

    Raises:
        FindingsError: TSR-X010, a worker ended before its shard was done.
        TsrError: whatever `write_shards` raises.
        WorkerBug: an unexpected exception in a worker.
    """
    waiting = list(reversed(shards))
    context = multiprocessing.get_context("spawn")
    team: list[_Worker] = []
    try:
        for number in range(min(workers, len(shards))):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(job, theirs), name=f"tsr-export-{number}", daemon=True)
            process.start()
            theirs.close()
            team.append(_Worker(process, ours))
            _hand_out(team[-1], waiting)
        while busy := [worker for worker in team if worker.shard is not None]:
            ready = wait([worker.pipe for worker in busy])
            for worker in busy:
                if worker.pipe in ready:
                    record = _hear(worker, report)
                    if record is not None:
                        yield record
                        _hand_out(worker, waiting)
    finally:
        _end(team)


def _hand_out(worker: _Worker, waiting: list[int]) -> None:
    """Gives a worker its next shard; None ends it."""
    worker.shard = waiting.pop() if waiting else None
    try:
        worker.pipe.send(worker.shard)
    except (BrokenPipeError, ConnectionResetError):
        if worker.shard is not None:
            raise _died(worker) from None


def _hear(worker: _Worker, report: Callable[[int], None] | None) -> ShardRecord | None:
    """One message of a worker: the record of its shard if that is done."""
    try:
        kind, value = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        raise _died(worker) from None
    if kind == "bug":
        raise WorkerBug(f"in the worker of shard {worker.shard}:\n{value}")
    if kind == "error":
        raise value
    if kind == "done":
        record: ShardRecord = value
        return record
    if report is not None:
        report(value)
    return None


def _died(worker: _Worker) -> TsrError:
    worker.process.join(_GRACE_SECONDS)
    code = worker.process.exitcode
    how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
    return error("TSR-X010", f"the worker of shard {worker.shard} {how}")


def _end(team: list[_Worker]) -> None:
    """Ends the workers: idle ones by closing their pipe, busy ones by SIGTERM, on which they remove half-done files."""
    for worker in team:
        worker.pipe.close()
        if worker.shard is not None:
            worker.process.terminate()
    for worker in team:
        worker.process.join(_GRACE_SECONDS)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()


def _stop(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


def _work(job: Job, pipe: Connection) -> None:
    """The life of a worker. Ctrl-C reaches the whole group of processes; the parent decides what to do about it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    try:
        shard = pipe.recv()
        if shard is None:
            return
        data = job.recipe.build()
        now = identity(data, job.layout)
        if identity_digest(now) != identity_digest(job.identity):
            message = f"the mixture has changed while it was exported ({difference(job.identity, now)})"
            raise error("TSR-M013", message, fix="run the export again")

        def report(positions: int) -> None:
            pipe.send(("rows", positions))

        while shard is not None:
            for record in write_shards(data, job.layout, [shard], Path(job.out), report, ahead=1):
                pipe.send(("done", record))
            shard = pipe.recv()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone
    except TsrError as exc:
        pipe.send(("error", exc))
    except Exception:
        pipe.send(("bug", traceback.format_exc()))
