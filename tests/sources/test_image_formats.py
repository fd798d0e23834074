"""A file is read as one of the listed formats or not at all, whatever its name: for EPS Pillow starts Ghostscript."""

import ast
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image
from small_datasets import hub_dataset, png, write_folder, write_zip

import inrzoo
from inrzoo.errors import InrzooError
from inrzoo.sources import Source
from inrzoo.sources._pixels import FORMATS, decode
from inrzoo.sources.hub_images import HubImages
from inrzoo.sources.image_folder import ImageFolder
from inrzoo.sources.omniglot import Omniglot

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that appears when the first `gs` on the path is started."""
    file = tmp_path / "started"
    program = tmp_path / "programs" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho started > '{file}'\necho 10.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow looks once for it
    return file


def in_a_folder(path: Path) -> tuple[Source, Path]:
    return ImageFolder(), write_folder(path, {"a/0.png": EPS, "a/1.png": png(np.zeros((8, 8, 3), np.uint8))})


def in_an_archive(path: Path) -> tuple[Source, Path]:
    return ImageFolder(), write_zip(path.with_suffix(".zip"), {"a/0.png": EPS})


def among_omniglots_drawings(path: Path) -> tuple[Source, Path]:
    return Omniglot(), write_folder(path, {"images_background/Latin/character01/0001_01.png": EPS})


def in_a_table(path: Path) -> tuple[Source, Path]:
    import datasets

    rows = hub_dataset(2, 0).to_dict()
    rows["img"] = [{"bytes": EPS, "path": "0.png"}] * 2
    table = datasets.Dataset.from_dict(rows, features=hub_dataset(2, 0).features)
    path.mkdir()
    table.to_parquet(path / "train-00000-of-00001.parquet")
    return HubImages(repo="a/b", splits={"train": "train"}, image_column="img", label_column="fine_label"), path


@pytest.mark.parametrize("lay_out", [in_a_folder, in_an_archive, among_omniglots_drawings, in_a_table])
def test_an_eps_called_png_starts_no_program(
    tmp_path: Path, trace: Path, lay_out: Callable[[Path], tuple[Source, Path]]
) -> None:
    source, path = lay_out(tmp_path / "given")
    with pytest.raises(InrzooError) as error:
        signals = source.read(path)
        dict(signals.values(range(len(signals))))
    assert not trace.exists()
    name, said = str(error.value).split(" is not an image in one of the formats ")
    assert name.endswith(("0.png", "0001_01.png", "train/000000"))
    assert said == f"{', '.join(FORMATS)}; convert it or leave it out"


def test_pillow_by_itself_starts_it(trace: Path) -> None:
    """So that the test above cannot pass for want of a Ghostscript."""
    with pytest.raises((OSError, ValueError)):
        Image.open(io.BytesIO(EPS)).convert("RGB")
    assert trace.read_text() == "started\n"


@pytest.mark.parametrize("kind", FORMATS)
def test_listed_formats_are_read_whatever_they_are_called(kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(buffer, kind)
    pixels = np.asarray(decode(buffer.getvalue(), "0.png", "RGB"), dtype=int)
    assert abs(pixels - [200, 100, 50]).max() < 30


def test_no_other_line_of_the_package_opens_an_image_of_any_format() -> None:
    calls = [
        node
        for file in Path(inrzoo.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Image.open", "PIL.Image.open")
    ]
    assert calls
    assert all("formats" in {keyword.arg for keyword in call.keywords} for call in calls)
