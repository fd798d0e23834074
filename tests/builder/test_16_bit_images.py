"""A store of 16-bit grey images: fitted, verified, drawn and written as 16 bits."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.store import open_store
from inrzoo.targets import limits_or_own, to_numbers
from inrzoo.verify import verify

MANIFEST = """
redistributable = true
[source]
name = "image_folder"
bit_depth = 16
channels = 1
[values]
dtype = "uint16"
[inr]
name = "siren"
hidden_features = 16
[fit]
steps = 400
lr = 2e-3
engine = "reference"
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three slow waves of 8 × 8 pixels, which take less than the 16 bits, as radiographs do."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "a").mkdir()
    rows, columns = np.indices((8, 8))
    for number in range(3):
        wave = 9000 + 3001 * np.sin(rows / 4 + number) + 2003 * np.cos(columns / 5)
        Image.fromarray(np.rint(wave).astype(np.uint16)).save(folder / "a" / f"{number}.png")
    return folder


@pytest.fixture(scope="module", params=["dtype", "signal"])
def place(request: pytest.FixtureRequest, pictures: Path) -> Path:
    (pictures.parent / "deep.toml").write_text(MANIFEST)
    loaded = manifest.load(pictures.parent / "deep.toml", None, {"values.scale": request.param})
    out = pictures.parent / f"{request.param}.zarr"
    build(loaded, out, source=pictures, in_process=True, quiet=True)
    return out


def original(pictures: Path) -> np.ndarray:
    return np.stack(
        [np.asarray(Image.open(pictures / f"a/{n}.png", formats=("PNG",))).reshape(64, 1) for n in range(3)]
    )


def test_the_store_holds_every_number_and_gives_it_back(place: Path, pictures: Path) -> None:
    store = open_store(place)
    numbers = store.signals(slice(None))
    assert numbers.dtype == np.uint16 and numbers.max() > 255
    np.testing.assert_array_equal(numbers, original(pictures))
    table = store.signal_table()
    limits = limits_or_own(table.scale, table.limits_N2, 3)
    np.testing.assert_array_equal(to_numbers(table.values(), table.scale, limits), numbers)
    if table.scale.scale == "dtype":
        np.testing.assert_allclose(table.values(), numbers / 65535 * 2 - 1, rtol=0, atol=1e-6)


def test_it_is_verified_and_its_exact_numbers_are_counted(place: Path, pictures: Path) -> None:
    assert verify(place).problems == [] and verify(place, pictures).problems == []
    store = open_store(place)
    limits = limits_or_own(store.signal_table().scale, store.limits, 3)
    rendered = store.render([0, 1, 2]).numpy()
    numbers = to_numbers(rendered, store.info.manifest.values, limits)
    shares = (numbers == store.signals(slice(None))).mean(axis=(1, 2))
    assert np.abs(store.exact[:, 0, -1] - shares).max() <= 1 / 64
    assert (store.psnr[:, 0, -1] > 25).all()


def test_a_rendering_is_a_png_of_16_bits(
    place: Path, tmp_path: Path, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    out = tmp_path / "a.png"
    assert inrzoo("render", place, "--signal", 1, "--out", out) == (0, f"{out}: 8 × 8 pixels of 16 bits\n", "")
    inrzoo("render", place, "--signal", 1, "--numbers", "--out", tmp_path / "a.npy")
    with Image.open(out, formats=("PNG",)) as picture:
        assert picture.mode.startswith("I")
        np.testing.assert_array_equal(np.asarray(picture), np.load(tmp_path / "a.npy")[:, :, 0])
    assert np.asarray(picture).max() > 255


def test_a_preview_draws_originals_and_reconstructions(
    place: Path, tmp_path: Path, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    code, said, _ = inrzoo("preview", place, "--out", tmp_path / "a.png", "--count", 3)
    assert code == 0 and "3 INRs" in said
    code, said, _ = inrzoo("info", place, "--json")
    assert code == 0 and json.loads(said)["complete"]


def test_a_manifest_says_the_type_of_its_numbers(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "eight.toml").write_text(MANIFEST.replace('dtype = "uint16"', ""))
    with pytest.raises(InrzooError, match=r"values.dtype = uint8 is not allowed; image_folder yields uint16"):
        build(manifest.load(tmp_path / "eight.toml"), tmp_path / "a.zarr", source=pictures, quiet=True)


def test_the_new_fields_of_image_sources_leave_fingerprints_as_they_were() -> None:
    made = manifest.load("photos_178").to_json()
    younger = ("exif", "alpha", "bit_depth")
    assert {*younger} <= {*made["source"]}
    older = {**made, "source": {key: value for key, value in made["source"].items() if key not in younger}}
    assert manifest.fingerprint(made, "") == manifest.fingerprint(older, "")
    assert manifest.differences(made, older) == []
    for change in ({"exif": "apply"}, {"alpha": "white"}, {"bit_depth": 16}):
        changed = {**made, "source": {**made["source"], **change}}
        assert manifest.fingerprint(changed, "") != manifest.fingerprint(made, "")
