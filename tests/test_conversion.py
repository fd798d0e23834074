"""Stores whose weights are rounded or compressed: what they hold, what they record of it, and that they verify."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_store import set_attributes, small, store_bytes

import inrzoo
from inrzoo import conversion, interchange, verify
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.refit import refit
from inrzoo.store import Store, open_store
from inrzoo.viewer.settings import require_finished

ROUNDED = ("float16", "bfloat16", "int16", "int8")


@pytest.fixture(scope="session")
def kept(finished_small, tmp_path_factory):
    """The converted store of a type, compressed or not."""
    folder, made = tmp_path_factory.mktemp("converted"), {}

    def convert(weights: str, compress: bool = False) -> Store:
        key = (weights, compress)
        if key not in made:
            out = folder / f"{weights}-{compress}.zarr"
            made[key] = inrzoo.convert(finished_small, out=out, weights=weights, compress=compress)
        return made[key]

    return convert


def copied(store: Store, tmp_path: Path) -> Path:
    return Path(shutil.copytree(store.path, tmp_path / "copy.zarr"))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("weights", ROUNDED)
def test_a_store_holds_rounded_weights_and_everything_else_as_it_was(kept, finished_small, weights, compress):
    original, store = open_store(finished_small), kept(weights, compress)
    expected = store.info.rounding.round(original.weights[:])
    np.testing.assert_array_equal(store.weights[:], expected)
    assert not np.array_equal(expected, original.weights[:]) and store.info.format == 2
    assert store.info.codec.row_bytes < 0.6 * original.info.codec.row_bytes
    for name in ("split", "status", "steps"):
        np.testing.assert_array_equal(getattr(store, name), getattr(original, name))
    assert store.signal_ids == original.signal_ids and store.info.converted.fingerprint == original.info.fingerprint
    ours, theirs = store_bytes(store.path), store_bytes(original.path)
    signals = [name for name in theirs if name.startswith(("signals", "label", "signal_id"))]
    assert signals and all(ours[name] == theirs[name] for name in signals)
    assert store.info.fingerprint != original.info.fingerprint, "other numbers are other INRs"


@pytest.mark.parametrize("weights", ROUNDED)
def test_the_columns_are_of_the_rounded_inrs_and_say_what_was_lost(kept, finished_small, weights):
    """Rendered and compared here, without inrzoo's own measures."""
    original, store = open_store(finished_small), kept(weights)
    low, high = store.value_range
    target = torch.from_numpy(store.targets(slice(None)).values_BKC)[:, None, None]
    peak = (high - low) ** 2
    now, then = (each.render(slice(None), slice(None), slice(None)).double() for each in (store, original))
    psnr, before = (10 * torch.log10(peak / (one - target).square().mean((-2, -1))).numpy() for one in (now, then))
    np.testing.assert_allclose(store.psnr, psnr, atol=1e-4)
    np.testing.assert_allclose(store.measures["psnr_lost"], before - psnr, atol=1e-4)
    beside = 10 * torch.log10(peak / (now - then).square().mean((-2, -1))).numpy()
    np.testing.assert_allclose(store.measures["rounding_psnr"], beside, atol=0.02)


@pytest.mark.parametrize(("weights", "compress"), [("float16", False), ("bfloat16", True), ("int8", True)])
def test_a_converted_store_verifies_is_fitted_again_to_the_bit_and_repaired_to_the_byte(
    kept, tmp_path, weights, compress
):
    path = copied(kept(weights, compress), tmp_path)
    before = store_bytes(path)
    assert verify.verify(path).problems == []
    assert all(one.bit_equal for one in refit(path, 3, draw=0).refits)
    shard = next(file for file in sorted((path / "weights" / "c").rglob("*")) if file.is_file())
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    findings = verify.verify(path)
    assert findings.bad_blocks == {0: {0}}, findings.problems
    verify.repair(path, findings)
    assert store_bytes(path) == before


@pytest.mark.parametrize("weights", ROUNDED)
def test_a_build_that_rounds_and_a_conversion_make_the_same_files(kept, tmp_path, weights):
    build(small(weights=weights, compress=True), tmp_path / "built.zarr", in_process=True, quiet=True)
    built, converted = store_bytes(tmp_path / "built.zarr"), store_bytes(kept(weights, True).path)
    assert {name for name in built if built[name] != converted[name]} == {"zarr.json"}
    root = json.loads((tmp_path / "built.zarr" / "zarr.json").read_text())["attributes"]
    assert root["fingerprint"] == kept(weights, True).info.fingerprint and "converted" not in root


def test_seeds_that_are_added_to_a_converted_store_are_those_of_a_build_with_more(kept, tmp_path):
    path = copied(kept("float16"), tmp_path)
    grown = inrzoo.build(path, seeds=3, in_process=True, quiet=True)
    build(small(weights="float16", seeds=3), tmp_path / "three.zarr", in_process=True, quiet=True)
    ours, theirs = store_bytes(path), store_bytes(tmp_path / "three.zarr")
    assert grown.fitted == 6 and {name for name in ours if ours[name] != theirs[name]} == {"zarr.json"}


def test_compression_changes_no_number_and_unpacked_the_store_is_what_it_was(kept, finished_small, tmp_path):
    packed = kept("float32", True)
    assert packed.info.format == 2 and packed.info.fingerprint == open_store(finished_small).info.fingerprint
    np.testing.assert_array_equal(packed.weights[:], open_store(finished_small).weights[:])
    assert verify.verify(packed.path).problems == []
    out = inrzoo.convert(packed.path, out=tmp_path / "unpacked.zarr", weights="float32")
    ours, theirs = store_bytes(out.path), store_bytes(finished_small)
    assert ours.keys() == theirs.keys() and {name for name in ours if ours[name] != theirs[name]} == {"zarr.json"}
    assert out.info.format == 1


def test_rounded_weights_widen_to_float32_and_are_not_rounded_again(kept, tmp_path):
    half = kept("float16")
    wide = inrzoo.convert(half.path, out=tmp_path / "wide.zarr", weights="float32")
    np.testing.assert_array_equal(wide.weights[:], half.weights[:])
    assert wide.info.codec.dtype == "float32" and wide.info.fingerprint == half.info.fingerprint
    assert verify.verify(wide.path).problems == [] and refit(wide.path, 2, draw=0).refits[0].bit_equal
    for store in (half, wide):
        with pytest.raises(InrzooError, match="rounded to float16 before; convert the store with the fitted ones"):
            inrzoo.convert(store.path, out=tmp_path / "int8.zarr", weights="int8")
    assert not (tmp_path / "int8.zarr").exists()


@pytest.mark.parametrize(("weights", "compress"), [("float16", False), ("int8", True)])
def test_every_reader_gets_the_same_float32_numbers(kept, tmp_path, weights, compress):
    store = kept(weights, compress)
    expected = store.info.rounding.round(store.weights[:])
    dataset = inrzoo.load(store.path, normalise="none")
    batch = dataset[np.arange(len(dataset))]
    flat = expected[batch.signal, batch.seed, 0]
    assert batch.weights.dtype == torch.float32
    np.testing.assert_array_equal(batch.weights.numpy(), flat)
    streamed = next(iter(inrzoo.load(store.path, streaming=True, shuffle=True, batch_size=5, normalise="none")))
    np.testing.assert_array_equal(streamed.weights.numpy(), expected[streamed.signal, streamed.seed, 0])
    np.testing.assert_array_equal(np.stack(dataset.to_pandas().weights), flat)
    np.testing.assert_array_equal(np.asarray(dataset.to_datasets().with_format("numpy")["weights"][:]), flat)
    labelled = store.to_xarray().weights
    assert labelled.dtype == np.float32 and labelled.dims == ("signal", "seed", "step", "param")
    np.testing.assert_array_equal(labelled.values, expected)
    interchange.export_parquet(store.path, tmp_path / "files", images=False)
    import pyarrow.parquet as parquet

    tables = [parquet.read_table(file) for file in sorted((tmp_path / "files").rglob("*.parquet"))]
    rows = {(row["signal"], row["seed"]): row["weights"] for table in tables for row in table.to_pylist()}
    for (signal_number, seed), numbers in rows.items():
        np.testing.assert_array_equal(np.asarray(numbers, np.float32), expected[signal_number, seed, 0])


def test_parts_of_a_converted_store_keep_its_bits(kept, tmp_path):
    store = kept("int8")
    parts = [inrzoo.subset(store.path, out=tmp_path / f"{rows}.zarr", signals=rows) for rows in ([0, 1, 2], [3, 4, 5])]
    merged = inrzoo.merge([part.path for part in parts], out=tmp_path / "merged.zarr")
    assert merged.info.codec.dtype == "int8" and verify.verify(merged.path).problems == []
    np.testing.assert_array_equal(merged.weights[:], store.weights[:])
    np.testing.assert_array_equal(merged.measures["psnr_lost"], store.measures["psnr_lost"])


def test_fitted_and_rounded_inrs_are_not_mixed(kept, finished_small, tmp_path):
    low = inrzoo.subset(finished_small, out=tmp_path / "low.zarr", signals=[0, 1])
    high = inrzoo.subset(kept("float16").path, out=tmp_path / "high.zarr", signals=[2, 3])
    with pytest.raises(InrzooError, match="they differ in weights: "):
        inrzoo.merge([low.path, high.path], out=tmp_path / "mixed.zarr")


def test_signals_that_a_store_does_not_hold_are_read_from_their_source(kept, tmp_path):
    build(small(redistributable=False), tmp_path / "without.zarr", in_process=True, quiet=True)
    store = inrzoo.convert(tmp_path / "without.zarr", out=tmp_path / "half.zarr", weights="float16")
    assert not store.has_signals
    np.testing.assert_array_equal(store.psnr, kept("float16").psnr)
    # Where a part of such a store lies, nobody knows its signals.
    part = inrzoo.subset(tmp_path / "without.zarr", out=tmp_path / "part.zarr", signals=[0, 1, 2, 3, 4, 5])
    store = inrzoo.convert(part.path, out=tmp_path / "half-part.zarr", weights="float16")
    assert np.isnan(store.psnr).all() and np.isnan(store.measures["psnr_lost"]).all()
    beside = kept("float16").measures["rounding_psnr"]
    np.testing.assert_allclose(store.measures["rounding_psnr"], beside, atol=1e-3)
    assert verify.verify(store.path).problems == []


def test_a_conversion_that_fails_leaves_nothing_and_replaces_nothing(finished_small, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    out, before = Path(shutil.copytree(finished_small, tmp_path / "out.zarr")), store_bytes(finished_small)
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "publish_seed", fail)
        with pytest.raises(OSError, match="No space"):
            inrzoo.convert(finished_small, out=out, weights="int8", overwrite=True)
    assert store_bytes(out) == before and [file.name for file in tmp_path.iterdir()] == ["out.zarr"]
    assert inrzoo.convert(out, out=out, weights="int8", overwrite=True).info.codec.dtype == "int8"


def test_a_conversion_that_is_killed_starts_anew(finished_small, tmp_path, kept):
    """Killed while blocks are written, at a moment that a worker of the conversion chooses."""
    program = (
        "import os, signal, sys\nfrom inrzoo import conversion\nwritten = conversion.write_block\n"
        "def write(path, block, *rest):\n"
        "    written(path, block, *rest)\n"
        "    if block.seed == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "conversion.write_block = write\n"
        "conversion.convert(sys.argv[1], conversion.Path(sys.argv[2]), weights='float16')\n"
    )
    out = tmp_path / "half.zarr"
    done = subprocess.run([sys.executable, "-c", program, str(finished_small), str(out)], capture_output=True)
    assert done.returncode == -signal.SIGKILL and not out.exists() and (tmp_path / ".half.zarr.unfinished").is_dir()
    inrzoo.convert(finished_small, out=out, weights="float16")
    assert store_bytes(out) == store_bytes(kept("float16").path) and not (tmp_path / ".half.zarr.unfinished").exists()


def test_bad_input_is_one_line(inrzoo, finished_small, kept, tmp_path):
    out = tmp_path / "out.zarr"
    for words, expected in (
        ([finished_small, out, "--weights", "float8"], "--weights float8 is not allowed"),
        ([finished_small, finished_small, "--weights", "int8"], "exists; give another OUT, or --overwrite"),
        ([tmp_path / "none.zarr", out, "--weights", "int8"], "no store at"),
        ([finished_small, "s3://bucket/out.zarr", "--weights", "int8"], "expected a folder on this machine"),
    ):
        code, _, said = inrzoo("convert", *words)
        assert code == 2 and expected in said and len(said.splitlines()) == 1, said
    code, _, said = inrzoo("build", "digits", "--weights", "float8", "--out", out)
    assert code == 2 and said.startswith("inrzoo: --weights float8 is not allowed"), said
    code, _, said = inrzoo("view", kept("int8", True).path)
    assert code == 2 and "are compressed, which the page does not read; inrzoo convert" in said, said
    assert not out.exists()


def test_the_command_says_what_was_lost_and_info_what_is_stored(inrzoo, finished_small, tmp_path):
    code, said, _ = inrzoo("convert", finished_small, tmp_path / "half.zarr", "--weights", "float16", "--compress")
    assert code == 0 and "float16, compressed" in said and "lost by rounding: median" in said
    code, said, _ = inrzoo("info", tmp_path / "half.zarr")
    assert code == 0 and "stored as" in said and "float16, compressed" in said and "converted from" in said
    code, said, _ = inrzoo("info", tmp_path / "half.zarr", "--json")
    assert json.loads(said)["stored_weights"]["dtype"] == "float16"


def test_a_weight_that_float16_cannot_hold_is_refused_by_name(finished_small, tmp_path):
    path = Path(shutil.copytree(finished_small, tmp_path / "large.zarr"))
    store = open_store(path)
    codec, weights = store.info.manifest, store.weights[:2, 0].copy()
    weights[0, 0, 0] = 1e5
    assert codec.weights == "float32"
    half = inrzoo.convert(path, out=tmp_path / "half.zarr", weights="float16")
    from inrzoo.builder.rounding import rounded
    from inrzoo.store import Quality
    from inrzoo.store.blocks import COLUMNS

    rows = slice(0, 2)
    quality = Quality(**{name: getattr(store, name)[rows, 0] for name in COLUMNS})
    with pytest.raises(InrzooError, match=r"a weight of 100000 is too large for float16 .*--weights bfloat16"):
        rounded(half, half.targets(rows), weights, quality)


def test_a_store_that_contradicts_its_own_format_is_refused(kept, finished_small, tmp_path):
    for number, (store, attributes) in enumerate((
        (kept("float16"), {"format": 1}),
        (kept("float16"), {"weight_format": {"dtype": "bfloat16", "compression": "none"}}),
        (kept("float16"), {"weight_format": {"dtype": "float8", "compression": "none"}}),
        (open_store(finished_small), {"format": 2}),
        (open_store(finished_small), {"format": 2, "weight_format": {"dtype": "float32", "compression": "zip"}}),
    )):  # fmt: skip
        path = Path(shutil.copytree(store.path, tmp_path / f"{number}.zarr"))
        set_attributes(path, **attributes)
        with pytest.raises(InrzooError, match="is damaged"):
            open_store(path)


def test_the_page_of_an_uncompressed_store_may_be_made(kept):
    require_finished(kept("int8"))


@pytest.mark.slow
def test_the_benchmark_of_smaller_stores_has_a_row_for_each(finished, tmp_path):
    script = Path(__file__).parents[1] / "benchmarks" / "smaller_stores.py"
    ran = subprocess.run(
        [sys.executable, script, finished, "--signals", "8", "--out", tmp_path], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    (page,) = tmp_path.glob("smaller_stores_*.md")
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    assert {"float16", "bfloat16", "int8"} <= {word for row in rows for word in row.replace(",", " ").split()}
