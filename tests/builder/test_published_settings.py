"""Sets built with the presets `dws` and `nfn` have the layer statistics of the published ones.

See docs/derivations/siren.md#published-sets.
"""

from pathlib import Path

import pytest

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.store import open_store

PUBLISHED = {  # standard deviations of weight_0, weight_1, weight_2, bias_0, bias_1, bias_2
    ("mnist", "dws"): (0.0628, 0.0183, 0.1179, 0.0213, 0.0110, 0.0999),
    ("mnist", "nfn"): (0.2868, 0.0171, 0.0639, 0.4090, 0.1041, 0.0970),
    ("cifar10", "nfn"): (0.2803, 0.0177, 0.0546, 0.4087, 0.1039, 0.0873),
}
TENSORS = ("weight_0", "weight_1", "weight_2", "bias_0", "bias_1", "bias_2")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("dataset", "preset"),
    [
        pytest.param(*key, marks=pytest.mark.slow if key == ("mnist", "nfn") else pytest.mark.exhaustive)
        for key in PUBLISHED
    ],
)
def test_fitted_weights_spread_as_published(dataset: str, preset: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "store.zarr"
    build(manifest.load(dataset, preset, {"limit": 500}), out, source=data / dataset, quiet=True)
    store = open_store(out)
    names = [tensor.name for tensor in store.layout.tensors]
    for name, published in zip(TENSORS, PUBLISHED[dataset, preset], strict=True):
        assert store.stats["tensor_std"][0, names.index(name)] == pytest.approx(published, rel=0.1), name
