"""Small files in the formats of public datasets, and scripts of pipelines/ that run on them in this process."""

import gzip
import runpy
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

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
