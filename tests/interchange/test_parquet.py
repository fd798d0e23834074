"""Parquet: one row an INR, in the order and the bytes of the store's shards."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_store import tiny

from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.interchange import export_parquet, parquet
from inrzoo.store import Store, open_store

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six shards a seed, two snapshots."""
    path = tmp_path_factory.mktemp("views") / "tiny.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inrzoo.store.blocks.SHARD_BYTES", 6720)
        build(tiny(fit__views=[5, 10]), path, in_process=True, quiet=True)
    return path


def read(folder: Path) -> dict[str, np.ndarray]:
    """All columns of all files."""
    tables = [pq.read_table(path) for path in sorted(folder.iterdir())]
    columns = {
        name: np.concatenate([np.array(table[name].to_pylist()) for table in tables]) for name in tables[0].schema.names
    }
    columns["weights"] = np.concatenate([np.stack(table["weights"].to_numpy()) for table in tables])
    return columns


def test_every_inr_is_one_row_with_its_own_bits(views: Path, tmp_path: Path) -> None:
    store = open_store(views)
    assert export_parquet(views, tmp_path / "out") == 48 * 2 * 2
    rows = read(tmp_path / "out")
    where = rows["signal"], rows["seed"], np.searchsorted(store.snapshots, rows["step"])
    assert len(set(zip(*(column.tolist() for column in where), strict=True))) == 48 * 2 * 2
    np.testing.assert_array_equal(rows["weights"], store.weights[:, :, :][where])
    for name in ("psnr", "steps"):
        np.testing.assert_array_equal(rows[name], getattr(store, name)[where])
    names = store.info
    assert rows["status"].tolist() == [names.status_names[code] for code in store.status[where[:2]]]
    assert rows["split"].tolist() == [names.split_names[code] for code in store.split[where[0]]]
    assert rows["signal_id"].tolist() == [store.signal_ids[signal] for signal in where[0]]
    np.testing.assert_array_equal(rows["label"], store.labels["digit"][where[0]])


def test_the_weights_of_a_row_group_are_one_run_of_the_shards_bytes(views: Path, tmp_path: Path) -> None:
    """A content-addressed storage keeps them once."""
    export_parquet(views, tmp_path / "out")
    store = open_store(views)
    for part in parquet.parts(store, range(2)):
        content = (tmp_path / "out" / part.name).read_bytes()
        weights = store.weights[part.start : part.stop, part.seed]
        assert weights.tobytes() in content
        shard = views / f"weights/c/{part.shard}/{part.seed}/0/0"
        assert weights.tobytes() in shard.read_bytes()
        metadata = pq.ParquetFile(tmp_path / "out" / part.name).metadata
        column = metadata.row_group(0).column(0)
        assert column.compression == "UNCOMPRESSED" and "PLAIN" in column.encodings and column.has_offset_index


def test_row_groups_are_of_a_size_for_streaming(views: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 3 * 2 * 105 * 4)
    store = open_store(views)
    part = parquet.parts(store, range(1))[0]
    parquet.write_part(store, part, tmp_path / "a.parquet")
    metadata = pq.ParquetFile(tmp_path / "a.parquet").metadata
    sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    assert set(sizes[:-1]) == {6} and sum(sizes) == 2 * (part.stop - part.start)


def test_more_seeds_change_no_file(views: Path, tmp_path: Path) -> None:
    store = open_store(views)
    assert [part.name for part in parquet.parts(store, range(2))][: len(parquet.parts(store, range(1)))] == [
        part.name for part in parquet.parts(store, range(1))
    ]
    for folder in ("a", "b"):
        export_parquet(views, tmp_path / folder, range(1))
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()
    }


def test_datasets_sees_the_declared_features(store: Store, finished: Path, tmp_path: Path) -> None:
    import datasets

    export_parquet(finished, tmp_path / "out")
    part = parquet.parts(store, range(1))[0]
    schema = pq.read_schema(tmp_path / "out" / part.name)
    declared = datasets.Features.from_arrow_schema(schema)
    assert declared.to_dict() == parquet.features(store)
    assert declared["weights"] == datasets.List(datasets.Value("float32"), length=105)
    assert declared["label"].names == [str(digit) for digit in range(10)]
    assert json.loads(schema.metadata[b"inrzoo"])["fingerprint"] == store.info.fingerprint


def test_the_command_line(finished: Path, tmp_path: Path, inrzoo: CommandLine) -> None:
    code, out, _ = inrzoo("export", finished, "--format", "parquet", "--out", tmp_path / "out", "--seed", 1)
    assert code == 0 and "48 INRs as rows of parquet" in out
    assert set(read(tmp_path / "out")["seed"]) == {1}
    for words, said in (
        ((), "exists"),
        (("--convention", "dws"), "takes no --convention"),
        (("--step", "1"), "takes no --step"),
        (("--seed", "x"), "expected a number"),
        (("--signal", "1"), "takes no --signal"),
    ):
        code, out, err = inrzoo("export", finished, "--format", "parquet", "--out", tmp_path / "out", *words)
        assert (code, out) == (2, "") and said in err and len(err.splitlines()) == 1
    code, _, err = inrzoo("export", finished, "--out", tmp_path / "new")
    assert code == 2 and "needs --convention" in err
    code, _, err = inrzoo("export", finished, "--format", "parquet", "--out", tmp_path / "new", "--seed", "9")
    assert code == 2 and "no seed 9" in err and not (tmp_path / "new").exists()


def test_nothing_half_written(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parquet.write_part

    def fails(store: Store, part: parquet.Part, target: Path) -> None:
        if part.seed:
            raise InrzooError("no more")
        whole(store, part, target)

    monkeypatch.setattr(parquet, "write_part", fails)
    with pytest.raises(InrzooError, match="no more"):
        export_parquet(finished, tmp_path / "out")
    assert not list(tmp_path.iterdir())
