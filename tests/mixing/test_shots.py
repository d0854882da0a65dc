"""Which rows stand as shots: of each label as many as can be, from the family, within a length, none like the row."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_registry import SmallRegistry, echoes

from tasksource_reg.errors import TsrError

LABELS = ["red", "green", "blue"]
COLOUR = {"id": "colour/say", "prompt": "{{ text }}", "response": "{{ answer }}", "joint": "=", "shot_joint": ";"}


@pytest.fixture
def own(tmp_path: Path) -> SmallRegistry:
    found = SmallRegistry(tmp_path)
    found.templates("families", "colour", [COLOUR], schema="classification", labels="open")
    return found


def colours(registry: SmallRegistry, name: str, counts: dict[str, int], **keys: Any) -> None:
    rows = [{"said": f"{name}{label}{i}", "is": label} for label, count in counts.items() for i in range(count)]
    fields = {"text": "said", "label": "is"}
    registry.task(name, rows, schema="classification", family="colour", labels=LABELS, fields=fields, **keys)


def answers(text: str) -> list[str]:
    """The labels of the shots of a text."""
    return [part.split("=")[1] for part in text.split(";")[:-1]]


def test_balanced_shots_have_each_label_equally_often(own: SmallRegistry) -> None:
    colours(own, "a", {"red": 60, "green": 9, "blue": 9})
    texts = own.texts(shots={"k": 6, "balanced": True})
    assert all(Counter(answers(text)) == dict.fromkeys(LABELS, 2) for text in texts)
    odd = [Counter(answers(text)) for text in own.texts(shots={"k": 4, "balanced": True})]
    assert all(sorted(c.values()) == [1, 1, 2] for c in odd)
    assert len({max(c, key=c.__getitem__) for c in odd}) == 3  # no label is always the one with two
    firsts = Counter(answers(text)[0] for text in texts)
    assert set(firsts) == set(LABELS)  # the order tells no labels
    for text in texts:
        parts = [part.split("=")[0] for part in text.split(";")]
        assert len(set(parts)) == 7  # neither the row itself nor a shot twice


def test_what_a_label_has_too_few_of_is_drawn_from_all(own: SmallRegistry) -> None:
    colours(own, "a", {"red": 30, "green": 1, "blue": 5})
    for text in own.texts(shots={"k": 6, "balanced": True}):
        assert len(answers(text)) == 6 and len({part.split("=")[0] for part in text.split(";")}) == 7


def test_balanced_shots_of_rows_without_labels_are_drawn_from_all(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 12))
    assert own.texts(shots={"k": 3, "balanced": True}) == own.texts(shots={"k": 3})


def test_a_row_like_the_row_itself_is_no_shot(own: SmallRegistry) -> None:
    rows = [{"said": said, "heard": "x"} for said in ("Wait, here!", "wait here", "WAIT HERE.", "one", "two", "three")]
    own.task("a", rows)
    for text in own.texts(shots={"k": 3}):
        *shots, last = [part.split("=")[0] for part in text.split(";")]
        if "ait" in last.lower():
            assert sorted(shots) == ["one", "three", "two"]


def test_an_evaluation_row_gets_no_shot_like_it(own: SmallRegistry) -> None:
    train = [{"said": f"Question {i}?", "heard": str(i)} for i in range(8)]
    own.task("a", {"train": train, "test": [{"said": f"question {i}", "heard": "-"} for i in range(8)]})
    for text in own.texts(split="test", shots={"k": 7}):
        *shots, last = [part.split("=")[0] for part in text.split(";")]
        assert len(shots) == 7 and f"Q{last[1:]}?" not in shots


def test_shots_of_a_family_come_from_its_other_tasks_too(own: SmallRegistry) -> None:
    colours(own, "a", {"red": 8, "green": 8})
    colours(own, "b", {"blue": 8, "green": 8})
    colours(own, "c", {"red": 8, "blue": 8}, languages=["de"])
    own.task("d", echoes("d", 20))
    texts = own.texts(parts=[{"select": "id:own/a,own/b,own/c"}], shots={"k": 6, "from": "family"})
    seen: dict[str, set[str]] = {}
    for text in texts:
        *shots, last = [part.split("=")[0] for part in text.split(";")]
        assert last not in shots
        seen.setdefault(last[0], set()).update(shot[0] for shot in shots)
    assert seen == {"a": {"a", "b"}, "b": {"a", "b"}, "c": {"c"}}
    alone = own.texts(parts=[{"task": "own/a"}], shots={"k": 3, "from": "family"})
    assert alone == own.texts(parts=[{"task": "own/a"}], shots={"k": 3})


def test_shots_of_a_subset_come_from_the_subset(own: SmallRegistry) -> None:
    colours(own, "a", {"red": 30, "green": 30})
    part = {"task": "own/a", "rows_per_task": 8}
    for shots in ({"k": 7}, {"k": 6, "balanced": True}, {"k": 7, "from": "family"}):
        texts = own.texts(parts=[part], shots=shots)
        lasts = {text.split(";")[-1].split("=")[0] for text in texts}
        seen = {shot.split("=")[0] for text in texts for shot in text.split(";")[:-1]}
        assert len(texts) == 8 and len(lasts) == 8 and seen == lasts


def test_shots_of_evaluation_rows_do_not_follow_the_subset_of_their_split(own: SmallRegistry) -> None:
    own.task("a", {"train": echoes("a", 30), "test": echoes("b", 30)})
    texts = own.texts(split="test", parts=[{"task": "own/a", "rows_per_task": 4}], shots={"k": 12})
    assert len({shot for text in texts for shot in text.split(";")[:-1]}) > 20


@pytest.mark.parametrize(
    ("part", "shots", "rows"),
    [
        ({"task": "own/a", "rows_per_task": 3}, {"k": 3}, "3 rows for up to 3 shots"),
        ({"task": "own/a"}, {"k": {0: 0.9, 4: 0.1}}, "4 rows for up to 4 shots"),
        ({"task": "own/a"}, {"k": 4, "from": "family"}, "4 rows of its family for up to 4 shots"),
        ({"select": "id:own/a,own/b"}, {"k": 7, "from": "family"}, "7 rows of its family for up to 7 shots"),
        ({"select": "family:colour"}, {"k": 9, "from": "family"}, "7 rows of its family for up to 9 shots"),
    ],
)
def test_too_few_rows_for_shots_are_known_before_reading(
    own: SmallRegistry, part: dict[str, Any], shots: dict[str, Any], rows: str
) -> None:
    colours(own, "a", {"red": 4})
    colours(own, "b", {"red": 3})
    colours(own, "c", {"red": 9}, languages=["de"])
    with pytest.raises(TsrError) as caught:
        own.resolve({"parts": [part], "shots": shots})
    first = caught.value.problems[0]
    assert (first.code, first.message) == ("TSR-M010", rows)
    fewer = {**shots, "k": 2}
    own.resolve({"parts": [part], "shots": fewer})


def test_shots_that_do_not_fit_are_left_out_whole(own: SmallRegistry) -> None:
    own.task("a", [{"said": f"s{i}" + "." * (i % 17), "heard": "h" * (i % 5 + 1)} for i in range(60)])
    full = own.texts(shots={"k": 8})
    for most in (1, 30, 60, 10_000):
        short = own.texts(shots={"k": 8, "max_characters": most})
        for text, whole in zip(short, full, strict=True):
            parts, every = text.split(";"), whole.split(";")
            assert parts[:-1] == every[: len(parts) - 1] and parts[-1] == every[-1]
            assert len(text) <= most or len(parts) == 1
            if len(parts) < len(every):
                longer = ";".join([*every[: len(parts)], every[-1]])
                assert len(longer) > most


def test_rows_with_any_kind_of_shots_are_pure_functions_of_the_position(own: SmallRegistry) -> None:
    colours(own, "a", {"red": 20, "green": 5, "blue": 1})
    colours(own, "b", {"red": 5, "green": 5})
    spec = {"shots": {"k": {0: 1, 2: 1, 5: 2}, "from": "family", "balanced": True, "max_characters": 60}}
    data = own.data(**spec)
    every = data.block(np.arange(36)).rows.to_pylist()
    assert [data.block(np.array([i])).rows.to_pylist()[0] for i in range(36)] == every
    assert any(re.search(";", row["text"]) for row in every)
