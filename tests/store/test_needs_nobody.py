"""A store is fitted again, repaired and grown by what it records; what it was read from may be gone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_store import set_attributes, small, store_bytes

from inrzoo import manifest, registry, verify
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.refit import refit
from inrzoo.store import open_store
from inrzoo.store.root import seal

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture
def orphan(finished_small: Path, tmp_path: Path) -> Path:
    """A finished store whose source no version of inrzoo knows any more."""
    path = tmp_path / "orphan.zarr"
    shutil.copytree(finished_small, path)
    info = open_store(path).info
    tables = {**info.manifest.tables, "source": {"name": "gone", "renamed_field": 3}}
    print_ = manifest.fingerprint(tables, info.signals_sha256)
    set_attributes(path, manifest=tables, fingerprint=print_)
    seal(path, info.checksums)
    return path


def test_it_is_verified_and_fitted_again_to_the_bit(orphan: Path) -> None:
    assert verify.verify(orphan).problems == []
    assert all(one.bit_equal for one in refit(orphan, 4, draw=0).refits)


def test_it_is_repaired(orphan: Path) -> None:
    before, shard = store_bytes(orphan), orphan / "weights" / "c" / "0" / "1" / "0" / "0"
    shard.write_bytes(b"\0\0\0\0" + shard.read_bytes()[4:])
    verify.repair(orphan, verify.verify(orphan))
    assert store_bytes(orphan) == before


def test_it_grows_by_the_command_line(orphan: Path, inrzoo: CommandLine) -> None:
    before = open_store(orphan).weights[:]
    code, out, err = inrzoo("build", orphan, "--seeds", "3", "--in-process")
    assert code == 0 and "6 fitted now" in out, err
    store = open_store(orphan)
    assert store.complete and store.num_seeds == 3 and (store.weights[:, :2] == before).all()
    assert verify.verify(orphan).problems == []


@pytest.mark.parametrize("words", [["--lr", "0.1"], ["--preset", "x"], ["--out", "other.zarr"], ["--inr", "relu_mlp"]])
def test_nothing_else_of_a_store_can_be_changed(words: list[str], orphan: Path, inrzoo: CommandLine) -> None:
    before = store_bytes(orphan)
    code, _, err = inrzoo("build", orphan, "--seeds", "3", *words)
    assert code == 2 and "only --seeds" in err and store_bytes(orphan) == before


def test_a_build_makes_two_inrs_and_a_source_for_each_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One INR checks the manifest, one is fitted: whatever the number of blocks, threads and stores that are opened."""
    wanted, make, made = small(seeds=1), registry.make, []

    def counted(kind: str, spec: dict[str, object], **runtime: object) -> object:
        made.append(kind)
        return make(kind, spec, **runtime)

    monkeypatch.setattr(registry, "make", counted)
    from inrzoo.store.checks import _made

    _made.cache_clear()
    build(wanted, tmp_path / "store.zarr", in_process=True, quiet=True)
    assert made.count("inrs") == 2 and made.count("sources") == 1


def test_settings_of_a_store_that_make_no_sense_are_refused(orphan: Path) -> None:
    tables = open_store(orphan).info.manifest.tables
    set_attributes(orphan, manifest={**tables, "fit": {**tables["fit"], "lr": -1.0}})
    with pytest.raises(InrzooError, match=r"fit\.lr"):
        open_store(orphan).settings  # noqa: B018
