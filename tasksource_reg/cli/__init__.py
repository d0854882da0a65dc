"""The command line: `tsr VERB`. One module per verb, imported only when the verb is called.

Exit codes: 0 clean, 1 findings, 2 usage, 3 source or network, 70 a bug of ours, 130 interrupted. Errors that a user can
cause are printed as problems with a code and advice; a traceback goes into a report file, since it is a bug of ours.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click

from tasksource_reg import __version__
from tasksource_reg.cli.output import echo_problems
from tasksource_reg.cli.settings import Settings, global_options
from tasksource_reg.errors import EXIT_BUG, EXIT_CLEAN, EXIT_INTERRUPTED, TsrError

GC_THRESHOLD = 50_000  # of a command line, where objects live as long as the process; looking through them takes time
EXIT_BROKEN_PIPE = 141  # what a shell reports for a tool whose reader went away (128 + SIGPIPE)


class Verb(NamedTuple):
    """Where a verb lives (`module:command`), and its line in `tsr --help`."""

    target: str
    help: str


VERBS: dict[str, Verb] = {
    "list": Verb("tasksource_reg.cli.list:command", "List tasks that fit a query."),
    "show": Verb("tasksource_reg.cli.show:command", "Show what is known of a task."),
    "render": Verb("tasksource_reg.cli.render:command", "Render rows of a task as prompts and responses."),
    "preview": Verb("tasksource_reg.cli.preview:command", "Show source rows beside harmonized and rendered ones."),
    "ops": Verb("tasksource_reg.cli.ops:command", "Print the reference of the ops."),
    "schemas": Verb("tasksource_reg.cli.schemas:command", "Print the task schemas and their fields."),
    "templates": Verb("tasksource_reg.cli.templates:command", "List, show, check or draft templates."),
    "check": Verb("tasksource_reg.cli.check:command", "Check annotations and templates without reading rows."),
    "test": Verb("tasksource_reg.cli.test:command", "Run the examples of annotations."),
    "lock": Verb("tasksource_reg.cli.lock:command", "Record features, revisions and row counts of tasks."),
    "drift": Verb("tasksource_reg.cli.drift:command", "Compare locks with live sources and say what moved."),
    "mirror": Verb("tasksource_reg.cli.mirror:command", "Fetch what tasks or a mixture need, for use offline."),
    "cache": Verb("tasksource_reg.cli.cache:command", "List what the cache holds, or clear it."),
    "license": Verb("tasksource_reg.cli.license:command", "Explain what is known of a task's or mixture's licences."),
    "new": Verb("tasksource_reg.cli.new:command", "Draft an annotation from a source's features and rows."),
    "fmt": Verb("tasksource_reg.cli.fmt:command", "Write annotations, templates and mixtures in canonical form."),
    "schema": Verb("tasksource_reg.cli.schema:command", "Print the JSON Schema of a file format."),
    "mix": Verb("tasksource_reg.cli.mix:command", "Plan, sample or lock a mixture."),
    "export": Verb("tasksource_reg.cli.export:command", "Export a mixture to Parquet."),
    "verify": Verb("tasksource_reg.cli.verify:command", "Check an export against its manifest."),
    "trace": Verb("tasksource_reg.cli.trace:command", "Show where a row of an export came from."),
    "replay": Verb("tasksource_reg.cli.replay:command", "Make rows of an export again and compare."),
    "demo": Verb("tasksource_reg.cli.demo:command", "Export the built-in demo mixture."),
}


class Verbs(click.Group):
    """A group that knows its verbs by name and imports only the one that is called; it handles all errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which people meet them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, with the global options added to its own."""
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        _add_global_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; a verb that is not there is answered with the nearest ones."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from tasksource_reg.errors import did_you_mean

            ctx.fail(f'No such command "{args[0]}"; {did_you_mean(args[0], VERBS)}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, from their lines in `VERBS`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the verb and prints all that it said; ends silently if its reader is gone (`tsr list | head`)."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as exc:
            if not _reader_is_gone():  # another pipe, such as one to a worker, is not to be passed over
                raise RuntimeError("a pipe inside the package broke") from exc
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left unwritten goes nowhere
            raise SystemExit(EXIT_BROKEN_PIPE) from None
        return result

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a command line and exits with its code; without `standalone_mode`, returns the code instead."""
        settings: Settings = extra.setdefault("obj", Settings())
        if standalone_mode:
            gc.set_threshold(GC_THRESHOLD)
        try:
            result = super().main(
                args,
                prog_name or "tsr",
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
            code = result if isinstance(result, int) else EXIT_CLEAN
        except click.Abort:
            click.echo("interrupted", err=True)
            code = EXIT_INTERRUPTED
        except click.ClickException as exc:
            exc.show()
            code = exc.exit_code
        except TsrError as exc:
            echo_problems(exc.problems, as_json=settings.as_json)
            code = exc.exit_code
        except Exception as exc:  # the one place where a bug of ours ends
            click.echo(_bug_message(exc, sys.argv if args is None else ["tsr", *args]), err=True)
            code = EXIT_BUG
        if standalone_mode:
            sys.exit(code)
        return code


def _reader_is_gone() -> bool:
    """Whether nobody reads stdout or stderr any more."""
    import select

    if not hasattr(select, "poll"):  # Windows: it cannot be asked
        return True
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a stream without a file is nobody's pipe
            poll.register(stream.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _add_global_options(command: click.Command) -> None:
    """Adds the global options to a command and to the commands of a group, once."""
    have = {parameter.name for parameter in command.params}
    command.params += [option for option in global_options() if option.name not in have]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _add_global_options(inner)


def _bug_message(exc: Exception, argv: Sequence[str]) -> str:
    """Writes the report file and says where it is; the traceback itself where no file can be written."""
    import platform
    import time
    import traceback

    from tasksource_reg.paths import cache_dir

    trace = "".join(traceback.format_exception(exc))
    head = f"{type(exc).__name__}: {exc}".splitlines()[0]
    report = (
        f"tasksource_reg {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"command: {' '.join(argv)}\n\n{trace}"
    )
    path = cache_dir() / "reports" / f"bug-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report, encoding="utf-8")
    except OSError:
        return f"{report}\nThis is a bug of tasksource_reg; please report it with the lines above."
    return f"{head}\nThis is a bug of tasksource_reg; please report it with the file {path}"


@click.group(cls=Verbs, epilog="Examples: tsr list family:nli; tsr show demo/weather-nli")
@click.version_option(__version__, "--version", prog_name="tsr", message="%(prog)s (tasksource_reg) %(version)s")
def main() -> None:
    """Harmonized tasks out of public datasets: find them, check them, mix and export them."""


_add_global_options(main)
