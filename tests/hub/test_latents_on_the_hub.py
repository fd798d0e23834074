"""A store of latents goes to the Hub and back with its base, whole, in part and as a stream."""

import numpy as np
import pytest
from client import Client
from latent_base import write_base
from server import Hub
from tiny_store import small, store_bytes

from inrzoo.builder import build
from inrzoo.hub.tables import conventions
from inrzoo.store import open_store


@pytest.mark.slow
def test_pushed_pulled_streamed_and_evaluated(hub: Hub, client: Client, tmp_path) -> None:
    base = write_base(tmp_path / "base.safetensors")
    build(small(seeds=1), tmp_path / "made.zarr", base=base, in_process=True, quiet=True)
    store = open_store(tmp_path / "made.zarr")
    done = client.inrzoo("push", store.path, "ada/latents")
    assert done.code == 0, done.err
    assert "latents that modulate a SIREN" in conventions(store)

    assert client.inrzoo("pull", "ada/latents", "--out", tmp_path / "pulled.zarr").code == 0
    assert store_bytes(tmp_path / "pulled.zarr") == store_bytes(store.path)
    done = client.inrzoo("pull", "ada/latents", "--split", "test", "--out", tmp_path / "part.zarr")
    assert done.code == 0, done.err
    part = open_store(tmp_path / "part.zarr")
    np.testing.assert_array_equal(part.base, store.base)
    for path in ("pulled.zarr", "part.zarr"):
        assert client.inrzoo("verify", tmp_path / path).code == 0

    script = (
        "import inrzoo, numpy\n"
        "words = {'split': 'train', 'normalise': 'none', 'batch_size': 1}\n"
        "remote = inrzoo.load('hf://datasets/ada/latents', streaming=True, **words)\n"
        "batch = next(iter(remote))\n"
        "store = inrzoo.open_store('hf://datasets/ada/latents/made.zarr')\n"
        "values = store.render(int(batch.signal[0]))\n"
        "numpy.savez('one.npz', signal=batch.signal, weights=batch.weights.numpy(), values=values.numpy())\n"
    )
    done = client.python(script, cwd=tmp_path, token=None)
    assert done.code == 0, done.err
    one = np.load(tmp_path / "one.npz")
    signal = int(one["signal"][0])
    np.testing.assert_array_equal(one["weights"][0], store.weights[signal, 0, 0])
    np.testing.assert_allclose(one["values"], store.render(signal).numpy(), rtol=0, atol=1e-6)
