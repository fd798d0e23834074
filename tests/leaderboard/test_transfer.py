"""Transfer: networks answer for INRs of another architecture, as a slow reference does, or say that they cannot."""

import shutil
from dataclasses import replace

import pytest
import torch
from planted_encoders import FEW, Thief
from tiny_store import tiny

from inrzoo import checkpoint, open_store
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.leaderboard import Evaluator, content_sha256, run, submit
from inrzoo.leaderboard.running import RESULT
from inrzoo.leaderboard.transfer import beside, transferred
from inrzoo.loaders import load
from inrzoo.tasks.classify import Classifier
from inrzoo.tasks.training.options import make_task
from inrzoo.weights import WeightLayout, WeightTensor

DEEPER = {"inr__hidden_features": 12, "inr__hidden_layers": 2}


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """INRs of the same signals: wider ones, and wider and deeper ones."""
    folder = tmp_path_factory.mktemp("others")
    for name, keys in {"wider": {"inr__hidden_features": 12}, "deeper": DEEPER}.items():
        build(tiny(seeds=1, **keys), folder / f"{name}.zarr", in_process=True, quiet=True)
    return folder


@pytest.fixture
def transfer(definition, others):
    """A function that returns the task of testing on a store of `others`."""

    def task(name):
        pinned = content_sha256(open_store(others / f"{name}.zarr"))
        return replace(definition, test_build={"dataset": "digits", "seeds": 1}, test_content_sha256=pinned)

    return task


def trained(folder, settings, encoder, dataset):
    """The checkpoint of a training, and the classifier that it is of for another dataset, not loaded."""
    task = make_task("classify", {"lr": 1e-2, **settings, "encoder": encoder}, {})
    return checkpoint.read(folder / "seed-0" / "best.safetensors").module, Classifier(task, dataset)


def test_probes_of_a_function_read_another_architecture(finished, transfer, others, tmp_path):
    """The reference evaluates each INR of the second store by itself, with the network of the training."""
    store = others / "deeper.zarr"
    options = {"test_store": store, "seeds": 1, "settings": FEW, "quiet": True}
    result = run(transfer("deeper"), "function_probe", finished, tmp_path / "run", **options)
    state, network = trained(tmp_path / "run", FEW, "function_probe", load(finished, split="train"))
    network.load_state_dict({key.removeprefix("network."): tensor for key, tensor in state.items()})
    network.eval()
    second, right = open_store(store), []
    for row in (second.split == second.info.split_names.index("test")).nonzero()[0]:
        weights = torch.from_numpy(second.weights[int(row), 0, -1].copy())[None]
        values = second.inr(weights, network.weights.encoder.coords)
        logits = network.head(network.weights.encoder.network(values.flatten(1)))
        right.append(int(logits.argmax()) == second.labels["digit"][row])
    assert result.scores == [pytest.approx(100 * sum(right) / len(right))] and result.inrs == len(right)
    assert result.training_inrs == len(load(finished, split="train"))
    submit(tmp_path / "run", finished, tmp_path / "board", task=transfer("deeper"), test_store=store)


def test_a_network_of_weights_takes_wider_layers_with_the_statistics_of_its_training(
    finished, transfer, others, tmp_path
):
    """The reference normalises each tensor of the wider INRs by mean and deviation of that name in training."""
    store = others / "wider.zarr"
    options = {"test_store": store, "seeds": 1, "settings": FEW, "quiet": True}
    result = run(transfer("wider"), "message_passing", finished, tmp_path / "run", **options)
    dataset, narrow = load(store, split="test", normalise="none"), load(finished, split="train", normalise="none")
    state, network = trained(tmp_path / "run", FEW, "message_passing", dataset)
    ours = {key.removeprefix("network."): tensor for key, tensor in state.items()}
    statistics = {key: narrow.layout.split(ours.pop(f"weights.inputs.{key}")) for key in ("mean", "std")}
    network.load_state_dict(ours, strict=False)
    network.eval()
    batch, parts = dataset[:], []
    for name, tensor in dataset.layout.split(batch.weights).items():
        mean, std = (float(statistics[key][name].flatten()[0]) for key in ("mean", "std"))
        parts.append(((tensor - mean) / std).flatten(1))
    with torch.no_grad():
        logits = network.head(network.weights.encoder(torch.cat(parts, 1)))
    share = float((logits.argmax(1) == batch.label).double().mean())
    assert result.scores == [pytest.approx(100 * share)]


@pytest.mark.parametrize(
    "name, encoder, settings, message",
    [
        (
            "deeper",
            "message_passing",
            {},
            "message_passing cannot be trained on .* and tested on .*function_probe reads",
        ),
        ("deeper", "graded_message_passing", {}, "graded_message_passing cannot be trained on"),
        ("wider", "flat_mlp", {}, "flat_mlp cannot be trained on 105 parameters in 6 tensors and tested on"),
        ("wider", "raw", {}, "raw cannot be trained on"),
        (
            "wider",
            "message_passing",
            {"normalise": "per_parameter"},
            "normalise = 'per_parameter' is not allowed where",
        ),
    ],
)
def test_an_encoder_that_cannot_take_the_other_layout_is_refused_before_it_is_trained(
    finished, transfer, others, tmp_path, name, encoder, settings, message
):
    options = {"test_store": others / f"{name}.zarr", "settings": {**FEW, **settings}, "quiet": True}
    with pytest.raises(InrzooError, match=message) as caught:
        run(transfer(name), encoder, finished, tmp_path / "run", **options)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_the_second_store_is_closed_and_pinned_and_stands_beside_the_first(finished, transfer, others, tmp_path):
    Thief.store = others / "wider.zarr"
    task = transfer("wider")
    with pytest.raises(
        InrzooError, match=r"no store .*tiny\.test\.zarr.*make it by: inrzoo build digits --seeds 1 --out"
    ):
        Evaluator(task, finished)
    with pytest.raises(InrzooError, match="is not the test store of tiny: its content"):
        Evaluator(task, finished, others / "deeper.zarr")
    first = shutil.copytree(finished, tmp_path / "tiny.zarr")
    shutil.copytree(others / "wider.zarr", tmp_path / "tiny.test.zarr")
    assert Evaluator(task, first).questions()["test"].shape[1] == open_store(others / "wider.zarr").layout.num_params
    settings = {**FEW, "validate_every": 4, "normalise": "none"}
    with pytest.raises(InrzooError, match=r"the encoder opened .*label.* while it answered"):
        run(task, "planted_encoders:Thief", first, tmp_path / "run", test_store=others / "wider.zarr",
            settings=settings, quiet=True)  # fmt: skip
    assert not (tmp_path / "run" / RESULT).exists()
    assert beside("https://host/a/b.zarr", "c.zarr") == "https://host/a/c.zarr"


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"source__split_seed": 7}, "measures .* signals that .* trains on, .* among them"),
        ({"values__range": [0.0, 1.0]}, "cannot test what .* trains: values"),
    ],
)
def test_a_second_store_of_known_signals_or_other_values_is_refused(finished, transfer, tmp_path, keys, message):
    build(tiny(seeds=1, fit__steps=1, **keys), tmp_path / "second.zarr", in_process=True, quiet=True)
    pinned = content_sha256(open_store(tmp_path / "second.zarr"))
    with pytest.raises(InrzooError, match=message) as caught:
        Evaluator(replace(transfer("wider"), test_content_sha256=pinned), finished, tmp_path / "second.zarr")
    assert "\n" not in str(caught.value)


def test_statistics_that_differ_within_a_tensor_are_not_guessed():
    def layout(width, *further):
        return WeightLayout(
            (
                WeightTensor("weight_0", (width, 2), ("a", "in")),
                *(WeightTensor(name, (width,), ("a",)) for name in further),
            )
        )

    known = {"x.inputs.mean": torch.tensor([3.0] * 4 + [5.0] * 2), "head": torch.ones(3)}
    wide = transferred(known, layout(2, "bias_0"), layout(3, "bias_0"))
    assert wide["x.inputs.mean"].tolist() == [3.0] * 6 + [5.0] * 3 and wide["head"] is known["head"]
    with pytest.raises(InrzooError, match="inputs of bias_1 cannot be normalised as in training: no such tensor"):
        transferred(known, layout(2, "bias_0"), layout(3, "bias_0", "bias_1"))
    known["x.inputs.mean"][0] = 4.0
    with pytest.raises(InrzooError, match=r"inputs of weight_0 cannot .*each parameter has a number of its own"):
        transferred(known, layout(2, "bias_0"), layout(3, "bias_0"))
