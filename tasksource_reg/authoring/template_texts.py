"""What is wrong with the texts that a template gives for one row, and for one row with each of its answers in turn.

Pure functions from rendered rows to findings (code, sentence, what it is about); `template_check` renders the rows and
makes problems of the findings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias

from tasksource_reg.authoring.template_words import printed
from tasksource_reg.errors import excerpt
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.scope import VERBALIZED
from tasksource_reg.prompting.syntax import inspect
from tasksource_reg.schemas import SCHEMAS

UNSHOWN = frozenset({"rationale", "language", "carried", "input_language", "target_language", "references", "entities"})
"""Text fields that a template need not show: they say something about the row, or are gold."""

GOLD_NAMES = frozenset({"answer", "answer_letter", "label_dist", "choice_dist"})
"""Names of the scope that say the gold answer, beside the gold fields of the schema."""

Finding: TypeAlias = tuple[str, str, str | None]
"""An error code, a sentence, and what it is about; the last is one of a few words, so that each is reported once."""

_CHOSEN = frozenset({"classification", "multi_label", "multiple_choice"})
"""Schemas whose response is made of options; those of tags and spans are made of the row's words too."""

_DOUBLED = re.compile(r"\S[ \t]{2,}\S")
_RAGGED = re.compile(r"[ \t]\n|\n[ \t]*\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class Shown:
    """A rendered row: its texts, the harmonized fields, and the names that follow from them.

    Attributes:
        options, types: what the prompt of a template that shows options shows; one of the two is enough.
        answers: the gold texts, one for each label of a row with several.
        letters: the letters of the gold texts, in the same order; empty where there are none.
    """

    system: str
    prompt: str
    response: str
    fields: Mapping[str, Any]
    options: Sequence[str]
    types: Sequence[str]
    answers: Sequence[str]
    letters: Sequence[str]

    @property
    def asked(self) -> str:
        """What is there before the response."""
        return f"{self.system}\n{self.prompt}"


def row_findings(template: Template, row: Shown, mapped: frozenset[str], labels: tuple[str, ...]) -> Iterator[Finding]:
    """What is wrong with the texts of one row.

    Args:
        template: that gave them.
        row: the row and its texts.
        mapped: the fields that the row's task has.
        labels: the labels of the task.
    """
    yield from _space(template, row)
    if not template.inverted:
        yield from _options(template, row)
        yield from _leaks(template, row)
        yield from _unshown(template, row, mapped, labels)


def answer_findings(template: Template, rows: Sequence[Shown]) -> Iterator[Finding]:
    """What is wrong when one row gets each of its answers in turn: the prompt may not change, the response has to.

    Args:
        template: that gave the texts.
        rows: one row, once for each answer that it can have.
    """
    if template.inverted or not rows:
        return
    if template.options_shown is not None and len({row.asked for row in rows}) > 1:
        yield "TSR-T012", "the prompt changes with the answer", "answer"
    first: dict[str, Shown] = {}
    for row in rows:
        other = first.setdefault(_plain(row.response), row)
        if other is not row and other.answers != row.answers:
            both = " and ".join(f'"{excerpt(", ".join(r.answers), 40)}"' for r in (other, row))
            yield "TSR-T006", f"the response is the same for {both}", "response"


def _space(template: Template, row: Shown) -> Iterator[Finding]:
    """Blanks at the joint, blanks and empty lines that stand twice although no field of the row has them."""
    prompt, response, joint = row.prompt, row.response, template.joint
    own = list(_texts(row.fields))
    if all(text == text.strip() for text in own):  # else it may be the row's
        between = prompt[len(prompt.rstrip()) :] + response[: len(response) - len(response.lstrip())]
        if prompt != (prompt.rstrip() if joint else prompt.rstrip(" \t")):
            yield "TSR-T011", "the prompt ends in white space, which belongs into `joint`", "prompt"
        elif not joint and between not in ("", " ", "\n", "\n\n"):
            yield "TSR-T011", f"{between!r} stands between prompt and response", "joint"
        if prompt != prompt.lstrip() or response != response.rstrip():
            yield "TSR-T011", "white space before the prompt or after the response", "response"
    if joint and response != response.lstrip():
        yield "TSR-T011", f"the response begins with white space after the joint {joint!r}", "joint"
    if not joint and prompt and response and (prompt[-1] + response[0]).isalnum() and response[0].isascii():
        yield "TSR-T011", f'prompt and response run together: "{prompt[-10:]}{response[:10]}"', "joint"
    for text in (row.system, prompt, response):
        twice = None if any("  " in value for value in own) else _DOUBLED.search(text)
        ragged = None if any(_RAGGED.search(value + "\n\n") for value in own) else _RAGGED.search(text)
        for found, what in ((twice, "blanks stand twice"), (ragged, "blanks end a line, or two lines are empty,")):
            if found:
                around = text[max(found.start() - 20, 0) : found.end() + 20]
                yield "TSR-T011", f'{what} in "{excerpt(around)}"', "blanks"


def _options(template: Template, row: Shown) -> Iterator[Finding]:
    """Whether the prompt shows the options, and the response is one of them."""
    if not template.options_shown or not row.options:
        return
    asked, said = _plain(row.asked), _plain(row.response)
    hidden = _missing(tuple(row.options), asked)
    if hidden and (not row.types or _missing(tuple(row.types), asked)):
        yield "TSR-T012", f'options are shown, but not "{excerpt(hidden[0])}"', "options"
    for i, answer in enumerate(row.answers if template.schema in _CHOSEN else ()):
        letter = row.letters[i] if i < len(row.letters) else None
        lettered = letter is not None and re.search(rf"(?<!\w){letter}(?!\w)", row.response) is not None
        if not _stands_in(answer, said) and not lettered:
            yield "TSR-T012", f'the response says neither "{excerpt(answer)}" nor its letter', "response"
        elif lettered and not _stands_in(answer, said) and not _lettered(answer, str(letter), row.asked):
            yield "TSR-T012", f'nothing says that {letter} is "{excerpt(answer)}"', "letter"


def _lettered(answer: str, letter: str, asked: str) -> bool:
    """Whether a letter stands right before an answer, as in "A. yes" or "(A) yes"."""
    plain = re.escape(_plain(answer))
    return re.search(rf"(?<!\w){letter.casefold()}\W{{1,4}}{plain}", _plain(asked)) is not None


def _leaks(template: Template, row: Shown) -> Iterator[Finding]:
    """Labels and answers in a prompt that does not show the options."""
    if template.options_shown:
        return
    gold = {*SCHEMAS[template.schema].gold, *GOLD_NAMES}
    asked = f"{template.system or ''}\n{template.prompt}"
    if gold & _names(asked) and gold & _names(template.response) and not _in_row(row, row.answers):
        told = [answer for answer in row.answers if _stands_in(answer, _plain(row.asked))]
        if told:
            yield "TSR-T012", f'the prompt gives the answer away: "{excerpt(told[0])}"', "answer"
    if template.options_shown is None or not row.options:
        return
    if template.family is not None and template.schema in VERBALIZED:
        missing = _missing(tuple(row.options), _plain(printed(asked)))
        for option in set(row.options) - set(missing):
            yield "TSR-T012", f'the label "{excerpt(option)}" stands in a prompt that hides the options', "label"
    if len(row.options) > 1 and not _missing(tuple(row.options), _plain(row.asked)) and not _in_row(row, row.options):
        yield "TSR-T012", "all options stand in the prompt, though `options_shown` is false", "options"


def _in_row(row: Shown, said: Sequence[str]) -> bool:
    """Whether one of these stands in the row's own texts, as "yes" or "up" may."""
    gold = {"choices", "target", "messages", "chosen", "answers", "references"}
    own = _plain(" ".join(_texts({k: v for k, v in row.fields.items() if k not in gold})))
    return any(_stands_in(option, own) for option in said)


def _unshown(template: Template, row: Shown, mapped: frozenset[str], labels: tuple[str, ...]) -> Iterator[Finding]:
    """Inputs that the task has and the template leaves out.

    What a task asks (`ask`) may be left out by a template in another language, which cannot say it, by one that says
    every label in its own words, so that its own question holds, and by one that makes another thing of the choices.
    """
    schema, asked = SCHEMAS[template.schema], _plain(row.asked)
    for field in schema.all_fields:
        name = field.name
        if name in schema.gold or name in UNSHOWN or name not in mapped or name == "rejected":
            continue
        if name in ("choices", "documents") and not template.options_shown:
            continue
        if name == "ask" and _asks_itself(template, labels):
            continue
        if any(_plain(text) not in asked for text in _texts({name: row.fields[name]})):
            yield "TSR-T013", f"the task has `{name}`, which is not shown", name


def _asks_itself(template: Template, labels: tuple[str, ...]) -> bool:
    """Whether a template may leave out what the task asks; see `_unshown`."""
    other_use = template.schema == "multiple_choice" and template.options_shown is None
    own_words = bool(labels) and set(labels) <= set(template.answers)
    return other_use or own_words or not template.speaks("en")


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value at any depth; of a message its content."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        inner = [value["content"]] if set(value) == {"role", "content"} else value.values()
        for item in inner:
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


@cache
def _names(text: str) -> frozenset[str]:
    """The names that a template's text takes from the scope."""
    return inspect(text).names


@lru_cache(1024)
def _missing(options: tuple[str, ...], text: str) -> tuple[str, ...]:
    """The options that do not stand in a text that `_plain` gave."""
    return tuple(option for option in options if not _stands_in(option, text))


def _stands_in(words: str, text: str) -> bool:
    """Whether words stand in a text that `_plain` gave, not as a part of longer ones."""
    plain = _plain(words)
    return plain in text and re.search(rf"(?<!\w){re.escape(plain)}(?!\w)", text) is not None


@lru_cache(4096)
def _plain(text: str) -> str:
    """A text without what templates change: case, white space, underscores, JSON's escapes, a full stop at the end."""
    for written in ("\\n", "\\t", "_"):
        text = text.replace(written, " ")
    return " ".join(text.replace('\\"', '"').casefold().split()).rstrip(".")
