"""The Python API: tasks, splits, renderings and mixtures as users see them."""

from __future__ import annotations

import itertools
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_registry import PLAIN, SmallRegistry, echoes

import tasksource_reg as tsr
from tasksource_reg.api import COLUMNS
from tasksource_reg.schemas import SCHEMAS

EACH_SCHEMA = {
    "classification": "demo/shop-reviews",
    "multi_label": "demo/forum-topics",
    "score": "demo/shop-reviews/stars",
    "multiple_choice": "demo/school-quiz",
    "token_tags": "demo/day-trips/pos",
    "spans": "demo/kitchen-steps",
    "relations": "demo/workshop-relations/extraction",
    "extractive_qa": "demo/town-guides",
    "generation": "demo/market-sums",
    "chat": "demo/helpdesk-chats",
    "preference": "demo/answer-duels",
    "ranking": "demo/library-search",
}


@pytest.fixture
def own(tmp_path: Path) -> SmallRegistry:
    return SmallRegistry(tmp_path)


def options(own: SmallRegistry) -> dict[str, Any]:
    return {"registry": own.root, "mirror": own.mirror, "offline": True}


# Listing and names.


def test_list_tasks_is_a_frame_with_the_columns_of_the_design() -> None:
    frame = tsr.list_tasks("dataset:tasksource-reg-demo/*")
    assert tuple(frame.columns) == COLUMNS
    row = frame.set_index("id").loc["demo/weather-nli"]
    assert (row["dataset"], row["schema"], row["family"]) == (
        "tasksource-reg-demo/weather-nli",
        "classification",
        "nli",
    )
    assert (row["license"], row["status"], row["verified"]) == ("CC0-1.0", "train", "rows")
    assert list(row["languages"]) == ["en"]
    assert list(row["splits"]) == ["train", "validation"]
    assert tsr.list_tasks("family:nli id:nothing*").empty
    assert tuple(tsr.list_tasks("id:nothing*").columns) == COLUMNS


def test_parked_tasks_are_listed_and_loaded_on_demand(own: SmallRegistry) -> None:
    own.task("old", echoes("o", 3), status="parked", because="wrong labels")
    assert tsr.list_tasks("id:own/*", registry=own.root).empty
    assert tsr.list_tasks("id:own/*", registry=own.root, parked=True)["id"].tolist() == ["own/old"]
    with pytest.raises(tsr.UsageError, match=r"TSR-U006.*wrong labels"):
        tsr.load_task("own/old", **options(own))
    assert len(tsr.load_task("own/old", split="train", parked=True, **options(own))) == 3


def test_what_a_source_does_differently_from_an_unverified_record_is_a_python_warning(own: SmallRegistry) -> None:
    own.task("grown", echoes("g", 3))
    lock = own.annotation("grown").with_suffix(".lock.json")
    body = json.loads(lock.read_text())
    (config,) = body["configs"].values()
    body["known"], config["splits"] = "features", {"train": 2}
    lock.write_text(json.dumps(body))
    with pytest.warns(UserWarning, match=r"TSR-L001.*has 3 rows, the lock says 2"):
        assert len(tsr.load_task("own/grown", split="train", **options(own))) == 3


def test_names_resolve_or_say_what_is_near() -> None:
    assert tsr.resolve("demo/weather-nli").id == "demo/weather-nli"
    for call in (tsr.resolve, tsr.load_task):
        with pytest.raises(tsr.UsageError, match="demo/weather-nli"):
            call("demo/wether-nli")
    with pytest.raises(tsr.UsageError, match=r"TSR-U003.*train, validation"):
        tsr.load_task("demo/weather-nli", split="dev")
    with pytest.raises(tsr.UsageError, match="TSR-U005"):
        tsr.load_task("demo/weather-nli", on_error="ignore")
    with pytest.raises(TypeError, match="mirrors"):
        tsr.load_task("demo/weather-nli", mirrors="x")  # type: ignore[call-overload]


# Tasks and splits.


def test_a_task_and_its_splits() -> None:
    task = tsr.load_task("demo/weather-nli")
    assert (task.info.id, task.schema.name, task.splits) == (
        "demo/weather-nli",
        "classification",
        ("train", "validation"),
    )
    assert task.labels == ("entailment", "neutral", "contradiction")
    assert repr(task) == "Task('demo/weather-nli', schema='classification', splits=['train', 'validation'])"
    assert list(task) == ["train", "validation"]
    assert len(task["train"]) == 24


def test_a_split_is_a_sequence() -> None:
    train = tsr.load_task("demo/weather-nli", split="train")
    rows = list(train)
    assert len(rows) == len(train) == 24
    assert set(rows[0]) == {"text", "text_pair", "label"} == set(train.columns)
    assert train[0] == rows[0] == train[np.int64(0)]
    assert train[-1] == rows[-1]
    assert rows[3] in train
    assert train.index(rows[5]) == 5
    assert [row["text"] for row in reversed(train)] == [row["text"] for row in rows[::-1]]
    for index in (24, -25):
        with pytest.raises(IndexError, match=rf"row {index} of 24 \(demo/weather-nli, train\)"):
            train[index]
    with pytest.raises(TypeError):
        train["text"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (slice(None), slice(None)),
        (slice(5, 20), slice(2, -3)),
        (slice(None, None, -1), slice(3, 9)),
        (slice(2, None, 3), slice(None, None, -2)),
        (slice(30, 40), slice(0, 3)),
        (slice(-4, None), slice(1, 100)),
    ],
)
def test_slices_of_slices_are_those_of_a_list(first: slice, second: slice) -> None:
    train = tsr.load_task("demo/weather-nli", split="train")
    rows = list(train)
    view = train[first][second]
    assert list(view) == rows[first][second]
    assert len(view) == len(rows[first][second])
    assert view.to_arrow().to_pylist() == rows[first][second]
    assert [view.address(i) for i in range(len(view))] == [train.address(i) for i in range(24)][first][second]
    assert [r["prompt"] for r in view.render(shape="prompt_completion")] == [
        r["prompt"] for r in train.render(shape="prompt_completion")
    ][first][second]


def test_a_split_says_where_its_rows_come_from() -> None:
    train = tsr.load_task("demo/weather-nli", split="train")
    address = train.address(7)
    assert (address.split, address.part) == ("train", 0)
    assert train.source(7)["premise"] == train[7]["text"]
    assert train.named(7)["label"] == train.labels[train[7]["label"]]


def test_looking_at_a_split_opens_nothing(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 5))
    train = tsr.load_task("own/a", split="train", **options(own))
    assert repr(train) == "TaskSplit('own/a', 'train', not opened, columns=['input', 'target'])"
    assert len(train) == 5
    assert repr(train[:2]) == "TaskSplit('own/a', 'train', 2 rows, columns=['input', 'target'])"


def test_rows_that_cannot_be_harmonized_raise_or_are_left_out(own: SmallRegistry) -> None:
    own.task(
        "a",
        echoes("a", 6, kind=lambda i: "x" if i < 5 else "?"),
        schema="classification",
        family=None,
        ask="Which?",
        labels=["x", "y"],
        fields={"text": "said", "label": "kind"},
    )
    with pytest.raises(tsr.FindingsError, match="on_error='quarantine'"):
        len(tsr.load_task("own/a", split="train", **options(own)))
    left = tsr.load_task("own/a", split="train", on_error="quarantine", **options(own))
    assert len(left) == 5
    assert left.left_out == {"in quarantine, TSR-R002: a label outside the declared set": 1}


# Adapters.


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_schema_goes_to_datasets_pandas_and_arrow(schema: str) -> None:
    task = tsr.load_task(EACH_SCHEMA[schema])
    assert task.schema.name == schema
    train = task["train"]
    rows = list(train)
    assert train.to_arrow().to_pylist() == rows
    assert train.to_arrow().schema.names == list(train.columns)
    frame = train.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == len(rows)
    dataset = train.to_hf()
    assert dataset.features == train.features
    assert dataset.to_list() == rows
    assert {split: len(rows) for split, rows in task.to_hf().items()} == {split: len(task[split]) for split in task}


def test_class_fields_are_class_labels() -> None:
    import datasets

    def of(name: str) -> Any:
        return tsr.load_task(name, split="train").features

    nli = of("demo/weather-nli")["label"]
    assert isinstance(nli, datasets.ClassLabel)
    assert nli.names == ["entailment", "neutral", "contradiction"]
    assert of("demo/forum-topics")["labels"].feature.names == list(tsr.load_task("demo/forum-topics").labels)
    assert "NOUN" in of("demo/day-trips/pos")["tags"].feature.names
    assert isinstance(of("demo/kitchen-steps")["spans"].feature["label"], datasets.ClassLabel)
    relations = of("demo/workshop-relations/extraction")
    assert relations["entities"].feature["label"].names != relations["relations"].feature["label"].names


def test_an_empty_slice_has_its_types() -> None:
    train = tsr.load_task("demo/weather-nli", split="train")
    empty = train[:0]
    assert (len(empty), list(empty), empty.to_arrow().schema) == (0, [], train.to_arrow().schema)
    assert empty.to_hf().features == train.features
    assert empty.render().to_arrow().num_rows == 0


# Rendering.


def test_rendered_rows_are_those_of_a_mixture() -> None:
    train = tsr.load_task("demo/weather-nli", split="train")
    rendered = train.render(shape="text", seed=9)
    mix = tsr.mixture({"parts": [{"task": "demo/weather-nli"}], "seed": 9, "shape": "text"})
    by_row = {row["provenance"]["row"]: row["text"] for row in mix}
    assert len(rendered) == 24
    assert {train.address(i).source_row: rendered[i]["text"] for i in range(24)} == by_row
    assert list(rendered) == rendered.to_arrow().to_pylist() == [rendered[i] for i in range(24)]
    assert rendered[0]["template"].startswith("nli/")
    assert rendered[-1] == rendered[23]


def test_rendering_with_one_template() -> None:
    train = tsr.load_task("demo/weather-nli", split="train")
    assert {row["template"] for row in train.render("nli/can-we-infer")} == {"nli/can-we-infer"}
    with pytest.raises(tsr.UsageError, match=r"(?s)TSR-U007.*\"nli/can-we-infer\""):
        train.render("nli/can-we-infr")
    with pytest.raises(tsr.FindingsError, match="TSR-T010"):
        train.render("science_exam/letters")


@pytest.mark.parametrize(
    ("task", "shape", "columns"),
    [
        ("demo/weather-nli", "text", ["text"]),
        ("demo/weather-nli", "fields", list(SCHEMAS["classification"].arrow().names)),
        ("demo/weather-nli", "rank_classification", ["inputs", "targets", "correct"]),
        ("demo/answer-duels", "preference", ["prompt", "chosen", "rejected"]),
        ("demo/answer-duels", "unpaired", ["prompt", "completion", "label"]),
    ],
)
def test_rendering_in_shapes(task: str, shape: str, columns: list[str]) -> None:
    rendered = tsr.load_task(task, split="train").render(shape=shape)
    assert list(rendered[0]) == [*columns, "template"] == rendered.schema.names


@pytest.mark.parametrize(("shape", "said"), [("mesages", "messages"), ("preference", "takes preference")])
def test_shapes_that_are_not_there_or_do_not_fit(shape: str, said: str) -> None:
    with pytest.raises(tsr.FindingsError, match=rf"(?s)TSR-M012.*{said}"):
        tsr.load_task("demo/weather-nli", split="train").render(shape=shape)


def test_rendering_needs_no_lock(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 3), lock=False)
    train = tsr.load_task("own/a", split="train", **options(own))
    assert [row["text"] for row in train.render(shape="text")] == ["a0=A0", "a1=A1", "a2=A2"]


def test_a_row_that_cannot_be_rendered_raises_and_is_named(own: SmallRegistry) -> None:
    own.task("a", [{"said": "a", "heard": "A"}, {"said": " ", "heard": "B"}], lock=False)
    rendered = tsr.load_task("own/a", split="train", **options(own)).render(shape="text")
    assert rendered[0]["text"] == "a=A"
    with pytest.raises(tsr.FindingsError, match=r"TSR-T008.*row 1"):
        list(rendered)


# Mixtures.


@pytest.fixture(scope="module")
def demo() -> tsr.Mixture:
    return tsr.mixture("demo")


def test_a_mixture_by_name_path_and_dict(demo: tsr.Mixture, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    spec = {"mixture": "mine", "parts": [{"task": "demo/weather-nli"}]}
    path.write_text(json.dumps(spec))
    assert len(demo) == 600
    assert tsr.mixture(path)[3] == tsr.mixture(str(path))[3] == tsr.mixture(spec)[3]
    assert repr(tsr.mixture(spec)) == "Mixture('mine', 1 task, 24 positions)"
    with pytest.raises(tsr.UsageError, match="TSR-M008"):
        tsr.mixture("dmeo")


def test_a_function_counts_the_tokens_of_a_mixture() -> None:
    parts = [{"select": "id:demo/weather-nli,demo/shop-reviews", "within": {"by": "tokens"}}]
    mix = tsr.mixture({"parts": parts, "shape": "text"}, count_tokens=str.split)
    words = {
        name: sum(
            len(f"{row['text']} {row.get('text_pair') or ''}".split()) for row in tsr.load_task(name, split="train")
        )
        for name in ("demo/weather-nli", "demo/shop-reviews")
    }
    assert {task.id: task.rate for task in mix.plan()} == words
    assert pickle.loads(pickle.dumps(mix))[5] == mix[5]


def test_reweighting_a_mixture_leaves_what_came_before(demo: tsr.Mixture) -> None:
    rates = {task.id: float(task.id == "demo/weather-nli") for task in demo.plan()}
    other = demo.reweight(at=300, rates=rates)
    assert [other[i] for i in range(280, 300)] == [demo[i] for i in range(280, 300)]
    assert {other[i]["provenance"]["task"] for i in range(300, 320)} == {"demo/weather-nli"}


def test_a_mixture_is_read_at_any_position(demo: tsr.Mixture) -> None:
    rows = list(itertools.islice(demo, 40))
    assert [demo[i] for i in range(40)] == rows
    assert demo[-1] == demo[599] == demo[np.int64(599)]
    assert demo[0]["provenance"]["position"] == 0
    for index in (600, -601):
        with pytest.raises(IndexError):
            demo[index]
    with pytest.raises(TypeError):
        demo["x"]  # type: ignore[index]
    assert set(demo.schema.names) == {"messages", "provenance"}


def test_batches_of_a_mixture(demo: tsr.Mixture) -> None:
    batches = list(demo.batches(100))
    assert [batch.num_rows for batch in batches] == [100] * 6
    assert all(isinstance(batch, pa.RecordBatch) and batch.schema == demo.schema for batch in batches)
    assert batches[2].to_pylist()[5] == demo[205]


def test_a_plan_is_a_table_before_anything_is_opened(demo: tsr.Mixture) -> None:
    plan = demo.plan()
    frame = plan.to_pandas()
    assert frame["positions"].sum() == len(plan) == 600
    assert {"rows", "rate", "share", "epochs", "license"} <= set(frame.columns)
    assert json.loads(json.dumps(plan.to_json()))["mixture"] == "demo"


def test_iterators_resume(demo: tsr.Mixture) -> None:
    iterator = demo.iterator(rank=1, world=3)
    first = [next(iterator) for _ in range(7)]
    state = json.loads(json.dumps(iterator.state_dict()))
    rest = list(demo.iterator(rank=1, world=3).load_state_dict(state))
    assert first + rest == list(demo.iterator(rank=1, world=3))


def test_a_position_in_quarantine_raises_its_reason(own: SmallRegistry) -> None:
    own.task("a", [{"said": " ", "heard": "A"}])
    mix = tsr.mixture({"parts": [{"task": "own/a"}]}, **options(own))
    with pytest.raises(tsr.FindingsError, match=r"TSR-T008.*position 0 is in quarantine"):
        mix[0]
    assert list(mix) == []


def test_an_endless_mixture_has_no_length_but_rows() -> None:
    mix = tsr.mixture({"parts": [{"task": "demo/weather-nli"}], "stop": "never"})
    with pytest.raises(TypeError, match="endless"):
        len(mix)
    assert mix[10**12]["provenance"]["position"] == 10**12
    with pytest.raises(IndexError):
        mix[-1]
    assert "endless" in repr(mix)


def test_a_mixture_is_exported(tmp_path: Path) -> None:
    mix = tsr.mixture({"parts": [{"task": "demo/weather-nli"}]})
    mix.export(tmp_path / "out")
    import datasets

    loaded = datasets.load_dataset("parquet", data_dir=str(tmp_path / "out" / "data"), split="train")
    assert loaded.to_list() == list(mix)


# Processes.


def test_splits_and_mixtures_pickle_without_their_rows(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 500))
    task = tsr.load_task("own/a", **options(own))
    view = task["train"][10:20]
    packed = pickle.dumps(view)
    assert len(packed) < 3000
    assert list(pickle.loads(packed)) == list(view)
    assert len(pickle.loads(pickle.dumps(task))["train"]) == 500
    mix = tsr.mixture({"parts": [{"task": "own/a"}]}, **options(own))
    assert pickle.loads(pickle.dumps(mix))[7] == mix[7]
    rendered = view.render()
    assert list(pickle.loads(pickle.dumps(rendered))) == list(rendered)


def test_importing_the_package_stays_light() -> None:
    heavy = ["datasets", "pandas", "pyarrow", "numpy", "pydantic", "rich", "jinja2", "yaml"]
    code = f"import sys, tasksource_reg; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_mixture_says_what_changed_since_another(own: SmallRegistry, tmp_path: Path) -> None:
    own.task("a", echoes("a", 20))
    own.task("b", echoes("b", 10))

    def mixture(**spec: Any) -> tsr.Mixture:
        body = {"parts": [{"select": "dataset:own/*"}], "shape": "text", **spec}
        return tsr.mixture(body, **options(own))

    mix = mixture()
    kept = json.loads(json.dumps(mix.lock()))
    assert mix.diff(kept) == mix.diff(mixture()) == []
    assert [change.text for change in mixture(seed=3).diff(kept)] == ["seed: 0 became 3"]
    assert [c.kind for c in mixture(shape="messages").diff(mix)] == ["settings"]
    file = tmp_path / "old.lock.json"
    file.write_text(json.dumps(kept))
    own.templates("families", "echo", [PLAIN | {"prompt": "so: {{ input }}"}])
    texts = [change.text for change in mixture().diff(file)]
    assert texts == [f"task own/{name}: the template echo/plain reads otherwise now" for name in "ab"]
    some: dict[str, Any] = {"format": 1, "plan": "x"}
    for body in ({}, some, some | {"tasks": [1]}, some | {"tasks": {"own/a": {}}}):
        with pytest.raises(tsr.FindingsError, match="TSR-L004"):
            mix.diff(body)


def test_controls_have_the_rows_of_their_mixture(own: SmallRegistry) -> None:
    own.task("a", [{"said": f"{i}" + "." * (i * 7 % 11), "heard": "h"} for i in range(30)])
    own.task("b", echoes("b", 20))
    body = {"parts": [{"select": "dataset:own/*"}], "order": {"by": "length"}, "shape": "text", "mixture": "m"}
    mix = tsr.mixture(body, **options(own))
    texts = [row["text"] for row in mix]
    control = mix.control()
    assert sorted(row["text"] for row in control) == sorted(texts) != [row["text"] for row in control]
    alone = mix.control("own/b")
    assert [row["text"] for row in alone] == [text for text in texts if text.startswith("b")]
    assert repr(alone) == "Mixture('m-only-own/b', 1 task, 20 positions)"
    assert [row["text"] for row in pickle.loads(pickle.dumps(control))] == [row["text"] for row in control]
    with pytest.raises(tsr.UsageError, match="is a control itself"):
        control.control()
    with pytest.raises(tsr.UsageError, match="no rates of its own"):
        control.reweight(3, {"own/a": 1, "own/b": 1})
