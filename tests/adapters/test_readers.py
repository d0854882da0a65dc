"""Mixtures as iterable datasets of `datasets`, and as Arrow readers that other engines pull from."""

from __future__ import annotations

import json
import pickle
from itertools import islice
from typing import Any

import datasets
import duckdb
import polars as pl
import pyarrow as pa
import pytest
from datasets.distributed import split_dataset_by_node

import tasksource_reg as tsr

LENGTH = 100
SHAPES = ("text", "messages", "fields", "rank_classification")


def positions(rows: Any) -> list[int]:
    return [row["provenance"]["position"] for row in rows]


# `datasets`.


@pytest.mark.parametrize("shape", SHAPES)
def test_an_iterable_dataset_has_the_rows_and_their_types(shape: str) -> None:
    mix = tsr.mixture({"parts": [{"task": "demo/weather-nli"}], "shape": shape})
    dataset = mix.to_hf(shard_positions=10)
    assert isinstance(dataset, datasets.IterableDataset)
    assert list(dataset) == list(mix)
    table = pa.Table.from_batches(mix.batches())
    assert dataset.features.arrow_schema.remove_metadata().types == mix.schema.types
    assert dataset.features == datasets.Features.from_arrow_schema(table.schema)
    as_tables = dataset.with_format("arrow")
    assert pa.concat_tables(as_tables).to_pylist() == table.to_pylist()


def test_its_shards_are_ranges_of_positions(mix: tsr.Mixture, alive: list[int]) -> None:
    dataset = mix.to_hf(start=5, stop=95, shard_positions=20)
    assert dataset.num_shards == 5
    assert positions(dataset) == [p for p in alive if 5 <= p < 95]
    ranks = [positions(split_dataset_by_node(dataset, rank, 5)) for rank in range(5)]
    assert ranks == [[p for p in alive if first <= p < min(first + 20, 95)] for first in range(5, 95, 20)]


@pytest.mark.parametrize("cut", [0, 1, 17, 40, 89, 90])
def test_its_state_goes_on(mix: tsr.Mixture, alive: list[int], cut: int) -> None:
    dataset = mix.to_hf(shard_positions=15)
    begun = positions(islice(dataset, cut))
    state = json.loads(json.dumps(dataset.state_dict()))
    other = mix.to_hf(shard_positions=15)
    other.load_state_dict(state)
    assert begun + positions(other) == alive


def test_it_goes_through_torchs_loader(mix: tsr.Mixture, alive: list[int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    loader = torch.utils.data.DataLoader(mix.to_hf(shard_positions=10), batch_size=6, collate_fn=list, num_workers=2)
    assert sorted(p for batch in loader for p in positions(batch)) == alive


def test_it_pickles_without_its_rows(mix: tsr.Mixture) -> None:
    dataset = mix.to_hf()
    assert list(pickle.loads(pickle.dumps(dataset))) == list(mix)


def test_what_cannot_be_an_iterable_dataset_is_refused(mixtures: Any, mix: tsr.Mixture) -> None:
    endless = mixtures(stop="never")
    with pytest.raises(tsr.TsrError, match="TSR-M009"):
        endless.to_hf()
    assert len(list(endless.to_hf(stop=40))) <= 40
    with pytest.raises(tsr.UsageError, match="TSR-M006"):
        mix.to_hf(stop=101)
    for arguments in ({"start": 7, "stop": 7}, {"start": -1}, {"shard_positions": 0}):
        with pytest.raises(tsr.UsageError, match="TSR-U005"):
            mix.to_hf(**arguments)


# Arrow readers.


def test_a_reader_has_the_batches(mix: tsr.Mixture, alive: list[int]) -> None:
    reader = mix.to_arrow_reader(7, start=10, stop=60)
    assert isinstance(reader, pa.RecordBatchReader)
    assert reader.schema == mix.schema
    assert reader.read_all().to_batches() == list(mix.batches(7, start=10, stop=60))
    with pytest.raises(tsr.UsageError, match="TSR-M006"):
        mix.to_arrow_reader(start=101)


def test_a_reader_of_an_endless_mixture_is_read_as_far_as_one_likes(mixtures: Any) -> None:
    reader = mixtures(stop="never", sound=True).to_arrow_reader(10)
    assert [batch.num_rows for batch in islice(reader, 3)] == [10, 10, 10]


def test_duckdb_and_polars_pull_from_a_reader(mix: tsr.Mixture, alive: list[int]) -> None:
    rows = list(mix)
    with duckdb.connect() as connection:
        relation = connection.from_arrow(mix.to_arrow_reader(16))
        counted = relation.aggregate("count(*), sum(provenance.position), min(text)").fetchall()
    assert counted[0] == (len(alive), sum(alive), min(row["text"] for row in rows))
    assert pl.from_arrow(mix.to_arrow_reader(16)).to_dicts() == rows


# Several positions at once.


def test_positions_are_read_together_in_the_order_asked_for(mixtures: Any) -> None:
    mix = mixtures(sound=True)
    wanted = [7, -1, 7, 0]
    assert mix.__getitems__(wanted) == [mix[p] for p in wanted] == [mix[7], mix[LENGTH - 1], mix[7], mix[0]]
    assert mix.__getitems__([]) == []
    with pytest.raises(IndexError):
        mix.__getitems__([0, LENGTH])
