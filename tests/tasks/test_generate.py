"""Generation: distances and samplers against closed forms, copies that are noticed, and runs that continue."""

import sys

import numpy as np
import pytest
import torch

from inrzoo import checkpoint, subset, tasks
from inrzoo.errors import InrzooError, MissingPackageError
from inrzoo.tasks.generate import Generate
from inrzoo.tasks.generative import judges, networks
from inrzoo.tasks.generative.denoiser import Denoiser
from inrzoo.tasks.generative.diffusion import SETTINGS, denoising_pairs, sample
from inrzoo.tasks.generative.frechet import Normal, frechet_distance
from inrzoo.tasks.generative.gaussian import ClassGaussians
from inrzoo.tasks.generative.generator import Sampler, Sizes
from inrzoo.tasks.generative.nearest import nearest_distances

SMALL = {
    "steps": 4,
    "validate_every": 2,
    "batch_size": 8,
    "warmup": 0,
    "code_features": 4,
    "hidden_features": 16,
    "num_blocks": 1,
    "points": 10,
    "encoder": {"name": "function_probe", "num_probes": 8, "hidden_features": 16, "out_features": 16, "dropout": 0.0},
}
"""Fields of a task whose samples do not matter."""


@pytest.fixture(autouse=True)
def quick_judges(monkeypatch):
    monkeypatch.setattr(judges, "STEPS", 4)


def drawn(generator, *sizes):
    return torch.randn(*sizes, generator=generator, dtype=torch.float64)


# --- the distance --------------------------------------------------------------------------------------------------


def test_the_frechet_distance_of_normal_distributions_with_common_axes_is_the_closed_form():
    """(μ₁ − μ₂)² + Σ (s₁ − s₂)² in the common axes, whichever they are."""
    generator = torch.Generator().manual_seed(0)
    first, second = drawn(generator, 5).abs(), drawn(generator, 5).abs()
    mean = drawn(generator, 5)
    expected = float(mean.square().sum() + (first - second).square().sum())
    axes = torch.linalg.qr(drawn(generator, 5, 5)).Q
    for turn in (torch.eye(5, dtype=torch.float64), axes):
        covariances = [turn @ torch.diag(each.square()) @ turn.T for each in (first, second)]
        normals = Normal(turn @ mean, covariances[0]), Normal(torch.zeros(5, dtype=torch.float64), covariances[1])
        assert frechet_distance(*normals) == pytest.approx(expected)
        assert frechet_distance(*normals[::-1]) == pytest.approx(expected)


def test_the_frechet_distance_is_that_of_scipys_matrix_root():
    from scipy.linalg import sqrtm

    generator = torch.Generator().manual_seed(1)
    first, second = (Normal.of(drawn(generator, 30, 6) @ drawn(generator, 6, 6)) for _ in range(2))
    root = sqrtm((first.covariance @ second.covariance).numpy()).real
    expected = (first.mean - second.mean).square().sum() + (first.covariance + second.covariance).trace()
    assert frechet_distance(first, second) == pytest.approx(float(expected) - 2 * np.trace(root))
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


def test_a_feature_that_is_always_zero_does_not_break_the_distance():
    generator = torch.Generator().manual_seed(2)
    features = drawn(generator, 20, 3)
    features[:, 1] = 0
    assert frechet_distance(Normal.of(features), Normal.of(features + 1)) == pytest.approx(3)


# --- diffusion -----------------------------------------------------------------------------------------------------


def remaining(time):
    """ᾱ of steps of the diffusion, by its formula: the product of 1 − β, β = min(1 − f(t+1)/f(t), 0.999)."""
    f = np.cos((np.arange(SETTINGS["num_train_timesteps"] + 1) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    return torch.from_numpy(np.cumprod(1 - np.minimum(1 - f[1:] / f[:-1], 0.999)))[time]


def test_pairs_of_the_diffusion_are_those_of_the_formula():
    torch.manual_seed(0)
    clean = torch.randn(2000, 3)
    noisy, time, target = denoising_pairs(clean)
    alpha, sigma = remaining(time).sqrt()[:, None], (1 - remaining(time)).sqrt()[:, None]
    noise = (noisy - alpha * clean) / sigma
    assert torch.allclose(target.double(), alpha * noise - sigma * clean, atol=1e-3)
    assert noise[time > 50].std() == pytest.approx(1, abs=0.03) and time.min() < 10 and time.max() > 990


def test_the_sampler_draws_the_distribution_whose_denoiser_it_is_given():
    """Of a normal distribution the best denoiser is known, and so are mean and deviation of the samples."""
    mean, deviation = 0.7, 0.4

    def predict(noisy, time):
        kept = remaining(time)[:, None]
        variance = kept * deviation**2 + 1 - kept
        clean = mean + kept.sqrt() * deviation**2 / variance * (noisy - kept.sqrt() * mean)
        noise = (noisy - kept.sqrt() * clean) / (1 - kept).sqrt()
        return (kept.sqrt() * noise - (1 - kept).sqrt() * clean).float()

    noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    samples = sample(predict, noise, steps=100)
    assert samples.mean() == pytest.approx(mean, abs=0.03) and samples.std() == pytest.approx(deviation, rel=0.05)
    assert torch.equal(samples, sample(predict, noise, steps=100))
    assert torch.equal(samples.argsort(0), noise.argsort(0))  # the map of one dimension keeps the order


def test_guidance_of_zero_forgets_the_class_and_of_one_is_none():
    torch.manual_seed(0)
    sampler = Sampler(6, "weights", Sizes(4, 16, 1, num_classes=3))
    torch.nn.init.normal_(sampler.denoiser.last.weight)
    for block in sampler.denoiser.blocks:
        torch.nn.init.normal_(block.modulation.weight)
    noise, first, second = torch.randn(2, 6), torch.tensor([0, 1]), torch.tensor([2, 2])
    with torch.no_grad():
        assert torch.allclose(sampler(noise, first, 3, 0.0), sampler(noise, second, 3, 0.0))
        assert not torch.allclose(sampler(noise, first, 3, 1.0), sampler(noise, second, 3, 1.0))
        assert torch.allclose(sampler(noise, first, 3, 1.0), sampler(noise, first, 3, 1.0 + 1e-7), atol=1e-4)


def test_a_new_denoiser_returns_zero_and_tells_times_and_classes_apart_when_it_has_learned():
    torch.manual_seed(0)
    denoiser = Denoiser(5, num_classes=2, hidden_features=8, num_blocks=1)
    noisy, time, label = torch.randn(1, 5).expand(4, 5), torch.tensor([0, 0, 9, 9]), torch.tensor([0, 1, 0, 2])
    assert torch.equal(denoiser(noisy, time, label), torch.zeros(4, 5))
    torch.nn.init.normal_(denoiser.last.weight)
    torch.nn.init.normal_(denoiser.blocks[0].modulation.weight)
    answers = denoiser(noisy, time, label)
    assert len({tuple(row) for row in answers.tolist()}) == 4


# --- baselines and neighbours --------------------------------------------------------------------------------------


def test_the_gaussians_are_those_of_each_class():
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(600) % 2
    vectors = (drawn(generator, 600, 4) @ drawn(generator, 4, 4) + 50 + 3 * label[:, None]).float()
    parts = [(vectors[start : start + 70], label[start : start + 70]) for start in range(0, 600, 70)]
    gaussians = ClassGaussians.of(parts, 4, 2, shift=vectors[0])
    for code in (0, 1):
        own = vectors[label == code].numpy().astype(np.float64)
        assert np.allclose(gaussians.mean[code], own.mean(0)) and np.allclose(gaussians.covariance[code], np.cov(own.T))
    many = torch.arange(20_000) % 2
    samples = gaussians.sample(many, components=4, seed=0)
    for code in (0, 1):
        own = samples[many == code].double()
        assert torch.allclose(own.mean(0), gaussians.mean[code], atol=0.1)
        assert torch.allclose(torch.cov(own.T), gaussians.covariance[code], atol=0.3)
    flat = gaussians.sample(many, components=2, seed=0)
    assert torch.linalg.matrix_rank(flat - gaussians.centre.float(), atol=1e-1) == 2


def test_neighbours_in_parts_are_those_of_a_loop():
    generator = torch.Generator().manual_seed(0)
    queries, others = (torch.randn(count, 7, generator=generator) for count in (5, 23))
    distance, number = nearest_distances(queries, others.split(4), 3)
    for row, query in enumerate(queries):
        slow = [float((query - other).square().mean().sqrt()) for other in others]
        assert number[row].tolist() == sorted(range(23), key=slow.__getitem__)[:3]
        assert distance[row].tolist() == pytest.approx(sorted(slow)[:3], rel=1e-4)


# --- runs ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "STEPS", 4)
        tasks.train(Generate(**SMALL), finished, folder, quiet=True, device="cpu")
    return folder


def test_a_continued_run_gives_the_bits_of_a_whole_one(finished, run, tmp_path):
    for stop in (1, 2):  # before the judges are trained, and after
        out = tmp_path / str(stop)
        tasks.train(Generate(**SMALL), finished, out, quiet=True, device="cpu", stop_after=stop)
        tasks.train(Generate(**SMALL), finished, out, quiet=True, device="cpu")
        ours, whole = checkpoint.read(out / "last.safetensors"), checkpoint.read(run / "last.safetensors")
        assert all(torch.equal(ours.module[name], tensor) for name, tensor in whole.module.items())


def test_samples_are_measured_beside_a_gaussian_of_each_class(finished, run):
    found = tasks.evaluate(run, finished, split="train", device="cpu", test_samples=20, test_steps=2, test_draws=2)
    names = [one.name for one in found]
    assert names[:2] == ["Fréchet distance", "recognised"] and "reconstruction PSNR" in names
    assert [name for name in names if name.startswith("Fréchet distance, Gaussian of all")]
    by_name = {one.name: one for one in found}
    assert by_name["recognised"].trials == 40 and by_name["Fréchet distance"].mean > 0


def test_training_inrs_are_told_to_be_copies_and_far_functions_not(finished, run, monkeypatch):
    task = Generate(**SMALL)
    training, test = task.items(finished, "train"), task.items(finished, "test")
    networks = task.networks(training, checkpoint.read(run).module, "cpu")
    examiner = networks.examiner(training, "digit")
    copies, nearer, *_ = examiner._memorised(training[:].weights, training, test)
    assert copies.mean == nearer.mean == 100
    copies, nearer, *control = examiner._memorised(training[:].weights * 3, training, test)
    assert copies.mean == nearer.mean == 0
    assert [one.name.endswith(", held-out INRs decoded") for one in control] == [True, True]
    monkeypatch.setattr(type(examiner), "_decoded", lambda self, dataset: self.values_of(dataset))
    *_, copies, nearer = examiner._memorised(training[:].weights, training, test)
    assert copies.mean < 10 and nearer.mean < 50  # held-out INRs are as near as themselves


@pytest.mark.parametrize("changes", [{"space": "weights"}, {"of": "signals"}, {"inputs": "canonical"}])
def test_other_spaces_and_subjects_are_learned(finished, tmp_path, changes):
    fields = {**SMALL, **changes}
    if "of" in changes:
        fields.pop("encoder")
    task = Generate(**fields)
    tasks.train(task, finished, tmp_path / "run", quiet=True, device="cpu")
    found = tasks.evaluate(
        tmp_path / "run", finished, split="test", device="cpu", test_draws=1, test_steps=2, test_baselines=False
    )
    assert all(np.isfinite(one.mean) for one in found)


def test_judges_learn_the_signals_or_what_inrs_say_of_them(finished, monkeypatch):
    task = Generate(**SMALL)
    training = task.items(finished, "train")
    subject, store = task.subject(training), training.stores[0]
    values, label = networks._examples(subject, training, "digit")
    each = training[:]
    assert torch.equal(label, each.labels["digit"]) and len(values) == len(each.weights)
    assert np.array_equal(values[5], store.targets(each.signal[5:6].numpy()).values_BKC[0])
    monkeypatch.setattr(type(store), "has_signals", False)
    rendered, _ = networks._examples(subject, training, "digit")
    assert torch.allclose(rendered, task.subject(training).values(each.weights))
    monkeypatch.setattr(networks, "MAX_EXAMPLE_BYTES", 4 * 64 * 10)
    assert len(networks._examples(subject, training, "digit")[0]) == 10


def test_one_fit_of_each_signal_is_learned_if_asked_for(finished):
    for of in ("weights", "signals"):
        fields = {key: value for key, value in SMALL.items() if key != "encoder"}
        one = Generate(**fields, of=of, train_seeds=1).items(finished, "train")[:]
        assert set(one.seed.tolist()) == {0} and (one.targets is not None) == (of == "signals")


def test_a_decoder_starts_at_what_training_inrs_share(finished):
    """Without a shared start the mean of neurons in any order says nothing: codes change a training INR."""
    task = Generate(**SMALL)
    learner = task.begin(finished, "cpu")
    first = task.items(finished, "train")[[0]].weights[0]
    sampler = learner.module.averaged.sampler
    with torch.no_grad():
        near = sampler.decode(torch.randn(3, 4)) - sampler.start
    assert torch.equal(sampler.start, first) and near.abs().max() < sampler.std.max()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"unknown_share": 1.0}, "unknown_share = 1.0 is not allowed; it must be at least 0 and below 1"),
        ({"ema": 0}, "ema = 0 is not allowed; it must be above 0 and below 1"),
        ({"test_steps": 1001}, "test_steps = 1001 is not allowed; it must be from 1 to 1000"),
        ({"code_features": 0}, "code_features = 0 is not allowed; it must be at least 1"),
        ({"precision": "bfloat16"}, "precision = 'bfloat16' is not allowed; it must be float32"),
        ({"augment": ({"name": "noise"},)}, "it must be none: samples follow the INRs that are learned"),
    ],
)
def test_impossible_fields_are_one_line(fields, message):
    with pytest.raises(InrzooError, match=message):
        Generate(**{**SMALL, **fields})


def test_a_store_without_a_validation_split_is_refused(finished, tmp_path):
    store = subset(finished, out=tmp_path / "train.zarr", signals=range(40), seeds=0)  # one INR of the validation split
    with pytest.raises(InrzooError, match=r"needs a validation split; that of .* has fewer than two INRs"):
        Generate(**SMALL).begin(store.location, "cpu")


def test_without_diffusers_the_line_says_how_to_install_it(finished, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingPackageError, match=r"the task generate needs .*pip install 'inrzoo\[generate\]'"):
        tasks.train(Generate(**SMALL), finished, tmp_path / "run", quiet=True, device="cpu")


def test_samples_and_their_nearest_training_inrs_are_drawn(finished, run, tmp_path, inrzoo):
    code, out, _ = inrzoo("draw", run, finished, "--out", tmp_path, "--count", 2)
    assert code == 0 and "samples.png" in out and "neighbours.png" in out
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in ("samples.png", "neighbours.png"))
