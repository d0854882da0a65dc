"""What stands in an export's files, and who can read them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exporting import demo_data, spotted_data
from hypothesis import given
from hypothesis import strategies as st

from tasksource_reg.export import parquet
from tasksource_reg.export.export import ExportResult, export
from tasksource_reg.export.layout import layout
from tasksource_reg.export.parquet import RowWriter, passport_bytes, read_footer, text_bytes
from tasksource_reg.provenance.citations import entries, title
from tasksource_reg.provenance.manifest import Manifest, read_manifest


@pytest.fixture(scope="session")
def demo_export(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """The built-in demo mixture: all schemas, shape messages."""
    return export(demo_data("demo"), tmp_path_factory.mktemp("demo") / "out", shard_rows=250)


def test_datasets_loads_the_folder_and_the_files(demo_export: ExportResult, tmp_path: Path) -> None:
    import datasets

    folder = datasets.load_dataset(str(demo_export.out), cache_dir=str(tmp_path))
    assert {name: len(rows) for name, rows in folder.items()} == {"train": 600}
    files = [str(demo_export.out / shard.data.path) for shard in demo_export.manifest.shards]
    rows = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))["train"]
    assert rows.features == folder["train"].features
    assert rows[599]["provenance"]["position"] == 599
    assert set(rows[0]["messages"][0]) == {"role", "content"}


def test_pandas_reads_the_files(demo_export: ExportResult) -> None:
    frames = [pd.read_parquet(demo_export.out / shard.data.path) for shard in demo_export.manifest.shards]
    rows = pd.concat(frames)
    assert list(rows.columns) == ["messages", "provenance"]
    assert [p["position"] for p in rows["provenance"]] == list(range(600))


def test_polars_reads_the_files(demo_export: ExportResult) -> None:
    polars = pytest.importorskip("polars")
    rows = polars.read_parquet(demo_export.out / "data" / "*.parquet")
    assert rows["provenance"].struct.field("position").to_list() == list(range(600))


def test_duckdb_reads_the_files(demo_export: ExportResult) -> None:
    duckdb = pytest.importorskip("duckdb")
    query = "select count(*), max(provenance.position), count(distinct provenance.task) from read_parquet(?)"
    found = duckdb.execute(query, [str(demo_export.out / "data" / "*.parquet")]).fetchone()
    assert found == (600, 599, 23)


@pytest.mark.parametrize("shape", ["text", "inputs_targets", "prompt_completion", "messages", "fields"])
def test_every_shape_can_be_exported_and_loaded(tmp_path: Path, shape: str) -> None:
    import datasets

    spec = {
        "mixture": shape,
        "parts": [{"select": "dataset:tasksource-reg-demo/*"}],
        "stop": {"rows": 60},
        "shape": shape,
    }
    result = export(demo_data(spec), tmp_path / "out")
    rows = datasets.load_dataset(str(result.out), cache_dir=str(tmp_path / "cache"))["train"]
    assert len(rows) == result.manifest.rows
    assert rows.column_names == [name for name, _ in result.manifest.columns]
    assert rows.features.arrow_schema.names == pq.read_schema(result.out / result.manifest.shards[0].data.path).names


def test_a_lone_shard_explains_itself(demo_export: ExportResult) -> None:
    shard = demo_export.manifest.shards[1]
    file = pq.ParquetFile(demo_export.out / shard.data.path)
    footer = read_footer(file.metadata)
    assert (footer["mixture"], footer["shape"], footer["plan"]) == (
        "demo",
        "messages",
        demo_export.manifest.plan_digest,
    )
    assert (footer["shard"], footer["of"], footer["start"], footer["stop"]) == (1, 3, 250, 500)
    table = {task["id"]: task for task in footer["tasks"]}
    for passport in file.read(["provenance"])["provenance"].to_pylist():
        task = table[passport["task"]]
        assert task["license"] == "CC0-1.0"
        assert task["revision"] and task["task_hash"]
        assert passport["template"] in task["templates"]


def test_data_files_are_written_as_promised(demo_export: ExportResult) -> None:
    metadata = pq.read_metadata(demo_export.out / demo_export.manifest.shards[0].data.path)
    chunks = {c.path_in_schema: c for c in map(metadata.row_group(0).column, range(metadata.num_columns))}
    assert {c.compression for c in chunks.values()} == {"ZSTD"}
    for name in ("task", "split", "template"):
        assert "RLE_DICTIONARY" in chunks[f"provenance.{name}"].encodings
    for name in ("row", "part", "position"):
        assert "DELTA_BINARY_PACKED" in chunks[f"provenance.{name}"].encodings
    assert not chunks["messages.list.element.content"].has_dictionary_page
    assert not any(
        "timestamp" in str(field.type) for field in pq.read_schema(demo_export.out / "data" / metadata_name())
    )


def metadata_name() -> str:
    return layout("train", 600, 250).name(0)


def test_full_passports_carry_what_is_constant_for_a_task(tmp_path: Path) -> None:
    result = export(demo_data(), tmp_path / "out", passport="full")
    passport = pq.read_table(result.out / result.manifest.shards[0].data.path)["provenance"].to_pylist()[0]
    record = next(task for task in result.manifest.tasks if task.id == passport["task"])
    assert passport["revision"] == record.revision
    assert passport["license"] == "CC0-1.0"
    assert passport["template_hash"] == record.templates[passport["template"]]


def test_a_slim_passport_takes_at_most_five_bytes(tmp_path: Path) -> None:
    spec = {"mixture": "long", "parts": [{"select": "dataset:tasksource-reg-demo/*"}], "stop": {"rows": 20_000}}
    result = export(demo_data({**spec, "shape": "inputs_targets"}), tmp_path / "out")
    [shard] = result.manifest.shards
    assert passport_bytes(result.out / shard.data.path) / shard.rows <= 5


def batches_of(texts: list[str], cuts: list[int]) -> list[pa.RecordBatch]:
    table = pa.table({"text": pa.array(texts, pa.string())})
    edges = sorted({0, len(texts), *(cut % (len(texts) + 1) for cut in cuts)})
    return [b for a, z in pairwise(edges) for b in table.slice(a, z - a).to_batches()]


def write(path: Path, batches: list[pa.RecordBatch]) -> bytes:
    with RowWriter(path, pa.schema([("text", pa.string())]), passport=False) as writer:
        for batch in batches:
            writer.write(batch)
    return path.read_bytes()


@given(sizes=st.lists(st.integers(0, 40), max_size=60), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_row_groups_do_not_depend_on_how_the_rows_come_in(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("groups")
    texts = ["x" * size for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ROW_GROUP_ROWS", 20), ("ROW_GROUP_TEXT", 200), ("STEP_ROWS", 5)):
            patch.setattr(parquet, name, value)
        once = write(folder / "once", batches_of(texts, []))
        assert write(folder / "cut", batches_of(texts, cuts)) == once
    file = pq.ParquetFile(folder / "once")
    groups = [file.read_row_group(i)["text"].to_pylist() for i in range(file.num_row_groups)]
    assert [text for group in groups for text in group] == texts
    for group in groups[:-1]:
        assert len(group) % 5 == 0
        full = sum(map(len, group)) >= 200
        assert len(group) == 20 or full
        assert sum(map(len, group[:-5])) < 200


def test_row_groups_have_50_000_rows_but_for_the_last(tmp_path: Path) -> None:
    write(tmp_path / "file", batches_of(["x"] * 120_001, [3, 70_000]))
    metadata = pq.read_metadata(tmp_path / "file")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [50_000, 50_000, 20_001]


def test_text_is_measured_at_any_depth() -> None:
    rows: list[dict[str, Any]] = [
        {"a": "four", "b": [{"c": "two", "d": 1}, {"c": "héé", "d": 2}], "e": None},
        {"a": None, "b": [], "e": 3},
        {"a": "", "b": None, "e": 4},
    ]
    batch = pa.RecordBatch.from_pylist(rows)
    assert [text_bytes(batch), text_bytes(batch.slice(1))] == [4 + 3 + 5, 0]


@given(length=st.integers(1, 10**7), shard_rows=st.none() | st.integers(1, 10**6))
def test_shards_cover_the_plan_without_overlap(length: int, shard_rows: int | None) -> None:
    place = layout("train", length, shard_rows)
    assert place.positions(0)[0] == 0
    assert place.positions(place.shards - 1)[1] == length
    for shard in {0, place.shards // 2, place.shards - 2} - {-1}:
        if shard + 1 < place.shards:
            assert place.positions(shard)[1] == place.positions(shard + 1)[0]
    start, stop = place.positions(place.shards - 1)
    assert 0 < stop - start <= place.shard_rows
    if shard_rows is None:
        assert place.shard_rows <= 50_000


def test_file_names_are_those_of_the_hub() -> None:
    place = layout("dev-matched", 100, 50)
    assert place.data(1) == "data/dev_matched-00001-of-00002.parquet"


def test_the_manifest_says_what_was_read(demo_export: ExportResult) -> None:
    manifest = read_manifest(demo_export.out)
    assert Manifest.from_json(json.loads(manifest.to_text())) == manifest
    assert manifest.plan == demo_data("demo").plan.to_json()
    assert {i.origin for i in manifest.inputs} == {"mirror"}
    nli = next(i for i in manifest.inputs if i.dataset == "tasksource-reg-demo/weather-nli")
    assert (nli.split, nli.rows) == ("train", 27)
    assert set(manifest.versions) >= {"tasksource_reg", "python", "pyarrow", "datasets", "jinja2"}
    for counts in manifest.counts.values():
        assert counts.candidates == counts.surviving + sum(counts.filtered.values()) + sum(counts.rejected.values())
        assert sum(counts.templates.values()) == counts.rows


def test_licences_are_rolled_up_and_credited(tmp_path: Path) -> None:
    result = export(spotted_data(tmp_path), tmp_path / "out")
    licences = result.manifest.licences
    assert licences["verdict"]["commercial"] == "no"
    assert [(e["license"], e["tasks"]) for e in licences["by_licence"]] == [
        ("CC-BY-NC-4.0", ["spotted/echo"]),
        ("CC0-1.0", ["demo/market-sums"]),
    ]
    assert sum(e["rows"] for e in licences["by_licence"]) == result.manifest.rows
    attribution = (result.out / "ATTRIBUTION.md").read_text()
    assert "- Licence: CC-BY-NC-4.0\n  - this project: written for its tests\n" in attribution
    assert "- Cite: `echo2024`, Echoes of Rooms\n- Cite: `nobody1999`\n" in attribution
    references = (result.out / "references.bib").read_text()
    assert references.startswith("@misc{echo2024,\n  title = {Echoes of {Rooms}},")
    assert "% no entry for nobody1999" in references
    assert "other2020" not in references
    card = (result.out / "README.md").read_text()
    assert "license: other\nlicense_name: see-attribution\nlicense_link: ATTRIBUTION.md\n" in card


def test_croissant_describes_every_shard_and_column(demo_export: ExportResult) -> None:
    body = json.loads((demo_export.out / "croissant.json").read_text())
    assert body["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    files = {f["contentUrl"]: f for f in body["distribution"] if f["@type"] == "cr:FileObject"}
    for shard in demo_export.manifest.shards:
        assert files[shard.data.path]["sha256"] == shard.data.sha256
        assert files[shard.data.path]["encodingFormat"] == "application/x-parquet"
    messages, provenance = body["recordSet"][0]["field"]
    assert (messages["isArray"], messages["arrayShape"], "dataType" in messages) == (True, "-1", False)
    assert messages["subField"][1]["source"]["transform"] == {"jsonPath": "content"}
    assert [f["dataType"] for f in provenance["subField"]][:3] == ["sc:Text", "sc:Text", "sc:Integer"]


def test_prov_names_only_entities_that_it_declares(demo_export: ExportResult) -> None:
    body = json.loads((demo_export.out / "prov.json").read_text())
    declared = {*body["entity"], *body["activity"], *body["agent"]}
    relations = ("used", "wasGeneratedBy", "wasDerivedFrom", "hadMember", "wasAssociatedWith")
    named = {name for kind in relations for relation in body[kind].values() for name in relation.values()}
    assert named <= declared
    files = {f"file:{shard.data.path}" for shard in demo_export.manifest.shards}
    assert {relation["prov:entity"] for relation in body["hadMember"].values()} == files


def test_bibtex_entries_are_taken_as_written() -> None:
    text = '@article{a1,\n  title = "A {B} c",\n}\n@string{x = {y}}\n'
    text += '@misc{b-2, title={Deep {\\"o} {x}}, note={}}\n@misc{b-2,}'
    found = entries(text)
    assert list(found) == ["a1", "b-2"]
    assert found["b-2"] == '@misc{b-2, title={Deep {\\"o} {x}}, note={}}'
    assert title(found["a1"]) == "A B c"
    assert title("@misc{x, year = 2000}") is None
