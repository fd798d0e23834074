"""Files that signals are read from: zip archives, IDX files gzipped or not, folders, Parquet."""

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import Sandbox, fuzz
from hostile import damaged, words
from hypothesis import strategies as st
from PIL import Image

from inrzoo import registry

KINDS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")


def picture(kind: str = "PNG", side: int = 6) -> bytes:
    """A small grey picture."""
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 80).convert("L").save(buffer, kind)
    return buffer.getvalue()


PICTURES = {kind: picture(kind) for kind in KINDS}


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def idx(values: np.ndarray) -> bytes:
    """An IDX file of bytes."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


IMAGES = {
    f"{split}/{name}/{number}.png": PICTURES["PNG"] for split in ("train", "test") for name in "ab" for number in "01"
}
CHARACTERS = {f"images_background/Latin/character0{c}/0001_0{d}.png": picture(side=12) for c in (1, 2) for d in (1, 2)}
IDX = {
    f"{part}-{what}-idx{axes}-ubyte": idx(
        np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3) if axes == 3 else np.arange(4, dtype=np.uint8) % 2
    )
    for part in ("train", "t10k")
    for what, axes in (("images", 3), ("labels", 1))
}


@pytest.fixture
def target() -> None:
    return None


def read(source: dict[str, Any], path: Path) -> None:
    """All of a source."""
    signals = registry.make("sources", source).read(path)
    assert sum(1 for _ in signals.values(range(len(signals)))) == len(signals)


@fuzz(st.data(), slow=1500)
def test_zip_archives(data: Any, sandbox: Sandbox, target: None) -> None:
    """Damaged as bytes; with other names; with other contents; with headers that lie."""
    name, members = data.draw(st.sampled_from((("image_folder", IMAGES), ("omniglot", CHARACTERS))))
    members = dict(members)
    how = data.draw(st.sampled_from(("bytes", "names", "contents", "plain", "links")))
    if how == "names":
        for old in data.draw(st.lists(st.sampled_from(sorted(members)), min_size=1, max_size=3, unique=True)):
            content, ending = members.pop(old), data.draw(st.sampled_from(("", ".png", "/../x.png", "/x.png")))
            members[(data.draw(words).split("\0")[0] + ending or "x").encode("utf-8", "replace").decode()] = content
    if how == "contents":
        kind = data.draw(st.sampled_from(KINDS))
        members[data.draw(st.sampled_from(sorted(members)))] = data.draw(damaged(PICTURES[kind]))
    content = zipped(members, data.draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))))
    if how in ("bytes", "plain"):
        content = data.draw(damaged(content, 2 if how == "plain" else 6))
    path = sandbox.given / "images_background.zip"
    path.write_bytes(content)
    sandbox.call(lambda: read({"name": name}, data.draw(st.sampled_from((path, sandbox.given)))))


@fuzz(st.data(), slow=1000)
def test_idx_files(data: Any, sandbox: Sandbox, target: None) -> None:
    files = dict(IDX)
    for name in data.draw(st.lists(st.sampled_from(sorted(IDX)), min_size=1, max_size=2, unique=True)):
        files[name] = data.draw(damaged(files[name]))
    for name, content in files.items():
        if data.draw(st.booleans()):
            content, name = gzip.compress(content, mtime=0), f"{name}.gz"
            if data.draw(st.booleans()):
                content = data.draw(damaged(content))
        (sandbox.given / name).write_bytes(content)
    sandbox.call(lambda: read({"name": "idx_images", "num_validation": 1}, sandbox.given))


@fuzz(st.data(), slow=500)
def test_folders(data: Any, sandbox: Sandbox, target: None) -> None:
    """Folders with links, loops, pipes and odd names."""
    home = sandbox.given / "set"
    for name, content in IMAGES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = (
            home
            / data.draw(st.sampled_from(("train", "train/a", "test/b")))
            / data.draw(st.sampled_from(("x", "x.png", "0.png", "y")))
        )
        kind = data.draw(st.sampled_from(("loop", "outside", "nothing", "folder", "empty", "device")))
        place.unlink(missing_ok=True) if not place.is_dir() or place.is_symlink() else place.rmdir()
        if kind in ("folder", "empty"):
            place.mkdir() if kind == "folder" else place.touch()
        else:
            places = {
                "loop": home,
                "outside": sandbox.outside,
                "nothing": home / "nowhere",
                "device": Path("/dev/null"),
            }
            place.symlink_to(places[kind])
    sandbox.call(lambda: read({"name": "image_folder"}, home))


def rows(images: list[Any], labels: list[Any]) -> bytes:
    """A Parquet file as `datasets` writes them."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, kind), "label": pa.array(labels)})
    meta = {"info": {"features": {"image": {"_type": "Image"}, "label": {"dtype": "int64", "_type": "Value"}}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(meta)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@fuzz(st.data(), slow=60, quick=2)
def test_parquet(data: Any, sandbox: Sandbox, target: None) -> None:
    cells: list[Any] = [{"bytes": PICTURES["PNG"], "path": None} for _ in range(4)]
    labels: list[Any] = [0, 1, 0, 1]
    how = data.draw(st.sampled_from(("bytes", "bytes", "cell", "label")))
    if how == "cell":
        path = data.draw(st.sampled_from((None, "/etc/passwd", str(sandbox.outside / "thesis.txt"), "", "x.png")))
        content = data.draw(st.one_of(st.none(), st.binary(max_size=20), damaged(PICTURES["PNG"])))
        cells[data.draw(st.integers(0, 3))] = data.draw(st.sampled_from((None, {"bytes": content, "path": path})))
    elif how == "label":
        labels[data.draw(st.integers(0, 3))] = data.draw(st.sampled_from((None, -1, 2**62)))
    content = rows(cells, labels)
    for split in ("train", "test"):
        part = data.draw(damaged(content)) if how == "bytes" and split == "train" else content
        (sandbox.given / f"{split}-00000-of-00001.parquet").write_bytes(part)
    sandbox.call(
        lambda: read({"name": "hub_images", "repo": "a/b"}, sandbox.given),
        writes=(Path(datasets.config.HF_CACHE_HOME),),  # read from the environment when it was imported
    )
