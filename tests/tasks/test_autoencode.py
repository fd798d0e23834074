"""Autoencoders: decoders against slow formulas, the store's own numbers as a reference, codes as features elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inrzoo import api, checkpoint, load_encoder, manifest, open_store, tasks
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.loaders import load
from inrzoo.rendering.thumbnails import thumbnails
from inrzoo.store import Store
from inrzoo.tasks.autoencode import Autoencode, Autoencoder, octaves
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.code_decoders import BasisDecoder, MlpDecoder, PositionalEncoding, WeightDecoder
from inrzoo.tasks.few_shot import FewShot
from inrzoo.tasks.reporting.embedding import features
from inrzoo.tasks.signal_targets import AGAINST_INR, SignalTargets
from inrzoo.tasks.training.options import make_task

KEYS = {
    "tones": {"source.num_samples": 32},
    "solids": {"source.num_points": 64, "source.num_held_out": 8, "fit.num_coords": 32, "fit.lr": 1e-2},
    "balls": {"source.size": 4, "fit.num_coords": 8, "observation.samples": 4},
}
CODE = {"name": "flat_mlp", "tensors": "all", "hidden_features": 16, "out_features": 6}
SMALL = {
    "encoder": CODE,
    "decoder_features": 8,
    "decoder_layers": 1,
    "batch_size": 4,
    "num_coords": 16,
    "warmup": 0,
    "steps": 4,
    "validate_every": 2,
    "validation_inrs": 4,
}


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Stores of sounds, of distances at points and of views, built when they are first asked for."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            keys = {"fit.engine": "reference", "inr.hidden_features": 6, "fit.steps": 40, **KEYS[name]}
            made[name] = tmp_path_factory.mktemp(name) / "s.zarr"
            build(manifest.load(name, None, keys), made[name], in_process=True, quiet=True)
        return made[name]

    return make


@pytest.fixture(scope="module")
def run(finished, tmp_path_factory):
    """A run of the task on the tiny store."""
    folder = tmp_path_factory.mktemp("run") / "run"
    tasks.train(Autoencode(**SMALL), finished, folder, quiet=True, device="cpu")
    return folder


def test_an_mlp_decoder_is_the_map_of_code_and_coordinate_joined():
    torch.manual_seed(0)
    encoding = PositionalEncoding(2, extent=2.0, octaves=3)
    decoder, code, coords = MlpDecoder(5, 1, encoding, 7), torch.randn(3, 5), torch.rand(4, 2)
    for number in range(3):
        for place in range(4):
            unit = coords[place] / 2
            waves = [wave(unit * 2**octave) for octave in range(3) for wave in (torch.sin, torch.cos)]
            joined = torch.cat([code[number], unit, *waves])
            states = []
            for of_code, of_coords in zip(decoder.code, decoder.coords, strict=True):
                matrix = torch.cat([of_code.weight, of_coords.weight], dim=1)
                states.append((matrix @ joined + of_code.bias).relu())
            slow = decoder.out(decoder.after(decoder.before(states[0]) + states[1]))
            assert torch.allclose(decoder(code, coords)[number, place], slow, atol=1e-6)


@pytest.mark.parametrize("kind", ["mlp", "basis", "weights"])
def test_coordinates_of_each_code_and_shared_ones_give_the_same_values(kind):
    torch.manual_seed(0)
    inr = Siren(in_features=2, out_features=3, hidden_features=4, hidden_layers=1)
    encoding, size = PositionalEncoding(2, 1.0, 3), inr.layout.num_params
    decoder = {
        "mlp": MlpDecoder(5, 3, encoding, 8),
        "basis": BasisDecoder(5, 3, encoding, 8, 1),
        "weights": WeightDecoder(5, inr, torch.randn(size), torch.ones(size), 8, 1),
    }[kind]
    code, coords = torch.randn(2, 5), torch.rand(6, 2)
    shared = decoder(code, coords)
    assert shared.shape == (2, 6, 3) and not torch.allclose(shared[0], shared[1])
    assert torch.allclose(decoder(code, coords.expand(2, -1, -1)), shared, atol=1e-5)
    moved = coords.expand(2, -1, -1).clone()
    moved[1] += 0.1
    apart = decoder(code, moved)
    assert torch.allclose(apart[0], shared[0], atol=1e-5) and not torch.allclose(apart[1], shared[1], atol=1e-3)


@pytest.mark.parametrize("name", ["finished_small", *KEYS])
def test_the_measures_of_the_inrs_themselves_are_those_that_the_store_records(name, others, request):
    """An encoder and a decoder that lose nothing: weights as a code, and the INR as its decoder."""
    path = others(name) if name in KEYS else request.getfixturevalue(name)
    store, dataset = open_store(path), load(path, normalise="none")
    batch = dataset[np.arange(len(dataset))[::-1][:5]]
    found = SignalTargets(store, "signals").measured(batch, store.inr, batch.weights)
    rows = batch.signal.numpy(), batch.seed.numpy(), -1
    assert np.allclose(found["PSNR"], store.psnr[rows], rtol=1e-3, atol=1e-3)
    for measure in store.observation.measure_names:
        assert np.allclose(found[measure], store.measures[measure][rows], rtol=1e-3, atol=1e-3)
    assert (found[AGAINST_INR] > 100).all()


@pytest.mark.parametrize("name", ["finished_small", *KEYS])
def test_drawn_points_and_values_are_those_of_the_signals(name, others, request):
    path = others(name) if name in KEYS else request.getfixturevalue(name)
    store, dataset = open_store(path), load(path, normalise="none")
    batch = dataset[[len(dataset) - 1, 0]]
    where, values = SignalTargets(store, "signals").drawn(batch, 5, "cpu")
    for row, signal in enumerate(batch.signal.tolist()):
        whole = store.targets(np.array([signal]))
        places, every = torch.from_numpy(whole.coords).reshape(-1, whole.coords.shape[-1]), whole.values_BKC[0]
        for place, value in zip(where if where.ndim == 2 else where[row], values[row], strict=True):
            assert any(
                torch.equal(place, other) and torch.equal(value, torch.from_numpy(its))
                for other, its in zip(places, every, strict=True)
            )
    assert len({tuple(place.tolist()) for place in where.reshape(-1, where.shape[-1])[:5]}) == 5
    _, own = SignalTargets(store, "inrs").drawn(batch, None, "cpu")
    assert SignalTargets(store, "inrs").loss(own, own) == 0


@pytest.mark.parametrize("decoder", ["weights", "mlp", "basis"])
@pytest.mark.parametrize("name", KEYS)
def test_sounds_shapes_and_views_are_trained_on_by_their_own_loss(name, decoder, others, tmp_path):
    task = Autoencode(**SMALL | {"batch_size": 1, "steps": 2}, decode_by=decoder, test_codes=False)
    assert tasks.train(task, others(name), tmp_path / "run", quiet=True, device="cpu").step == 2
    measured = {one.name: one.mean for one in tasks.evaluate(tmp_path / "run", others(name), split="train")}
    assert {"PSNR", AGAINST_INR, *open_store(others(name)).observation.measure_names} == measured.keys()
    assert all(np.isfinite(mean) for mean in measured.values())


def test_signals_are_learned(finished_small, tmp_path):
    """A decoder that says the same for every code is no better than the mean of the signals; this one is, by 1 dB."""
    task = Autoencode(**SMALL | {"steps": 150, "validate_every": 50, "lr": 1e-2, "num_coords": 0})
    tasks.train(task, finished_small, tmp_path / "run", quiet=True, device="cpu")
    measured = {one.name: one.mean for one in tasks.evaluate(tmp_path / "run", finished_small, split="train")}
    store = open_store(finished_small)
    training = np.flatnonzero(store.split == store.info.split_names.index("train"))
    values = store.targets(training).values_BKC
    low, high = store.value_range
    errors = np.square(values - values.mean(axis=0)).mean(axis=(1, 2))
    assert measured["PSNR"] > np.mean(10 * np.log10((high - low) ** 2 / errors)) + 1


def test_a_run_that_was_stopped_continues_with_the_same_points(finished, run, tmp_path):
    task = Autoencode(**SMALL)
    tasks.train(task, finished, tmp_path / "halves", quiet=True, device="cpu", stop_after=3)
    tasks.train(task, finished, tmp_path / "halves", quiet=True, device="cpu")
    whole, halves = (checkpoint.read(folder).module for folder in (run, tmp_path / "halves"))
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_codes_are_measured_and_are_what_a_loaded_encoder_returns(finished, run):
    names = [one.name for one in tasks.evaluate(run, finished, test_raw=True)]
    codes = ["linear probe", "k-nearest neighbours", "retrieval by cosine, mAP"]
    assert names == ["PSNR", AGAINST_INR, *codes, *(f"{name}, raw weights" for name in codes)]
    dataset = load(finished, split="test", normalise="none")
    ours = features(run, finished, split="test").features
    assert ours.shape[1] == 6
    assert torch.allclose(load_encoder(run)(dataset[:].weights), ours, atol=1e-5)


def test_renumbered_neurons_are_decoded_to_the_same_function(finished):
    """By an encoder whose features do not depend on the numbering, though the decoder makes weights."""
    encoder = {
        "name": "message_passing",
        "hidden_features": 6,
        "num_layers": 1,
        "out_features": 6,
        "num_frequencies": 4,
    }
    task = Autoencode(**SMALL | {"encoder": encoder})
    dataset = task.dataset(finished, "train")
    network = Autoencoder(task, dataset).eval()
    network.weights.fit_inputs(dataset)
    weights, layout = dataset[:3].weights, dataset.layout
    order = {axis: np.random.default_rng(0).permutation(size) for axis, size in layout.neuron_axes.items()}
    coords = torch.from_numpy(open_store(finished).coords())
    with torch.no_grad():
        plain, renumbered = (
            network.decoder(network.weights.of_weights(each), coords)
            for each in (weights, layout.permute(weights, order))
        )
    assert torch.allclose(plain, renumbered, atol=1e-5)


def test_octaves_reach_the_nyquist_frequency(finished_small, others):
    dataset = load(finished_small)
    nyquist = np.pi * (max(dataset.stores[0].info.grid) - 1) / 2
    assert 2.0 ** (octaves(dataset) - 2) < nyquist <= 2.0 ** (octaves(dataset) - 1)
    assert octaves(load(others("solids"))) == 10


def test_transforms_that_change_the_signal_are_refused_and_others_are_not(finished_small, tmp_path):
    with pytest.raises(
        InrzooError, match=r"--augment rotate is not allowed: it changes the signal.*expected .*noise"
    ) as caught:
        Autoencode(augment=({"name": "rotate"},))
    assert "\n" not in str(caught.value)
    task = Autoencode(**SMALL, augment=({"name": "permute_neurons"}, {"name": "noise", "std": 0.1}))
    assert tasks.train(task, finished_small, tmp_path / "run", quiet=True, device="cpu").step == 4


def test_a_store_without_its_signals_is_compared_with_its_inrs(finished_small, tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "has_signals", property(lambda store: False))
    with pytest.raises(
        InrzooError, match="does not hold its signals; its licence does not allow it; use against = inrs"
    ):
        tasks.train(Autoencode(**SMALL), finished_small, tmp_path / "run", quiet=True, device="cpu")
    tasks.train(Autoencode(**SMALL, against="inrs"), finished_small, tmp_path / "run", quiet=True, device="cpu")
    measured = tasks.evaluate(tmp_path / "run", finished_small, test_codes=False)
    assert [one.name for one in measured] == [AGAINST_INR]


@pytest.mark.parametrize("name", ["classify", "contrastive"])
def test_a_frozen_pretrained_encoder_stays_as_it_was(name, finished, run, tmp_path):
    fields = {"batch_size": 4, "steps": 2, "warmup": 0, "validate_every": 1, "pretrained": str(run), "augment": "none"}
    for frozen in (True, False):
        task = make_task(name, {**fields, "frozen": frozen, "lr": 0.1}, {})
        assert task.encoder == CODE
        module = task.begin(finished, "cpu").module.train()
        encoder = next(each for place, each in module.named_modules() if place.endswith("weights.encoder"))
        assert encoder.training != frozen
        out = tmp_path / f"{name}-{frozen}"
        tasks.train(task, finished, out, quiet=True, device="cpu")
        codes, ours = (features(each, finished, split="test").features for each in (run, out))
        assert torch.equal(codes, ours) == frozen


def test_few_shot_learning_compares_the_codes(characters, tmp_path):
    run = tmp_path / "codes"
    tasks.train(Autoencode(**SMALL), characters, run, quiet=True, device="cpu")
    fields = {
        "way": 2,
        "shot": 1,
        "query": 1,
        "steps": 1,
        "validation_episodes": 2,
        "test_ways": (2,),
        "test_episodes": 4,
    }
    task = make_task("few_shot", {**fields, "pretrained": str(run), "frozen": True, "temperature": "learned"}, {})
    assert isinstance(task, FewShot) and task.encoder == CODE
    tasks.train(task, characters, tmp_path / "few", quiet=True, device="cpu")
    dataset = task.dataset(characters, "test", all_views=False)
    network = task.trained(dataset, checkpoint.read(tmp_path / "few").module, "cpu")
    with torch.no_grad():
        ours = network.features_of(dataset, "cpu")
    assert torch.allclose(ours, load_encoder(run)(dataset[:].weights), atol=1e-5)


@pytest.mark.parametrize(
    "fields, message",
    [
        (
            {"pretrained": "RUN", "encoder": {"name": "layer_statistics"}},
            r"pretrained = .* has another encoder: encoder\.name",
        ),
        ({"pretrained": "none/here", "encoder": CODE}, "no checkpoint at none/here"),
        ({"frozen": True}, "frozen = True is not allowed; it must be no without pretrained"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused_in_one_line(fields, message, finished, run, tmp_path):
    fields = {key: str(run) if value == "RUN" else value for key, value in fields.items()}
    with pytest.raises(InrzooError, match=message) as caught:
        task = Classify(**fields, batch_size=4)
        tasks.train(task, finished, tmp_path / "run", quiet=True, device="cpu")
    assert "\n" not in str(caught.value)


def test_the_command_line_trains_and_measures(finished, tmp_path, inrzoo):
    words = [
        "--encoder",
        "flat_mlp",
        "--set",
        "encoder.tensors=all",
        "--decode-by",
        "basis",
        "--batch-size",
        4,
        "--steps",
        2,
    ]
    out = tmp_path / "run"
    code, text, err = inrzoo("train", "autoencode", finished, *words, "--warmup", 0, "--out", out, "--device", "cpu")
    assert (code, text.splitlines()[0]) == (0, f"run      {out}: 2 steps"), err
    code, text, err = inrzoo("evaluate", out, finished, "--device", "cpu")
    assert code == 0 and "retrieval by cosine, mAP" in text
    code, _, err = inrzoo("train", "autoencode", finished, "--decode-by", "wieghts", "--out", tmp_path / "other")
    assert code == 2 and err.count("\n") == 1 and "--decode-by wieghts" in err
    run = api.train("classify", finished, out=tmp_path / "c", pretrained=str(out), steps=1, batch_size=4, quiet=True)
    assert run.step == 1


@pytest.mark.parametrize("name", ["finished", "tones", "solids"])
def test_pictures_of_reconstructions_and_of_what_lies_between(name, others, tmp_path, request, inrzoo):
    path = others(name) if name in KEYS else request.getfixturevalue(name)
    task = Autoencode(**SMALL | {"batch_size": 1, "steps": 1, "validate_every": 1}, decode_by="basis")
    tasks.train(task, path, tmp_path / "run", quiet=True, device="cpu")
    words = ["--split", "train" if name in KEYS else "test", "--count", 2, "--device", "cpu", "--out", tmp_path / "out"]
    code, out, err = inrzoo("draw", tmp_path / "run", path, *words)
    assert (code, err) == (0, "")
    written = [line.split()[-1] for line in out.splitlines()]
    assert [Path(file).name for file in written] == ["reconstructions.png", "interpolations.png"]
    assert all(Image.open(file).size > (100, 100) for file in written)
    code, _, err = inrzoo("draw", tmp_path / "run", path, "--count", 1, "--out", tmp_path / "out")
    assert code == 2 and "--count 1 is not allowed; it must be at least 2" in err


def test_pictures_of_functions_are_those_of_the_inrs_that_they_are(finished, others):
    """Thumbnails of a function that evaluates the INR equal those of the INR, for any kind of signals."""
    for path in (finished, *(others(name) for name in KEYS)):
        store = open_store(path)
        rows = np.arange(2)
        weights = store.weights[:2, 0, -1]
        functions = thumbnails(store, rows, weights, lambda inr, codes, where: inr(codes, where))
        assert functions == thumbnails(store, rows, weights)
        assert functions != thumbnails(store, rows, weights, lambda inr, codes, where: 0.5 * inr(codes, where) - 0.3)
