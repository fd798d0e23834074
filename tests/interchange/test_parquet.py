"""Parquet: one row an INR, in the order and the bytes of the store's shards."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from inr_contract import EVALUATE
from PIL import Image
from tiny_store import tiny

from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.formula import Formula
from inrzoo.interchange import export_parquet, parquet
from inrzoo.rendering import write_rendering
from inrzoo.store import Store, open_store, row

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
        column = metadata.row_group(0).column(metadata.num_columns - 1)
        assert (
            column.path_in_schema.startswith("weights")
            and column.compression == "UNCOMPRESSED"
            and "PLAIN" in column.encodings
            and column.has_offset_index
        )


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
    assert declared == datasets.Features.from_dict(row.features(parquet.columns(store, True)))
    assert declared.arrow_schema.equals(schema) and [*declared] == schema.names
    assert declared["weights"] == datasets.List(datasets.Value("float32"), length=105)
    assert declared["label"].names == [str(digit) for digit in range(10)] and declared["image"] == datasets.Image()
    metadata = json.loads(schema.metadata[b"inrzoo"])
    assert metadata["fingerprint"] == store.info.fingerprint
    assert Formula.from_json(metadata["formula"]) == store.formula


def test_versions_3_and_4_of_datasets_know_every_feature(store: Store) -> None:
    """Version 3 calls a list `Sequence` and knows no `List`; version 4 knows both."""
    kinds = {feature["_type"] for feature in row.features(parquet.columns(store, True)).values()}
    assert kinds == {"Image", "Value", "ClassLabel", "Sequence"}


def test_a_picture_comes_first_and_is_what_the_inr_says(finished: Path, tmp_path: Path) -> None:
    store = open_store(finished)
    for folder, images in (("with", True), ("without", False)):
        export_parquet(finished, tmp_path / folder, images=images)
    rows, without = read(tmp_path / "with"), read(tmp_path / "without")
    assert [*rows] == ["image", *without] and [*rows][-1] == "weights"
    assert [*without] == [column.name for column in row.columns([store])]
    for name in without:
        np.testing.assert_array_equal(rows[name], without[name])
    for number in (0, 17, 60):
        signal, seed = rows["signal"][number], rows["seed"][number]
        write_rendering(store, tmp_path / "one.png", int(signal), int(seed))
        expected = np.asarray(Image.open(tmp_path / "one.png")).repeat(4, axis=0).repeat(4, axis=1)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(rows["image"][number]["bytes"]))), expected)


def test_a_store_without_pictures_has_no_column_of_them(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(finished)
    monkeypatch.setattr("inrzoo.rendering.thumbnails.kind_of", lambda store: "points")
    assert "image" not in [column.name for column in parquet.columns(store, True)]


def test_an_evaluation_from_parquet_alone(finished: Path, tmp_path: Path) -> None:
    """The schema of a file says how its weights become values; nothing else is read."""
    export_parquet(finished, tmp_path / "out")
    table = pq.read_table(next((tmp_path / "out").glob("test-seed00001-*")))
    about = json.loads(table.schema.metadata[b"inrzoo"])
    vector, tensors, at = table["weights"][0].values.to_numpy().astype(np.float64), {}, 0
    for tensor in about["layout"]:
        size = int(np.prod(tensor["shape"]))
        tensors[tensor["name"]], at = vector[at : at + size].reshape(tensor["shape"]), at + size
    coords = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    names = {"np": np, "formula": about["formula"], "tensors": tensors, "x": coords}
    exec(EVALUATE, names)
    rendered = open_store(finished).render(table["signal"][0].as_py(), 1, coords=coords)
    np.testing.assert_allclose(names["values"], rendered, atol=1e-5)


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
        (("--convention", "dws", "--format", "state-dicts", "--no-images"), "takes no --no-images"),
    ):
        code, out, err = inrzoo("export", finished, "--format", "parquet", "--out", tmp_path / "out", *words)
        assert (code, out) == (2, "") and said in err and len(err.splitlines()) == 1
    code, _, err = inrzoo("export", finished, "--out", tmp_path / "new")
    assert code == 2 and "needs --convention" in err
    code, _, err = inrzoo("export", finished, "--format", "parquet", "--out", tmp_path / "new", "--seed", "9")
    assert code == 2 and "no seed 9" in err and not (tmp_path / "new").exists()


def test_nothing_half_written(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parquet.write_part

    def fails(store: Store, part: parquet.Part, target: Path, images: bool) -> None:
        if part.seed:
            raise InrzooError("no more")
        whole(store, part, target, images)

    monkeypatch.setattr(parquet, "write_part", fails)
    with pytest.raises(InrzooError, match="no more"):
        export_parquet(finished, tmp_path / "out")
    assert not list(tmp_path.iterdir())
