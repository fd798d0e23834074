"""Where fits start: each from its own draw, all from one, or from a file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from safetensors.numpy import save_file
from tiny_store import small, store_bytes, tiny

from inrzoo.builder import build
from inrzoo.builder.worker import fit_to, starts
from inrzoo.errors import InrzooError
from inrzoo.seeding import Stream
from inrzoo.store import Store, open_store
from inrzoo.verify import verify


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fixed") / "fixed.zarr"
    build(tiny(init__mode="fixed"), path, in_process=True, quiet=True)
    return path


@pytest.fixture(scope="module")
def fixed_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fixed_small") / "fixed.zarr"
    build(small(init__mode="fixed"), path, in_process=True, quiet=True)
    return path


def test_a_random_start_does_not_depend_on_the_block(store: Store) -> None:
    whole = starts(store, slice(0, store.num_signals), 1)
    for rows in (slice(0, 1), slice(5, 6), slice(30, 41)):
        np.testing.assert_array_equal(starts(store, rows, 1), whole[rows])
    assert len(np.unique(np.concatenate([whole, starts(store, slice(0, 48), 0)]), axis=0)) == 96


def test_a_fixed_start_is_shared_by_all_signals_of_a_seed(fixed: Path) -> None:
    store = open_store(fixed)
    assert store.init is not None and store.init.shape == (2, store.layout.num_params)
    assert not np.array_equal(store.init[0], store.init[1])
    np.testing.assert_array_equal(starts(store, slice(0, 3), 1), np.stack([store.init[1]] * 3))
    assert verify(fixed).problems == []


def test_a_shared_start_is_one_draw_that_nothing_was_fitted_to(tmp_path: Path, fixed_small: Path) -> None:
    out = tmp_path / "shared.zarr"
    build(small(init__mode="shared", seeds=1), out, in_process=True, quiet=True)
    build(small(init__mode="shared"), out, in_process=True, quiet=True)
    store = open_store(out)
    assert store.init is not None
    for seed in range(2):
        np.testing.assert_array_equal(store.init[seed], store.inr.init(Stream("fixed init", "digits", seed)))
    assert store.init.shape == (2, store.layout.num_params) and not np.array_equal(store.init[0], store.init[1])
    np.testing.assert_array_equal(starts(store, slice(0, 3), 1), np.stack([store.init[1]] * 3))
    assert verify(out).problems == []
    fresh = open_store(fixed_small).init
    assert fresh is not None and np.abs(fresh - store.init).max() > 1e-3  # `fixed_small` went on from here


def test_a_fixed_start_was_fitted_to_a_training_signal(fixed: Path) -> None:
    store = open_store(fixed)
    signals = torch.from_numpy(store.signals(slice(None))) / 127.5 - 1
    values = store.inr(torch.from_numpy(store.init), torch.from_numpy(store.coords()))
    for seed in range(2):
        mse = (values[seed] - signals).square().mean(dim=(1, 2)).numpy()
        assert store.split[mse.argmin()] == 0
        assert 10 * np.log10(4 / mse.min()) > 13 > 10 * np.log10(4 / np.median(mse))


def test_neurons_stay_where_a_fixed_init_put_them(fixed: Path, store: Store) -> None:
    """The point of it: the same parameter means the same thing in every INR, so entries vary less between signals."""
    spread = open_store(fixed).weights[:, 0, -1].std(axis=0).mean()
    assert spread < 0.5 * store.weights[:, 0, -1].std(axis=0).mean()


def test_more_seeds_of_a_fixed_init_are_the_same_as_all_at_once(tmp_path: Path, fixed_small: Path) -> None:
    out = tmp_path / "store.zarr"
    build(small(init__mode="fixed", seeds=1), out, in_process=True, quiet=True)
    build(small(init__mode="fixed"), out, in_process=True, quiet=True)
    assert store_bytes(out) == store_bytes(fixed_small)


@pytest.mark.parametrize(
    "moment", [pytest.param(moment, marks=() if moment == 4 else pytest.mark.slow) for moment in range(8)]
)
def test_a_crash_while_growing_is_made_good(
    moment: int, tmp_path: Path, fixed_small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, resize, calls = tmp_path / "store.zarr", zarr.Array.resize, []
    build(small(init__mode="fixed", seeds=1), out, in_process=True, quiet=True)

    def crashing(array: zarr.Array, shape: tuple[int, ...]) -> None:
        if len(calls) == moment:
            raise KeyboardInterrupt
        calls.append(array)
        resize(array, shape)

    monkeypatch.setattr(zarr.Array, "resize", crashing)
    with pytest.raises(KeyboardInterrupt):
        build(small(init__mode="fixed"), out, in_process=True, quiet=True)
    monkeypatch.setattr(zarr.Array, "resize", resize)
    build(small(init__mode="fixed"), out, in_process=True, quiet=True)
    assert store_bytes(out) == store_bytes(fixed_small)


def test_the_start_of_another_store(
    tmp_path: Path, fixed_small: Path, finished_small: Path, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    out = tmp_path / "store.zarr"
    build(small(), out, in_process=True, quiet=True, init=fixed_small)
    np.testing.assert_array_equal(open_store(out).init, open_store(fixed_small).init)
    assert build(small(), out, in_process=True, quiet=True, init=fixed_small).fitted == 0
    with pytest.raises(InrzooError, match=r"init\.mode: file → random"):
        build(small(), out, in_process=True, quiet=True)
    with pytest.raises(InrzooError, match="was built with random initial weights"):
        build(small(), tmp_path / "other.zarr", in_process=True, quiet=True, init=finished_small)


def test_a_learned_start(tmp_path: Path, store: Store) -> None:
    learned = np.linspace(-0.5, 0.5, store.layout.num_params, dtype=np.float32)
    save_file({"init": learned}, tmp_path / "learned.safetensors")
    settings = small(fit__views=[1, 3])
    build(settings, tmp_path / "store.zarr", in_process=True, quiet=True, init=tmp_path / "learned.safetensors")
    built = open_store(tmp_path / "store.zarr")
    assert (built.init == learned).all() and built.settings.init.mode == "file"
    by_hand = fit_to(built.inr, learned[None], built.targets(slice(0, 1)), settings, (8, 8), "cpu")
    np.testing.assert_allclose(built.weights[0, 0, 0], by_hand.weights_BTP[0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"init": np.zeros(7, dtype=np.float32)}, "1 or 2 weight vectors of 105 parameters, not 1 of 7"),
        ({"init": np.zeros((3, 105), dtype=np.float32)}, "not 3 of 105"),
        ({"weights": np.zeros(105, dtype=np.float32)}, "it holds weights float32 (105,)"),
        ({"init": np.full(105, np.nan, dtype=np.float32)}, "finite"),
    ],
)
def test_starts_that_do_not_fit(tensors: dict[str, np.ndarray], said: str, tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "init.safetensors")
    with pytest.raises(InrzooError) as refused:
        build(tiny(), tmp_path / "store.zarr", in_process=True, quiet=True, init=tmp_path / "init.safetensors")
    assert said in str(refused.value) and not (tmp_path / "store.zarr").exists()


def test_files_that_are_no_start(tmp_path: Path, inrzoo: Callable[..., tuple[int, str, str]]) -> None:
    (tmp_path / "init.safetensors").write_bytes(b"nothing of the kind")
    for init, said in ((tmp_path / "init.safetensors", "not a .safetensors file"), (tmp_path / "none", "no init at")):
        code, _, err = inrzoo("build", "digits", "--init", init, "--out", tmp_path / "store.zarr")
        assert code == 2 and said in err
