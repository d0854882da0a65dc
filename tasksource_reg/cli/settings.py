"""The options that every verb takes, before or after its name, and what a verb gets of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tasksource_reg.registry import Registry


@dataclass
class Settings:
    """What the global options say.

    Attributes:
        mirrors: mirror roots of `--mirror`, looked at before those of TSR_MIRROR.
        registries: registry roots of `--registry`; without any, those of TSR_REGISTRY.
        offline: never use the network.
        streaming: fetch rows when they are wanted, instead of preparing sources whole.
        quiet: no notes and warnings, no progress.
        as_json: problems and results are printed as JSON.
    """

    mirrors: tuple[Path, ...] = ()
    registries: tuple[Path, ...] = ()
    offline: bool = False
    streaming: bool = False
    quiet: bool = False
    as_json: bool = False

    @cached_property
    def registry(self) -> Registry:
        """The registry of these roots, built when it is first asked for."""
        from tasksource_reg.registry import Registry

        return Registry(self.registries)

    def note(self, line: str) -> None:
        """A line for people, on stderr; nothing with `--quiet`."""
        if not self.quiet:
            click.echo(line, err=True)


pass_settings = click.make_pass_decorator(Settings, ensure=True)


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keeps the value of a global option; paths of several places add up, the inner ones first."""
    settings = context.ensure_object(Settings)
    assert parameter.name is not None
    if isinstance(value, tuple):
        value = (*value, *getattr(settings, parameter.name))
    elif not value:
        return
    setattr(settings, parameter.name, value)


def global_options() -> list[click.Option]:
    """New options for one command; they keep their values in the `Settings` of the call."""
    folder = click.Path(file_okay=False, path_type=Path)
    common: dict[str, Any] = {"expose_value": False, "callback": _store}
    return [
        click.Option(
            ["--mirror", "mirrors"],
            metavar="DIR",
            type=folder,
            multiple=True,
            help="Take datasets from this folder, laid out as the hub; repeatable (TSR_MIRROR).",
            **common,
        ),
        click.Option(
            ["--registry", "registries"],
            metavar="DIR",
            type=folder,
            multiple=True,
            help="A folder that holds annotations/, templates/, mixtures/; repeatable (TSR_REGISTRY).",
            **common,
        ),
        click.Option(["--offline"], is_flag=True, help="Never use the network.", **common),
        click.Option(
            ["--stream", "streaming"],
            is_flag=True,
            help="Fetch rows of Parquet sources when they are wanted, prepare none whole (TSR_STREAM).",
            **common,
        ),
        click.Option(["--quiet"], is_flag=True, help="No notes, warnings or progress.", **common),
    ]


def _store_json(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    context.ensure_object(Settings).as_json = value
    return value


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--json`, the argument `as_json` of the verb; errors of the verb are JSON then too."""
    return click.option(
        "--json", "as_json", is_flag=True, callback=_store_json, is_eager=True, help="Print JSON, problems too."
    )(function)
