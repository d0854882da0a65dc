"""Option sampling: the right options are among those shown, in a place that tells nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompting_rows import batch, profile
from small_registry import SmallRegistry

from tasksource_reg.keyed import draw, keyed_samples
from tasksource_reg.nested import counts_to_offsets
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.render import PATHS, Renderer
from tasksource_reg.prompting.scope import SHOWN, rendered_schema

LABELS = [f"label {i}" for i in range(40)]
LETTERED = {
    "id": "many/letters",
    "prompt": "{{ text }}\n{{ options | lettered }}",
    "response": "{{ answer_letter }} {{ answer }}",
    "joint": "\n",
}
CHOICES = {"id": "pick/letters", "prompt": "{{ options | lettered }}", "response": "{{ answer_letter }} {{ answer }}"}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.data()), max_size=12), st.integers(2, 9), st.integers(0, 2**63))
def test_samples_hold_what_they_must_and_no_element_twice(rows: list[Any], most: int, key: int) -> None:
    sizes = np.array([size for size, _ in rows], dtype=np.int64)
    needed = [
        data.draw(st.lists(st.integers(0, size - 1), unique=True, max_size=min(size, 12))) if size else []
        for size, data in rows
    ]
    required = (
        np.array([n for some in needed for n in some], dtype=np.int64),
        counts_to_offsets(np.array([len(some) for some in needed], dtype=np.int64)),
    )
    keys = draw(key, np.arange(len(sizes)))
    values, offsets = keyed_samples(keys, sizes, most, required)
    ascending, _ = keyed_samples(keys, sizes, most, required, in_order=True)
    for row, size in enumerate(sizes.tolist()):
        shown = values[offsets[row] : offsets[row + 1]].tolist()
        assert len(set(shown)) == len(shown) == min(size, max(most, len(needed[row])))
        assert set(needed[row]) <= set(shown) <= set(range(size))
        assert ascending[offsets[row] : offsets[row + 1]].tolist() == sorted(shown)
        one = slice(row, row + 1)
        alone, _ = keyed_samples(
            keys[one], sizes[one], most, (np.array(needed[row], np.int64), np.array([0, len(needed[row])]))
        )
        assert alone.tolist() == shown


def test_the_place_of_what_is_required_is_uniform_and_the_others_come_equally_often() -> None:
    n = 20_000
    required = np.full(n, 7), np.arange(n + 1)
    values, _ = keyed_samples(draw(3, np.arange(n)), np.full(n, 20), 5, required)
    shown = values.reshape(n, 5)
    places = np.bincount(np.nonzero(shown == 7)[1], minlength=5)
    assert places.sum() == n
    assert ((places - n / 5) ** 2 / (n / 5)).sum() < 18.47  # chi-square of 4 degrees, one in a thousand
    others = np.delete(np.bincount(shown.ravel(), minlength=20), 7)
    expected = n * 4 / 19
    assert ((others - expected) ** 2 / expected).sum() < 42.31  # 18 degrees


@pytest.mark.parametrize("schema", ["classification", "multi_label"])
def test_the_three_paths_say_the_same_of_rows_that_show_some_labels(schema: str) -> None:
    labels = tuple(LABELS)
    gold = {"label": 3} if schema == "classification" else {"labels": [3, 9]}
    rows = batch(schema, [{"text": f"text {i}", **gold} for i in range(100)])
    shown = pa.array([[3, i % 3 + 4, 9, 30] if i % 2 else [30, 9, 3] for i in range(100)], pa.list_(pa.int64()))
    rows = rows.append_column(SHOWN, shown)
    assert rows.schema == rendered_schema(schema, sampled=True)
    template = Template(
        "many/all", None, schema, "{{ options | lettered }}; {{ letters | join }}; {{ types | one_of }}",
        "{{ answer_letter }}: {{ answer }}",
    )  # fmt: skip
    done = [Renderer(profile(schema, labels=labels), template, path, sampled=True).render(rows) for path in PATHS]
    assert not any(d.failures for d in done)
    assert len({json.dumps([d.prompt.to_pylist(), d.response.to_pylist()]) for d in done}) == 1
    first = "A. label 30\nB. label 9\nC. label 3; ABC; label 30, label 9 or label 3"
    assert done[0].prompt[0].as_py() == first
    assert done[0].response[0].as_py() == ("C: label 3" if schema == "classification" else "C, B: label 3, label 9")


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    found = SmallRegistry(tmp_path)
    found.templates("families", "many", [LETTERED], schema="classification", labels="open")
    found.templates("families", "pick", [CHOICES], schema="multiple_choice")
    rows = [{"said": f"row {i}", "what": LABELS[i * 7 % 40]} for i in range(300)]
    found.task(
        "many", rows, schema="classification", family="many", labels=LABELS, fields={"text": "said", "label": "what"}
    )
    options = [{"options": [f"c{i}-{k}" for k in range(3 + i % 30)], "gold": i % 3} for i in range(200)]
    fields = {"choices": "options", "gold": "gold"}
    found.task("pick", options, schema="multiple_choice", family="pick", ask="Pick.", fields=fields)
    return found


@pytest.mark.parametrize("task", ["many", "pick"])
def test_a_row_shows_its_answer_among_a_few_options(registry: SmallRegistry, task: str) -> None:
    spec: dict[str, Any] = {"parts": [{"task": f"own/{task}"}], "shape": "inputs_targets"}
    everything = registry.block(**spec).rows.to_pylist()
    data = registry.data(**spec, templates={"max_options": 5})
    rows = data.block(np.arange(data.plan.length or 0)).rows.to_pylist()
    for row, whole in zip(rows, everything, strict=True):
        options = dict(re.findall(r"^([A-Z])\. (.*)$", row["inputs"], re.M))
        letter, answer = row["targets"].split(" ", 1)
        assert len(options) == min(5, len(re.findall(r"^[A-Z]+\. ", whole["inputs"], re.M)))
        assert options[letter] == answer == whole["targets"].split(" ", 1)[1]
        assert data.block(np.array([row["provenance"]["position"]])).rows.to_pylist() == [row]
    assert len({row["targets"][0] for row in rows}) == 5 if task == "many" else True


def test_candidates_are_the_options_that_the_row_shows(registry: SmallRegistry) -> None:
    rows = registry.block(
        parts=[{"task": "own/many"}], shape="rank_classification", templates={"max_options": 4}
    ).rows.to_pylist()
    for row in rows[:50]:
        said = [target.split(" ", 1)[1] for target in row["targets"]]
        assert len(said) == 4 and sum(row["correct"]) == 1
        assert said == re.findall(r"[A-Z]\. (.*)", row["inputs"])


def test_shots_show_some_options_too(registry: SmallRegistry) -> None:
    texts = registry.texts(parts=[{"task": "own/many"}], templates={"max_options": 3}, shots={"k": 2})
    assert all(len(re.findall(r"^[A-Z]\. ", text, re.M)) == 9 for text in texts)


def test_ordered_labels_stay_in_their_order(registry: SmallRegistry) -> None:
    rows = [{"said": f"row {i}", "what": LABELS[i % 40]} for i in range(40)]
    fields = {"text": "said", "label": "what"}
    registry.task("grades", rows, schema="classification", family="many", labels=LABELS, ordered=True, fields=fields)
    found = registry.block(parts=[{"task": "own/grades"}], templates={"max_options": 6}, shape="inputs_targets").rows
    for text in found.column("inputs").to_pylist():
        numbers = [int(n) for n in re.findall(r"label (\d+)", text)]
        assert numbers == sorted(numbers) and len(numbers) == 6
