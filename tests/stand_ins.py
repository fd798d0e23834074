"""Small files in the formats of public datasets, and scripts of pipelines/ that run on them in this process."""

import gzip
import io
import runpy
import struct
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PIPELINES = Path(__file__).parents[1] / "pipelines"


def idx(array: np.ndarray) -> bytes:
    """An array of bytes in MNIST's format."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, parts: Mapping[str, tuple[np.ndarray, np.ndarray]], zipped: bool = True) -> Path:
    """Images and labels of each part, `train` and `t10k`, in the files that MNIST has."""
    folder.mkdir(exist_ok=True)
    for part, (images, labels) in parts.items():
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            content = gzip.compress(idx(array), compresslevel=1) if zipped else idx(array)
            (folder / (f"{name}.gz" if zipped else name)).write_bytes(content)
    return folder


def write_runs(path: Path, runs: int, characters: int) -> Path:
    """The archive of one-shot runs. Item 1 shows the last class, item 2 the one before, …; the drawings are moved."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for run in range(1, runs + 1):
            table = ""
            for number in range(1, characters + 1):
                pattern = np.kron(rng.random((7, 7)) < 0.4, np.ones((15, 15), bool))
                item = f"run{run:02d}/test/item{characters + 1 - number:02d}.png"
                training = f"run{run:02d}/training/class{number:02d}.png"
                for name in (item, training):
                    content = io.BytesIO()
                    Image.fromarray(~np.roll(pattern, rng.integers(-12, 13, 2), (0, 1))).save(content, "PNG")
                    archive.writestr(name, content.getvalue())
                table += f"{item} {training}\n"
            archive.writestr(f"run{run:02d}/class_labels.txt", table)
    return path


def run_pipeline(name: str, **environment: object) -> None:
    """Run a script at its tiny scale; keywords are variables of the environment, without their INRZOO_."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {"SCALE": "tiny", **environment}.items():
            patch.setenv(f"INRZOO_{key}", str(value))
        patch.setattr(sys, "argv", [name])
        patch.syspath_prepend(PIPELINES)
        for module in {path.stem for path in PIPELINES.glob("*.py")} & sys.modules.keys():
            patch.delitem(sys.modules, module)  # they have read another environment
        runpy.run_path(str(PIPELINES / f"{name}.py"))
