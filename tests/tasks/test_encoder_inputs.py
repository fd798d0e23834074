"""What reaches an encoder: the normalisation that `auto` is, and raw weights for encoders that evaluate INRs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_store import small

from inrzoo import manifest, tasks
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.store import open_store
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contrastive import Contrastive
from inrzoo.tasks.few_shot import FewShot, Network
from inrzoo.tasks.inputs import domain_of, normalisation
from inrzoo.tasks.weight_tasks import WeightNetwork

PROBE = {"name": "function_probe", "num_probes": 8, "hidden_features": 8, "out_features": 8}
RENDERED = {"name": "rendered_conv_net", "hidden_features": 8, "num_blocks": 2}
SHORT = {"batch_size": 8, "steps": 3, "warmup": 0, "validate_every": 3}
FUNCTIONS = pytest.mark.parametrize("encoder", [PROBE, RENDERED], ids=lambda encoder: encoder["name"])


@pytest.fixture(scope="module")
def shared_start(tmp_path_factory):
    """A small store all of whose INRs start at the same weights."""
    path = tmp_path_factory.mktemp("shared") / "tiny.zarr"
    build(small(init__mode="shared", limit=12), path, in_process=True, quiet=True)
    return path


@pytest.fixture(scope="module")
def random_starts(finished_small):
    return finished_small


@pytest.mark.parametrize(
    "store, encoder, kind",
    [
        ("shared_start", "flat_mlp", "per_parameter"),
        ("shared_start", "layer_transformer", "per_parameter"),
        ("shared_start", "message_passing", "per_tensor"),
        ("shared_start", "equivariant_mlp", "per_tensor"),
        ("shared_start", "deep_sets", "per_tensor"),
        ("shared_start", "relational_transformer", "per_tensor"),
        ("shared_start", "neuron_transformer", "per_parameter"),
        ("shared_start", "function_probe", "none"),
        ("random_starts", "flat_mlp", "per_tensor"),
        ("random_starts", "message_passing", "per_tensor"),
        ("random_starts", "rendered_conv_net", "none"),
    ],
)
@pytest.mark.parametrize("inputs", ["weights", "canonical"])
def test_auto_depends_on_the_start_and_on_what_the_encoder_treats_alike(request, store, encoder, kind, inputs):
    inputs = "weights" if kind == "none" else inputs
    task = Classify(encoder={"name": encoder}, inputs=inputs)
    dataset = task.dataset(request.getfixturevalue(store), "train")
    network = WeightNetwork(task, dataset)
    network.fit_inputs(dataset)
    expected = replace(task, normalise=kind).statistics(dataset, network.encoder)
    assert torch.equal(network.inputs.mean, expected.mean) and torch.equal(network.inputs.std, expected.std)
    parts = dataset.layout.split(network.inputs.std)
    one_a_tensor = all(part.unique().numel() == 1 for part in parts.values())
    assert one_a_tensor == (kind != "per_parameter")


def test_a_transformer_that_forgets_the_numbering_treats_neurons_alike(shared_start):
    dataset = Classify().dataset(shared_start, "train")
    for sort, kind in ((True, "per_tensor"), (False, "auto")):
        task = Classify(encoder={"name": "neuron_transformer", "sort_neighbours": sort})
        assert normalisation("auto", WeightNetwork(task, dataset).encoder) == kind


@pytest.mark.parametrize("kind", ["per_parameter", "per_tensor", "none"])
def test_a_named_normalisation_is_taken(shared_start, kind):
    task = Classify(encoder={"name": "message_passing"}, normalise=kind)
    encoder = WeightNetwork(task, task.dataset(shared_start, "train")).encoder
    assert normalisation(kind, encoder) == kind


@FUNCTIONS
def test_an_encoder_of_functions_reads_weights_as_they_were_fitted(finished, encoder):
    """To the bit; and its features are those of the INR that the store names, at coordinates of the store."""
    task = Classify(encoder=encoder, **SHORT)
    dataset = task.dataset(finished, "train")
    network = WeightNetwork(task, dataset).eval()
    network.fit_inputs(dataset)
    batch = network.prepared(dataset)[:5]
    assert torch.equal(batch.weights, dataset[:5].weights)
    store = dataset.stores[0]
    if encoder is RENDERED:
        picture = network.encoder.picture(batch.weights).flatten(1)
        torch.testing.assert_close(picture, store.inr(dataset[:5].weights, torch.from_numpy(store.coords()))[..., 0])


@FUNCTIONS
@pytest.mark.parametrize("kind", [Classify, Contrastive])
def test_training_and_evaluation_give_an_encoder_of_functions_its_inr(finished, tmp_path, kind, encoder):
    run = tmp_path / "run"
    tasks.train(kind(encoder=encoder, **SHORT), finished, run, quiet=True, device="cpu")
    assert all(0 <= one.mean <= 100 for one in tasks.evaluate(run, finished, device="cpu"))
    first, again = (tasks.features(run, finished, split="test", device="cpu").features for _ in range(2))
    assert torch.equal(first, again)


def test_of_the_default_augmentation_motions_alone_reach_an_encoder_of_functions(finished):
    task = Classify(encoder=PROBE)
    dataset = task.dataset(finished, "train")
    names = lambda task: [  # noqa: E731
        type(one).__name__ for one in task.prepared(dataset, augmented=True).transform_normalised.transforms
    ]
    assert names(task) == []
    assert names(replace(task, encoder={"name": "message_passing"})) == ["Noise", "Dropout"]
    assert names(replace(task, augment=({"name": "noise", "std": 0.01},))) == ["Noise"]


@pytest.mark.parametrize(
    "fields, message",
    [
        (
            {"normalise": "per_tensor"},
            "normalise = 'per_tensor' is not allowed: function_probe takes weights as they were fitted",
        ),
        ({"normalise": "per_parameter"}, "use auto or none"),
        ({"inputs": "canonical"}, "inputs = 'canonical' is not allowed: function_probe evaluates INRs"),
    ],
)
def test_what_would_change_the_function_is_refused_in_one_line(finished, tmp_path, fields, message):
    for kind in (Classify, Contrastive):
        with pytest.raises(InrzooError, match=message) as caught:
            tasks.train(kind(encoder=PROBE, **SHORT, **fields), finished, tmp_path / "run", quiet=True, device="cpu")
        assert "\n" not in str(caught.value)


OF_FUNCTIONS = {"encoder": PROBE, "mixtures": 0.0, "input_dropout": 0.0, "view_use": "none", "shot": 1, "query": 3}


def test_few_shot_learning_reads_functions(characters):
    task = FewShot(**OF_FUNCTIONS, validation_episodes=2, way=4)
    learner = task.begin(characters, "cpu")
    assert learner.loss(0)[0].isfinite()
    dataset = task.dataset(characters, "train", all_views=False)
    network = Network(task, dataset)
    network.inputs.fit(dataset, normalisation(task.normalise, network.encoder))
    weights = network.inputs.read(dataset[:4])
    assert torch.equal(network.inputs(weights), dataset[:4].weights)


@pytest.mark.parametrize(
    "key, value",
    [("mixtures", 0.5), ("input_dropout", 0.1), ("noise", 0.1), ("layers", "first-2"), ("inputs", "canonical")],
)
def test_few_shot_learning_refuses_what_would_change_the_function(characters, key, value):
    task = FewShot(**{**OF_FUNCTIONS, key: value})
    with pytest.raises(
        InrzooError, match=f"{key} = {value!r} is not allowed: function_probe evaluates INRs; use {key}"
    ):
        Network(task, task.dataset(characters, "train", all_views=False))


def test_signals_with_points_of_their_own_have_no_grid(tmp_path):
    """Their grid counts points of a cloud in three dimensions; the domain is the cube alone."""
    settings = {"limit": 3, "fit.steps": 1, "fit.engine": "reference"}
    path = tmp_path / "solids.zarr"
    build(manifest.load("solids", overrides=settings), path, in_process=True, quiet=True)
    place = domain_of(open_store(path))
    assert place.coords is None and place.sizes == () and place.extent == 1.0


def test_the_domain_of_images_is_their_grid(finished):
    store = open_store(finished)
    place = domain_of(store)
    assert place.sizes == (8, 8) and np.array_equal(place.coords.numpy(), store.coords())
