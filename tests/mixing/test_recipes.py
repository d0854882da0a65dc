"""Mixtures of every kind, from the file to the plan: sizes, subsets, budgets, stages, batches, re-weightings."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_registry import PLAIN, SmallRegistry, echoes

from tasksource_reg.api import Mixture
from tasksource_reg.audit.replay import replay
from tasksource_reg.authoring.tokens import Tokenizer
from tasksource_reg.errors import Problem, TsrError
from tasksource_reg.export.export import export
from tasksource_reg.export.recipe import Recipe
from tasksource_reg.export.verify import verify
from tasksource_reg.mixing.report import report
from tasksource_reg.mixing.resolve import Resolved, resolve_mixture
from tasksource_reg.mixing.spec import MixtureSpec, QuarantineLimitSpec, read_mixture
from tasksource_reg.mixing.stream import MixtureData

WORDS = Tokenizer("words", "0" * 12, lambda texts: [len(text.split()) for text in texts])
LETTERS = Tokenizer("letters", "1" * 12, lambda texts: [len(text) for text in texts])


def refused(own: SmallRegistry, **spec: Any) -> list[Problem]:
    with pytest.raises(TsrError) as caught:
        own.resolve(spec)
    return list(caught.value.problems)


def rates(resolved: Resolved) -> dict[str, float]:
    return {task.info.id: task.rate for task in resolved.tasks}


def whole(**within: Any) -> list[dict[str, Any]]:
    return [{"select": "dataset:own/*", "within": within}]


@pytest.fixture
def three(own: SmallRegistry) -> SmallRegistry:
    """Tasks a, b, c of 10, 40 and 90 rows."""
    for name, rows in (("a", 10), ("b", 40), ("c", 90)):
        own.task(name, {"train": echoes(name, rows), "validation": echoes(name, 5)})
    return own


# Tokens


@pytest.fixture
def wordy(own: SmallRegistry) -> SmallRegistry:
    """Two tasks of 10 rows with 2 and 11 words in each."""
    own.task("short", [{"said": "ab", "heard": "cd"}] * 10)
    own.task("long", [{"said": "ab " * 10, "heard": "cd"}] * 10)
    return own


def test_tokens_of_the_locks_weigh_texts(wordy: SmallRegistry) -> None:
    for name in ("short", "long"):
        wordy.lock(name, WORDS)
    assert rates(wordy.resolve({"parts": whole(by="tokens")})) == {"own/short": 20, "own/long": 110}
    capped = wordy.resolve({"parts": whole(by="tokens", cap=60)})
    assert rates(capped) == {"own/short": 20, "own/long": 60}
    assert {t.id: t.why for t in report(capped)}["own/long"] == "dataset:own/*: min(110 tokens, 60)"


def test_tokens_that_nobody_counted_are_refused(wordy: SmallRegistry) -> None:
    (problem,) = refused(wordy, parts=whole(by="tokens"))
    assert problem.code == "TSR-M017"
    assert problem.advice == "run `tsr lock own/long --tokenizer FILE`, or give tokens.counts"
    (problem,) = refused(wordy, stop={"tokens": 100})
    assert problem.code == "TSR-M017"


def test_one_tokenizer_counts_all_tasks(wordy: SmallRegistry) -> None:
    wordy.lock("short", WORDS)
    wordy.lock("long", LETTERS)
    (problem,) = refused(wordy, parts=whole(by="tokens"))
    assert (problem.code, "words@000000000000" in problem.message) == ("TSR-M017", True)
    wordy.lock("short", LETTERS)
    assert rates(wordy.resolve({"parts": whole(by="tokens")})) == {"own/short": 40, "own/long": 320}
    wordy.lock("long", WORDS)
    (problem,) = refused(wordy, parts=whole(by="tokens"))
    assert "tokens: {tokenizer: letters@111111111111}" in problem.advice
    for name in ("words", "words@000000000000"):
        found = wordy.resolve({"parts": whole(by="tokens"), "tokens": {"tokenizer": name}})
        assert rates(found) == {"own/short": 20, "own/long": 110}
    (problem,) = refused(wordy, parts=whole(by="tokens"), tokens={"tokenizer": "other"})
    assert (problem.code, "no token count of other" in problem.message) == ("TSR-M017", True)


def test_counts_may_be_given(wordy: SmallRegistry) -> None:
    counts = {"own/short": 3, "own/long": 7}
    found = wordy.resolve({"parts": whole(by="tokens"), "tokens": {"counts": counts}})
    assert rates(found) == {"own/short": 3, "own/long": 7}
    (problem,) = refused(wordy, parts=whole(by="tokens"), tokens={"counts": {"own/long": 7}})
    assert (problem.code, problem.task) == ("TSR-M017", "own/short")


def test_a_function_counts_now_and_the_counts_become_part_of_the_mixture(wordy: SmallRegistry) -> None:
    space = wordy.space()

    def count(info: Any, split: str) -> int:
        return 10 * len(space.data(info).split(split)) + len(info.id)

    spec = read_mixture({"parts": whole(by="tokens"), "shape": "text"})
    resolved = resolve_mixture(space, spec, count_tokens=count)
    assert resolved.spec.tokens.counts == {"own/long": 108, "own/short": 109}
    again = Recipe.of(MixtureData(space, resolved)).build()
    assert again.plan == resolved.plan
    untouched = resolve_mixture(space, read_mixture({"parts": whole()}), count_tokens=count)
    assert untouched.spec.tokens.counts is None


# T0 and FLAN, shared caps


def test_the_rules_of_collections_count_the_templates_that_a_mixture_lets_in(three: SmallRegistry) -> None:
    more = [{**PLAIN, "id": f"echo/{n}", "prompt": n + " {{ input }}", "form": "question"} for n in "pq"]
    three.templates("families", "echo", [PLAIN, *more])
    found = three.resolve({"parts": whole(by="t0", cap=39)})
    assert rates(found) == {"own/a": 30, "own/b": 39, "own/c": 39}
    assert {t.id: t.why for t in report(found)} == {
        "own/a": "dataset:own/*: 3 templates x 10 rows",
        "own/b": "dataset:own/*: 3 templates x (39 // 3), for 40 rows",
        "own/c": "dataset:own/*: 3 templates x (39 // 3), for 90 rows",
    }
    found = three.resolve({"parts": whole(by="flan", cap=30), "templates": {"where": "form:question"}})
    assert rates(found) == {"own/a": 20, "own/b": 60, "own/c": 60}
    assert rates(three.resolve({"parts": whole(by="flan"), "shape": "fields"})) == {
        "own/a": 10, "own/b": 40, "own/c": 90,
    }  # fmt: skip


def test_tasks_of_one_config_of_a_dataset_share_a_cap(three: SmallRegistry) -> None:
    body = json.loads(three.annotation("c").read_text())
    keys = {key: body.pop(key) for key in ("fields",)}
    body.pop("id")
    body["tasks"] = [{"id": f"own/c{n}", **keys} for n in (1, 2)]
    three.annotation("c").write_text(json.dumps(body))
    three.lock("c")
    assert rates(three.resolve({"parts": whole(cap=60)})) == {"own/a": 10, "own/b": 40, "own/c1": 60, "own/c2": 60}
    shared = three.resolve({"parts": whole(cap=60, cap_over="dataset")})
    assert rates(shared) == {"own/a": 10, "own/b": 40, "own/c1": 30, "own/c2": 30}


# Tasks that are reached twice, tasks without a size


def test_dedupe_leaves_a_task_to_the_first_part_that_has_it(three: SmallRegistry) -> None:
    parts = [{"task": "own/a", "share": 0.5}, {"select": "id:own/a,own/b", "share": 0.5}]
    assert rates(three.resolve({"parts": parts})) == pytest.approx({"own/a": 0.6, "own/b": 0.4})
    found = three.resolve({"parts": parts, "dedupe": True})
    assert rates(found) == pytest.approx({"own/a": 0.5, "own/b": 0.5})
    assert found.notes == ("id:own/a,own/b: 1 left out that an earlier part has (own/a)",)
    (problem,) = refused(three, parts=[{"select": "dataset:own/*"}, {"task": "own/b"}], dedupe=True)
    assert (problem.code, "earlier parts" in problem.message) == ("TSR-M001", True)


def test_a_task_without_characters_is_named(own: SmallRegistry) -> None:
    own.task("blank", [{"said": "", "heard": ""}] * 3)
    own.task("a", echoes("a", 3))
    (problem,) = refused(own, parts=whole(by="characters"))
    assert (problem.code, problem.task) == ("TSR-M003", "own/blank")


# Subsets


def rows_of(own: SmallRegistry, **spec: Any) -> dict[str, Counter[int]]:
    """Source rows by task, of all positions."""
    out: dict[str, Counter[int]] = {}
    for row in own.block(**spec).rows.column("provenance").to_pylist():
        out.setdefault(row["task"], Counter())[row["row"]] += 1
    return out


def test_subsets_nest_down_to_the_rows_that_are_read(three: SmallRegistry) -> None:
    one, six = (rows_of(three, parts=[{"select": "dataset:own/*", "fraction": f}]) for f in (0.1, 0.5))
    assert {name: len(rows) for name, rows in one.items()} == {"own/a": 1, "own/b": 4, "own/c": 9}
    assert {name: len(rows) for name, rows in six.items()} == {"own/a": 5, "own/b": 20, "own/c": 45}
    assert all(set(one[name]) < set(six[name]) for name in one)
    other = rows_of(three, parts=[{"select": "dataset:own/*", "fraction": 0.1}], seed=1)
    assert any(set(other[name]) != set(one[name]) for name in one)


def test_so_many_rows_of_each_task(three: SmallRegistry) -> None:
    parts = [{"select": "dataset:own/*", "rows_per_task": 32}]
    found = rows_of(three, parts=parts, stop={"epochs": 2})
    assert {name: len(rows) for name, rows in found.items()} == {"own/a": 10, "own/b": 32, "own/c": 32}
    assert set(found["own/c"].values()) == {2}
    plan = report(three.resolve({"parts": parts}))
    assert [(t.rows, t.taken, t.positions, t.epochs) for t in plan] == [
        (10, 10, 10, 1),
        (40, 32, 32, 1),
        (90, 32, 32, 1),
    ]


def test_subsets_of_nested_mixtures_are_the_least_and_other_ones_are_refused(three: SmallRegistry) -> None:
    three.mixture("inner", {"parts": [{"select": "id:own/b,own/c", "fraction": 0.5}, {"task": "own/a"}]})
    found = three.resolve({"parts": [{"mixture": "inner", "rows_per_task": 24}]})
    assert {t.info.id: t.taken for t in found.tasks} == {"own/b": 20, "own/c": 24, "own/a": None}
    assert rates(found) == {"own/b": 20, "own/c": 24, "own/a": 10}
    parts = [{"task": "own/c", "fraction": 0.1}, {"task": "own/c", "fraction": 0.2}]
    for spec in ({"parts": parts}, {"parts": (), "stages": [{"parts": [part]} for part in parts]}):
        (problem,) = refused(three, **spec)
        assert (problem.code, problem.message) == ("TSR-A003", 'parts take 9 and 18 rows of "own/c"')
    deduped = three.resolve({"parts": [parts[0], {"select": "dataset:own/*", "fraction": 0.2}], "dedupe": True})
    assert {t.info.id: t.taken for t in deduped.tasks} == {"own/c": 9, "own/a": 2, "own/b": 8}


def test_a_subset_with_all_templates_and_by_characters(three: SmallRegistry) -> None:
    three.templates("families", "echo", [PLAIN, {**PLAIN, "id": "echo/other", "prompt": "? {{ input }}"}])
    parts = [{"task": "own/c", "rows_per_task": 9, "within": {"by": "characters"}}]
    found = rows_of(three, parts=parts, templates={"choose": "all"})
    assert set(found["own/c"].values()) == {2} and len(found["own/c"]) == 9
    task = three.resolve({"parts": parts}).tasks[0]
    assert task.rate == pytest.approx(task.counts.characters / 10)


# Budgets


def test_a_budget_of_characters_ends_where_the_means_of_the_locks_say(three: SmallRegistry) -> None:
    data = three.data(parts=whole(), stop={"characters": 300})
    rows = data.block(np.arange(data.plan.length or 0)).rows
    mean = {t.info.id: t.counts.characters / t.counts.rows for t in data.tasks}
    spent = sum(mean[row["task"]] for row in rows.column("provenance").to_pylist())
    assert 300 - max(mean.values()) < spent <= 300
    epoch = sum(t.counts.characters for t in data.tasks)
    assert three.resolve({"parts": whole(), "stop": {"characters": epoch}}).plan.length == 140


def test_a_budget_of_tokens_counts_those_of_the_locks(wordy: SmallRegistry) -> None:
    spec = {"parts": whole(), "stop": {"tokens": 65}, "tokens": {"counts": {"own/short": 20, "own/long": 110}}}
    assert wordy.resolve(spec).plan.length in (9, 10)
    stages = [{"parts": whole(), "stop": {"tokens": 5}}, {"parts": whole(), "stop": {"characters": 5}}]
    (problem,) = refused(wordy, parts=(), stages=stages)
    assert (problem.code, "by characters and by tokens" in problem.message) == ("TSR-A003", True)


# Stages, batches, re-weightings


def test_stages_of_parts(three: SmallRegistry) -> None:
    stages = [
        {"name": "special", "parts": [{"task": "own/a"}], "stop": {"epochs": 2}},
        {"parts": [{"select": "id:own/b,own/c", "share": 0.9}, {"task": "own/a", "share": 0.1}], "stop": {"rows": 50}},
    ]
    found = resolve_mixture(three.space(), {"stages": stages, "shape": "text"})
    plan = report(found)
    assert [(t.id, t.positions) for t in plan] == [("own/a", 25), ("own/b", 14), ("own/c", 31)]
    assert plan.tasks[0].why == "stage special: own/a: 10 rows; stage 2: own/a: 10 rows, of the share 0.1"
    data = MixtureData(three.space(), found)
    tasks = [row["task"] for row in data.block(np.arange(70)).rows.column("provenance").to_pylist()]
    assert tasks[:20] == ["own/a"] * 20 and Counter(tasks[20:])["own/a"] == 5
    assert pickle.loads(pickle.dumps(data)).plan == data.plan


def test_an_endless_last_stage_has_the_shares_of_its_end(three: SmallRegistry) -> None:
    stages = [{"parts": [{"task": "own/a"}]}, {"parts": [{"task": "own/b"}, {"task": "own/c"}], "stop": "never"}]
    plan = report(resolve_mixture(three.space(), {"stages": stages, "shape": "text"}))
    assert [(t.share, t.characters) for t in plan] == [(0, None), (40 / 130, None), (90 / 130, None)]


def test_a_mixture_of_stages_is_no_part_of_another(three: SmallRegistry) -> None:
    three.mixture("two", {"stages": [{"parts": [{"task": "own/a"}]}]})
    (problem,) = refused(three, parts=[{"mixture": "two"}])
    assert (problem.code, "has stages" in problem.message) == ("TSR-A003", True)


def test_unmixed_batches_are_of_one_task(three: SmallRegistry) -> None:
    rows = three.block(order={"unmixed": 8}, stop={"rows": 80}).rows.column("provenance").to_pylist()
    tasks = [row["task"] for row in rows]
    assert all(len(set(tasks[start : start + 8])) == 1 for start in range(0, 80, 8))
    assert len(set(tasks)) == 3


def test_reweighting_keeps_the_prefix_and_survives_pickles_recipes_and_yaml(three: SmallRegistry) -> None:
    mix = Mixture(three.data(stop={"rows": 300}))
    names = ["own/a", "own/b", "own/c"]
    other = mix.reweight(100, dict(zip(names, (0, 1, 3), strict=True))).reweight(200, dict.fromkeys(names, 1))
    assert [mix[i] for i in range(100)] == [other[i] for i in range(100)]
    assert Counter(other[i]["provenance"]["task"] for i in range(100, 200)) == {"own/b": 25, "own/c": 75}
    data = other._data
    assert Recipe.of(data).build().plan == data.plan == pickle.loads(pickle.dumps(data)).plan
    sooner = other.reweight(50, dict.fromkeys(names, 1))
    assert [entry.at for entry in sooner._data.spec.reweight] == [50]
    assert Recipe.of(sooner._data).build().plan == sooner._data.plan
    by_rates = {"at": 100, "rates": dict(zip(names, (0, 1, 3), strict=True))}
    written = three.resolve({"stop": {"rows": 300}, "reweight": [by_rates]})
    assert written.plan == mix.reweight(100, by_rates["rates"])._data.plan  # type: ignore[arg-type]
    assert len(json.dumps(other.iterator().state_dict())) == len(json.dumps(mix.iterator().state_dict()))


def test_reweighting_goes_on_where_the_run_stands(three: SmallRegistry) -> None:
    mix = Mixture(three.data(stop={"rows": 60}))
    it = mix.iterator()
    seen = [next(it)["provenance"] for _ in range(20)]
    other = mix.reweight(20, {"own/a": 1, "own/b": 0, "own/c": 0})
    seen += [row["provenance"] for row in other.iterator(start=20)]
    assert [row["position"] for row in seen] == list(range(60))
    assert {row["task"] for row in seen[20:]} == {"own/a"}


@pytest.mark.parametrize(
    ("rates", "code"),
    [({"own/a": 1}, "TSR-M003"), ({"own/a": 1, "own/b": 1, "own/c": 1, "own/d": 1}, "TSR-U001"),
     ({"own/a": 0, "own/b": 0, "own/c": 0}, "TSR-M003")],
)  # fmt: skip
def test_reweighting_names_every_task_and_no_other(three: SmallRegistry, rates: dict[str, float], code: str) -> None:
    with pytest.raises(TsrError) as caught:
        Mixture(three.data()).reweight(10, rates)
    assert caught.value.problems[0].code == code
    assert [p.code for p in refused(three, reweight=[{"at": 10, "rates": rates}])] == [code]
    assert [p.code for p in refused(three, reweight=[{"at": 10, "weights": [1, 2]}])] == ["TSR-M003"]


def test_a_thousand_reweightings_fit_a_mixture_that_is_a_dict() -> None:
    entries = [{"at": n, "weights": [1_000_000 + n] * 600} for n in range(1000)]
    assert len(read_mixture({"parts": [{"task": "a"}], "reweight": entries}).reweight) == 1000


# The file


@pytest.mark.parametrize(
    ("change", "code", "what"),
    [
        ({"parts": [{"task": "a"}], "stages": [{"parts": [{"task": "a"}]}]}, "TSR-A003", "parts or stages"),
        ({"stages": []}, "TSR-A003", "at least one part"),
        ({"stages": [{"parts": []}]}, "TSR-A003", "stages.0.parts"),
        ({"stages": [{"parts": [{"task": "a"}]}], "stop": {"rows": 3}}, "TSR-A003", "stop of its own"),
        ({"stages": [{"parts": [{"tsk": "a"}]}]}, "TSR-A001", '"tsk" is no key of stages.0.parts.0'),
        ({"parts": [{"task": "a", "fraction": 0}]}, "TSR-A003", "parts.0.fraction"),
        ({"parts": [{"task": "a", "rows_per_task": 0}]}, "TSR-A003", "parts.0.rows_per_task"),
        ({"parts": [{"task": "a", "fraction": 0.5, "rows_per_task": 3}]}, "TSR-A003", "remove one of the two"),
        ({"parts": [{"select": "a", "within": {"by": "t0", "temperature": 2}}]}, "TSR-A003", "remove temperature"),
        ({"parts": [{"select": "a", "within": {"by": "flan", "cap": 2.5}}]}, "TSR-A003", "whole number"),
        ({"parts": [{"select": "a", "within": {"cap_over": "dataset"}}]}, "TSR-A003", "give a cap"),
        ({"parts": [{"task": "a"}], "tokens": {"tokenizer": "x", "counts": {"a": 1}}}, "TSR-A003", "remove one"),
        ({"parts": [{"task": "a"}], "order": {"unmixed": 1}}, "TSR-A003", "order.unmixed"),
        ({"parts": [{"task": "a"}], "order": "sorted"}, "TSR-A003", '"sorted" is none of shuffled'),
        ({"parts": [{"task": "a"}], "quarantine_limit": {}}, "TSR-A003", "give rows, a fraction"),
        ({"parts": [{"task": "a"}], "quarantine_limit": {"fraction": 1.5}}, "TSR-A003", "quarantine_limit.fraction"),
        ({"parts": [{"task": "a"}], "reweight": [{"at": 3}]}, "TSR-A003", "rates by task id"),
        (
            {"parts": [{"task": "a"}], "reweight": [{"at": 3, "weights": [1]}, {"at": 3, "weights": [1]}]},
            "TSR-A003", "positions rise",
        ),
        ({"parts": [{"task": "a"}], "stop": {"characters": 0}}, "TSR-A003", "stop.characters"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say(change: Any, code: str, what: str) -> None:
    with pytest.raises(TsrError) as caught:
        read_mixture(change)
    assert [p.code for p in caught.value.problems] == [code]
    assert what in caught.value.problems[0].message


def test_defaults_of_what_is_new() -> None:
    spec = read_mixture({"parts": [{"task": "a"}]})
    assert (spec.dedupe, spec.order, spec.reweight, spec.batch) == (False, "shuffled", (), 1)
    assert spec.quarantine_limit == QuarantineLimitSpec(fraction=0.2)


@settings(max_examples=40, deadline=None)
@given(
    st.booleans(),
    st.sampled_from(["shuffled", {"unmixed": 4}]),
    st.sampled_from([{"rows": 9}, {"tokens": 3.5}, "never"]),
)
def test_a_spec_written_as_json_is_the_same_spec(staged: bool, order: Any, stop: Any) -> None:
    parts = [{"select": "a", "fraction": 0.25, "within": {"cap": 3, "cap_over": "dataset"}}]
    body = {"stages": [{"parts": parts, "stop": stop}]} if staged else {"parts": parts, "stop": stop}
    spec = read_mixture({**body, "order": order})
    again = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert read_mixture(again) == spec == MixtureSpec.model_validate(again)


def test_an_export_of_everything_at_once_verifies_and_replays(three: SmallRegistry, tmp_path: Path) -> None:
    names = ("own/a", "own/b", "own/c")
    body = {
        "stages": [
            {"parts": [{"task": "own/a", "fraction": 0.5}], "stop": {"epochs": 2.5}},
            {
                "parts": [{"select": "dataset:own/*", "fraction": 0.5, "within": {"by": "tokens"}}],
                "stop": {"tokens": 500},
            },
        ],
        "tokens": {"counts": dict.fromkeys(names, 90)},
        "order": {"unmixed": 4},
        "reweight": [{"at": 40, "rates": dict.fromkeys(names, 1)}],
        "templates": {"choose": "all"},
        "shape": "text",
    }
    space = three.space()
    data = MixtureData(space, resolve_mixture(space, body))
    assert data.plan.length and len(data.plan.segments) == 3
    done = export(data, tmp_path / "out", shard_rows=30)
    assert done.manifest.positions == data.plan.length
    assert verify(tmp_path / "out") == []
    replayed = replay(tmp_path / "out", 50, 0, three.space())
    assert replayed.sampled == replayed.identical == 50 and not replayed.differences
