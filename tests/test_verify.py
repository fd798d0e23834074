"""Verification finds every damaged byte, and repair makes the store what it was."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from tiny_store import set_attributes, small, store_bytes, tiny

from inrzoo import verify as checks
from inrzoo.builder import build, worker
from inrzoo.errors import InrzooError
from inrzoo.store import Block, open_store
from inrzoo.store.files import sha256
from inrzoo.store.root import seal


@pytest.fixture
def copy(finished_small: Path, tmp_path: Path) -> Path:
    """A finished store that may be damaged."""
    shutil.copytree(finished_small, tmp_path / "copy.zarr")
    return tmp_path / "copy.zarr"


def flip(file: Path, position: int) -> None:
    """Flip one bit of one byte."""
    content = bytearray(file.read_bytes())
    content[position] ^= 0x10
    file.write_bytes(content)


def test_a_sound_store_is_sound(copy: Path) -> None:
    before = store_bytes(copy)
    findings = checks.verify(copy)
    assert findings.problems == [] and findings.bad_blocks == {}
    assert findings.num_inrs == 12 and findings.num_files > 30
    assert findings.max_psnr_difference == 0  # same machine, same batches
    assert store_bytes(copy) == before


def test_a_formula_of_another_inr_is_found(copy: Path) -> None:
    recorded = open_store(copy).formula
    assert recorded is not None
    for formula, problems in (
        (replace(recorded, latex="said in another way"), 0),
        (replace(recorded, offset=0.5), 1),
    ):
        set_attributes(copy, formula=formula.to_json())
        said = [line for line in checks.verify(copy).problems if "formula" in line]
        assert said == ["the recorded formula is not that of the recorded INR"] * problems


@pytest.mark.parametrize("trial", [0, 1, *(pytest.param(trial, marks=pytest.mark.slow) for trial in range(2, 6))])
def test_one_flipped_byte_of_a_shard_is_found_and_repaired(
    trial: int, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, draw, store = store_bytes(copy), random.Random(trial), open_store(copy)
    row_bytes = 4 * store.layout.num_params
    seed, signal = draw.randrange(2), draw.randrange(store.num_signals)
    flip(copy / "weights" / "c" / "0" / str(seed) / "0" / "0", signal * row_bytes + draw.randrange(row_bytes))
    findings = checks.verify(copy)
    block = Block(seed, signal // store.partition.block_rows)
    assert findings.bad_blocks == {seed: {block.index}}

    fitted: list[Block] = []
    fit_block = worker.fit_block
    monkeypatch.setattr(
        checks, "fit_block", lambda store, block, *rest: (fitted.append(block), fit_block(store, block, *rest))[1]
    )
    assert checks.repair(copy, findings) == [block] == fitted
    assert store_bytes(copy) == original


def test_a_damaged_shard_index_is_repaired(copy: Path) -> None:
    original = store_bytes(copy)
    shard = copy / "weights" / "c" / "0" / "1" / "0" / "0"
    flip(shard, shard.stat().st_size - 10)
    findings = checks.verify(copy)
    assert set(findings.bad_blocks) == {1}
    checks.repair(copy, findings)
    assert store_bytes(copy) == original


def test_a_lost_shard_is_repaired(copy: Path) -> None:
    original = store_bytes(copy)
    (copy / "weights" / "c" / "0" / "0" / "0" / "0").unlink()
    findings = checks.verify(copy)
    assert len(findings.bad_blocks[0]) == open_store(copy).partition.num_blocks
    checks.repair(copy, findings)
    assert store_bytes(copy) == original


def test_every_damaged_file_is_found(copy: Path) -> None:
    for file in sorted(file for file in copy.rglob("*") if file.is_file() and file != copy / "zarr.json"):
        whole = file.read_bytes()
        flip(file, len(whole) // 2)
        name = str(file.relative_to(copy))
        try:
            problems = checks.verify(copy).problems
        except InrzooError as error:  # metadata that cannot be read at all
            problems = [f"{name}: {error}"]
        assert any(name in problem for problem in problems), name
        file.write_bytes(whole)


def test_a_changed_setting_is_found(copy: Path) -> None:
    root = json.loads((copy / "zarr.json").read_text())
    root["attributes"]["manifest"]["fit"]["lr"] *= 2
    (copy / "zarr.json").write_text(json.dumps(root))
    assert any("fingerprint" in problem for problem in checks.verify(copy).problems)


def test_a_false_psnr_is_found_by_rendering(copy: Path) -> None:
    """A store whose checksums are all right but whose INRs are not as good as it claims."""
    chunk = copy / "loss" / "c" / "0" / "0" / "0"
    store = open_store(copy)
    zarr.open_array(copy / "loss", mode="r+")[4, 0, 0] = store.loss[4, 0, 0] * 0.9
    sums = {**store.info.checksums, "loss/c/0/0/0": sha256(chunk)}
    seal(copy, sums)
    problems = checks.verify(copy).problems
    assert len(problems) == 1 and problems[0].startswith("signal 4, seed 0")


def test_an_unfinished_store_is_not_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "store.zarr"
    half_built(out, monkeypatch)
    findings = checks.verify(out)
    assert len(findings.problems) == 1 and findings.problems[0].startswith("incomplete: 72 of 96 INRs are missing")
    assert findings.num_inrs == 24


def test_repair_elsewhere_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(copy / "weights" / "c" / "0" / "0" / "0" / "0", 5)
    before = store_bytes(copy)
    monkeypatch.setattr("torch.__version__", "9.9.9")
    with pytest.raises(InrzooError, match="torch"):
        checks.repair(copy, checks.verify(copy))
    assert store_bytes(copy) == before


def test_signals_kept_out_of_the_store(tmp_path: Path) -> None:
    out = tmp_path / "store.zarr"
    build(small(redistributable=False), out, in_process=True, quiet=True)
    assert not open_store(out).has_signals and not (out / "signals").exists()
    flip(out / "weights" / "c" / "0" / "0" / "0" / "0", 5)
    findings = checks.verify(out)  # the digits come with scikit-learn: their source needs no path
    assert findings.bad_blocks == {0: {0}}
    checks.repair(out, findings)
    assert checks.verify(out).problems == []
    assert build(small(redistributable=False, seeds=3), out, in_process=True, quiet=True).fitted == 6


def test_command(copy: Path, inrzoo: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = inrzoo("verify", copy)
    assert code == 0 and "is verified" in out
    flip(copy / "weights" / "c" / "0" / "0" / "0" / "0", 5)
    code, out, _ = inrzoo("verify", copy, "--json")
    assert code == 1 and json.loads(out)["bad_blocks"] == {"0": [0]}
    code, out, _ = inrzoo("verify", copy, "--repair")
    assert code == 0 and "is verified" in out


def half_built(out: Path, monkeypatch: pytest.MonkeyPatch, blocks: int = 3) -> None:
    """A build that stopped after some blocks."""
    from inrzoo.builder import execute

    write, written = execute.write_block, []

    def stop(*arguments: object) -> None:
        if len(written) == blocks:
            raise KeyboardInterrupt
        write(*arguments)  # type: ignore[arg-type]
        written.append(arguments)

    monkeypatch.setattr(execute, "write_block", stop)
    with pytest.raises(KeyboardInterrupt):
        build(tiny(), out, in_process=True, quiet=True)
    monkeypatch.setattr(execute, "write_block", write)
    assert np.isfinite(open_store(out).psnr).sum() == 8 * blocks


@pytest.mark.parametrize("file", ["psnr/c/0/1/0", "block_sha256/c/0/0/0", "stats/mean/c/0/0"])
def test_damaged_columns_and_statistics_are_repaired(file: str, copy: Path) -> None:
    original = store_bytes(copy)
    flip(copy / file, 3)
    findings = checks.verify(copy)
    assert any(file in problem for problem in findings.problems)
    checks.repair(copy, findings)
    assert store_bytes(copy) == original


def test_damage_that_fitting_cannot_repair_is_said(copy: Path) -> None:
    flip(copy / "label" / "c" / "0", 3)
    with pytest.raises(InrzooError, match="--overwrite"):
        checks.repair(copy, checks.verify(copy))
