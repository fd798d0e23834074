"""Archives: nothing is unpacked to the disk, nothing beyond a limit into memory, and no name leads outside."""

import gzip
import zipfile
from pathlib import Path

import pytest
from cases import Sandbox
from test_fuzz_archives import IDX, PICTURES, zipped

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.sources.idx_images import read_idx


def refused(tmp_path: Path, content: bytes, said: str, source: str = "image_folder") -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(InrzooError, match=said):
        signals = registry.make("sources", {"name": source}).read(path)
        list(signals.values(range(len(signals))))
    assert {file.name for file in tmp_path.iterdir()} <= {"a.zip", "sandbox"}


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png"])
def test_names_that_lead_outside(name: str, tmp_path: Path) -> None:
    refused(tmp_path, zipped({"a/0.png": PICTURES["PNG"], name: PICTURES["PNG"]}), "points outside")


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a/0.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    content = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "b.zip").unlink()
    refused(tmp_path, content, "not an image")


def test_a_member_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrzoo.sources._files.MAX_BYTES", 10**6)
    refused(
        tmp_path, zipped({"a/0.png": bytes(10**6 + 1)}), "unpacks to 1000001 bytes; the maximum for one file is 1000000"
    )


def test_an_archive_that_claims_more_than_it_can_hold(tmp_path: Path) -> None:
    """Members that share their bytes: no deflate packs 1,032 to 1."""
    content = zipped({f"a/{number}.png": bytes(2 * 10**6) for number in range(2)}, zipfile.ZIP_BZIP2)
    refused(tmp_path, content, "does not match its header")


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrzoo.sources._files.MAX_FILES", 3)
    refused(tmp_path, zipped({f"a/{number}.png": PICTURES["PNG"] for number in range(4)}), "4 files; the maximum is 3")


def test_idx_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The announced size bounds the unpacked bytes, and is itself bounded."""
    honest = IDX["train-images-idx3-ubyte"]
    (tmp_path / "a").write_bytes(gzip.compress(honest + bytes(50 * 2**20)))
    read: list[int] = []
    original = gzip.GzipFile.read

    def counted(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        read.append(-1 if size is None else size)
        return original(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(InrzooError, match="declares 4 x 3 x 3 bytes and holds 37 or more"):
        read_idx(tmp_path / "a", 3)
    assert max(read) < 100 and min(read) >= 0
    (tmp_path / "b").write_bytes(gzip.compress(honest[:4] + b"\xff" * 12))
    with pytest.raises(InrzooError, match="maximum"):
        read_idx(tmp_path / "b", 3)


def test_a_picture_of_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 10)
    refused(tmp_path, zipped({"a/0.png": PICTURES["PNG"]}), "not an image in one of the formats")


def test_a_loop_of_links_ends(sandbox: Sandbox) -> None:
    (sandbox.given / "a").mkdir()
    (sandbox.given / "a" / "0.png").write_bytes(PICTURES["PNG"])
    for name in "xyz":
        (sandbox.given / "a" / name).symlink_to(sandbox.given)
    with pytest.raises(InrzooError, match="remove the link"):
        registry.make("sources", {"name": "image_folder"}).read(sandbox.given)


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "sandbox")
