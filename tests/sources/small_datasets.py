"""Small datasets in the forms their users meet, written into temporary folders."""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import stand_ins
from PIL import Image

from inrzoo.sources import Signals


def png(array: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array)).save(buffer, "PNG")
    return buffer.getvalue()


def noise(seed: int, rows: int = 8, columns: int = 8, channels: int = 3) -> np.ndarray:
    shape = (rows, columns, channels) if channels == 3 else (rows, columns)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def sound(samples: Any, rate: int = 8000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """A sound file; `samples` (S,) or (S, C) are int16, or floats with full scale at -1 and 1."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.asarray(samples), rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def hiss(seed: int, count: int = 100) -> np.ndarray:
    """int16 noise without a zero."""
    return np.random.default_rng(seed).integers(1, 2**15, count, dtype=np.int16)


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def drawing(seed: int) -> bytes:
    """A 105 × 105 bilevel PNG, white (1) with black (0) ink, as in Omniglot."""
    page = np.ones((105, 105), dtype=bool)
    row, column = np.random.default_rng(seed).integers(0, 60, 2)
    page[row : row + 30, column : column + 20] = False
    return png(page)


def omniglot_files(
    archive: str, alphabets: Iterable[str], characters: int = 2, drawers: int = 3, wrapper: bool = True
) -> dict[str, bytes]:
    """Return the files of an archive; a drawing is the same in every archive."""
    files = {}
    for alphabet in alphabets:
        for character in range(1, characters + 1):
            for drawer in range(1, drawers + 1):
                seed = int.from_bytes(alphabet.encode()[:4]) * 1000 + character * 100 + drawer
                name = f"{alphabet}/character{character:02d}/{seed % 9000:04d}_{drawer:02d}.png"
                files[f"{archive}/{name}" if wrapper else name] = drawing(seed)
    return files


def one_shot_runs(runs: int = 2, characters: int = 3) -> dict[str, bytes]:
    """Return the files of `all_runs.zip`; item 1 shows the last class, item 2 the one before, …"""
    files = {}
    for run in range(1, runs + 1):
        table = ""
        for number in range(1, characters + 1):
            item, training = f"run{run:02d}/test/item{number:02d}.png", f"class{characters + 1 - number:02d}.png"
            files[item] = drawing(1000 * run + number)
            files[f"run{run:02d}/training/class{number:02d}.png"] = drawing(1000 * run + 500 + number)
            table += f"{item} run{run:02d}/training/{training}\n"
        files[f"run{run:02d}/class_labels.txt"] = table.encode()
    return files


def write_idx(folder: Path, num_train: int = 60, num_test: int = 20, zipped: bool = True) -> Path:
    """Four IDX files of 4 × 6 images of ten classes."""
    parts = {}
    for number, (part, count) in enumerate({"train": num_train, "t10k": num_test}.items()):
        images = np.random.default_rng(number).integers(0, 256, (count, 4, 6), dtype=np.uint8)
        parts[part] = (images, (np.arange(count) % 10).astype(np.uint8))
    return stand_ins.write_idx(folder, parts, zipped)


def image_files(classes: Iterable[str], count: int = 4, split: str = "", **shape: int) -> dict[str, bytes]:
    return {
        f"{split}{class_name}/{number:02d}.png": png(noise(hash_of(f"{split}{class_name}") + number, **shape))
        for class_name in classes
        for number in range(count)
    }


def hash_of(text: str) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(text)) % 100_000


def all_values(signals: Signals) -> np.ndarray:
    """The values of all signals in their order, shape (N, *grid, C)."""
    found = {index: table["signals"] for index, table in signals.tables(range(len(signals)))}
    return np.stack([found[index].reshape(*signals.grid, signals.channels) for index in range(len(signals))])


def hub_dataset(count: int, seed: int, damaged: Iterable[int] = (), size: Callable[[int], int] = lambda row: 8) -> Any:
    import datasets

    features = datasets.Features(
        {
            "img": datasets.Image(),
            "fine_label": datasets.ClassLabel(names=[f"fine{code}" for code in range(8)]),
            "coarse_label": datasets.ClassLabel(names=["sea", "sky", "tree", "town"]),
            "photographer": datasets.Value("string"),
        }
    )
    contents = [png(noise(seed + row, size(row), size(row))) for row in range(count)]
    for row in damaged:
        contents[row] = contents[row][: len(contents[row]) // 2]
    return datasets.Dataset.from_dict(
        {
            "img": [{"bytes": content, "path": None} for content in contents],
            "fine_label": [row % 8 for row in range(count)],
            "coarse_label": [row % 8 // 2 for row in range(count)],
            "photographer": ["bob" if row % 3 else "ann" for row in range(count)],
        },
        features=features,
    )


def write_parquet(folder: Path, num_train: int, num_test: int, **options: Any) -> Path:
    (folder / "data").mkdir(exist_ok=True)
    for split, count, seed in (("train", num_train, 0), ("test", num_test, 10_000)):
        hub_dataset(count, seed, **options).to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    return folder
