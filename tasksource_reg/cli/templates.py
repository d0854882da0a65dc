"""`tsr templates`: list, show and check the templates, or draft one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tasksource_reg.cli.output import count, echo_json, echo_table, facts, problem_lines
from tasksource_reg.cli.settings import Settings, json_option, pass_settings
from tasksource_reg.errors import EXIT_CLEAN, EXIT_FINDINGS, TsrError

if TYPE_CHECKING:
    from tasksource_reg.prompting.library import TemplateLibrary
    from tasksource_reg.prompting.model import Template

HEADER = ("id", "schema", "languages", "form", "options", "length", "needs", "origin")


@click.group(short_help="List, show, check or draft templates.")
def command() -> None:
    """List the templates, look at one, try all of them on the examples of annotations, or draft a new one.

    \b
    Examples:
      tsr templates list family:nli options_shown:false
      tsr templates show nli/can-we-infer
      tsr templates check family:nli
      tsr templates new nli/is-it-so --schema classification
    """


@command.command("list", short_help="List templates that fit a query.")
@click.argument("query", nargs=-1)
@click.option("--ids", is_flag=True, help="Print only the ids, one a line.")
@json_option
@pass_settings
def list_(settings: Settings, query: tuple[str, ...], ids: bool, as_json: bool) -> None:
    """List the templates that fit QUERY; without one, all of them.

    Keys: id, family, schema, lang, needs, form, length, options_shown, inverted, origin.

    \b
    Examples:
      tsr templates list
      tsr templates list schema:multiple_choice options_shown:true
      tsr templates list lang:de --json
    """
    found = _selected(_library(settings), query)
    if as_json:
        echo_json({"templates": [_record(template) for template in found]})
    elif ids:
        for template in found:
            click.echo(template.id)
    elif found:
        echo_table(HEADER, [_row(template) for template in found])
    settings.note(count(len(found), "template"))


@command.command("show", short_help="Show a template and how it is rendered.")
@click.argument("id")
@json_option
@pass_settings
def show(settings: Settings, id: str, as_json: bool) -> None:
    """Show the template ID: its facets, its texts, and the path by which it is rendered.

    \b
    Examples:
      tsr templates show nli/can-we-infer
      tsr templates show spans/json --json
    """
    _show(settings, _library(settings).get(id), as_json)


@command.command("check", short_help="Try templates on the examples of all tasks that can use them.")
@click.argument("query", nargs=-1)
@json_option
@pass_settings
def check(settings: Settings, query: tuple[str, ...], as_json: bool) -> int:
    """Render the templates that fit QUERY (all without one) on the examples of all tasks that can use them.

    Reported are texts that are empty or fail, blanks at the joint or standing twice, options that are not shown as
    `options_shown` says, answers that the prompt gives away, labels with the same response, fields that are left out,
    templates that are nearly the same, and translations of templates that are not there.

    \b
    Examples:
      tsr templates check
      tsr templates check family:nli
      tsr templates check id:nli/can-we-infer --json
    """
    from tasksource_reg.authoring.template_check import check_library

    library = _library(settings)
    found = _selected(library, query)
    problems = check_library(settings.registry, library, {template.id for template in found})
    if as_json:
        echo_json({"templates": len(found), "problems": [p.to_json() for p in problems]})
    else:
        for line in problem_lines(problems):
            click.echo(line)
        settings.note(f"{count(len(found), 'template')}: {count(len(problems), 'problem')}")
    return EXIT_FINDINGS if problems else EXIT_CLEAN


@command.command("new", short_help="Print a draft of a template.")
@click.argument("id")
@click.option("--schema", help="The schema; by default the one that most templates of the family are for.")
@pass_settings
def new(settings: Settings, id: str, schema: str | None) -> None:
    """Print a draft of the template ID (`<family or schema>/<name>`), to be put into its file and written over.

    \b
    Examples:
      tsr templates new nli/is-it-so
      tsr templates new sentiment/how-good --schema score >> templates/families/sentiment.yaml
    """
    from tasksource_reg.authoring.template_draft import draft

    click.echo(draft(_library(settings), id, schema))


def shown_template(settings: Settings, id: str, as_json: bool) -> bool:
    """Shows a template, if there is one of this id."""
    try:
        template = _library(settings).get(id)
    except TsrError:
        return False
    _show(settings, template, as_json)
    return True


def _show(settings: Settings, template: Template, as_json: bool) -> None:
    from tasksource_reg.authoring.template_draft import stand_in
    from tasksource_reg.prompting.render import Renderer

    path = Renderer(stand_in(template, settings.registry.family_vocabularies()), template).explain()
    if as_json:
        texts = {name: getattr(template, name) for name in ("system", "prompt", "response", "joint", "shot_joint")}
        echo_json(_record(template) | texts | {"answers": dict(template.answers), "rendered": path})
        return
    said = [f"{label}: {words}" for label, words in template.answers.items()]
    for line in facts(
        [
            ("id", template.id),
            ("schema", template.schema),
            ("languages", template.languages or "every one"),
            ("form", template.form),
            ("options shown", None if template.options_shown is None else str(template.options_shown).lower()),
            ("length", template.length),
            ("inverted", "yes" if template.inverted else None),
            ("needs", template.needs),
            ("origin", template.origin),
            ("answers", "; ".join(said)),
            ("joint", repr(template.joint)),
            ("rendered", path),
            ("written in", str(template.place).rpartition(":")[0] if template.place else None),
        ]
    ):
        click.echo(line)
    for name in ("system", "prompt", "response"):
        if (text := getattr(template, name)) is not None:
            click.echo(f"\n{name}\n" + "\n".join(f"| {line}" for line in text.split("\n")))


def _library(settings: Settings) -> TemplateLibrary:
    from tasksource_reg.prompting.library import TemplateLibrary

    return TemplateLibrary.load([folder.parent for folder in settings.registry.template_roots()])


def _selected(library: TemplateLibrary, query: tuple[str, ...]) -> list[Template]:
    from tasksource_reg.query import TEMPLATE_KEYS, parse

    parsed = parse(" ".join(query), TEMPLATE_KEYS)
    return [template for template in library.all() if parsed.matches(template)]


def _row(template: Template) -> tuple[object, ...]:
    shown = {True: "shown", False: "hidden", None: ""}[template.options_shown]
    form = f"{template.form or ''}{', inverted' if template.inverted else ''}".removeprefix(", ")
    return (
        template.id, template.schema, template.languages or "", form, shown, template.length, template.needs,
        template.origin,
    )  # fmt: skip


def _record(template: Template) -> dict[str, Any]:
    facets = ("form", "options_shown", "length", "inverted", "origin")
    return {
        "id": template.id,
        "family": template.family,
        "schema": template.schema,
        "languages": None if template.languages is None else list(template.languages),
        "facets": {name: getattr(template, name) for name in facets} | {"needs": list(template.needs)},
        "path": template.place.file if template.place else None,
        "line": template.place.line if template.place else None,
    }
