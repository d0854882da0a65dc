"""Rows in the order of their scores: the same rows, easy ones first, whatever else the mixture does."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_registry import PLAIN, SmallRegistry, echoes

from tasksource_reg.audit.replay import replay
from tasksource_reg.audit.trace import trace
from tasksource_reg.errors import TsrError
from tasksource_reg.export.export import export
from tasksource_reg.export.recipe import Recipe
from tasksource_reg.export.verify import verify
from tasksource_reg.mixing.iterate import MixtureIterator
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.resolve import resolve_mixture
from tasksource_reg.mixing.state import difference
from tasksource_reg.mixing.stream import MixtureData

ROWS = {"a": 40, "b": 90}


@pytest.fixture
def two(own: SmallRegistry) -> SmallRegistry:
    """Tasks a and b, whose rows are of many lengths in no order."""
    for name, count in ROWS.items():
        own.task(name, [{"said": f"{name}{i}" + "." * (i * 37 % 50), "heard": "h"} for i in range(count)])
    return own


def rows_of(data: MixtureData) -> list[dict[str, Any]]:
    assert data.plan.length is not None
    return data.block(np.arange(data.plan.length)).rows.to_pylist()


def without_position(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps({**r, "provenance": {**r["provenance"], "position": 0}}) for r in rows)


def of_task(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["provenance"]["task"] == f"own/{name}"]


def lengths(rows: list[dict[str, Any]], name: str) -> list[int]:
    return [len(row["text"]) for row in of_task(rows, name)]


def scored(own: SmallRegistry, scores: dict[str, list[float]], path: Path, **columns: Any) -> Path:
    """Writes a table of scores, its rows in no order."""
    flat = [{"task": f"own/{task}", "row": i, "loss": s} for task, some in scores.items() for i, s in enumerate(some)]
    table = pa.Table.from_pylist(flat[::-1])
    for name, value in columns.items():
        table = table.append_column(name, pa.array([value] * table.num_rows))
    pq.write_table(table, path)
    return path


# By length


def test_rows_come_from_short_to_long_and_are_those_of_the_mixture_without_order(two: SmallRegistry) -> None:
    plain, ordered = rows_of(two.data()), rows_of(two.data(order={"by": "length"}))
    assert without_position(plain) == without_position(ordered)
    assert [r["provenance"]["task"] for r in plain] == [r["provenance"]["task"] for r in ordered]
    for name in ROWS:
        assert lengths(ordered, name) == sorted(lengths(plain, name)) != lengths(plain, name)
    longest = rows_of(two.data(order={"by": "length", "descending": True}))
    for name in ROWS:
        assert lengths(longest, name) == sorted(lengths(plain, name), reverse=True)


def test_pacing_keeps_hard_rows_back_and_nothing_else(two: SmallRegistry) -> None:
    pacing = {"function": "linear", "start": 0.2, "full_at": 0.5}
    data = two.data(order={"by": "length", "pacing": pacing})
    assert data.plan.curriculum is not None and data.plan.curriculum.pacing is not None
    found = rows_of(data)
    assert without_position(found) == without_position(rows_of(two.data()))
    for name, count in ROWS.items():
        texts = lengths(found, name)
        most = np.sort(texts)[data.plan.curriculum.pacing.available(count) - 1]
        assert (np.array(texts) <= most).all() and texts != sorted(texts)
    short = two.data(order={"by": "length", "pacing": "linear"})
    assert difference(data.plan, short.plan) == [
        "order of rows: by length, linear from 0.2 to all at 0.5, over 130 positions became by length, linear from 0.2 "
        "to all at 0.8, over 130 positions"
    ]


def test_a_run_shorter_than_an_epoch_has_easy_and_hard_rows(two: SmallRegistry) -> None:
    stop = {"rows": 60}
    plain, ordered = rows_of(two.data(stop=stop)), rows_of(two.data(stop=stop, order={"by": "length"}))
    assert without_position(plain) == without_position(ordered)
    assert lengths(ordered, "b") == sorted(lengths(plain, "b"))
    assert max(lengths(ordered, "b")) > 45


def test_each_epoch_is_ordered_for_itself_and_later_ones_may_be_shuffled(two: SmallRegistry) -> None:
    part, stop = [{"task": "own/a"}], {"rows": 100}
    every = rows_of(two.data(parts=part, stop=stop, order={"by": "length"}))
    texts = lengths(every, "a")
    assert texts[:40] == sorted(texts[:40]) and texts[40:80] == sorted(texts[40:80]) == texts[:40]
    assert texts[80:] == sorted(texts[80:])
    first = rows_of(two.data(parts=part, stop=stop, order={"by": "length", "epochs": 1}))
    plain = rows_of(two.data(parts=part, stop=stop))
    assert first[:40] == every[:40] and first[40:] == plain[40:]
    assert without_position(first) == without_position(every) == without_position(plain)


def test_rows_of_one_length_come_in_no_order_of_the_source(own: SmallRegistry) -> None:
    own.task("a", [{"said": f"{i:03}", "heard": "h"} for i in range(200)])
    numbers = [row["provenance"]["row"] for row in rows_of(own.data(order={"by": "length"}))]
    assert sorted(numbers) == list(range(200)) and abs(np.corrcoef(numbers, range(200))[0, 1]) < 0.25


@pytest.mark.parametrize(
    "spec",
    [
        {"templates": {"choose": "all"}},
        {"templates": {"choose": "round_robin"}},
        {"parts": [{"select": "dataset:own/*", "fraction": 0.5}]},
        {"parts": [{"select": "dataset:own/*", "rows_per_task": 7}], "templates": {"choose": "all"}},
        {"order": {"unmixed": 5, "by": "length"}, "stop": {"rows": 100}},
        {"shots": {"k": {0: 1, 2: 1}}},
        {"stop": {"epochs": 2.5}},
        {"stop": "each_once"},
        {"reweight": [{"at": 50, "rates": {"own/a": 3, "own/b": 1}}]},
    ],
    ids=lambda spec: next(iter(spec)) + str(len(str(spec))),
)
def test_with_everything_else_that_mixtures_do_the_rows_stay_the_same(two: SmallRegistry, spec: dict[str, Any]) -> None:
    second = {**PLAIN, "id": "echo/loud", "prompt": "{{ input }}!"}
    two.templates("families", "echo", [PLAIN, second])
    order = {"by": "length", "pacing": "root", **spec.get("order", {})}
    plain_order = {"order": {"unmixed": 5}} if "order" in spec else {}
    plain = two.data(**{**spec, **plain_order})
    data = two.data(**{**spec, "order": order})
    whole = rows_of(data)
    if "reweight" in spec:  # other rates: the rows before are those of the order without them
        sooner = rows_of(two.data(order=order))
        assert whole[:50] == sooner[:50]
        assert Plan.from_json(json.loads(json.dumps(data.plan.to_json()))) == data.plan
        return
    assert without_position(whole) == without_position(rows_of(plain))
    some = np.random.default_rng(1).permutation(len(whole))[:40]
    assert data.block(some).rows.to_pylist() == [whole[i] for i in some.tolist()]
    iterator = MixtureIterator(data)
    sooner_rows = [next(iterator) for _ in range(20)]
    again = MixtureIterator(pickle.loads(pickle.dumps(data))).load_state_dict(iterator.state_dict())
    assert [*sooner_rows, *again] == whole


def test_an_order_comes_back_from_json_and_is_part_of_what_a_state_means(two: SmallRegistry) -> None:
    data = two.data(order={"by": "length", "pacing": "step", "epochs": 3})
    assert Plan.from_json(json.loads(json.dumps(data.plan.to_json()))) == data.plan
    state = MixtureIterator(data).state_dict()
    for order in ("shuffled", {"by": "length"}, {"by": "length", "pacing": "step"}):
        with pytest.raises(TsrError, match=r"TSR-M005.*other rates or order"):
            MixtureIterator(two.data(order=order)).load_state_dict(state)


def test_stages_go_on_where_the_curriculum_stands(two: SmallRegistry) -> None:
    stages = [{"parts": [{"task": "own/b"}], "stop": {"rows": 30}}, {"parts": [{"select": "dataset:own/*"}]}]
    ordered = rows_of(two.data(stages=stages, parts=(), order={"by": "length"}))
    first_epoch = lengths(ordered, "b")[:90]
    assert first_epoch == sorted(first_epoch)
    assert without_position(ordered) == without_position(rows_of(two.data(stages=stages, parts=())))


def test_an_endless_mixture_orders_whole_epochs(two: SmallRegistry) -> None:
    data = two.data(parts=[{"task": "own/a"}], stop="never", order={"by": "length"})
    texts = [len(text) for text in data.block(np.arange(80)).rows.column("text").to_pylist()]
    assert texts[:40] == sorted(texts[:40]) == texts[40:]


# By scores


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_table_of_scores_orders_rows(two: SmallRegistry, tmp_path: Path, suffix: str) -> None:
    scores = {name: np.random.default_rng(4).permutation(count).tolist() for name, count in ROWS.items()}
    table = pq.read_table(scored(two, scores, tmp_path / "scores.parquet"))
    path = tmp_path / f"other{suffix}"
    if suffix == ".csv":
        table.to_pandas().to_csv(path, index=False)
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        pq.write_table(table, path)
    for descending in (False, True):
        order = {"by": {"scores": str(path), "column": "loss"}, "descending": descending}
        found = rows_of(two.data(order=order))
        for name in ROWS:
            losses = [scores[name][row["provenance"]["row"]] for row in of_task(found, name)]
            assert losses == sorted(losses, reverse=descending)


def test_an_export_with_one_more_column_is_a_table_of_scores(two: SmallRegistry, tmp_path: Path) -> None:
    export(two.data(stop={"epochs": 2}), tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "data")
    losses = np.random.default_rng(0).random(table.num_rows)
    pq.write_table(table.append_column("loss", pa.array(losses)), tmp_path / "scored.parquet")
    means: dict[tuple[str, int], list[float]] = {}
    for address, loss in zip(table.column("provenance").to_pylist(), losses.tolist(), strict=True):
        means.setdefault((address["task"], address["row"]), []).append(loss)
    order = {"by": {"scores": str(tmp_path / "scored.parquet"), "column": "loss"}}
    found = [row["provenance"] for row in of_task(rows_of(two.data(order=order)), "a")]
    values = [float(np.mean(means[a["task"], a["row"]])) for a in found]
    assert len(values) == 40 and values == sorted(values)


def test_only_rows_that_come_need_a_score(two: SmallRegistry, tmp_path: Path) -> None:
    stop = {"rows": 60}
    export(two.data(stop=stop), tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "data")
    pq.write_table(table.append_column("loss", pa.array(np.arange(60.0)[::-1])), tmp_path / "scored.parquet")
    order = {"by": {"scores": str(tmp_path / "scored.parquet"), "column": "loss"}}
    found = rows_of(two.data(stop=stop, order=order))
    assert without_position(found) == without_position(table.to_pylist())
    for name in ROWS:
        plain = of_task(table.to_pylist(), name)
        assert [row["text"] for row in of_task(found, name)] == [row["text"] for row in plain[::-1]]
    with pytest.raises(TsrError, match=r"TSR-M019.*no score for"):
        rows_of(two.data(stop={"rows": 70}, order=order))


def test_addresses_that_no_row_has_change_no_score(two: SmallRegistry, tmp_path: Path) -> None:
    path = scored(two, {name: np.arange(float(n)).tolist() for name, n in ROWS.items()}, tmp_path / "s.parquet", part=0)
    order = {"by": {"scores": str(path), "column": "loss"}}
    before = rows_of(two.data(order=order))
    table = pq.read_table(path)
    none = {"task": "own/b", "loss": float("nan")}
    strange = [none | {"row": row, "part": part} for row, part in ((6, -1), (-1, 0), (2**62, 3), (2**63 - 1, 2**62))]
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist(strange).select(table.column_names)]), path)
    assert rows_of(two.data(order=order)) == before


def test_rows_made_of_one_source_row_have_scores_of_their_own(own: SmallRegistry, tmp_path: Path) -> None:
    rows = [{"many": [f"{i}x", f"{i}y", f"{i}z"], "heard": "h"} for i in range(8)]
    own.task("a", rows, explode={"each": "many", "as": "one"}, fields={"input": "one", "target": "heard"})
    flat = [{"task": "own/a", "row": i, "part": p, "score": (7 * i + 5 * p) % 23} for i in range(8) for p in range(3)]
    pq.write_table(pa.Table.from_pylist(flat), tmp_path / "s.parquet")
    found = rows_of(own.data(order={"by": {"scores": str(tmp_path / "s.parquet")}}))
    values = [(7 * r["provenance"]["row"] + 5 * r["provenance"]["part"]) % 23 for r in found]
    assert len(values) == 24 and values == sorted(values)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t.slice(1), r"no score for 1 of 90 rows"),
        (lambda t: t.rename_columns(["task", "row", "lost"]), 'no column "loss"'),
        (lambda t: t.set_column(1, "row", t.column("row").cast(pa.string())), "no score|whole numbers"),
        (lambda t: t.set_column(2, "loss", pa.array(["x"] * t.num_rows)), "x"),
        (lambda t: t.set_column(2, "loss", pa.array([None] * t.num_rows, pa.float64())), "null in 130 rows"),
        (lambda t: t.set_column(2, "loss", pa.array([float("nan")] * t.num_rows)), "no finite number"),
        (lambda t: t.append_column("split", pa.array(["test"] * t.num_rows)), "no score for"),
    ],
)
def test_scores_that_do_not_fit_are_refused(two: SmallRegistry, tmp_path: Path, spoil: Any, said: str) -> None:
    path = scored(two, {name: list(range(n)) for name, n in ROWS.items()}, tmp_path / "s.parquet")
    table = spoil(pq.read_table(path))
    if said == "no score|whole numbers":
        table = table.set_column(1, "row", pa.array([f"r{i}" for i in range(table.num_rows)]))
    pq.write_table(table, path)
    data = two.data(order={"by": {"scores": str(path), "column": "loss"}})
    with pytest.raises(TsrError, match=said) as caught:
        rows_of(data)
    assert caught.value.problems[0].code == "TSR-M019"


def test_files_that_are_no_tables_of_scores_are_refused(two: SmallRegistry, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("x")
    (tmp_path / "s.parquet").write_bytes(b"PAR1 no")
    for name, said in (("none.csv", "there is no file"), ("s.txt", "no table of scores"), ("s.parquet", "cannot be")):
        with pytest.raises(TsrError, match=said) as caught:
            rows_of(two.data(order={"by": {"scores": str(tmp_path / name)}}))
        assert caught.value.problems[0].code == "TSR-M019"


def test_paths_are_relative_to_the_mixtures_file_wherever_it_is_used(
    two: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    (folder / "sub").mkdir(parents=True)
    scored(two, {name: list(range(n)) for name, n in ROWS.items()}, folder / "sub" / "s.parquet")
    body = {"mixture": "m", "parts": [{"select": "dataset:own/*"}], "shape": "text"}
    order = {"by": {"scores": "sub/s.parquet", "column": "loss"}, "pacing": "linear"}
    (folder / "m.yaml").write_text(json.dumps({**body, "order": order}))
    space = two.space()
    data = MixtureData(space, resolve_mixture(space, folder / "m.yaml"))
    assert pickle.loads(pickle.dumps(data)).block(np.arange(9)).rows == data.block(np.arange(9)).rows
    assert Recipe.of(data).build().plan == data.plan
    result = tmp_path / "out"
    export(data, result, workers=2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert verify(result) == []
    assert replay(result, 130, 0, two.space()).identical == 130
    traced = trace(result, 17, two.space())
    assert traced.equal and traced.differences == ()
    assert str(tmp_path) not in (result / "manifest.json").read_text()
    scored(two, {name: list(range(n))[::-1] for name, n in ROWS.items()}, folder / "sub" / "s.parquet")
    changed = trace(result, 17, two.space())
    assert not changed.equal and "rows are ordered by scores" in changed.differences[0]
    with pytest.raises(TsrError, match="other rates or order"):
        MixtureIterator(two_again(two, folder)).load_state_dict(MixtureIterator(data).state_dict())


def two_again(own: SmallRegistry, folder: Path) -> MixtureData:
    space = own.space()
    return MixtureData(space, resolve_mixture(space, folder / "m.yaml"))


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({}, "order is shuffled, or has unmixed, or by"),
        ({"pacing": "linear"}, "shuffled, or has"),
        ({"unmixed": 4, "pacing": "linear"}, "pacing: say by what rows are ordered"),
        ({"by": "size"}, "length"),
        ({"by": "length", "pacing": "cubic"}, "cubic"),
        ({"by": "length", "pacing": {"function": "linear", "start": 0}}, "start"),
        ({"by": {"column": "x"}}, "scores"),
    ],
)
def test_orders_that_say_nothing_are_refused(two: SmallRegistry, order: Any, said: str) -> None:
    with pytest.raises(TsrError, match=said):
        two.resolve({"order": order})


def test_an_order_by_scores_leaves_no_room_for_locality(two: SmallRegistry) -> None:
    with pytest.raises(TsrError, match="remove locality"):
        two.resolve({"order": {"by": "length"}, "locality": "block"})


# Controls


@pytest.mark.parametrize(
    "spec",
    [
        {"order": {"by": "length"}, "shots": {"k": {0: 1, 2: 1}, "from": "family"}},
        {"order": {"unmixed": 4}, "stop": {"rows": 90}},
        {"stages": [{"parts": [{"task": "own/a"}]}, {"parts": [{"task": "own/b"}]}], "parts": ()},
        {"templates": {"choose": "round_robin"}, "stop": {"epochs": 1.5}},
        {"reweight": [{"at": 40, "rates": {"own/a": 9, "own/b": 1}}]},
    ],
    ids=["curriculum", "unmixed", "stages", "plain", "reweight"],
)
def test_a_control_has_the_same_rows_in_another_order(two: SmallRegistry, spec: dict[str, Any]) -> None:
    rows = rows_of(two.data(**spec))
    data = two.data(**spec, control="unordered")
    control = rows_of(data)
    assert without_position(control) == without_position(rows)
    assert [r["provenance"]["position"] for r in control] == list(range(len(rows)))
    tasks = [row["provenance"]["task"] for row in control]
    runs = 1 + sum(one != next_one for one, next_one in pairwise(tasks))
    assert runs > 0.6 * 2 * tasks.count("own/a") * tasks.count("own/b") / len(tasks)  # about what chance gives
    counts = data.plan.occurrences_within(10, 50)
    assert counts.tolist() == [tasks[10:50].count(task.id) for task in data.plan.tasks]
    assert Plan.from_json(json.loads(json.dumps(data.plan.to_json()))) == data.plan
    for name in ROWS:
        alone = two.data(**spec, control={"task": f"own/{name}"})
        assert without_position(rows_of(alone)) == without_position(of_task(rows, name))
        assert [r["text"] for r in rows_of(alone)] == [r["text"] for r in of_task(rows, name)]


def test_controls_export_and_replay(two: SmallRegistry, tmp_path: Path) -> None:
    order = {"by": "length", "pacing": "linear"}
    for name, control in (("whole", "unordered"), ("alone", {"task": "own/b"})):
        export(two.data(order=order, control=control), tmp_path / name, shard_rows=40)
        assert verify(tmp_path / name) == []
        assert replay(tmp_path / name, 200, 0, two.space()).identical == (130 if name == "whole" else 90)
    tasks = json.loads((tmp_path / "alone" / "manifest.json").read_text())["tasks"]
    assert [task["id"] for task in tasks] == ["own/b"]


def test_controls_that_cannot_be_are_refused(two: SmallRegistry) -> None:
    with pytest.raises(TsrError, match="TSR-M009"):
        two.resolve({"stop": "never", "control": "unordered"})
    with pytest.raises(TsrError, match=r"TSR-U001.*own/c") as caught:
        two.resolve({"control": {"task": "own/c"}})
    assert "own/" in caught.value.problems[0].advice
    reweight = [{"at": 0, "rates": {"own/a": 0, "own/b": 1}}]
    with pytest.raises(TsrError, match="TSR-M016"):
        two.resolve({"reweight": reweight, "control": {"task": "own/a"}})
    with pytest.raises(TsrError, match="no rates of its own"):
        two.resolve({"control": "unordered"}).plan.reweight(10, [1, 1])
    alone = two.data(stop="never", control={"task": "own/a"})
    assert alone.plan.length is None and len(alone.block(np.arange(100)).rows) == 100
    capped = [{"task": "own/a", "within": {"max_epochs": 2}}, {"task": "own/b"}]
    assert two.data(parts=capped, stop="never", control={"task": "own/a"}).plan.length == 80


def test_an_echo_of_one_row_is_ordered(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 1))
    assert len(rows_of(own.data(order={"by": "length", "pacing": "exponential"}, stop={"rows": 5}))) == 5
