"""Rows at positions: a pure function, unmoved by what else is in the mixture; templates, shots, shapes, quarantine."""

from __future__ import annotations

import gc
import pickle
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_registry import PLAIN, SmallRegistry, echoes

from tasksource_reg.errors import FindingsError, TsrError
from tasksource_reg.mixing.resolve import resolve_mixture
from tasksource_reg.mixing.shots import origins
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.prompting.shapes import SHAPES
from tasksource_reg.workspace import Workspace

DEMO = "dataset:tasksource-reg-demo/*"
SHOTS = {"k": {0: 0.4, 1: 0.3, 3: 0.3}}


def demo(**spec: Any) -> MixtureData:
    """A mixture of demo tasks."""
    space = Workspace(offline=True)
    return MixtureData(space, resolve_mixture(space, {"parts": [{"select": DEMO}], **spec}))


@pytest.fixture(scope="module")
def everything() -> tuple[MixtureData, list[dict[str, Any]]]:
    """All demo tasks twice over, with shots: the data, and the row of each position."""
    data = demo(shots=SHOTS, stop={"epochs": 2}, seed=5)
    block = data.block(np.arange(len_of(data)))
    assert not block.quarantined
    return data, block.rows.to_pylist()


def len_of(data: MixtureData) -> int:
    assert data.plan.length is not None
    return data.plan.length


def texts_by_row(data: MixtureData) -> dict[tuple[str, int, int], tuple[str, str]]:
    """(task, row, part) -> (template, text), for a mixture that has each row once."""
    rows = data.block(np.arange(len_of(data))).rows.to_pylist()
    found = {}
    for row in rows:
        p = row["provenance"]
        found[p["task"], p["row"], p["part"]] = (p["template"], row["text"])
    assert len(found) == len(rows)
    return found


# A pure function of the positions.


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_positions_in_any_order_give_the_same_rows(
    everything: tuple[MixtureData, list[dict[str, Any]]], draws: st.DataObject
) -> None:
    data, rows = everything
    positions = draws.draw(st.lists(st.integers(0, len(rows) - 1), max_size=30))
    assert data.block(np.array(positions, dtype=np.int64)).rows.to_pylist() == [rows[p] for p in positions]


@pytest.mark.parametrize("size", [1, 7, 64, 501])
def test_the_size_of_blocks_changes_nothing(everything: tuple[MixtureData, list[dict[str, Any]]], size: int) -> None:
    data, rows = everything
    stop = min(len(rows), 60 * size)
    found = [r for s in range(0, stop, size) for r in data.block(np.arange(s, min(s + size, stop))).rows.to_pylist()]
    assert found == rows[:stop]


def test_the_passport_says_the_position_and_no_row_is_null(
    everything: tuple[MixtureData, list[dict[str, Any]]],
) -> None:
    data, rows = everything
    assert [row["provenance"]["position"] for row in rows] == list(range(len(rows)))
    assert data.block(np.arange(50)).rows.schema == data.schema
    assert all(turn["content"] for row in rows for turn in row["messages"])


@pytest.mark.parametrize("shape", ["messages", "fields"])
@pytest.mark.parametrize("full", [False, True])
def test_rows_as_dicts_are_those_of_the_record_batch(shape: str, full: bool) -> None:
    data = demo(shape=shape)
    data = MixtureData(data.workspace, data.resolved, full_passport=full)
    block = data.block(np.arange(len_of(data)))
    rows = list(block.dicts())
    assert rows == block.rows.to_pylist()
    assert [*rows[0]] == block.rows.schema.names
    assert [*rows[0]["provenance"]] == block.rows.schema.field("provenance").type.names
    assert list(data.block(np.zeros(0, dtype=np.int64)).dicts()) == []


def test_a_block_that_is_dropped_is_freed_at_once() -> None:
    data = demo(shape="messages")
    data.block(np.arange(len_of(data)))  # what the mixture itself keeps
    gc.collect()
    before = pa.total_allocated_bytes()
    gc.disable()
    try:
        assert len([*data.block(np.arange(len_of(data))).dicts()]) == len_of(data)
        assert pa.total_allocated_bytes() == before
    finally:
        gc.enable()


def test_positions_outside_the_plan_are_refused(everything: tuple[MixtureData, list[dict[str, Any]]]) -> None:
    data, rows = everything
    for position in (-1, len(rows)):
        with pytest.raises(TsrError, match="TSR-M006"):
            data.block(np.array([0, position]))
    assert data.block(np.zeros(0, dtype=np.int64)).rows.num_rows == 0


def test_other_tasks_change_no_row_of_a_task() -> None:
    common: dict[str, Any] = {"shape": "text", "shots": SHOTS, "seed": 4}
    few = texts_by_row(demo(parts=[{"task": "demo/weather-nli"}, {"task": "demo/phrasebook/en-fr"}], **common))
    turned = texts_by_row(demo(parts=[{"task": "demo/phrasebook/en-fr"}, {"task": "demo/weather-nli"}], **common))
    many = texts_by_row(demo(**common))
    assert few == turned
    assert few == {key: many[key] for key in few}
    other_seed = texts_by_row(demo(parts=[{"task": "demo/weather-nli"}], **{**common, "seed": 5}))
    assert any(few[key] != value for key, value in other_seed.items())


def test_a_new_template_takes_only_the_rows_that_fall_to_it(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 200))
    before_two = [PLAIN, {**PLAIN, "id": "echo/b", "prompt": "{{ input }}!"}]
    own.templates("families", "echo", before_two)
    before = texts_by_row(own.data())
    own.templates("families", "echo", [*before_two, {**PLAIN, "id": "echo/an-earlier-name", "prompt": "{{ input }}?"}])
    after = texts_by_row(own.data())
    moved = {key for key in before if before[key] != after[key]}
    assert moved == {key for key in after if after[key][0] == "echo/an-earlier-name"}
    assert 40 < len(moved) < 95


def test_epochs_bring_the_same_rows_in_another_order_and_other_dress() -> None:
    data = demo(parts=[{"task": "demo/what-next"}], stop={"epochs": 2}, shape="text")
    half = len_of(data) // 2
    rows = data.block(np.arange(2 * half)).rows.to_pylist()
    first, second = ([r["provenance"]["row"] for r in part] for part in (rows[:half], rows[half:]))
    assert sorted(first) == sorted(second)
    assert first != second
    text = {r["provenance"]["row"]: r["text"] for r in rows[:half]}
    assert any(text[r["provenance"]["row"]] != r["text"] for r in rows[half:])


def test_only_the_tasks_that_are_met_are_opened(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 5))
    own.task("gone", echoes("g", 5))
    data = own.data()
    shutil.rmtree(own.mirror / "own" / "gone")
    located = data.plan.resolve(np.arange(10)).task
    here = np.flatnonzero(located == [t.info.id for t in data.tasks].index("own/a"))
    assert data.block(here).rows.num_rows == 5
    with pytest.raises(TsrError, match="own/gone"):
        data.block(np.arange(10))


def test_rows_that_are_not_those_of_the_lock_are_refused(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 5))
    data = own.data()
    own.task("a", echoes("a", 6), lock=False)
    with pytest.raises(TsrError, match="TSR-L001"):
        data.block(np.arange(5))


def test_data_pickles_and_refuses_another_plan(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 5))
    data = own.data(shots={"k": 1})
    packed = pickle.dumps(data)
    again = pickle.loads(packed)
    assert again.block(np.arange(5)).rows == data.block(np.arange(5)).rows
    own.task("a", echoes("a", 6))
    with pytest.raises(TsrError, match="TSR-M013"):
        pickle.loads(packed)


def test_full_passports_carry_what_is_constant() -> None:
    space = Workspace(offline=True)
    data = MixtureData(space, resolve_mixture(space, {"parts": [{"task": "demo/what-next"}]}), full_passport=True)
    block = data.block(np.arange(3)).rows
    assert block.schema == data.schema
    passport = block.to_pylist()[0]["provenance"]
    record = data.records[0]
    assert passport["dataset"] == "tasksource-reg-demo/what-next" == record.dataset
    assert (passport["revision"], passport["license"], passport["task_hash"]) == (
        record.revision, "CC0-1.0", record.task_hash,
    )  # fmt: skip
    assert passport["template_hash"] == record.templates[passport["template"]]
    assert record.revision


def test_blocks_are_larger_with_more_tasks_and_smaller_with_long_texts(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 5))
    assert own.data().block_rows == 8192
    assert demo().block_rows > 30_000
    own.task("long", [{"said": "x" * 200_000, "heard": "y"}] * 3)
    assert 64 <= own.data(parts=[{"task": "own/long"}]).block_rows < 400


# Templates.


def letters(own: SmallRegistry, *names: str, **more: Any) -> None:
    """Templates echo/<name> that render "<name>:said=heard"."""
    own.templates(
        "families", "echo", [{**PLAIN, "id": f"echo/{n}", "prompt": n + ":{{ input }}", **more} for n in names]
    )


def test_hash_uses_every_template_about_equally(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 900))
    letters(own, "p", "q", "r")
    counts = Counter(text[0] for text in own.texts())
    assert set(counts) == {"p", "q", "r"}
    assert max(abs(n - 300) for n in counts.values()) < 60


def test_weights_choose_in_their_ratio_and_templates_without_one_never(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 900))
    letters(own, "p", "q", "r")
    counts = Counter(text[0] for text in own.texts(templates={"choose": {"echo/p": 2, "echo/q": 1}}))
    assert set(counts) == {"p", "q"}
    assert 550 < counts["p"] < 650


def test_round_robin_takes_turns(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 9))
    letters(own, "p", "q", "r")
    assert [text[0] for text in own.texts(templates={"choose": "round_robin"})] == list("pqrpqrpqr")


def test_all_gives_every_row_with_every_template_once(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 9))
    letters(own, "p", "q", "r")
    texts = own.texts(templates={"choose": "all"})
    assert sorted(texts) == sorted(f"{n}:a{i}=A{i}" for n in "pqr" for i in range(9))


def test_rows_without_a_needed_field_take_another_template(own: SmallRegistry) -> None:
    own.task(
        "a",
        echoes("a", 40, why=lambda i: f"because {i}" if i % 2 else None),
        fields={"input": "said", "target": "heard", "rationale": "why"},
    )
    needing = {**PLAIN, "id": "echo/needing", "prompt": "{{ rationale }}:{{ input }}", "needs": ["rationale"]}
    own.templates("families", "echo", [PLAIN, needing])
    for choose in ("hash", "round_robin", {"echo/plain": 1, "echo/needing": 5}):
        rows = own.block(templates={"choose": choose}).rows.to_pylist()
        with_why = [r for r in rows if r["provenance"]["template"] == "echo/needing"]
        assert len(rows) == 40
        assert {r["provenance"]["row"] % 2 for r in with_why} == {1}
    block = own.block(templates={"choose": "all"})
    assert (block.rows.num_rows, len(block.quarantined)) == (60, 20)
    assert {(q.code, q.template) for q in block.quarantined} == {("TSR-T010", "echo/needing")}
    block = own.block(templates={"where": "id:echo/needing"})
    assert {q.row % 2 for q in block.quarantined} == {0}
    assert {(q.code, q.template) for q in block.quarantined} == {("TSR-T010", None)}


# Languages.


def bilingual(own: SmallRegistry) -> None:
    own.templates(
        "families",
        "echo",
        [
            {**PLAIN, "id": "echo/english", "prompt": "en:{{ input }}", "for": {"languages": ["en"]}},
            {**PLAIN, "id": "echo/french", "prompt": "fr:{{ input }}", "for": {"languages": ["fr-FR"]}},
        ],
        **{"for": {"schema": "generation"}},
    )


def test_language_shares_are_kept(own: SmallRegistry) -> None:
    bilingual(own)
    own.task("a", echoes("a", 1000), languages=["fr"])
    for shares, french in (
        ({"data": 1}, 1),
        ("en", 0),
        ("data", 1),
        ({"data": 0.3, "en": 0.7}, 0.3),
        ({"fr": 3, "en": 1}, 0.75),
    ):
        counts = Counter(text[:2] for text in own.texts(templates={"language": shares}))
        assert counts["fr"] / 1000 == pytest.approx(french, abs=0.05)


def test_the_language_of_the_row_counts_before_that_of_the_task(own: SmallRegistry) -> None:
    bilingual(own)
    own.task(
        "a",
        echoes("a", 30, tongue=lambda i: ("fr", "en-GB", None)[i % 3]),
        languages=["fr", "en"],
        fields={"input": "said", "target": "heard", "language": "tongue"},
    )
    rows = own.block(templates={"language": "data"}).rows.to_pylist()
    by_row = {r["provenance"]["row"]: r["text"][:2] for r in rows}
    assert {by_row[i] for i in range(0, 30, 3)} == {"fr"}
    assert {by_row[i] for i in range(1, 30, 3)} == {"en"}
    assert {by_row[i] for i in range(2, 30, 3)} == {"en"}  # it may be in either language: English goes with both


def test_with_english_templates_only_every_row_is_rendered(own: SmallRegistry) -> None:
    own.templates("families", "echo", [PLAIN], **{"for": {"schema": "generation", "languages": ["en"]}})
    own.task("a", echoes("a", 20), languages=["fr"])
    assert len(own.texts(templates={"language": {"data": 0.5, "en": 0.5}})) == 20
    assert demo(templates={"language": {"data": 0.5, "en": 0.5}}).block(np.arange(100)).rows.num_rows == 100


# Shots.


def shots_of(texts: list[str]) -> list[tuple[list[str], str]]:
    """For each text, what its shots and its own row say: (["a3", "a7"], "a1")."""
    out = []
    for text in texts:
        *shots, last = [part.split("=")[0] for part in text.split(";")]
        out.append((shots, last))
    return out


def test_the_numbers_of_shots_are_drawn_as_asked(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 2000))
    counts = Counter(len(shots) for shots, _ in shots_of(own.texts(shots={"k": {0: 0.5, 1: 0.3, 4: 0.2}})))
    expected = {0: 1000, 1: 600, 4: 400}
    chi_square = sum((counts[k] - n) ** 2 / n for k, n in expected.items())
    assert set(counts) == set(expected)
    assert chi_square < 13.8  # 2 degrees of freedom: once in a thousand


def test_shots_are_solved_distinct_rows_of_the_pool_and_never_the_row_itself(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 12))
    texts = own.texts(shots={"k": 11})
    assert all(part.split("=")[1] == part.split("=")[0].upper() for text in texts for part in text.split(";"))
    for shots, last in shots_of(texts):
        assert sorted([*shots, last]) == sorted(f"a{i}" for i in range(12))
    assert len({tuple(shots) for shots, _ in shots_of(texts)}) == 12  # every row has an order of its own


def test_every_row_of_the_pool_is_a_shot_about_equally_often(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 40))
    seen = Counter(s for shots, _ in shots_of(own.texts(shots={"k": 2}, stop={"epochs": 50})) for s in shots)
    chi_square = sum((n - 100) ** 2 / 100 for n in seen.values())
    assert len(seen) == 40
    assert chi_square < 73  # 39 degrees of freedom: once in a thousand


def test_no_part_of_the_own_source_row_is_a_shot(own: SmallRegistry) -> None:
    rows = [{"items": [f"r{i}p{j}" for j in range(5)]} for i in range(6)]
    own.task("a", rows, fields={"input": "item", "target": "item"}, explode={"each": "items", "as": "item"})
    found = shots_of(own.texts(shots={"k": 20}))
    assert len(found) == 30
    for shots, last in found:
        assert len(shots) == 20
        assert not any(shot.startswith(last[:2]) for shot in shots)


def test_shots_of_an_evaluation_split_come_from_train_alone(own: SmallRegistry) -> None:
    own.task("a", {"train": echoes("t", 9), "validation": echoes("v", 9), "test": echoes("x", 9)})
    for split, letter in (("validation", "v"), ("test", "x")):
        found = shots_of(own.texts(split=split, shots={"k": 3}))
        assert all(last.startswith(letter) for _, last in found)
        assert {shot[0] for shots, _ in found for shot in shots} == {"t"}


def test_a_source_row_in_both_splits_is_not_its_own_shot(own: SmallRegistry) -> None:
    """A train split that pools the validation rows: their numbers differ, their source rows do not."""
    own.task(
        "a",
        {"train": echoes("t", 4), "validation": echoes("v", 4)},
        splits={"train": ["train", "validation"], "validation": "validation"},
    )
    found = shots_of(own.texts(split="validation", shots={"k": 7}))
    assert all(sorted(shots) == sorted({f"{n}{i}" for n in "tv" for i in range(4)} - {last}) for shots, last in found)
    data = own.data(split="validation")
    train, validation = data.split(0, "train"), data.split(0)
    assert origins(train, np.array([4, 5])).tolist() == origins(validation, np.array([0, 1])).tolist()


def test_a_carved_split_takes_no_shot_from_itself(own: SmallRegistry) -> None:
    own.task(
        "a", echoes("a", 60), splits={"validation": {"carve": {"from": "train", "fraction": 0.3}}, "train": "train"}
    )
    held = {last for _, last in shots_of(own.texts(split="validation"))}
    found = shots_of(own.texts(split="validation", shots={"k": 3}))
    assert 5 < len(held) < 35
    assert not held & {shot for shots, _ in found for shot in shots}


def test_rows_that_the_template_cannot_show_are_passed_over_as_shots(own: SmallRegistry) -> None:
    own.task(
        "a",
        echoes("a", 30, why=lambda i: f"because {i}" if i % 5 == 0 else None),
        fields={"input": "said", "target": "heard", "rationale": "why"},
    )
    own.templates("families", "echo", [{**PLAIN, "needs": ["rationale"]}])
    block = own.block(shots={"k": 5})
    found = shots_of(block.rows.column("text").to_pylist())
    assert len(found) == 6
    for shots, last in found:
        assert sorted([*shots, last]) == sorted(f"a{i}" for i in range(0, 30, 5))
    own.templates("families", "echo", [{**PLAIN, "prompt": "{% if target == 'A3' %}x{% endif %}"}])
    assert {q.code for q in own.block(shots={"k": 1}).quarantined} == {"TSR-T008", "TSR-M010"}


def test_rows_for_which_the_pool_does_not_suffice_go_into_quarantine(own: SmallRegistry) -> None:
    own.task(
        "a",
        echoes("a", 30, why=lambda i: f"because {i}" if i < 3 else None),
        fields={"input": "said", "target": "heard", "rationale": "why"},
    )
    own.templates("families", "echo", [{**PLAIN, "needs": ["rationale"]}])
    block = own.block(shots={"k": 3})
    assert block.rows.num_rows == 0
    assert Counter(q.code for q in block.quarantined) == {"TSR-M010": 3, "TSR-T010": 27}
    assert own.block(shots={"k": 2}).rows.num_rows == 3


def test_a_long_search_for_shots_gives_the_same_as_looking_at_all(own: SmallRegistry) -> None:
    """Few rows of the pool fit, so several rounds look at more and more candidates; blocks of any size agree."""
    own.task(
        "a",
        echoes("a", 400, why=lambda i: f"because {i}" if i % 40 == 0 else None),
        fields={"input": "said", "target": "heard", "rationale": "why"},
    )
    own.templates("families", "echo", [{**PLAIN, "needs": ["rationale"]}])
    data = own.data(shots={"k": {1: 1, 4: 1}})
    whole = data.block(np.arange(400)).rows
    single = [data.block(np.array([p])).rows for p in whole.column("provenance").field("position").to_pylist()]
    assert pa.Table.from_batches(single).to_pylist() == whole.to_pylist()
    assert whole.num_rows == 10


# Shapes.


@pytest.mark.parametrize(
    "shape", [name for name in SHAPES if name not in ("preference", "unpaired", "rank_classification")]
)
def test_every_shape_has_its_schema_and_its_texts(shape: str) -> None:
    data = demo(shape=shape, shots=SHOTS)
    block = data.block(np.arange(len_of(data)))
    assert not block.quarantined
    assert block.rows.schema.remove(len(block.rows.schema) - 1) == SHAPES[shape].schema
    empty = {"alpaca": {"input", "system"}}.get(shape, set())
    for name in set(block.rows.schema.names) - empty:
        assert block.rows.column(name).null_count == 0


@pytest.mark.parametrize("shape", ["preference", "unpaired"])
def test_preference_shapes_show_the_fields(shape: str) -> None:
    data = demo(shape=shape, parts=[{"select": f"{DEMO} schema:preference"}], stop={"epochs": 2})
    rows = data.block(np.arange(len_of(data))).rows.to_pylist()
    assert len(rows) == len_of(data)
    assert {row["provenance"]["template"] for row in rows} == {None}
    if shape == "unpaired":
        assert {row["label"] for row in rows} == {True, False}
    assert all(turn["content"] for row in rows for turn in row["prompt"])


def test_rank_classification_gives_every_option_with_one_right(own: SmallRegistry) -> None:
    query = f"{DEMO} schema:classification,multiple_choice"
    data = demo(shape="rank_classification", parts=[{"select": query}], shots={"k": 1})
    rows = data.block(np.arange(len_of(data))).rows.to_pylist()
    assert len(rows) == len_of(data)
    assert all(len(row["targets"]) == len(row["correct"]) >= 2 and sum(row["correct"]) == 1 for row in rows)


def test_texts_of_different_joints_and_systems_come_back_in_order(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 60))
    own.templates(
        "families",
        "echo",
        [
            PLAIN,
            {**PLAIN, "id": "echo/other", "joint": "~", "shot_joint": "|"},
            {**PLAIN, "id": "echo/said", "system": "Echo."},
        ],
    )
    rows = own.block(shots={"k": 1}).rows.to_pylist()
    assert [r["provenance"]["position"] for r in rows] == list(range(60))
    seen = set()
    for row in rows:
        i = row["provenance"]["row"]
        template = row["provenance"]["template"]
        end = {"echo/other": f"a{i}~A{i}"}.get(template, f"a{i}=A{i}")
        assert row["text"].endswith(end)
        assert ("|" in row["text"]) == (template == "echo/other")
        assert row["text"].startswith("Echo.;") == (template == "echo/said")
        seen.add(template)
    assert len(seen) == 3


# Quarantine.


def spotted(own: SmallRegistry) -> None:
    """A task of 20 rows, every fourth of them blank."""
    own.task("a", [{"said": " " if i % 4 == 0 else f"a{i}", "heard": f"A{i}"} for i in range(20)])


def test_rows_that_cannot_be_rendered_are_counted_with_their_reasons(own: SmallRegistry) -> None:
    spotted(own)
    own.task("b", echoes("b", 20))
    block = own.block()
    assert block.rows.num_rows + len(block.quarantined) == 40
    assert {q.row for q in block.quarantined} == {0, 4, 8, 12, 16}
    assert {(q.task, q.split, q.part, q.template, q.code) for q in block.quarantined} == {
        ("own/a", "train", 0, "echo/plain", "TSR-T008")
    }
    assert [q.position for q in block.quarantined] == sorted(q.position for q in block.quarantined)
    kept = block.rows.column("provenance").field("position").to_pylist()
    assert sorted(kept + [q.position for q in block.quarantined]) == list(range(40))


def test_on_error_raise_names_the_rows(own: SmallRegistry) -> None:
    spotted(own)
    with pytest.raises(FindingsError) as caught:
        own.block(on_error="raise")
    assert {(p.code, p.task, p.split) for p in caught.value.problems} == {("TSR-T008", "own/a", "train")}
    assert (
        own.data(on_error="raise", templates={"where": "id:echo/plain"})
        .block(np.zeros(0, dtype=np.int64))
        .rows.num_rows
        == 0
    )


def test_a_block_of_nothing_but_quarantine_has_the_schema(own: SmallRegistry) -> None:
    own.task("a", [{"said": " ", "heard": "A"}] * 4)
    data = own.data()
    block = data.block(np.arange(4))
    assert (block.rows.num_rows, block.rows.schema, len(block.quarantined)) == (0, data.schema, 4)


def test_the_same_broken_position_twice_is_listed_twice(own: SmallRegistry) -> None:
    own.task("a", [{"said": " ", "heard": "A"}, {"said": "b", "heard": "B"}])
    data = own.data()
    everything = data.block(np.array([0, 1, 1, 0]))
    assert (everything.rows.num_rows, len(everything.quarantined)) == (2, 2)


def test_real_tasks_render_whole(shared_hub: Path) -> None:
    space = Workspace(mirrors=(shared_hub,), offline=True)
    spec = {
        "parts": [
            {"select": "id:sick/label,gsm8k,openbookqa,go_emotions/simplified,wnut_17", "within": {"by": "equal"}}
        ],
        "shots": SHOTS,
        "stop": {"rows": 1000},
        "on_error": "raise",
    }
    data = MixtureData(space, resolve_mixture(space, spec))
    assert data.block(np.arange(1000)).rows.num_rows == 1000
