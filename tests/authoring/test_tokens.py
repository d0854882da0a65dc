"""Counting tokens: of a tokenizers file, of any function, and what a lock keeps of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from small_registry import SmallRegistry, echoes

from tasksource_reg.annotation.load import read_annotation
from tasksource_reg.authoring.tokens import Tokenizer, counter, read_tokenizer, tokens_in
from tasksource_reg.errors import TsrError
from tasksource_reg.provenance.locks import SplitCounts

tokenizers = pytest.importorskip("tokenizers", reason="the extra `tokens` is not installed")


@pytest.fixture
def own(tmp_path: Path) -> SmallRegistry:
    return SmallRegistry(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A tokenizer that splits at white space, and would put a special token before a text and cut it at three."""
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "[CLS]": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    words.enable_truncation(3)
    words.enable_padding(length=9)
    folder = tmp_path / "small-model"
    folder.mkdir()
    words.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def counts_of(own: SmallRegistry, name: str) -> SplitCounts:
    lock = read_annotation(own.annotation(name)).lock
    assert lock is not None
    return lock.tasks[f"own/{name}"].splits["train"]


def test_a_file_counts_words_without_special_tokens_cuts_and_padding(file: Path) -> None:
    found = read_tokenizer(str(file))
    assert found.name == "small-model" and len(found.digest) == 12
    assert list(found.count(["one", "one two three four five", ""])) == [1, 5, 0]
    assert read_tokenizer(f"mine={file}").key == f"mine@{found.digest}"


def test_the_digest_is_of_the_file(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    body = json.loads(file.read_text())
    body["model"]["vocab"]["new"] = 2
    other.write_text(json.dumps(body))
    assert read_tokenizer(str(other)).name == "other"
    assert read_tokenizer(str(other)).digest != read_tokenizer(str(file)).digest


def test_a_lock_keeps_the_counts_of_each_tokenizer(own: SmallRegistry, file: Path) -> None:
    own.task("a", [{"said": "one two", "heard": "three"}, {"said": "four", "heard": "five six"}])
    assert (
        counts_of(own, "a").tokens == {} and "tokens" not in own.annotation("a").with_suffix(".lock.json").read_text()
    )
    words = read_tokenizer(str(file))
    own.lock("a", words)
    assert counts_of(own, "a").tokens == {words.key: 6}
    own.lock("a", Tokenizer("letters", "0" * 12, counter(len)))
    assert counts_of(own, "a").tokens == {words.key: 6, "letters@000000000000": counts_of(own, "a").characters}


def test_counts_stay_while_the_rows_do_and_go_with_them(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 4), lock=False)
    own.lock("a", Tokenizer("letters", "0" * 12, counter(len)))
    own.lock("a")
    assert list(counts_of(own, "a").tokens) == ["letters@000000000000"]
    own.task("a", echoes("a", 5))
    assert counts_of(own, "a").tokens == {}
    own.lock("a", Tokenizer("letters", "0" * 12, counter(len)))
    own.task("a", echoes("a", 5), ask="Repeat it.")
    assert counts_of(own, "a").tokens == {}


def test_texts_inside_lists_and_structs_are_counted_and_nulls_are_not(own: SmallRegistry) -> None:
    row = {
        "talk": [{"role": "user", "content": "one two"}, {"role": "assistant", "content": "three"}],
        "why": None,
    }
    own.task(
        "talks", [row, row], schema="chat", family=None, ask="Go on.",
        fields={"messages": {"messages": "talk", "role": "role", "content": "content"}}, unused=["why"],
    )  # fmt: skip
    space = own.space()
    split = space.data(space.registry.resolve("own/talks")).split("train")
    texts: list[str] = []

    def keep(some: object) -> list[int]:
        texts.extend(some)  # type: ignore[arg-type]
        return [1]

    assert tokens_in(split, keep) > 0
    assert sorted(texts) == sorted(["user", "assistant", "one two", "three"] * 2)


@pytest.mark.parametrize("function", [len, str.split, lambda text: [0] * len(text)])
def test_any_function_counts(function: object) -> None:
    assert counter(function)(["a b", ""]) in ([3, 0], [2, 0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "code", "what"),
    [
        ("no-such-file.json", "TSR-Y012", "cannot be read"),
        ("{bad}", "TSR-Y012", "no file of the tokenizers library"),
        ("two words={file}", "TSR-U005", '"two words" cannot be the name'),
        ("a@b={file}", "TSR-U005", "cannot be the name"),
    ],
)
def test_what_is_no_tokenizer(file: Path, tmp_path: Path, given: str, code: str, what: str) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"model": 3}')
    with pytest.raises(TsrError) as caught:
        read_tokenizer(given.format(file=file, bad=bad))
    assert (caught.value.problems[0].code, what in caught.value.problems[0].message) == (code, True)


def test_without_the_package_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(TsrError) as caught:
        read_tokenizer(str(file))
    assert caught.value.problems[0].advice == "pip install 'tasksource-reg[tokens]'"
