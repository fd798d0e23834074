"""Stores of earlier versions open, verify, are fitted again to the bit, grow and are trained on, for ever."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inrzoo import open_store, refit, tasks, verify
from inrzoo.builder import build
from inrzoo.builder.worker import environment_differences
from inrzoo.errors import InrzooError
from inrzoo.loaders import load
from inrzoo.manifest import Manifest
from inrzoo.tasks.classify import Classify

CommandLine = Callable[..., tuple[int, str, str]]
STORES = {file.stem: file for file in sorted(Path(__file__).parent.glob("*.zip"))}
LATER_FORMATS = {"rounded": 2, "latents": 3}
FITTED = [name for name in STORES if name.split("-")[0] not in ("imported", "hypernet", "numba", *LATER_FORMATS)]
GROWN = {
    "fixed_init-0.1.0": "361a582939392c4d56e3e03f9f60211c153e12b44c23a75f5138dd340c30d7ab",
    "fourier_net-0.1.0": "9f5aa23c1ac09ff1cbe4f2b6d7d759afcc988174bc40cba4b212cd30ab74d03e",
    "siren-0.1.0": "f0b0336c9c28e54713fb229686956a0187202fb7d3fdc7cbaa5c467fafef98cf",
    "views-0.1.0": "2ca1e7bbda49bcf955f21355282c4ed654f46831796abb1bcd59a05e148798f0",
}
"""sha256 of the weights of the next seed, where the fused engine fits it: any x86-64 processor gives these bits."""


@pytest.fixture
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An unpacked golden store."""
    with zipfile.ZipFile(STORES[request.param]) as archive:
        archive.extractall(tmp_path)
    return tmp_path / f"{request.param.split('-')[0]}.zarr"


def test_no_golden_store_is_lost() -> None:
    assert len(STORES) >= 9 and {*FITTED} == {*GROWN}
    assert all(file.stat().st_size <= 200_000 for file in STORES.values())


@pytest.mark.parametrize("golden", STORES, indirect=True)
def test_a_golden_store_opens_and_verifies(golden: Path) -> None:
    store = open_store(golden)
    assert store.complete and store.num_signals == 60
    assert np.isfinite(store.weights[:]).all()
    assert verify.verify(golden).problems == []
    said = json.loads((golden / "zarr.json").read_text(encoding="utf-8"))["attributes"]["format"]
    assert said == LATER_FORMATS.get(golden.stem, 1), "earlier versions refuse a format that they do not know"


@pytest.mark.parametrize("golden", [name for name in STORES if name.split("-")[0] in LATER_FORMATS], indirect=True)
def test_a_golden_store_of_a_later_format_is_repaired(golden: Path, inrzoo: CommandLine) -> None:
    if differing := environment_differences(open_store(golden), "cpu"):
        pytest.skip(f"another environment: {'; '.join(differing)}")
    shard = next(golden.glob("weights/c/0/0/0/0"))
    whole = shard.read_bytes()
    shard.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    code, out, err = inrzoo("verify", golden, "--repair")
    assert code == 0, out + err
    assert shard.read_bytes() == whole


@pytest.mark.parametrize(
    "golden", [name for name in STORES if not name.startswith(("imported", "numba"))], indirect=True
)
def test_a_golden_store_is_fitted_again(golden: Path) -> None:
    again = refit.refit(golden, 60, draw=0)
    if again.elsewhere:
        assert all(one.passed for one in again.refits)
        pytest.skip(f"another environment: {'; '.join(again.elsewhere)}")
    assert all(one.bit_equal for one in again.refits)


@pytest.mark.parametrize("golden", [name for name in STORES if name.startswith("numba")], indirect=True)
def test_a_store_of_an_engine_that_is_gone_is_not_fitted_again(golden: Path, inrzoo: CommandLine) -> None:
    def files() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in golden.rglob("*") if file.is_file()}

    before = files()
    assert open_store(golden).settings.fit.engine == "numba"
    said = "the numba engine is gone: what it fitted is read and verified, but not fitted again nor continued"
    for words in (["verify", golden, "--refit", 1], ["build", golden, "--seeds", 2]):
        code, _, err = inrzoo(*words)
        assert code == 2 and said in err and len(err.strip().splitlines()) == 1
    assert inrzoo("verify", golden)[0] == 0 and files() == before


@pytest.mark.parametrize("golden", [name for name in STORES if name.startswith("imported")], indirect=True)
def test_an_imported_store_is_not_fitted_again(golden: Path) -> None:
    with pytest.raises(InrzooError, match="were imported; how they were fitted is not recorded"):
        refit.refit(golden, 1)


@pytest.mark.parametrize("golden", FITTED, indirect=True)
def test_a_golden_store_grows(golden: Path, request: pytest.FixtureRequest) -> None:
    before = open_store(golden)
    if differing := environment_differences(before, "cpu"):
        pytest.skip(f"another environment: {'; '.join(differing)}")
    recorded, weights = dict(before.info.manifest.tables), before.weights[:]
    recorded["seeds"] += 1
    assert build(Manifest.from_json(recorded), golden, in_process=True, quiet=True).fitted == 60
    store = open_store(golden)
    assert verify.verify(golden).problems == [] and store.info.fingerprint == before.info.fingerprint
    np.testing.assert_array_equal(store.weights[:, :-1], weights)
    assert store.info.formula is None and store.formula == store.inr.formula() is not None
    name = request.node.callspec.params["golden"]
    assert hashlib.sha256(store.weights[:, -1].tobytes()).hexdigest() == GROWN[name]


@pytest.mark.parametrize("golden", FITTED, indirect=True)
def test_a_golden_store_is_repaired(golden: Path, inrzoo: CommandLine) -> None:
    """Damaged blocks are fitted again to the same bytes, without the columns of later versions."""
    if differing := environment_differences(open_store(golden), "cpu"):
        pytest.skip(f"another environment: {'; '.join(differing)}")
    shard = next(golden.glob("weights/c/0/0/0/0"))
    whole, names = shard.read_bytes(), {str(file.relative_to(golden)) for file in golden.rglob("*")}
    shard.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    code, out, err = inrzoo("verify", golden, "--repair")
    assert code == 0, out + err
    assert shard.read_bytes() == whole
    assert {str(file.relative_to(golden)) for file in golden.rglob("*")} == names
    store = open_store(golden)
    assert np.isnan(store.exact).all() and not store.select(min_exact=0.0).any()
    assert verify.verify(golden).problems == []


@pytest.mark.parametrize("golden", STORES, indirect=True)
def test_a_golden_store_is_trained_on(golden: Path, tmp_path: Path) -> None:
    batch = next(iter(load(golden, split="train", streaming=True, shuffle=True, batch_size=4)))
    assert batch.weights.shape == (4, open_store(golden).layout.num_params)
    encoder = {"name": "flat_mlp", "tensors": "all", "hidden_features": 4, "hidden_layers": 1, "out_features": 4}
    task = Classify(encoder=encoder, steps=2, validate_every=2, batch_size=4, warmup=0)
    assert tasks.train(task, golden, tmp_path / "run", quiet=True, device="cpu").step == 2
