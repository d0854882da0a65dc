"""Errors: what is wrong, where, and what to do about it.

A `Problem` is one finding: a stable code, one sentence, a place (a file position, or a row address) and one
line of advice. A `TsrError` carries one or more problems and the exit code of its kind. `CODES` lists every
code that the package can raise; a test keeps a failing fixture for each. This module imports only the
standard library, so that every verb can report errors without loading anything heavy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from tasksource_reg.error_codes import CODES

EXIT_CLEAN, EXIT_FINDINGS, EXIT_USAGE, EXIT_SOURCE, EXIT_BUG, EXIT_INTERRUPTED = 0, 1, 2, 3, 70, 130

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a text file: 1-based line and column (code points), with the line's text for the caret."""

    file: str
    line: int = 1
    column: int = 1
    text: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding.

    Attributes:
        code: a key of `CODES`, such as `TSR-Y003`.
        message: one sentence that says what is wrong and quotes the offending value.
        fix: one line that says what to do; the code's general advice when None.
        place: where in a file, if the problem lies in a file.
        task, split, row, column, value: the address of a row, as far as it is known; `row` is the source
            row number (0-based), `value` an excerpt of at most 80 characters.
        severity: `error` fails the command, `warning` does not.
    """

    code: str
    message: str
    fix: str | None = None
    place: Place | None = None
    task: str | None = None
    split: str | None = None
    row: int | None = None
    column: str | None = None
    value: str | None = None
    severity: Severity = "error"

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"unknown error code {self.code}")

    @property
    def advice(self) -> str:
        """The line that says what to do."""
        return self.fix or CODES[self.code].fix

    def to_json(self) -> dict[str, object]:
        """The problem as plain JSON values; absent parts are left out."""
        out = {k: v for k, v in asdict(self).items() if v is not None and k != "place"}
        if self.place:
            out |= {"file": self.place.file, "line": self.place.line, "col": self.place.column}
        return out | {"fix": self.advice}

    def __str__(self) -> str:
        where = f"{self.place}  " if self.place else ""
        address = ", ".join(
            f"{name} {value}"
            for name, value in (("task", self.task), ("split", self.split), ("row", self.row), ("column", self.column))
            if value is not None
        )
        warning = "warning: " if self.severity == "warning" else ""
        lines = [f"{where}{self.code}  {warning}{self.message}" + (f"  [{address}]" if address else "")]
        if self.value is not None:
            lines.append(f"    value: {self.value}")
        if self.place and self.place.text is not None:
            text = self.place.text.expandtabs(1)
            start = max(0, self.place.column - 80)  # long lines: show the part around the caret
            lines += [f"    {text[start : start + 120]}", "    " + " " * (self.place.column - 1 - start) + "^"]
        return "\n".join([*lines, f"    try: {self.advice}"])


class TsrError(Exception):
    """Base of all errors that a user can cause or mend. `exit_code` is what the command line returns."""

    exit_code = EXIT_FINDINGS

    def __init__(self, problems: Problem | Iterable[Problem] | str) -> None:
        # A text comes from loaders that raise the error of a worker again, of the same class: they keep its text only.
        text = problems if isinstance(problems, str) else None
        listed = () if isinstance(problems, str) else problems
        self.problems: tuple[Problem, ...] = (listed,) if isinstance(listed, Problem) else tuple(listed)
        super().__init__("\n".join(str(p) for p in self.problems) if text is None else text)

    def at(self, **address: object) -> TsrError:
        """The same error with missing parts of the address (task, split, row, ...) filled in."""
        filled = [
            replace(p, **{k: v for k, v in address.items() if getattr(p, k) is None})  # type: ignore[arg-type]
            for p in self.problems
        ]
        return type(self)(filled)

    def __reduce__(self) -> tuple[type[TsrError], tuple[tuple[Problem, ...] | str]]:
        return type(self), (self.problems or str(self),)


class FindingsError(TsrError):
    """Something in a file or in rows is wrong (exit code 1)."""


class UsageError(TsrError):
    """The call names something that does not exist or contradicts itself (exit code 2)."""

    exit_code = EXIT_USAGE


class SourceError(TsrError):
    """A dataset could not be reached, opened or read (exit code 3)."""

    exit_code = EXIT_SOURCE


_CLASS_BY_EXIT = {EXIT_FINDINGS: FindingsError, EXIT_USAGE: UsageError, EXIT_SOURCE: SourceError}


def error(code: str, message: str, **details: object) -> TsrError:
    """The exception for one problem, of the class that the code's exit status asks for.

    Example:
        raise error("TSR-U001", f'no task "{name}"', fix=did_you_mean(name, ids))
    """
    return _CLASS_BY_EXIT[CODES[code].exit](Problem(code, message, **details))  # type: ignore[arg-type]


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raises the errors among the problems, if there are any; warnings pass."""
    errors = [p for p in problems if p.severity == "error"]
    if errors:
        raise _CLASS_BY_EXIT[max(CODES[p.code].exit for p in errors)](errors)


def did_you_mean(name: str, options: Iterable[object], *, also: str | None = None) -> str | None:
    """A line such as `did you mean "premise"?` (nearest of the options), or what there is to choose from.

    Args:
        name: what was written.
        options: what would have been right.
        also: a sentence added at the end.
    """
    import difflib  # only where something is wrong

    names = sorted({str(o) for o in options})
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6) or difflib.get_close_matches(
        name.lower(), [n for n in names if n.lower() == name.lower()] or names, n=1, cutoff=0.55
    )
    if close:
        line = "did you mean " + " or ".join(f'"{c}"' for c in close) + "?"
    elif names:
        line = "there is: " + ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    else:
        line = ""
    return " ".join(part for part in (line, also) if part) or None


def excerpt(value: object, width: int = 80) -> str:
    """A value on one line, cut to `width` characters."""
    text = repr(value) if not isinstance(value, str) else value.replace("\n", "\\n")
    return text if len(text) <= width else text[: width - 1] + "…"
