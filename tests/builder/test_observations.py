"""Builds of sounds and shapes: what is stored, measured, verified and repeated, as for images."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from processes import committed, complete, kill, start, wait_until
from tiny_store import set_attributes, store_bytes

from inrzoo import manifest, verify
from inrzoo.builder import build, plan
from inrzoo.builder.worker import fit_rows
from inrzoo.errors import InrzooError
from inrzoo.loaders import load
from inrzoo.refit import refit
from inrzoo.report import of_build
from inrzoo.store import Store, open_store
from inrzoo.store.files import sha256
from inrzoo.store.root import seal
from inrzoo.summary import of_store
from inrzoo.targets import to_numbers

TONES = {"fit.steps": 60, "fit.lr": 1e-2, "fit.views": [30, 60], "source.num_samples": 64, "seeds": 2}
SOLIDS = {"fit.steps": 60, "fit.num_coords": 50, "source.num_points": 128, "source.num_held_out": 64, "seeds": 2}
BALLS = {"fit.steps": 30, "fit.num_coords": 32, "source.size": 8, "source.num_views": 4, "source.num_held_out": 2}
BALLS |= {"observation.samples": 4, "seeds": 2}
CHANGES = {"tones": TONES, "solids": SOLIDS, "balls": BALLS}
NAMES = list(CHANGES)

VIEWS = {
    "poses": [[4, 3, 4], "float32"],
    "intrinsics": [[4], "float32"],
    "held_out_poses": [[2, 3, 4], "float32"],
    "held_out_signals": [[128, 3], "uint8"],
}
"""A store of these balls records these shapes and types of its arrays."""


def settings(name: str, **changes: object) -> manifest.Manifest:
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    return manifest.load(name, None, {"fit.engine": "reference", "inr.hidden_features": 16, **CHANGES[name], **keys})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("observations")
    reports = {name: build(settings(name), folder / f"{name}.zarr", in_process=True, quiet=True) for name in NAMES}
    assert "snr      mean" in of_build(reports["tones"]) and "iou      mean" in of_build(reports["solids"])
    return {name: folder / f"{name}.zarr" for name in NAMES}


@pytest.fixture
def tones(built: dict[str, Path]) -> Store:
    return open_store(built["tones"])


@pytest.fixture
def balls(built: dict[str, Path]) -> Store:
    return open_store(built["balls"])


@pytest.fixture
def solids(built: dict[str, Path]) -> Store:
    return open_store(built["solids"])


def test_the_snr_is_that_of_a_sounds_own_part(tones: Store) -> None:
    """In float64, for one sound after the other; the error in the padding counts for nothing."""
    values, rendered = tones.targets(slice(None)).values_BKC, tones.render(slice(None), 1, 0).numpy().astype(np.float64)
    assert (tones.valid[::2] != tones.valid[1::2]).any(), "one of two is padded"
    for signal, (first, last) in enumerate(tones.valid):
        own = slice(first, last)
        error = np.square(rendered[signal, own] - values[signal, own]).sum()
        by_hand = 10 * np.log10(np.square(values[signal, own].astype(np.float64)).sum() / error)
        assert tones.measures["snr"][signal, 1, 0] == pytest.approx(by_hand, abs=1e-3)
    # On the whole, padding would flatter: most of it is met at once.
    assert tones.psnr.mean() > tones.measures["snr"].mean()


def test_a_sound_comes_back_as_loud_as_it_was(tones: Store) -> None:
    assert tones.signals(slice(None)).dtype == np.int16 and len({*np.abs(tones.limits[:, 0])}) >= 3
    values = tones.signal_table().values()
    assert np.array_equal(to_numbers(values, tones.info.manifest.values, tones.limits), tones.signals(slice(None)))
    assert tones.info.axes[0].unit == "s" and tones.numbers["fundamental"].min() == 200.0


def test_measures_of_a_shape_are_those_of_points_that_no_fit_saw(solids: Store) -> None:
    targets = solids.targets(slice(None))
    points, distances = targets.held_out
    for signal in range(solids.num_signals):
        rendered = solids.render(signal, 0, -1, coords=points[signal]).numpy()
        unit = 0.5  # limits of ±0.5 on a range of ±1
        mae = np.abs(rendered - distances[signal]).mean() * unit
        assert solids.measures["mae"][signal, 0, -1] == pytest.approx(mae, rel=1e-4)
        both, either = (np.logical_and, np.logical_or)
        inside, truth = rendered < 0, distances[signal] < 0
        iou = both(inside, truth).sum() / max(1, either(inside, truth).sum())
        assert solids.measures["iou"][signal, 0, -1] == pytest.approx(iou, abs=1e-6)
    assert len({tuple(row) for row in points[0]} & {tuple(row) for row in targets.coords[0]}) == 0


def test_held_out_points_reach_no_fit(built: dict[str, Path], tmp_path: Path) -> None:
    fewer = settings("solids", source__num_held_out=16, seeds=1)
    build(fewer, tmp_path / "store.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "store.zarr")
    assert np.array_equal(store.weights[:, 0], open_store(built["solids"]).weights[:, 0])
    assert store.info.fingerprint != open_store(built["solids"]).info.fingerprint  # other measures are recorded


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("tones", "reference"),
        ("tones", "fused"),
        pytest.param("solids", "reference", marks=pytest.mark.slow),
        ("solids", "fused"),
        pytest.param("balls", "reference", marks=pytest.mark.slow),
        ("balls", "fused"),
    ],
)
def test_more_seeds_later_and_by_two_threads_are_the_same_bytes(name: str, engine: str, tmp_path: Path) -> None:
    made = settings(name, fit__engine=engine)
    build(made, tmp_path / "whole.zarr", in_process=True, quiet=True, workers=1)
    build(settings(name, fit__engine=engine, seeds=1), tmp_path / "grown.zarr", in_process=True, quiet=True)
    build(made, tmp_path / "grown.zarr", in_process=True, quiet=True, workers=2)
    whole, grown = (store_bytes(tmp_path / f"{name}.zarr") for name in ("whole", "grown"))
    assert {file: digest for file, digest in whole.items() if not file.endswith("zarr.json")} == {
        file: digest for file, digest in grown.items() if not file.endswith("zarr.json")
    }
    again = refit(tmp_path / "grown.zarr", 4, draw=0)
    assert again.elsewhere == [] and [one.bit_equal for one in again.refits] == [True] * 4


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_killed_build_goes_on_by_any_number_of_workers(name: str, tmp_path: Path) -> None:
    made: dict[str, Any] = {"dataset": name, "steps": 120}
    words = ["--set", "source.num_signals=48"]
    words += [
        "--set",
        {"solids": "source.num_points=256", "tones": "source.num_samples=128"}.get(name, "source.size=8"),
    ]
    words += ["--set", "fit.num_coords=64", "--set", "observation.samples=8"] if name == "balls" else []
    complete(tmp_path / "whole.zarr", "--in-process", "--workers", "1", *words, **made)
    out = tmp_path / "store.zarr"
    process = start(out, "--in-process", "--workers", "1", *words, **made)
    wait_until(lambda: committed(out) >= 2, process)
    kill(process)
    complete(out, "--in-process", "--workers", "4", *words, **made)
    assert store_bytes(out) == store_bytes(tmp_path / "whole.zarr")


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_block_is_fitted_again_to_the_byte(name: str, built: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(built[name], copy)
    assert verify.verify(copy).problems == []
    chunk = next(file for file in sorted((copy / "weights" / "c").rglob("*")) if file.is_file())
    chunk.unlink()
    verify.repair(copy, verify.verify(copy))
    assert store_bytes(copy) == store_bytes(built[name])


@pytest.mark.parametrize(
    ("name", "column"), [("tones", "snr"), ("solids", "mae"), ("solids", "iou"), ("balls", "held_out_psnr")]
)
def test_a_false_measure_is_found_by_rendering(name: str, column: str, built: dict[str, Path], tmp_path: Path) -> None:
    """A store whose checksums are all right but whose INRs are not as good as it claims."""
    copy = tmp_path / "copy.zarr"
    shutil.copytree(built[name], copy)
    array, file = zarr.open_array(copy / f"quality.{column}", mode="r+"), f"quality.{column}/c/0/0/0"
    array[3, 0, -1] = array[3, 0, -1] * 0.7
    seal(copy, {**open_store(copy).info.checksums, file: sha256(copy / file)})
    [problem] = verify.verify(copy).problems
    assert problem.startswith(f"signal 3, seed 0: rendered {column}")


@pytest.mark.parametrize(
    "file", ["signals.limits/c/0/0", "signals.valid/c/0/0", "numbers.fundamental/c/0", "quality.snr/c/0/1/0"]
)
def test_a_damaged_array_of_a_sound_is_named(file: str, built: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(built["tones"], copy)
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(bytes(content))
    try:
        problems = verify.verify(copy).problems
    except InrzooError as error:
        problems = [str(error)]
    assert any(file in problem for problem in problems)


def test_silence_is_no_fit(tmp_path: Path) -> None:
    """INRs whose loss has fallen by a hair, but that are no better than no sound at all, have diverged."""
    build(
        settings("tones", fit__lr=1e-7, fit__steps=2, fit__views=[], seeds=1),
        tmp_path / "s.zarr",
        in_process=True,
        quiet=True,
    )
    store = open_store(tmp_path / "s.zarr")
    silent = store.measures["snr"][:, 0, -1] <= 0
    assert silent.sum() > 3 and np.array_equal(store.status[:, 0] == 3, silent)


def test_an_empty_cube_is_no_view(tmp_path: Path) -> None:
    """A density that is 0 everywhere shows the background, which is most of each view; it has no gradient either."""
    keys = {"observation__density": "relu", "observation__density_shift": -1e3, "seeds": 1}
    build(settings("balls", **keys), tmp_path / "s.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "s.zarr")
    assert (store.status == 3).all() and store.psnr.min() > 5
    views = store.signals(slice(None)).astype(np.float64) / 255
    white = 10 * np.log10(1 / np.square(views - 1).mean(axis=(1, 2)))
    np.testing.assert_allclose(store.psnr[:, 0, 0], white, rtol=1e-4)


def test_a_mean_of_psnrs_is_taken_over_the_held_out_views(balls: Store) -> None:
    """In float64, view by view; the PSNR of all pixels at once is another number."""
    targets = balls.targets(slice(None))
    rays, values = targets.held_out
    for signal in range(balls.num_signals):
        weights = torch.from_numpy(balls.weights[signal, 1])
        predicted = balls.predict(weights, torch.from_numpy(rays[signal : signal + 1])).numpy().astype(np.float64)
        errors = np.square(predicted[0] - values[signal]).reshape(2, -1).mean(axis=1)
        assert balls.measures["held_out_psnr"][signal, 1, 0] == pytest.approx(np.mean(-10 * np.log10(errors)), abs=1e-3)


def test_held_out_views_reach_no_fit(built: dict[str, Path], tmp_path: Path) -> None:
    build(settings("balls", seeds=1), tmp_path / "store.zarr", in_process=True, quiet=True)
    blinded = tmp_path / "blinded.zarr"
    shutil.copytree(tmp_path / "store.zarr", blinded)
    array = zarr.open_array(blinded / "signals.held_out_signals", mode="r+")
    array[:] = 255 - array[:]
    store = open_store(blinded)
    weights, quality = fit_rows(store, slice(0, 12), 0, "cpu")
    assert np.array_equal(weights, open_store(built["balls"]).weights[:, 0])
    assert (quality.measures["held_out_psnr"] < open_store(built["balls"]).measures["held_out_psnr"][:, 0] - 3).all()


def test_an_inr_without_an_inside_is_no_shape(tmp_path: Path) -> None:
    keys = {"fit__lr": 1e-7, "fit__steps": 2, "seeds": 1}
    build(settings("solids", **keys), tmp_path / "s.zarr", in_process=True, quiet=True)
    assert (open_store(tmp_path / "s.zarr").status == 3).all()


@pytest.mark.parametrize(
    ("name", "changes", "line"),
    [
        ("tones", {"values__dtype": "uint8"}, "values.dtype = uint8 is not allowed; tones yields int16"),
        ("tones", {"observation__name": "points", "observation__measures": None}, "unknown|points"),
        ("digits", {"observation": {"name": "points"}}, "observation.name = points does not go with digits"),
        ("solids", {"observation": {"name": "grid"}}, "observation.name = grid does not go with solids"),
        ("solids", {"observation__loss": "bce"}, 'points.loss = "bce" is not allowed for sdf'),
        ("balls", {"observation__background": "black"}, "observation.background = black is not allowed; source.back"),
        ("balls", {"observation__samples": 0}, "rays.samples = 0 is impossible; it must be from 1 to 16384"),
        ("balls", {"observation__density_scale": 0.0}, "rays.density_scale = 0.0 is impossible; it must be above 0"),
        (
            "balls",
            {"fit__engine": "fused", "observation__samples": 49},
            "--engine fused: the fused engine takes at most 48 samples of a ray; --engine reference serves",
        ),
        ("solids", {"antialias__weight": 1.0, "inr": {"name": "fourier_net"}}, "antialias needs a grid"),
    ],
)
def test_what_does_not_go_together_is_one_line(name: str, changes: dict, line: str, tmp_path: Path) -> None:
    with pytest.raises(InrzooError, match=line) as caught:
        made = manifest.load(name, None, {key.replace("__", "."): value for key, value in changes.items()})
        build(made, tmp_path / "store.zarr", in_process=True, quiet=True)
    assert "\n" not in str(caught.value) and not (tmp_path / "store.zarr").exists()


def test_inrs_are_chosen_and_loaded_by_their_measures(tones: Store, solids: Store) -> None:
    snr = tones.measures["snr"][:, :, -1]
    floor = float(np.median(snr))
    assert np.array_equal(tones.select(min_measures={"snr": floor}), (snr >= floor) & (tones.status != 3))
    assert len(load(solids.path, split=None, max_measures={"mae": 1.0})) == (solids.status != 3).sum()
    with pytest.raises(InrzooError, match="no measure 'snr' in this store; there are: mae, iou"):
        solids.select(min_measures={"snr": 1.0})
    batch = load(tones.path, split="train", normalise="none", signals=True)[:4]
    assert np.array_equal(batch.targets.numpy(), tones.targets(batch.signal.numpy()).values_BKC)
    assert [entry["step"] for entry in of_store(tones)["measures"]["snr"]] == [30, 60]


@pytest.mark.slow
def test_signals_that_may_not_be_copied_are_read_again(tmp_path: Path) -> None:
    """From the source, for a repair as for a continued build; points and limits with them."""
    for name in NAMES:
        out = tmp_path / f"{name}.zarr"
        build(settings(name, redistributable=False, seeds=1), out, in_process=True, quiet=True)
        assert not open_store(out).has_signals and verify.verify(out).problems == []
        build(settings(name, redistributable=False), out, in_process=True, quiet=True)
        assert verify.verify(out).problems == [] and not (out / "_build").exists()


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("tones", {"measures": ["snr", "rmse"]}),
        ("tones", {"measures": []}),
        ("tones", {"measures": ["../x"]}),
        ("tones", {"axes": [{"name": "time", "step": 0.0}]}),
        ("tones", {"axes": 3}),
        ("tones", {"numbers": ["fundamental", "fundamental"]}),
        ("tones", {"arrays": {"points": [[64, 1], "float16"]}}),
        ("solids", {"arrays": {}}),
        ("solids", {"arrays": {"points": [[128, 3], "object"]}}),
        ("solids", {"arrays": {"points": [[128], "float16"]}}),
        (
            "solids",
            {
                "arrays": {
                    "points": [[64, 3], "float16"],
                    "held_out_points": [[64, 3], "float16"],
                    "held_out_signals": [[64, 1], "float16"],
                }
            },
        ),
        (
            "solids",
            {
                "arrays": {
                    "points": [[128, 3], "float16"],
                    "held_out_points": [[64, 3], "float16"],
                    "held_out_signals": [[63, 1], "float16"],
                }
            },
        ),
        ("solids", {"arrays": {"points": "x"}}),
        ("balls", {"arrays": {}}),
        ("balls", {"arrays": {**VIEWS, "poses": [[5, 3, 4], "float32"]}}),
        ("balls", {"arrays": {**VIEWS, "intrinsics": [[5], "float32"]}}),
        ("balls", {"arrays": {**VIEWS, "held_out_poses": [[], "float32"]}}),
        ("balls", {"arrays": {**VIEWS, "held_out_signals": [[127, 3], "uint8"]}}),
    ],
)
def test_a_store_that_contradicts_its_observation_is_one_line(
    name: str, attributes: dict, built: dict[str, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(built[name], copy)
    set_attributes(copy, **attributes)
    try:
        lines = verify.verify(copy).problems
    except InrzooError as error:
        lines = [str(error)]
    assert lines and all("\n" not in line for line in lines) and "Error:" not in lines[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_holds_what_a_build_takes(name: str, built: dict[str, Path]) -> None:
    planned = plan(settings(name), built[name].with_name("planned.zarr"), seconds=0.1)
    assert planned.store_bytes >= sum(file.stat().st_size for file in built[name].rglob("*") if file.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tones", "solids"])
def test_the_baseline_reads_the_original_signals(name: str, built: dict[str, Path]) -> None:
    """benchmarks/original_samples.py"""
    script = Path(__file__).parents[2] / "benchmarks" / "original_samples.py"
    done = subprocess.run([sys.executable, script, built[name]], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = re.search(r": ([\d.]+) ± [\d.]+ % of (\d+) test signals", done.stdout)
    assert found and int(found[2]) > 0 and 0 <= float(found[1]) <= 100
