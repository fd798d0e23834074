"""A finished store gets more signals: what was fitted stays to the bit, and the result is that of one build of all."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_store import small, store_bytes

from inrzoo import manifest, verify
from inrzoo.builder import build, worker
from inrzoo.errors import InrzooError
from inrzoo.fit import fused_cpu
from inrzoo.inrs.siren import Siren
from inrzoo.refit import refit
from inrzoo.sources.digits import Digits
from inrzoo.store import Store, open_store

needs_fused = pytest.mark.skipif(
    fused_cpu.unavailable(Siren(in_features=2, out_features=1)) is not None, reason="no fused engine"
)


def settings(**changes: object) -> manifest.Manifest:
    return small(fit__engine="fused", **changes)


@pytest.fixture(scope="module")
def of_six(tmp_path_factory) -> Path:
    """A finished store of six signals, which tests copy."""
    path = tmp_path_factory.mktemp("six") / "six.zarr"
    build(settings(), path, in_process=True, quiet=True)
    return path


def require_kept(old: Store, new: Store) -> None:
    """The INRs, qualities, labels and splits of a store's signals are those of another store, bit by bit."""
    rows = [new.signal_ids.index(name) for name in old.signal_ids]
    seeds = slice(old.num_seeds)
    assert old.weights[:].tobytes() == new.weights[rows, seeds].tobytes()
    for name in ("psnr", "loss", "steps", "status", "out_of_band", "exact"):
        np.testing.assert_array_equal(getattr(new, name)[rows, seeds], getattr(old, name))
    for store, chosen in ((old, slice(None)), (new, rows)):
        splits = [store.info.split_names[code] for code in store.split[chosen]]
        assert splits == [old.info.split_names[code] for code in old.split]


@pytest.mark.parametrize("limits", [(6, 15), (1, 2, 7, 50, 51), (30, 1000)])
def test_a_limit_keeps_the_signals_of_earlier_limits_and_an_even_share_of_each_class(limits):
    signals = Digits().read(None)
    sets = [signals.limit(limit, limits[:number]) for number, limit in enumerate(limits)]
    for smaller, larger, limit in zip(sets, sets[1:], limits[1:], strict=False):
        assert {*smaller.ids} <= {*larger.ids} and len({*larger.ids}) == len(larger) == limit
        assert larger.ids == [name for name in signals.ids if name in {*larger.ids}], "the order stays"
        counts = np.bincount(larger.labels["digit"], minlength=10)
        assert counts.max() - counts.min() <= len(limits)
    assert signals.limit(limits[0]).ids == sets[0].ids


@needs_fused
@pytest.mark.parametrize("changes", [{}, {"weights": "float16", "redistributable": False, "init__mode": "shared"}])
def test_a_larger_limit_adds_signals_to_a_store_as_one_build_of_all_would(changes, tmp_path):
    path = tmp_path / "grown.zarr"
    build(settings(**changes), path, in_process=True, quiet=True)
    old = Path(shutil.copytree(path, tmp_path / "old.zarr"))
    report = build(settings(limit=15, **changes), path, in_process=True, quiet=True)
    assert report.fitted == 2 * 9 and report.num_inrs == 2 * 15
    require_kept(open_store(old), open_store(path))
    assert verify.verify(path).problems == [] and all(one.bit_equal for one in refit(path, 4, draw=0).refits)
    build(settings(limit=15, earlier_limits=(6,), **changes), tmp_path / "all.zarr", in_process=True, quiet=True)
    assert store_bytes(path) == store_bytes(tmp_path / "all.zarr")
    assert [file.name for file in tmp_path.glob(".*")] == []
    for again in (settings(limit=15, **changes), settings(limit=15, earlier_limits=(6,), **changes)):
        assert build(again, path, in_process=True, quiet=True).fitted == 0, "the same command has nothing to do"


@needs_fused
def test_a_store_grows_again_and_gets_seeds_at_the_same_time(inrzoo, of_six, tmp_path):
    path = Path(shutil.copytree(of_six, tmp_path / "grown.zarr"))
    assert inrzoo("build", path, "--limit", 8, "--in-process")[0] == 0
    eight = open_store(Path(shutil.copytree(path, tmp_path / "eight.zarr")))
    code, said, _ = inrzoo("build", path, "--limit", 11, "--seeds", 3, "--in-process")
    assert code == 0 and f"{3 * 11}, {3 * 3 + 8} fitted now" in said, said
    require_kept(open_store(of_six), open_store(path))
    require_kept(eight, open_store(path))
    assert open_store(path).info.manifest.earlier_limits == (6, 8)
    assert verify.verify(path).problems == []


@needs_fused
def test_an_interrupted_growth_leaves_the_store_and_is_continued(of_six, tmp_path, monkeypatch):
    path = Path(shutil.copytree(of_six, tmp_path / "grown.zarr"))
    before, fitted, fit_rows = store_bytes(path), [], worker._fit

    def stop(store, parts, *rest):
        if len(fitted) > 3:
            raise KeyboardInterrupt
        fitted.append(parts)
        return fit_rows(store, parts, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_fit", stop)
        with pytest.raises(KeyboardInterrupt):
            build(settings(limit=15), path, in_process=True, quiet=True)
    assert store_bytes(path) == before and (tmp_path / ".grown.zarr.new").is_dir()
    assert 0 < build(settings(limit=15), path, in_process=True, quiet=True).fitted < 2 * 9
    require_kept(open_store(of_six), open_store(path))
    assert verify.verify(path).problems == [] and not (tmp_path / ".grown.zarr.new").exists()


def pictures(folder: Path, numbers: range, splits: tuple[str, ...]) -> None:
    """Write small grey pictures, the same for the same number, of two classes, in turn into the splits."""
    for number in numbers:
        place = folder / splits[number % len(splits)] / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (6, 6), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:03}.png")


def of_pictures(**changes: object) -> manifest.Manifest:
    source = {f"source__{key}": changes.pop(key) for key in [*changes] if key in ("num_test", "split_seed")}
    made = {"limit": None, "seeds": 1, **changes, **source}
    tables = {"name": "image_folder", "size": 6, "channels": 1}
    keys = {"source": tables, "redistributable": True} | {key.replace("__", "."): value for key, value in made.items()}
    basis = {"fit.engine": "fused", "fit.steps": 5, "inr.hidden_features": 8}
    return manifest.load("digits", overrides={**basis, **keys})


@needs_fused
def test_new_files_of_a_source_are_fitted_and_old_inrs_stay(tmp_path):
    photos, path = tmp_path / "photos", tmp_path / "photos.zarr"
    pictures(photos, range(8), ("train", "test"))
    build(of_pictures(), path, source=photos, in_process=True, quiet=True)
    old = open_store(Path(shutil.copytree(path, tmp_path / "old.zarr")))
    assert build(of_pictures(), path, source=photos, in_process=True, quiet=True).fitted == 0
    pictures(photos, range(8, 13), ("train", "test"))
    assert build(of_pictures(), path, in_process=True, quiet=True).fitted == 0, "a source is looked at if it is named"
    assert build(of_pictures(), path, source=photos, in_process=True, quiet=True).fitted == 5
    require_kept(old, open_store(path))
    build(of_pictures(), tmp_path / "all.zarr", source=photos, in_process=True, quiet=True)
    assert store_bytes(path) == store_bytes(tmp_path / "all.zarr")


@needs_fused
def test_growth_that_would_change_what_a_store_has_is_refused_and_changes_nothing(tmp_path):
    photos, path = tmp_path / "photos", tmp_path / "photos.zarr"
    pictures(photos, range(8), ("train", "test"))
    build(of_pictures(), path, source=photos, in_process=True, quiet=True)
    before = store_bytes(path)

    def refusal(folder: Path, **changes: object) -> str:
        with pytest.raises(InrzooError) as refused:
            build(of_pictures(**changes), path, source=folder, in_process=True, quiet=True)
        assert store_bytes(path) == before and not list(tmp_path.glob(".*"))
        return str(refused.value)

    pictures(photos, range(8, 10), ("train", "test"))
    less = Path(shutil.copytree(photos, tmp_path / "less"))
    (less / "train" / "class0" / "000.png").unlink()
    assert "1 of 8 signals" in (said := refusal(less)) and "train/class0/000.png" in said, said
    other = Path(shutil.copytree(photos, tmp_path / "other"))
    shutil.copy(other / "test" / "class1" / "001.png", other / "train" / "class0" / "000.png")
    assert "would be fitted to other values" in refusal(other)
    shard = next(file for file in sorted((path / "weights" / "c").rglob("*")) if file.is_file())
    content = shard.read_bytes()
    shard.write_bytes(b"!" + content[1:])
    before = store_bytes(path)
    assert "is damaged" in refusal(photos)


@needs_fused
def test_splits_that_are_drawn_over_all_signals_are_not_drawn_anew(tmp_path):
    photos, path = tmp_path / "photos", tmp_path / "photos.zarr"
    pictures(photos, range(9), ("",))
    build(of_pictures(num_test=3), path, source=photos, in_process=True, quiet=True)
    before = store_bytes(path)
    pictures(photos, range(9, 30), ("",))
    with pytest.raises(InrzooError, match=r"the splits of \d of 9 signals .* are drawn anew; .* with inrzoo merge"):
        build(of_pictures(num_test=3), path, source=photos, in_process=True, quiet=True)
    assert store_bytes(path) == before


def test_an_engine_that_fits_inrs_together_is_refused(finished_small, tmp_path):
    path = Path(shutil.copytree(finished_small, tmp_path / "store.zarr"))
    with pytest.raises(InrzooError, match="its engine, reference, fits INRs together, so that their bits depend"):
        build(small(limit=15), path, in_process=True, quiet=True)
    with pytest.raises(InrzooError, match="was built with other settings"):
        build(small(limit=5), path, in_process=True, quiet=True)
    assert store_bytes(path) == store_bytes(finished_small)


@needs_fused
def test_a_limit_beyond_the_signals_of_the_source_changes_nothing(tmp_path):
    photos, path = tmp_path / "photos", tmp_path / "photos.zarr"
    pictures(photos, range(4), ("train",))
    build(of_pictures(limit=4), path, source=photos, in_process=True, quiet=True)
    before = store_bytes(path)
    assert build(of_pictures(limit=9), path, source=photos, in_process=True, quiet=True).fitted == 0
    assert store_bytes(path) == before


@pytest.mark.slow
@needs_fused
def test_a_plan_counts_the_new_signals_alone(of_six, inrzoo):
    code, said, _ = inrzoo("build", of_six, "--limit", 15, "--plan")
    assert code == 0 and "18" in said, said
