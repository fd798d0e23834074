"""Stores of latents: the base is trained once, lies once in the store, and everything else works as on any INR."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from inr_contract import EVALUATE, TENSORS
from tiny_store import set_attributes, store_bytes, tiny

import inrzoo
from inrzoo import bases, manifest, registry, subset, tasks
from inrzoo.builder import build
from inrzoo.checkpoint import read
from inrzoo.conversion import convert
from inrzoo.errors import InrzooError
from inrzoo.hub.rebuild import rebuild
from inrzoo.interchange.parquet import BASE_FILE, export_parquet
from inrzoo.interchange.safetensors import export_safetensors
from inrzoo.refit import refit
from inrzoo.store import open_store
from inrzoo.store.finalise import open_group
from inrzoo.tasks import UnfittedDataset
from inrzoo.verify import verify

INR = {"name": "latent_siren", "hidden_features": 8, "hidden_layers": 1, "latent_dim": 6, "omega_0": 8.0}


def ten(**changes):
    """One seed of ten digits in three splits."""
    return tiny(**{"seeds": 1, "limit": 10, "source__num_validation": 300, "source__num_test": 300, **changes})


def train(out: Path, **inr) -> Path:
    """A run of a few steps on digits of no store."""
    spec = {"name": "hypernetwork", "hypernet": {"name": "functa"}, "inr": {**INR, **inr}, "batch": 4, "lr": 1e-3}
    task = registry.make("tasks", {**spec, "steps": 2, "validate_every": 2})
    tasks.train(task, UnfittedDataset(ten()), out, quiet=True)
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("functa") / "run")


@pytest.fixture(scope="module")
def made(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Latents by three steps of meta-SGD. Tests copy it before they change it."""
    return make(tmp_path_factory.mktemp("latents") / "made.zarr", fitter=run)


@pytest.fixture(scope="module")
def by_adam(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("latents") / "adam.zarr", base=run, fit__steps=30, fit__lr=1e-2)


def make(out: Path, *, fitter: Path | None = None, base: Path | None = None, **changes: object) -> Path:
    build(ten(**changes), out, fitter=fitter, base=base, in_process=True, quiet=True)
    return out


def test_a_store_holds_what_the_inner_loop_makes_of_the_signals(run, made):
    store, checkpoint = open_store(made), read(run)
    network = registry.make("tasks", checkpoint.task).network(tasks.signals.signal_set(UnfittedDataset(ten()), "train"))
    network.load_state_dict(checkpoint.module)
    values = torch.from_numpy(store.signals(slice(None))) / 127.5 - 1
    coords = torch.from_numpy(store.coords())
    expected = network.eval()(coords, values).detach()
    assert store.weights.shape == (10, 1, 1, 6) and expected.abs().max() > 0
    torch.testing.assert_close(torch.from_numpy(store.weights[:, 0, 0]), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(store.base, network.base.detach().numpy())
    errors = (network.inr(expected, coords) - values).square().mean(dim=(1, 2))
    np.testing.assert_allclose(store.loss[:, 0, 0], errors.detach(), rtol=1e-4)


def test_adam_continues_from_the_base_until_it_is_good_enough(run, by_adam, tmp_path):
    """The plain fit, from z = 0: its settings are those of every fit, a PSNR at which it stops among them."""
    store = open_store(by_adam)
    base_only = store.inr(torch.zeros(10, 6), torch.from_numpy(store.coords())).numpy()
    start = np.square(base_only - store.targets(slice(None)).values_BKC).mean(axis=(1, 2))
    assert (store.loss[:, 0, 0] < start).all() and store.settings.init.mode == "random"
    stopped = open_store(make(tmp_path / "stopped.zarr", base=run, fit__steps=30, fit__lr=1e-2, fit__stop_psnr=1.0))
    assert (stopped.steps < 30).all()


@pytest.mark.parametrize("which", ["made", "by_adam"])
def test_a_store_is_verified_and_refitted_from_itself_alone(which, request, tmp_path):
    """Without the run, in a process that has never seen the base."""
    path = tmp_path / "alone.zarr"
    shutil.copytree(request.getfixturevalue(which), path)
    known = dict(bases._known)
    bases._known.clear()
    bases._copies.clear()
    try:
        found = verify(path)
        assert found.problems == [] and found.num_inrs == 10
        assert all(one.bit_equal for one in refit(path, 2).refits)
    finally:
        bases._known.update(known)


def test_the_file_of_the_base_is_named_by_its_sha256(made):
    store, files = open_store(made), store_bytes(made)
    assert store.info.inr["base"] == files["inr.base/c/0"] == store.info.checksums["inr.base/c/0"]
    assert store.info.format == 3, "readers of formats 1 and 2 refuse the store, for which a latent is no function"
    assert store.info.base_layout == store.inr.base_layout


def test_a_reader_without_inrzoo_evaluates_latents(made, tmp_path):
    store = open_store(made)
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    np.save(tmp_path / "x.npy", x)
    script = "\n".join([
        f"signal, seed, step = 7, 0, 0\n{TENSORS.replace('digits.zarr', str(made))}",
        f"x = np.load({str(tmp_path / 'x.npy')!r})\n{EVALUATE}",
        f"np.save({str(tmp_path / 'values.npy')!r}, values)",
    ])  # fmt: skip
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "values.npy"), store.render(7, 0, 0, coords=x).numpy(), atol=1e-5)


def test_a_damaged_or_exchanged_base_is_found(made, tmp_path):
    damaged = tmp_path / "damaged.zarr"
    shutil.copytree(made, damaged)
    file = damaged / "inr.base" / "c" / "0"
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.unlink()
    file.write_bytes(content)
    (problem,) = verify(damaged).problems
    assert problem.startswith("inr.base/c/0 has sha256")
    with pytest.raises(InrzooError, match=r"inr\.base is not the base that the INR names"):
        _ = open_store(damaged).inr
    open_group(damaged)["inr.base"][0] = np.nan
    with pytest.raises(InrzooError, match=r"inr\.base is float32, or not finite"):
        _ = open_store(damaged).inr


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"format": 1}, "format = 1"),
        ({"inr": {"base": None}}, "inr.base is not the base that the INR names"),
        ({"inr": {"base": 7}}, "latent_siren.base = 7"),
        ({"inr": {"modulation": "low_rank", "rank": 2}}, "base_layout is not that of the recorded INR"),
        ({"modulation": "x"}, "formula.layers.modulation = 'x'"),
        ({"modulation": {"latent": "latent", "shift": "absent"}}, "formula = ['absent']"),
        ({"modulation": {"latent": "latent", "left": "shift_0"}}, "a part of a low rank"),
    ],
    ids=str,
)
def test_a_hostile_record_of_a_base_is_one_line(changes, says, made, tmp_path):
    path, changed = tmp_path / "hostile.zarr", dict(changes)
    shutil.copytree(made, path)
    recorded = json.loads((path / "zarr.json").read_text())["attributes"]
    if "inr" in changed:
        changed["inr"] = {**recorded["inr"], **changed["inr"]}
    if "modulation" in changed:
        first, *others = recorded["formula"]["layers"]
        layers = [{**first, "modulation": changed.pop("modulation")}, *others]
        changed["formula"] = {**recorded["formula"], "layers": layers}
    set_attributes(path, **changed)
    with pytest.raises(InrzooError) as caught:
        _ = open_store(path).inr
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_another_base_is_another_dataset(run, made, tmp_path):
    other = train(tmp_path / "other")
    state = read(other)
    state.module["base"].add_(0.01)
    state.write(other / "best.safetensors")
    path = tmp_path / "made.zarr"
    shutil.copytree(made, path)
    before = store_bytes(path)
    with pytest.raises(InrzooError, match=r"inr\.base"):
        make(path, fitter=other)
    assert store_bytes(path) == before
    with pytest.raises(InrzooError, match="--fitter makes INRs of another base"):
        make(tmp_path / "x.zarr", fitter=run, base=other)
    with pytest.raises(InrzooError, match=r"cannot become one store, they differ in inr\.base"):
        stores = [make(tmp_path / "a.zarr", base=other), make(tmp_path / "b.zarr", base=made)]
        inrzoo.merge(stores, out=tmp_path / "c.zarr")


def test_the_base_of_a_store_makes_the_same_store(run, by_adam, tmp_path):
    again = make(tmp_path / "again.zarr", base=by_adam, fit__steps=30, fit__lr=1e-2)
    assert store_bytes(again) == store_bytes(by_adam)
    command, content = rebuild(open_store(by_adam))
    assert command == "inrzoo build manifest.toml --base STORE"
    (tmp_path / "manifest.toml").write_text(content)
    wanted = manifest.load(str(tmp_path / "manifest.toml"))
    build(wanted, tmp_path / "rebuilt.zarr", base=by_adam, in_process=True, quiet=True)
    assert open_store(tmp_path / "rebuilt.zarr").info.fingerprint == open_store(again).info.fingerprint


def test_a_killed_build_continues_to_the_same_bytes(run, made, tmp_path, monkeypatch):
    from inrzoo.builder import execute

    write, calls = execute.write_block, []

    def dying(*arguments: object) -> None:
        write(*arguments)
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(execute, "write_block", dying)
    broken = tmp_path / "broken.zarr"
    with pytest.raises(KeyboardInterrupt):
        make(broken, fitter=run)
    assert not open_store(broken).complete
    make(broken, fitter=run)
    assert store_bytes(broken) == store_bytes(made)


@pytest.mark.slow
def test_workers_do_not_change_a_byte(run, made, by_adam, tmp_path):
    build(ten(), tmp_path / "made.zarr", fitter=run, workers=2, quiet=True)
    assert store_bytes(tmp_path / "made.zarr") == store_bytes(made)
    build(ten(fit__steps=30, fit__lr=1e-2), tmp_path / "adam.zarr", base=run, workers=2, quiet=True)
    assert store_bytes(tmp_path / "adam.zarr") == store_bytes(by_adam)


def test_more_seeds_find_the_base_in_the_store(by_adam, tmp_path):
    path = tmp_path / "grown.zarr"
    shutil.copytree(by_adam, path)
    first = open_store(path).weights[:, 0]
    inrzoo.build(path, seeds=2, in_process=True, quiet=True)
    grown = open_store(path)
    assert grown.num_seeds == 2 and verify(path).problems == []
    np.testing.assert_array_equal(grown.weights[:, 0], first)


def test_smaller_stores_and_parts_keep_the_base(made, tmp_path):
    half = convert(made, tmp_path / "half.zarr", weights="float16")
    assert half.info.format == 3 and half.info.weight_format.dtype == "float16"
    part = subset(made, out=tmp_path / "part.zarr", split="test")
    for store in (half, part):
        np.testing.assert_array_equal(store.base, open_store(made).base)
        assert verify(store.path).problems == []


def test_files_of_latents_bring_the_base(made, tmp_path):
    """A reader of one safetensors file, or of Parquet files and the one beside them, needs nothing else."""
    from pyarrow import parquet as pq
    from safetensors import safe_open

    store, x = open_store(made), np.random.default_rng(0).uniform(-1, 1, (20, 2))
    export_safetensors(made, tmp_path / "one.safetensors", "3")
    export_parquet(made, tmp_path / "rows", images=False)
    table = pq.read_table(next((tmp_path / "rows").glob("*.parquet")))
    signal = table["signal"][0].as_py()
    found = {}
    for name, row in (("one.safetensors", 3), (f"rows/{BASE_FILE}", signal)):
        with safe_open(tmp_path / name, framework="np") as content:
            tensors = {key: content.get_tensor(key).astype(np.float64) for key in content.keys()}  # noqa: SIM118
            found[row] = tensors, json.loads(content.metadata()["formula"])
    found[signal][0]["latent"] = table["weights"][0].values.to_numpy()
    for row, (tensors, formula) in found.items():
        names = {"np": np, "formula": formula, "tensors": tensors, "x": x}
        exec(EVALUATE, names)
        np.testing.assert_allclose(names["values"], store.render(row, 0, 0, coords=x).numpy(), atol=1e-5)


def test_tasks_read_latents(made, by_adam, tmp_path):
    spec = {"steps": 2, "validate_every": 2, "batch_size": 2, "warmup": 0}
    spec["encoder"] = {"name": "flat_mlp", "hidden_features": 8, "tensors": "all"}
    classify = registry.make("tasks", {"name": "classify", **spec})
    found = tasks.measure(classify, made, tmp_path / "classify", quiet=True)
    assert found["accuracy"].trials == int((open_store(made).split == 2).sum())
    assert {inrzoo.load(path).normaliser.kind for path in (made, by_adam)} == {"per_parameter"}


@pytest.mark.parametrize("modulation", ["shift", "low_rank"])
def test_command_line(modulation, tmp_path, inrzoo):
    run, out = tmp_path / "run", tmp_path / "made.zarr"
    words = ["--hypernet", "functa", "--inr", "latent_siren", "--steps", "1", "--batch", "2", "--out", str(run)]
    keys = {**{key: value for key, value in INR.items() if key != "name"}, "modulation": modulation, "rank": 2}
    sets = [word for key, value in keys.items() for word in ("--set", f"inr.{key}={value}")]
    assert inrzoo("train", "hypernetwork", "digits", *words, *sets)[0] == 0
    assert inrzoo("build", "digits", "--limit", "20", "--fitter", str(run), "--in-process", "--out", str(out))[0] == 0
    assert "latent_siren, 6 parameters of its own" in inrzoo("info", str(out))[1]
    assert inrzoo("verify", str(out), "--refit", "2")[0] == 0


@pytest.mark.parametrize(
    "words, says",
    [
        (["--inr", "latent_siren"], "these INRs need a base"),
        (["--base", "STORE"], "is a store of INRs that share no base"),
        (["--base", "absent"], "no checkpoint at absent"),
        (["--base", "RUN", "--set", "inr.omega_0=3"], "inr.omega_0 cannot be set with --base"),
        (["--base", "RUN", "--engine", "fused"], "LatentSiren"),
    ],
)
def test_bad_words_are_one_line(words, says, run, finished, tmp_path, inrzoo):
    known = {"RUN": str(run), "STORE": str(finished)}
    given = [known.get(word, word) for word in words]
    code, _, error = inrzoo("build", "digits", "--limit", "20", "--out", str(tmp_path / "x.zarr"), *given)
    assert code == 2 and says in error and error.count("\n") == 1
    assert not (tmp_path / "x.zarr").exists()


def test_a_base_for_other_signals_is_refused(run, tmp_path):
    for split in ("train", "test"):
        (tmp_path / "images" / split / "a").mkdir(parents=True)
        from PIL import Image

        Image.new("RGB", (6, 6)).save(tmp_path / "images" / split / "a" / "0.png")
    path = tmp_path / "small.toml"
    path.write_text('[source]\nname = "image_folder"\nsize = 6\nchannels = 3\n[inr]\nname = "siren"\n')
    with pytest.raises(InrzooError, match="the base was trained for other signals than those of small"):
        build(manifest.load(str(path)), tmp_path / "y.zarr", source=tmp_path / "images", base=run, in_process=True)
    assert not (tmp_path / "y.zarr").exists()
