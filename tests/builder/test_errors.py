"""Bad input and bad luck: one clear line, exit code 2, nothing half-written as if it were whole."""

import errno
import os
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import command
from tiny_store import small, store_bytes, tiny

from inrzoo.builder import build
from inrzoo.builder.preparation import Request, prepare
from inrzoo.errors import InrzooError
from inrzoo.store import Block, open_store
from inrzoo.verify import verify

CommandLine = Callable[..., tuple[int, str, str]]


def one_line(result: tuple[int, str, str]) -> str:
    """The error of a command that failed as it should."""
    code, out, err = result
    assert (code, out) == (2, "") and len(err.strip().splitlines()) == 1 and err.startswith("inrzoo: "), result
    return err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], ["nonsense", "digits, ", "omniglot"]),
        (["nonsense.toml"], ["nonsense.toml", "digits, "]),
        (["digits", "--preset", "huge"], ["--preset huge", "small"]),
        (["digits", "--seeds", "0"], ["--seeds 0", "at least 1"]),
        (["digits", "--seeds", "two"], ["--seeds", "two"]),
        (["digits", "--limit", "0"], ["--limit 0", "at least 1"]),
        (["digits", "--steps", "500", "--views", "400,800"], ["--views 400,800", "beyond 500"]),
        (["digits", "--views", "a,b"], ["--views a,b", "800,900"]),
        (["digits", "--lr", "0"], ["--lr 0.0", "above 0"]),
        (["digits", "--workers", "0"], ["--workers 0", "at least 1"]),
        (["digits", "--device", "tpu"], ["tpu", "cpu"]),
        (["digits", "--inr", "perceptron"], ["perceptron", "siren"]),
        (["digits", "--set", "inr.omega=3"], ["omega", "omega_0"]),
        (["digits", "--set", "nonsense"], ["nonsense", "KEY=VALUE"]),
        (["digits", "--set", "fit.steps=1.5"], ["--set fit.steps=1.5", "a whole number"]),
        (["digits", "--set", "fit.steps.x=1"], ["fit.steps"]),
        (["omniglot", "--source", "/nonexistent"], ["/nonexistent"]),
    ],
)
def test_impossible_requests(words: list[str], said: list[str], inrzoo: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "store.zarr"
    line = one_line(inrzoo("build", *words, "--out", out))
    assert all(part in line for part in said), line
    assert not list(tmp_path.iterdir())


def test_no_cuda_here_is_said(inrzoo: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no CUDA device" in one_line(inrzoo("build", "digits", "--device", "cuda", "--out", tmp_path / "a.zarr"))


@pytest.mark.parametrize("verb", ["info", "verify", "preview", "stats"])
def test_no_store_there(verb: str, inrzoo: CommandLine, tmp_path: Path) -> None:
    assert "no store at" in one_line(inrzoo(verb, tmp_path / "nothing.zarr"))
    (tmp_path / "folder.zarr").mkdir()
    assert "no store at" in one_line(inrzoo(verb, tmp_path / "folder.zarr"))


@pytest.mark.slow
def test_more_workers_than_blocks(tmp_path: Path, finished: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = build(tiny(limit=2, seeds=1), tmp_path / "store.zarr", workers=5)
    assert report.workers == 2
    assert "5 workers for 2 blocks" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fit__views": [10, 20]}, "fit.views: [] → [10, 20]"),
        ({"fit__steps": 30}, "fit.steps: 40 → 30"),
        ({"inr__hidden_features": 16}, "inr.hidden_features: 8 → 16"),
        ({"limit": 20}, "limit: 48 → 20"),
        ({"values__range": [0.0, 1.0]}, "values.range: [-1.0, 1.0] → [0.0, 1.0]"),
    ],
)
def test_other_settings_are_refused(changes: dict[str, object], named: str, finished: Path) -> None:
    before = store_bytes(finished)
    with pytest.raises(InrzooError) as refused:
        build(tiny(**changes), finished, in_process=True, quiet=True)
    assert named in str(refused.value) and "--overwrite" in str(refused.value)
    assert store_bytes(finished) == before


def test_another_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "store.zarr"
    build(small(seeds=1), out, in_process=True, quiet=True)
    monkeypatch.setattr("torch.__version__", "9.9.9")
    with pytest.raises(InrzooError, match=r"torch: .* → 9\.9\.9"):
        build(small(seeds=2), out, in_process=True, quiet=True)


def test_overwrite_removes_stores_only(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    with pytest.raises(InrzooError, match="no store at"):
        build(tiny(), tmp_path / "thesis", in_process=True, quiet=True, overwrite=True)
    assert (tmp_path / "thesis" / "chapter").exists()


def test_a_link_to_nothing_is_no_place_for_a_store(inrzoo: CommandLine, tmp_path: Path) -> None:
    """A store may be a link to a folder elsewhere; a folder that is not there is perhaps one that is not mounted."""
    out = tmp_path / "store.zarr"
    out.symlink_to(tmp_path / "unmounted")
    for words in (["build", "digits", "--limit", 2, "--out", out], ["pull", "ada/tiny", "--out", out]):
        assert "is a link to" in one_line(inrzoo(*words))
    assert not (tmp_path / "unmounted").exists()


@pytest.mark.parametrize("out", ["/proc/store.zarr", "/dev/null/store.zarr"])
def test_unwritable_folder(out: str, inrzoo: CommandLine) -> None:
    assert out in one_line(inrzoo("build", "digits", "--limit", 2, "--out", out))


def test_too_small_a_disk_is_said_before_anything_is_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrzoo.builder.preparation.free_bytes", lambda _: 1000)
    with pytest.raises(InrzooError, match=r"needs .*, the disk has 1\.0 kB free"):
        build(tiny(), tmp_path / "store.zarr", in_process=True, quiet=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("every", [29, pytest.param(7, marks=pytest.mark.slow)])
def test_disk_full_at_every_moment(every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th time that something is forced to disk there is no space: for every n of a whole build."""
    wanted = small(limit=3, seeds=1)
    build(wanted, tmp_path / "reference.zarr", in_process=True, quiet=True)
    expected, fsync = store_bytes(tmp_path / "reference.zarr"), os.fsync
    for moment in range(0, 10_000, every):
        out, calls = tmp_path / f"{moment}.zarr", 0

        def failing(handle: int, moment: int = moment) -> None:
            nonlocal calls
            calls += 1
            if calls > moment:
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(handle)

        monkeypatch.setattr(os, "fsync", failing)
        try:
            build(wanted, out, in_process=True, quiet=True)
        except InrzooError as error:
            assert "the disk is full" in str(error)
            # After the seal only the log beside the store is written.
            assert not out.exists() or not open_store(out).complete or store_bytes(out) == expected
        else:
            break
        finally:
            monkeypatch.setattr(os, "fsync", fsync)
        build(wanted, out, in_process=True, quiet=True)
        assert store_bytes(out) == expected, f"full at moment {moment}"
    assert moment > 50


def test_a_file_that_cannot_grow(inrzoo: CommandLine, tmp_path: Path) -> None:
    """A real refusal of the system's: files are limited to 4 kB."""
    out, limits = tmp_path / "store.zarr", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        code, _, errors = inrzoo(*command(out, "--in-process", steps=2)[3:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 2, errors
    assert "cannot write to" in errors.strip().splitlines()[-1] and "Traceback" not in errors
    assert not out.exists() or not open_store(out).complete


@pytest.mark.slow
def test_a_worker_that_cannot_write(tmp_path: Path) -> None:
    """On Ray the refusal comes from another process: a file stands where the workers want a folder."""
    out = tmp_path / "store.zarr"
    prepare(Request(tiny(), out), lambda done, total: None)
    (out / "_build").mkdir()
    (out / "_build" / "blocks").touch()
    with pytest.raises(InrzooError, match=r"cannot write to .*; finished blocks are safe"):
        build(tiny(), out, workers=2, quiet=True)
    (out / "_build" / "blocks").unlink()
    assert build(tiny(), out, in_process=True, quiet=True).num_inrs == 96


def test_corrupt_archive(inrzoo: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images_background.zip").write_bytes(b"PK\x03\x04 this is no archive")
    line = one_line(inrzoo("build", "omniglot", "--source", tmp_path / "data", "--out", tmp_path / "store.zarr"))
    assert "images_background.zip" in line
    assert not (tmp_path / "store.zarr").exists()


def test_truncated_image(inrzoo: CommandLine, tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 80).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for split in ("train", "test"):
            for index in range(4):
                cut = content[: len(content) // 2] if (split, index) == ("test", 3) else content
                archive.writestr(f"{split}/cat/{index}.png", cut)
    line = one_line(
        inrzoo(
            "build",
            "cifar10",
            "--source",
            tmp_path / "images.zip",
            "--set",
            "source.num_validation=1",
            "--out",
            tmp_path / "store.zarr",
        )
    )
    assert "test/cat/3.png" in line
    assert not (tmp_path / "store.zarr").exists()


@pytest.mark.parametrize("changes", [{"fit__stop_psnr": -20.0}, {"fit__lr": 1e38}, {"fit__lr": 1e38, "seeds": 1}])
def test_columns_and_weights_of_nothing_but_fill_values_are_stored(changes: dict[str, object], tmp_path: Path) -> None:
    """All INRs stop at step 0, or all are NaN: what zarr would leave out is written all the same."""
    out = tmp_path / "store.zarr"
    build(small(**changes), out, in_process=True, quiet=True)
    store = open_store(out)
    assert (store.steps == 0).all() if "fit__stop_psnr" in changes else np.isnan(store.loss).all()
    assert verify(out).problems == []
    for index in range(store.partition.num_blocks):
        assert store.weights.block(Block(0, index)) is not None
