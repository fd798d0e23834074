"""`inrzoo diff` says what differs between two stores, and by how much the INRs that both hold."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_store import set_attributes, small

from inrzoo import compare as comparing
from inrzoo.builder import build
from inrzoo.compare import compare
from inrzoo.compare.deviation import Deviation
from inrzoo.errors import InrzooError
from inrzoo.store import Store, open_store

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small dataset with another learning rate, one seed more, other signals, and an earlier snapshot."""
    path = tmp_path_factory.mktemp("other") / "other.zarr"
    changes = {"fit__lr": 6e-3, "seeds": 3, "limit": 5, "fit__views": [5, 10]}
    build(small(**changes), path, in_process=True, quiet=True)
    return path


def by_hand(a: Store, b: Store) -> tuple[np.ndarray, np.ndarray]:
    """Weights of all INRs that both stores hold, one after the other."""
    pairs = [
        (
            a.weights[row, seed, a.snapshots.index(step)],
            b.weights[b.signal_ids.index(name), seed, b.snapshots.index(step)],
        )
        for seed in range(min(a.num_seeds, b.num_seeds))
        for row, name in enumerate(a.signal_ids)
        if name in b.signal_ids
        for step in a.snapshots
        if step in b.snapshots
    ]
    return np.array([one for one, _ in pairs]), np.array([two for _, two in pairs])


def test_a_store_and_its_copy_are_the_same(finished_small: Path, tmp_path: Path, inrzoo: CommandLine) -> None:
    copy = Path(shutil.copytree(finished_small, tmp_path / "copy.zarr"))
    line = f"{finished_small} and {copy} are the same: 12 INRs in both, equal to the bit\n"
    assert inrzoo("diff", finished_small, copy) == (0, line, "")
    code, out, _ = inrzoo("diff", finished_small, copy, "--json")
    content = json.loads(out)
    assert code == 0 and content["same"] and content["lines"] == {}
    assert content["weights"]["bit_equal"] == content["weights"]["compared"] == 12


def test_every_difference_has_a_line(finished_small: Path, other: Path, inrzoo: CommandLine) -> None:
    code, out, err = inrzoo("diff", finished_small, other)
    assert (code, err) == (1, "")
    for line in (
        f"--- {finished_small}",
        f"+++ {other}",
        "  fit.lr: 0.005 → 0.006",
        "  seeds: 2 → 3",
        "  steps: [10] → [5, 10]",
        "  signals: 6 → 5",
    ):
        assert line in out.splitlines()
    assert f"3 only in {finished_small}: " in out and "other numbers" not in out
    there, back = (
        json.loads(inrzoo("diff", *pair, "--json")[1]) for pair in ((finished_small, other), (other, finished_small))
    )
    assert there["weights"] == back["weights"] and there["psnr"] == back["psnr"]


@pytest.mark.parametrize("batch", [1, 10**9])
def test_the_figures_are_those_of_all_inrs_in_both(
    batch: int, finished_small: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "BATCH_BYTES", batch)
    a, b = open_store(finished_small), open_store(other)
    weights_a, weights_b = by_hand(a, b)
    difference = weights_a.astype(np.float64) - weights_b
    found, ticks = [], []
    found = compare(a, b, lambda done, total: ticks.append((done, total)))
    assert found.weights is not None and found.weights.compared == len(difference) == 6 == ticks[-1][0] == ticks[-1][1]
    assert found.weights.bit_equal == 0 and found.weights.largest == np.abs(difference).max() > 0
    assert found.weights.rms == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-12)
    assert (len(ticks) > 2) == (batch == 1)


def test_psnrs_are_compared(finished_small: Path, tmp_path: Path) -> None:
    a, b = open_store(finished_small), open_store(finished_small)
    b.psnr[2, 1] += 3.0
    found = compare(a, b)
    assert not found.same and found.weights is not None and found.weights.bit_equal == 12
    assert found.psnr.bit_equal == 11 and found.psnr.largest == pytest.approx(3.0, rel=1e-5)
    assert found.psnr.rms == pytest.approx(3.0 / np.sqrt(12), rel=1e-5)


def test_one_changed_bit_is_a_difference(finished_small: Path, tmp_path: Path, inrzoo: CommandLine) -> None:
    copy = Path(shutil.copytree(finished_small, tmp_path / "copy.zarr"))
    shard = copy / "weights/c/0/1/0/0"
    content = bytearray(shard.read_bytes())
    content[0] ^= 1
    shard.write_bytes(content)
    code, out, _ = inrzoo("diff", finished_small, copy)
    assert code == 1 and "weights: 11 equal to the bit, largest difference" in out
    assert "PSNR: 12 equal to the bit, largest difference 0 dB" in out


def test_labels_splits_and_signals_are_compared_by_name(finished_small: Path, tmp_path: Path) -> None:
    a, b = open_store(finished_small), open_store(finished_small)
    column = b.info.label_columns[0]
    b.labels[column][:2] = (b.labels[column][:2] + 1) % 10
    b.split[4] = (b.split[4] + 1) % 3
    b.signal_ids[3] = "another"
    lines = compare(a, b).lines
    first, second, fourth, fifth = (a.signal_ids[row] for row in (0, 1, 3, 4))
    assert lines == {
        "signals": [f"1 only in {a.location}: {fourth}", f"1 only in {a.location}: another"],
        "labels": [f"2 signals have another {column}: {first}, {second}", f"1 signals are in another split: {fifth}"],
    }


def test_signals_with_other_numbers_are_named(
    finished_small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(finished_small, tmp_path / "copy.zarr"))
    set_attributes(copy, signals_sha256="0" * 64)
    a, b = open_store(finished_small), open_store(copy)
    assert [line.split(":")[0] for line in compare(a, b).lines["signals"]] == ["sha256"]
    signals = b.signals
    monkeypatch.setattr(b, "signals", lambda rows: np.where((np.asarray(rows) == 2)[:, None, None], 7, signals(rows)))
    lines = compare(a, b).lines["signals"]
    assert lines[0] == f"1 of 6 in both have other numbers: {a.signal_ids[2]}" and lines[1].startswith("sha256: ")


def test_other_orders_of_signals_are_matched(finished_small: Path) -> None:
    a, b = open_store(finished_small), open_store(finished_small)
    b.signal_ids[:] = b.signal_ids[::-1]
    found = compare(a, b)
    assert found.lines["signals"] == ["the signals of both are in another order"]
    assert found.weights is not None and found.weights.bit_equal == 0
    weights = a.weights[:, :, 0]
    assert found.weights.largest == np.abs(weights.astype(np.float64) - weights[::-1]).max()


def test_prose_and_environment_are_compared(finished_small: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished_small, tmp_path / "copy.zarr"))
    info = open_store(finished_small).info
    tables = {**info.manifest.tables, "title": "Others"}
    set_attributes(copy, manifest=tables, environment={**info.environment, "torch": "0"})
    lines = compare(open_store(finished_small), open_store(copy)).lines
    assert list(lines) == ["description", "environment"]
    assert lines["description"] == [f"title: {info.manifest.title} → Others"]
    assert lines["environment"] == [f"torch: {info.environment['torch']} → 0"]


def test_weights_of_other_layouts_are_not_compared(finished_small: Path, tmp_path: Path, inrzoo: CommandLine) -> None:
    wide = tmp_path / "wide.zarr"
    build(small(inr__hidden_features=9, fit__steps=1, limit=2), wide, in_process=True, quiet=True)
    code, out, _ = inrzoo("diff", finished_small, wide)
    assert code == 1 and "weights: not compared, their layouts differ" in out and "inr.hidden_features: 8 → 9" in out
    code, out, _ = inrzoo("diff", finished_small, wide, "--json")
    assert code == 1 and json.loads(out)["weights"] is None


def test_numbers_that_are_not_finite_are_counted_and_left_out() -> None:
    nan, inf = np.float32("nan"), np.float32("inf")
    deviation = Deviation()
    deviation.add(np.array([[1, 2], [nan, 1], [inf, 1]], np.float32), np.array([[1, 4], [nan, 1], [1, 1]], np.float32))
    assert (deviation.compared, deviation.bit_equal, deviation.not_finite) == (3, 1, 1)
    assert deviation.largest == 2 and deviation.rms == pytest.approx(1.0)  # of (0, 2) and (0, 0)


@pytest.mark.parametrize("words", [("none.zarr", "STORE"), ("STORE", "none.zarr")])
def test_a_store_that_is_not_there_is_one_line_and_exit_code_2(
    words: tuple[str, str], finished_small: Path, inrzoo: CommandLine
) -> None:
    code, out, err = inrzoo("diff", *(str(finished_small) if word == "STORE" else word for word in words))
    assert (code, out) == (2, "") and err.startswith("inrzoo: no store at none.zarr")


def test_labels_without_a_name_are_damage(finished_small: Path) -> None:
    a, b = open_store(finished_small), open_store(finished_small)
    b.labels[b.info.label_columns[0]][0] = 10
    with pytest.raises(InrzooError, match=r"is damaged [(]the label column"):
        compare(a, b)


def test_keys_that_an_earlier_version_did_not_record_are_no_difference(finished_small: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished_small, tmp_path / "copy.zarr"))
    info = open_store(finished_small).info
    late = ("recipe", "init_scale", "omega_hidden")
    inr, tables, of_manifest = (
        {key: value for key, value in table.items() if key not in late}
        for table in (info.inr, info.manifest.tables, dict(info.manifest.tables)["inr"])
    )
    assert len(inr) == len(info.inr) - 2 and len(tables) == len(info.manifest.tables) - 1
    set_attributes(copy, manifest={**tables, "inr": of_manifest}, inr=inr)
    assert compare(open_store(finished_small), open_store(copy)).lines == {}
