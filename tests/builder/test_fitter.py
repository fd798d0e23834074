"""Stores that a trained hypernetwork made: the loop from signals to weights to tasks closes."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_store import store_bytes, tiny

import inrzoo
from inrzoo import manifest, registry, tasks
from inrzoo.builder import build, estimate, plan
from inrzoo.builder.fitter import read_fitter
from inrzoo.builder.worker import environment_differences
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.hub.rebuild import rebuild
from inrzoo.hypernets import optimise_at_test_time, write_init
from inrzoo.refit import refit
from inrzoo.store import open_store
from inrzoo.tasks import UnfittedDataset
from inrzoo.tasks.evaluation import restored
from inrzoo.verify import verify

INR = {"name": "siren", "hidden_features": 8, "hidden_layers": 1, "omega_0": 8.0}
NETWORKS = {
    "instance_patterns": {"rank": 4, "patch": 4, "features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8},
    "trans_inr": {"groups": 4, "patch": 4, "features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8},
    "learned_init": {"inner_lr": 0.1},
    "cavia": {"rank": 4},
    "end_to_end": {"inner_steps": 1, "features": 8, "num_layers": 1, "head_features": 8, "inner_fraction": 0.5},
}


def ten(**changes):
    """One seed of ten digits in three splits."""
    return tiny(**{"seeds": 1, "limit": 10, "source__num_validation": 300, "source__num_test": 300, **changes})


def signals():
    return UnfittedDataset(ten())


def train(name: str, out: Path) -> Path:
    """A run of a few steps on digits of no store."""
    task = "end_to_end" if name == "end_to_end" else "hypernetwork"
    spec = {"name": task, "hypernet": {"name": name, **NETWORKS[name]}, "inr": INR, "batch": 4, "lr": 1e-3}
    tasks.train(registry.make("tasks", {**spec, "steps": 2, "validate_every": 2}), signals(), out, quiet=True)
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory):
    made: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in made:
            made[name] = train(name, tmp_path_factory.mktemp(name) / "run")
        return made[name]

    return run


def make(run: Path, out: Path, tto: int = 0, **changes: object) -> Path:
    build(ten(**changes), out, fitter=run, tto=tto, in_process=True, quiet=True)
    return out


def network_of(run: Path):
    found = read(run)
    task = registry.make("tasks", found.task)
    network = task.network(task.signals(signals(), "train")).eval()
    network.load_state_dict(found.module)
    return network


@pytest.mark.parametrize("tto", [0, 3])
def test_a_plan_is_what_a_build_does(tto, runs, tmp_path, monkeypatch):
    """And the time of a block holds the network's, here 50 ms a signal, and that of the steps that follow."""
    run, out, timed = runs("trans_inr"), tmp_path / "made.zarr", []
    network, fit_to = estimate.weights_of, estimate.fit_to

    def weights_of(content, inr, grid, settings, targets, device):
        time.sleep(0.05 * len(targets.values_BKC))
        return network(content, inr, grid, settings, targets, device)

    def timed_fit(inr, starts_BP, targets, settings, *words, **others):
        timed.append(settings.fit.steps)
        return fit_to(inr, starts_BP, targets, settings, *words, **others)

    monkeypatch.setattr(estimate, "weights_of", weights_of)
    monkeypatch.setattr(estimate, "fit_to", timed_fit)
    planned = plan(ten(), out, fitter=run, tto=tto, seconds=1.0)
    assert not list(tmp_path.iterdir())
    store = open_store(make(run, out, tto))
    assert (planned.num_blocks, planned.block_rows) == (len(store.blocks()), store.partition.block_rows)
    assert (planned.num_params, planned.snapshots) == (store.layout.num_params, tuple(store.snapshots))
    assert planned.speed.whole and timed[-1] == tto
    assert planned.speed.block_seconds >= 0.05 * planned.block_rows
    assert planned.store_bytes >= sum(file.stat().st_size for file in out.rglob("*") if file.is_file())


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_what_the_hypernetwork_makes_of_the_signals(name, runs, tmp_path):
    store = open_store(make(runs(name), tmp_path / "made.zarr"))
    network, coords = network_of(runs(name)), torch.from_numpy(store.coords())
    values = torch.from_numpy(store.signals(slice(None))) / 127.5 - 1
    expected = network(coords, values).detach()
    torch.testing.assert_close(torch.from_numpy(store.weights[:, 0, 0]), expected, rtol=1e-4, atol=1e-5)
    psnr = -10 * ((network.inr(expected, coords) - values).square().mean(dim=(1, 2)) / 4).log10()
    np.testing.assert_allclose(store.psnr[:, 0, 0], psnr.detach(), atol=1e-3)
    assert store.snapshots == [0] and (store.steps == 0).all()
    assert store.complete and store.info.inr == {**store.info.inr, **INR}


def test_checkpoints_of_before_tile_was_the_default_make_what_block_makes(runs, tmp_path):
    newer = read(runs("trans_inr"))
    table = {"name": "trans_inr", **NETWORKS["trans_inr"]}
    older_task = {key: value for key, value in newer.task.items() if key != "optimiser"} | {"hypernet": table}
    made = {}
    for name, task in {
        "older": older_task,
        "block": {**newer.task, "hypernet": {**table, "grouping": "block"}},
        "tile": newer.task,
    }.items():
        replace(newer, task=task).write(tmp_path / f"{name}.safetensors")
        made[name] = open_store(make(tmp_path / f"{name}.safetensors", tmp_path / f"{name}.zarr")).weights[:]
        again = restored(read(tmp_path / f"{name}.safetensors"), {})
        assert again.hypernet.get("grouping", "tile") == ("tile" if name == "tile" else "block")
    assert np.array_equal(made["older"], made["block"])
    assert not np.array_equal(made["older"], made["tile"])


ENCODED = {"encoding": "log_spaced", "num_frequencies": 4, "sigma": 4.0}


@pytest.mark.parametrize(
    ("dataset", "inr", "norm"),
    [
        ("tones", {"name": "siren"}, "init"),
        ("tones", {"name": "relu_mlp"}, "unit"),
        ("tones", {"name": "relu_mlp", **ENCODED}, "auto"),
        ("solids", {"name": "siren"}, "auto"),  # a list of points, of three coordinates each
    ],
)
def test_checkpoints_of_before_frequencies_were_left_alone_normalise_them(dataset, inr, norm, tmp_path):
    hypernet = {"name": "cavia", "rank": 4}
    table = {"inr": {"hidden_features": 8, **inr}, "hypernet": hypernet, "steps": 1, "batch": 2}
    task = registry.make("tasks", {"name": "hypernetwork", "validate_every": 1, "validation_signals": 2, **table})
    newer = read(tasks.train(task, UnfittedDataset(manifest.load(dataset)), tmp_path / "run", quiet=True).folder)
    older = {key: value for key, value in newer.task.items() if key != "optimiser"}
    replace(newer, task=older).write(tmp_path / "older.safetensors")
    assert restored(newer, {}).hypernet == hypernet
    again = restored(read(tmp_path / "older.safetensors"), {})
    assert again.hypernet.get("row_norm", "auto") == norm


@pytest.mark.parametrize(
    ("name", "tto"),
    [
        ("instance_patterns", 0),
        ("learned_init", 5),
        pytest.param("instance_patterns", 5, marks=pytest.mark.slow),
        pytest.param("learned_init", 0, marks=pytest.mark.slow),
    ],
)
def test_a_store_is_verified_refitted_and_repaired_without_the_checkpoint(name, tto, runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs(name), run)
    path = make(run, tmp_path / "made.zarr", tto)
    shutil.rmtree(run)
    found = verify(path)
    assert found.problems == [] and found.num_inrs == 10
    assert all(one.bit_equal for one in refit(path, 2).refits)
    assert open_store(path).snapshots == [tto]


@pytest.mark.parametrize("engine", [pytest.param("reference", marks=pytest.mark.slow), "auto"])
def test_tto_is_adam_on_all_weights(engine, runs, tmp_path):
    run = runs("instance_patterns")
    store = open_store(make(run, tmp_path / "made.zarr", 5, fit__lr=1e-3, fit__engine=engine))
    network, values = network_of(run), torch.from_numpy(store.signals(slice(None))) / 127.5 - 1
    expected = optimise_at_test_time(network, torch.from_numpy(store.coords()), values, steps=5, lr=1e-3)
    before = network(torch.from_numpy(store.coords()), values).detach()
    torch.testing.assert_close(torch.from_numpy(store.weights[:, 0, 0]), expected, rtol=1e-3, atol=5e-5)
    assert (expected - before).abs().mean() > 1e-3
    assert not store.settings.fit.stop_psnr


@pytest.mark.slow
def test_workers_do_not_change_a_byte(runs, tmp_path):
    whole, parallel = make(runs("cavia"), tmp_path / "whole.zarr"), tmp_path / "parallel.zarr"
    build(ten(), parallel, fitter=runs("cavia"), workers=2, quiet=True)
    assert store_bytes(parallel) == store_bytes(whole)


@pytest.mark.parametrize("tto", [pytest.param(0, marks=pytest.mark.slow), 3])
def test_an_interruption_does_not_change_a_byte(tto, runs, tmp_path, monkeypatch):
    run = runs("instance_patterns")
    whole = make(run, tmp_path / "whole.zarr", tto)

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
        make(run, broken, tto)
    assert not open_store(broken).complete
    make(run, broken, tto)
    assert store_bytes(broken) == store_bytes(whole)


def test_provenance_and_the_fingerprint_name_the_network(runs, tmp_path):
    run = runs("learned_init")
    path = make(run, tmp_path / "made.zarr")
    store, fitter = open_store(path), read_fitter(run)
    recorded = store.info.fitter
    assert recorded.sha256 == fitter.sha256 == store.settings.init.sha256
    assert recorded.task["hypernet"] == {"name": "learned_init", **NETWORKS["learned_init"]}
    assert store.fitter == fitter.content
    assert read_fitter(path).sha256 == fitter.sha256
    other = train("learned_init", tmp_path / "other")
    state = read(other)
    state.module["start"].add_(0.01)
    state.write(other / "best.safetensors")
    with pytest.raises(InrzooError, match=r"init\.sha256"):
        make(other, path)
    assert open_store(make(other, tmp_path / "second.zarr")).info.fingerprint != store.info.fingerprint


def test_the_environment_is_that_of_the_network_too(runs, tmp_path):
    """Whatever engine goes on from there: another torch makes other bits."""
    path = make(runs("learned_init"), tmp_path / "made.zarr", 2, fit__engine="fused")
    recorded = open_store(path).info.environment
    assert recorded["torch"] == torch.__version__.split("+")[0]
    assert recorded["torch_instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert "arithmetic" in recorded and environment_differences(open_store(path), "cpu") == []


def test_a_manifest_of_such_a_store_needs_the_network(runs, tmp_path):
    wanted = manifest.Manifest.from_json(
        open_store(make(runs("learned_init"), tmp_path / "made.zarr")).info.manifest.tables
    )
    with pytest.raises(InrzooError, match="pass --fitter CHECKPOINT"):
        build(wanted, tmp_path / "again.zarr", in_process=True, quiet=True)
    assert not (tmp_path / "again.zarr").exists()


def test_the_card_says_how_to_build_it_again(runs, tmp_path):
    """By the manifest on the card and the network in the store."""
    store = open_store(make(runs("learned_init"), tmp_path / "made.zarr", 2))
    command, content = rebuild(store)
    assert command == "inrzoo build manifest.toml --fitter STORE --tto 2"
    (tmp_path / "manifest.toml").write_text(content)
    wanted, again = manifest.load(str(tmp_path / "manifest.toml")), tmp_path / "again.zarr"
    build(wanted, again, fitter=store.path, tto=2, in_process=True, quiet=True)
    assert open_store(again).info.fingerprint == store.info.fingerprint
    np.testing.assert_array_equal(open_store(again).weights[:], store.weights[:])


def test_another_network_in_the_store_is_found(runs, tmp_path):
    """Checksums written anew do not hide it: the manifest has its hash."""
    path = make(runs("learned_init"), tmp_path / "made.zarr")
    from inrzoo.store.files import sha256
    from inrzoo.store.finalise import open_group
    from inrzoo.store.root import change_info

    open_group(path)["fitter"][-1] = 255 - open_store(path).fitter[-1]
    file = next(name for name in open_store(path).info.checksums if name.startswith("fitter/c"))
    change_info(path, checksums={**open_store(path).info.checksums, file: sha256(path / file)})
    assert any("hypernetwork" in problem for problem in verify(path).problems)


def test_tasks_on_weights_run_on_a_hypernetworks_store(runs, tmp_path):
    """Classification, and contrastive learning on two snapshots of the optimisation, as on any other store."""
    settings = {"fit__views": [20, 30], "fit__lr": 2e-2}
    path = make(runs("trans_inr"), tmp_path / "made.zarr", 30, **settings)
    spec = {"steps": 2, "validate_every": 2, "batch_size": 4, "warmup": 0}
    spec["encoder"] = {"name": "flat_mlp", "hidden_features": 8}
    classify = registry.make("tasks", {"name": "classify", **spec})
    found = tasks.measure(classify, path, tmp_path / "classify", quiet=True)
    assert found["accuracy"].trials == int(((open_store(path).split == 2) & (open_store(path).status[:, 0] == 1)).sum())
    contrastive = registry.make("tasks", {"name": "contrastive", "between": "views", **spec})
    tasks.train(contrastive, path, tmp_path / "contrastive", quiet=True)
    assert inrzoo.load(path).normaliser.kind == "per_parameter"
    assert classify.conventions(path)["init.start"] == read_fitter(path).sha256[:16]


def test_command_line(runs, tmp_path, inrzoo):
    out = tmp_path / "made.zarr"
    words = ["build", "digits", "--limit", "20", "--fitter", str(runs("cavia")), "--in-process", "--out", str(out)]
    assert inrzoo(*words, "--tto", "2")[0] == 0
    assert open_store(out).snapshots == [2]
    assert "cavia" in inrzoo("info", str(out))[1]
    assert inrzoo("verify", str(out), "--refit", "2")[0] == 0


@pytest.mark.parametrize(
    "words, says",
    [
        (["--fitter", "RUN", "--inr", "gabor_net"], "inr.name cannot be set with --fitter"),
        (["--fitter", "RUN", "--steps", "5"], "fit.steps cannot be set with --fitter"),
        (["--fitter", "RUN", "--seeds", "3"], "a hypernetwork makes one INR of each signal"),
        (["--fitter", "RUN", "--tto", "-1"], "--tto -1 is not allowed"),
        (["--fitter", "absent"], "no checkpoint at absent"),
        (["--fitter", "STORE"], "was not built with --fitter"),
        (["--fitter", "RUN", "--init", "STORE"], "--init and --fitter both"),
        (["--tto", "3"], "pass --fitter too"),
        (["--steps", "0"], "it must be at least 1"),
    ],
)
def test_bad_words_are_one_line(words, says, runs, finished, tmp_path, inrzoo):
    known = {"RUN": str(runs("learned_init")), "STORE": str(finished)}
    given = [known.get(word, word) for word in words]
    code, _, error = inrzoo("build", "digits", "--limit", "20", "--out", str(tmp_path / "x.zarr"), *given)
    assert code == 2 and says in error and error.count("\n") == 1
    assert not (tmp_path / "x.zarr").exists()


def test_other_signals_and_other_checkpoints_are_refused(runs, tmp_path):
    other = tmp_path / "classify"
    store = make(runs("learned_init"), tmp_path / "made.zarr")
    spec = {"name": "classify", "encoder": {"name": "raw"}, "steps": 1, "batch_size": 4}
    tasks.train(registry.make("tasks", spec), store, other, quiet=True)
    with pytest.raises(InrzooError, match="the task classify, which makes no INRs"):
        read_fitter(other)
    (tmp_path / "text").write_text("x")
    with pytest.raises(InrzooError, match="is not a checkpoint of inrzoo"):
        read_fitter(tmp_path / "text")
    from PIL import Image

    for split in ("train", "test"):
        (tmp_path / "images" / split / "a").mkdir(parents=True)
        Image.new("L", (6, 6)).save(tmp_path / "images" / split / "a" / "0.png")
    wanted = inrzoo_manifest(tmp_path)
    with pytest.raises(InrzooError, match=r"grid \[8, 8\] with 1 channel"):
        build(wanted, tmp_path / "y.zarr", source=tmp_path / "images", fitter=runs("learned_init"), in_process=True)
    assert not (tmp_path / "y.zarr").exists()


def inrzoo_manifest(folder: Path):
    path = folder / "small.toml"
    path.write_text('[source]\nname = "image_folder"\nsize = 6\nchannels = 1\n[inr]\nname = "siren"\n')
    return manifest.load(str(path))


def test_a_learned_start_from_training_to_a_verified_store(runs, tmp_path):
    """train learned_init, write_init, build --init, verify: and the fits start where training ended."""
    network = network_of(runs("learned_init"))
    write_init(tmp_path / "start.safetensors", network.start_weights())
    settings = {f"inr__{key}": value for key, value in INR.items()}
    out = tmp_path / "fits.zarr"
    build(ten(**settings), out, init=tmp_path / "start.safetensors", in_process=True, quiet=True)
    store = open_store(out)
    np.testing.assert_array_equal(store.init[0], network.start.detach().numpy())
    assert store.settings.init.mode == "file"
    assert verify(out).problems == []
    assert all(one.bit_equal for one in refit(out, 2).refits)
