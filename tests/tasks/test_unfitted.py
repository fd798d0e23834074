"""Training from a dataset that nobody has fitted: the same signals, the same bits as from a store that carries them."""

import numpy as np
import pytest
import torch
from stand_ins import write_idx
from tiny_store import tiny

from inrzoo import manifest, registry, tasks
from inrzoo.builder import build
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.store import open_store
from inrzoo.tasks import UnfittedDataset
from inrzoo.tasks.signals import signal_set

SIREN = {"name": "siren", "hidden_features": 8, "hidden_layers": 1, "omega_0": 8.0}
TASKS = {
    "hypernetwork": {"hypernet": {"name": "learned_init", "inner_lr": 0.1}, "test_tto_steps": 2},
    "end_to_end": {
        "hypernet": {"name": "end_to_end", "inner_steps": 1, "features": 8, "num_layers": 1, "head_features": 8}
    },
}


def make(name: str, **fields: object):
    spec = {"name": name, "inr": SIREN, "batch": 4, "steps": 6, "validate_every": 3, "lr": 1e-3}
    return registry.make("tasks", {**spec, **TASKS[name], **fields})


def test_a_task_tells_filters_the_nyquist_frequency_as_a_manifest_does():
    filters = {"name": "fourier_net", "hidden_features": 8, "filter_init": "nyquist_fraction"}
    fields = {f"inr.{key}": value for key, value in filters.items()}
    built = signal_set(UnfittedDataset(manifest.load("digits", overrides=fields)), "train").inr

    def frequency(inr: dict[str, object]) -> object:
        return make("hypernetwork", inr=inr).conventions(UnfittedDataset(tiny()))["inr"]["nyquist"]

    assert frequency(filters) == pytest.approx(built.nyquist, rel=1e-6)
    assert frequency({**filters, "nyquist": 7.0}) == 7
    assert frequency({"name": "fourier_net"}) is None, "checkpoints of before have none"


@pytest.mark.parametrize("name", TASKS)
def test_a_dataset_and_a_store_of_it_train_the_same_network(name, finished, tmp_path):
    task, dataset = make(name), UnfittedDataset(tiny())
    tasks.train(task, finished, tmp_path / "store", device="cpu", quiet=True)
    tasks.train(task, dataset, tmp_path / "dataset", device="cpu", quiet=True)
    of_store, of_dataset = (read(tmp_path / kind) for kind in ("store", "dataset"))
    assert all(torch.equal(part, of_dataset.module[key]) for key, part in of_store.module.items())
    assert of_store.conventions == of_dataset.conventions
    assert tasks.evaluate(tmp_path / "store", dataset) == tasks.evaluate(tmp_path / "dataset", finished)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_signals_labels_and_grid_are_those_of_the_store(split, finished):
    ours, theirs = signal_set(UnfittedDataset(tiny()), split), signal_set(finished, split)
    assert len(ours) == len(theirs) > 0
    for rows in (slice(None), torch.tensor([1, 0])):
        (values, labels, where), (their_values, their_labels, _) = ours.read_rows(rows), theirs.read_rows(rows)
        assert where is None
        torch.testing.assert_close(values, their_values, rtol=0, atol=1e-6)
        assert {key: part.tolist() for key, part in labels.items()} == {
            key: part.tolist() for key, part in their_labels.items()
        }
    assert torch.equal(ours.coords, theirs.coords)
    assert (ours.inr, ours.grid, ours.value_range) == (theirs.inr, theirs.grid, theirs.value_range)
    assert (ours.label_names, ours.conventions) == (theirs.label_names, theirs.conventions)
    assert ours.inr == open_store(finished).inr


def test_some_signals_are_spread_over_the_split():
    """A split may be sorted by class: its first signals would be of one."""
    among = signal_set(UnfittedDataset(tiny()), "train")
    values, labels, _ = among.read_rows(slice(None))
    ((_, found, codes, _),) = among.parts("cpu", 5)
    rows = [number * len(among) // 5 for number in range(5)]
    assert rows[-1] >= len(among) * 4 // 5
    assert torch.equal(found, values[rows]) and torch.equal(codes["digit"], labels["digit"][rows])
    assert torch.equal(torch.cat([part.values for part in among.parts("cpu")]), values)


def test_a_run_on_other_signals_is_not_continued(tmp_path):
    tasks.train(make("hypernetwork"), UnfittedDataset(tiny()), tmp_path, device="cpu", quiet=True, stop_after=2)
    with pytest.raises(InrzooError, match="limit"):
        tasks.train(make("hypernetwork"), UnfittedDataset(tiny(limit=40)), tmp_path, device="cpu", quiet=True)
    with pytest.raises(InrzooError, match="source"):
        tasks.train(
            make("hypernetwork"), UnfittedDataset(tiny(source__num_test=20)), tmp_path, device="cpu", quiet=True
        )


@pytest.fixture
def idx_folder(tmp_path):
    """Forty-two pictures in MNIST's format: a bright square whose place is the label."""
    parts = {}
    for part, count in (("train", 32), ("t10k", 10)):
        labels = np.arange(count, dtype=np.uint8) % 4
        images = np.zeros((count, 8, 8), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            row, col = 4 * (label // 2), 4 * (label % 2)
            image[row : row + 4, col : col + 4] = 200
        parts[part] = (images, labels)
    return write_idx(tmp_path / "idx", parts)


def test_command_line_from_a_source_to_pictures(idx_folder, tmp_path, inrzoo):
    """train, evaluate and draw take a dataset and --source; what is trained is measured as the Python call does."""
    text = (manifest.folder() / "mnist.toml").read_text().replace("num_validation = 5000", "num_validation = 8")
    (tmp_path / "small.toml").write_text(text)
    run, named = tmp_path / "run", [tmp_path / "small.toml", "--source", idx_folder]
    network = ["--hypernet", "trans_inr", "--set", "hypernet.features=8", "--set", "hypernet.num_heads=2"]
    network += ["--set", "hypernet.patch=4", "--set", "hypernet.num_layers=1", "--set", "inr.hidden_features=8"]
    code, out, err = inrzoo(
        "train", "hypernetwork", *named, *network, "--inr", "siren", "--steps", "2", "--batch", "4", "--out", run
    )
    assert code == 0, err
    assert f"inrzoo evaluate {run} {named[0]} --source {idx_folder}" in out
    code, out, _ = inrzoo("evaluate", run, *named, "--set", "test_tto_steps=0")
    expected = tasks.evaluate(run, UnfittedDataset(manifest.load(str(named[0])), idx_folder), test_tto_steps=0)
    assert code == 0 and f"{expected[0].mean:.2f}" in out and "(10 trials)" in out
    code, out, _ = inrzoo("draw", run, *named, "--out", tmp_path / "pictures", "--count", "2")
    assert code == 0
    assert [line.split("/")[-1] for line in out.splitlines()] == [
        "reconstructions.png",
        "attention.png",
        "activations.png",
    ]
    assert all((tmp_path / "pictures" / line.split("/")[-1]).stat().st_size > 1000 for line in out.splitlines())


@pytest.mark.parametrize(
    "words, says",
    [
        (
            ["train", "hypernetwork", "absent"],
            "no store at absent and no dataset of that name; there are: balls, cifar10, digits",
        ),
        (["train", "hypernetwork", "mnist", "--source", "nowhere"], "no train-images-idx3-ubyte"),
        (["train", "hypernetwork", "STORE", "--source", "nowhere"], "is a store"),
        (["train", "few-shot", "digits"], "no store at digits"),
        (["train", "end-to-end", "digits", "--set", "hypernet.name=cavia"], "hypernet"),
        (["draw", "absent", "digits", "--out", "pictures"], "no checkpoint at absent"),
    ],
)
def test_bad_words_are_one_line(words, says, finished, tmp_path, inrzoo, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = inrzoo(*[str(finished) if word == "STORE" else word for word in words])
    assert code == 2 and says in error and error.count("\n") == 1, error


@pytest.mark.parametrize("symmetric", [False, True])
def test_all_splits_have_the_scale_of_the_training_split(symmetric, tmp_path):
    """As in a store: otherwise a network would be tested on other signals than those that it was trained on."""
    keys = {"values.scale": "dataset", "values.symmetric": symmetric, "source.num_samples": 64, "fit.steps": 2}
    settings = manifest.load("tones", None, {**keys, "fit.engine": "reference", "inr.hidden_features": 8})
    build(settings, tmp_path / "store.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "store.zarr")
    for code, split in enumerate(store.info.split_names):
        values = signal_set(UnfittedDataset(settings), split).read_rows(slice(None)).values
        expected = store.signal_table(np.flatnonzero(store.split == code)).values()
        torch.testing.assert_close(values, torch.from_numpy(expected), rtol=0, atol=0)
