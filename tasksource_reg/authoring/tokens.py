"""Token counts: how many tokens of a tokenizer the rows of a split hold.

The tokenizer is the user's: a file of the `tokenizers` library (an extra, imported late), or any function. Counted are
the texts that a lock's `characters` are of: every string of the harmonized fields, each by itself, without the special
tokens of a model; what templates add is not in it. A lock keeps counts under `name@digest`, so that the counts of two
tokenizers are never mixed up.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from tasksource_reg.errors import error
from tasksource_reg.nested import unlist
from tasksource_reg.task import SplitData

NAME = re.compile(r"[A-Za-z0-9._-]+")
BATCH = 1024  # rows whose texts are counted at once


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A tokenizer for counting.

    Attributes:
        name: what people call it; digest: of its file, 12 hexadecimal digits.
        count: the number of tokens of each text.
    """

    name: str
    digest: str
    count: Callable[[Sequence[str]], Sequence[int]]

    @property
    def key(self) -> str:
        """How locks call it."""
        return f"{self.name}@{self.digest}"


def read_tokenizer(given: str) -> Tokenizer:
    """The tokenizer of a file.

    Args:
        given: a path, or `NAME=PATH`; without a name it is called by its file, or by its folder where the file is
            `tokenizer.json`.

    Raises:
        UsageError: TSR-Y012, the file cannot be read; TSR-U005, its name is not well formed, or `tokenizers` is absent.
    """
    name, _, text = given.rpartition("=")
    path = Path(text)
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise error("TSR-Y012", f'the tokenizer "{text}" cannot be read: {exc.strerror or exc}') from exc
    name = name or (path.resolve().parent.name if path.name == "tokenizer.json" else path.stem)
    if not NAME.fullmatch(name):
        fix = "pass NAME=FILE, with a name of letters, digits, and . _ -"
        raise error("TSR-U005", f'"{name}" cannot be the name of a tokenizer', fix=fix)
    try:
        import tokenizers
    except ImportError as exc:
        fix = "pip install 'tasksource-reg[tokens]'"
        raise error("TSR-U005", "counting tokens of a file needs the package tokenizers", fix=fix) from exc
    try:
        found = tokenizers.Tokenizer.from_str(data.decode("utf-8"))
    except Exception as exc:  # the library raises bare ones
        raise error("TSR-Y012", f'"{text}" is no file of the tokenizers library: {exc}') from exc
    found.no_truncation()
    found.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        return [len(e.ids) for e in found.encode_batch(list(texts), add_special_tokens=False)]

    return Tokenizer(name, hashlib.sha256(data).hexdigest()[:12], count)


def counter(function: Callable[[str], int | Sized]) -> Callable[[Sequence[str]], list[int]]:
    """A function of one text, which gives its tokens or their number, as a count of many texts."""

    def count(texts: Sequence[str]) -> list[int]:
        found = (function(text) for text in texts)
        return [n if isinstance(n, int) else len(n) for n in found]

    return count


def tokens_in(split: SplitData, count: Callable[[Sequence[str]], Sequence[int]]) -> int:
    """The tokens of all surviving rows of a split.

    Args:
        split: opened where it is not yet.
        count: the number of tokens of each text.
    """
    fields = len(split.task.schema.fields)
    total = 0
    for batch in split.batches(size=BATCH):
        for column in batch.columns[:fields]:
            for texts in _texts(column):
                total += sum(count(texts.drop_null().to_pylist()))
    return total


def _texts(column: pa.Array) -> Iterator[pa.Array]:
    """The string arrays inside a column, lists and structs taken apart."""
    if at.is_string(column.type):
        yield column
    elif at.is_list(column.type):
        yield from _texts(unlist(column)[0])
    elif at.is_struct(column.type):
        for child in column.type:
            yield from _texts(pc.struct_field(column, child.name))
