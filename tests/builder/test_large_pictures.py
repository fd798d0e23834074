"""Pictures of many pixels are fitted to a part of them in each step, and measured on all."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.store import Store, open_store
from inrzoo.verify import verify

SIZE, COORDS = 160, 512


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two pictures of 25,600 pixels, whose left half is a slow wave and whose right half is another one."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "pictures" / "a").mkdir(parents=True)
    rows, columns = np.indices((SIZE, SIZE)) / SIZE
    for number in range(2):
        wave = np.where(columns < 0.5, np.sin(5 * rows + number), np.cos(4 * columns * rows))
        pixels = np.stack([127 + 100 * wave, 127 - 90 * wave, 60 + 50 * wave], axis=-1)
        Image.fromarray(np.rint(pixels).astype(np.uint8)).save(folder / "pictures" / "a" / f"{number}.png")
    changes = {
        "source.size": None,
        "fit.num_coords": COORDS,
        "fit.steps": 150,
        "inr.hidden_features": 16,
        "inr.hidden_layers": 1,
        "redistributable": True,
    }
    loaded = manifest.load("photos_178", None, changes)
    build(loaded, folder / "large.zarr", source=folder / "pictures", in_process=True, quiet=True)
    return open_store(folder / "large.zarr")


def test_a_part_of_the_pixels_teaches_an_inr_all_of_them(large: Store) -> None:
    """And the recorded PSNR is that of all 25,600 pixels, not of the part of the last step."""
    assert large.info.grid == (SIZE, SIZE) and large.info.manifest.fit["num_coords"] == COORDS
    for signal in range(2):
        errors = large.render(signal).numpy() - large.signal_table(np.array([signal])).values()[0]
        psnr = 10 * np.log10(4 / np.square(errors, dtype=np.float64).mean())
        assert abs(large.psnr[signal, 0, -1] - psnr) < 1e-3
        assert psnr > 20
        halves = np.square(errors).reshape(SIZE, 2, SIZE // 2, 3).mean(axis=(0, 2, 3))
        assert (halves < 0.04).all(), "a half of the picture was not fitted"


def test_large_pictures_are_verified(large: Store) -> None:
    assert verify(Path(large.location)).problems == []
