"""functa's inner loop: against finite differences, against a loop as its code has it, and what it leaves shared."""

import pytest
import torch
from small import make, make_inr, signals

from inrzoo.errors import InrzooError

DOUBLE = torch.float64


def tiny(modulation: str = "shift", **fields):
    # At ω₀ = 30 steps of this size leave the range where finite differences mean something.
    inr = make_inr("latent_siren", axes=1, hidden_features=3, latent_dim=4, rank=2, omega_0=4.0, modulation=modulation)
    return make("functa", inr, **fields).double()


@pytest.mark.parametrize("modulation", ["shift", "low_rank"])
def test_gradients_through_three_steps_equal_finite_differences(modulation):
    """Of the base and of the rates, which are learned together (second-order MAML and Meta-SGD)."""
    hypernet = tiny(modulation)
    coords, values = signals(1, batch=2, dtype=DOUBLE)
    parameters = dict(hypernet.named_parameters())
    assert parameters.keys() == {"base", "rates"} and hypernet.inner_steps == 3
    gradients = torch.autograd.grad(hypernet.loss(coords, values).mean(), list(parameters.values()))
    generator = torch.Generator().manual_seed(2)
    for (key, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        for _ in range(3):
            direction = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
            sides = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    parameter.add_(step * direction)
                sides.append(hypernet.loss(coords, values).mean().item())
                with torch.no_grad():
                    parameter.sub_(step * direction)
            expected = (sides[0] - sides[1]) / 2e-5
            assert (gradient * direction).sum().item() == pytest.approx(expected, rel=1e-5, abs=1e-9), key


def test_the_inner_loop_is_that_of_the_published_code():
    """functa's `inner_loop` and `LatentModulatedSiren`, for one signal at a time, in their order of operations.

    function_reps.py: x ← linear(x); x ← x + shift; x ← sin(w0 x); and the map from latents to shifts of all layers is
    one linear map. helpers.py: latent ← latent − lr ⊙ gradient of the mean squared error, from zeros. Its bias is
    left out, and its output offset of 0.5 is 0 here.
    """
    hypernet = tiny()
    coords, values = signals(1, dtype=DOUBLE)
    layout = hypernet.inr.base_layout
    base = {name: part.detach().clone().requires_grad_() for name, part in layout.split(hypernet.base).items()}
    rates = hypernet.rates.detach().clone()[0].requires_grad_()
    latent_to_modulation = torch.cat([base[f"shift_{i}"] for i in range(3)])

    def forward(latent, x):
        shifts = (latent_to_modulation @ latent).split(3)
        for i in range(3):
            x = x @ base[f"weight_{i}"].T + base[f"bias_{i}"]
            x = x + shifts[i]
            x = torch.sin(4.0 * x)
        return x @ base["weight_3"].T + base["bias_3"]

    latents, losses = [], []
    for one in values:
        latent = torch.zeros(4, dtype=DOUBLE, requires_grad=True)
        for _ in range(3):
            loss = ((forward(latent, coords) - one) ** 2).mean()
            (gradient,) = torch.autograd.grad(loss, latent, create_graph=True)
            latent = latent - rates * gradient
        latents.append(latent)
        losses.append(((forward(latent, coords) - one) ** 2).mean())
    torch.testing.assert_close(hypernet(coords, values), torch.stack(latents), rtol=1e-9, atol=1e-12)
    ours = torch.autograd.grad(hypernet.loss(coords, values).mean(), [hypernet.base, hypernet.rates])
    theirs = torch.autograd.grad(torch.stack(losses).mean(), [*base.values(), rates])
    expected = layout.join(dict(zip(base, theirs[:-1], strict=True)))
    torch.testing.assert_close(ours[0], expected, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(ours[1][0], theirs[-1], rtol=1e-8, atol=1e-12)


def test_without_steps_every_signal_is_the_base():
    hypernet = tiny(inner_steps=0)
    coords, values = signals(1, dtype=DOUBLE)
    latents = hypernet(coords, values)
    assert latents.shape == (3, 4) and not latents.any()
    rendered = hypernet.inr(latents, coords)
    assert torch.equal(rendered[0], rendered[1])
    assert torch.equal(hypernet.start_weights(), latents[0])


def test_more_steps_than_it_learned_lower_the_error():
    """One set of rates serves every step, as in functa, so that their number can be changed afterwards."""
    hypernet = tiny(learned_rates=(0.005, 0.005)).eval()
    assert hypernet.rates.shape == (1, 4)
    coords, values = signals(1, dtype=DOUBLE)
    with torch.no_grad():
        hypernet.rates.fill_(0.005)
    errors = []
    for steps in (0, 3, 30):
        hypernet.inner_steps = steps
        errors.append(hypernet.loss(coords, values).detach())
    assert (errors[1] < errors[0]).all() and (errors[2] < errors[1]).all()


def test_one_signal_does_not_affect_another():
    hypernet = tiny()
    coords, values = signals(1, dtype=DOUBLE)
    changed = values.clone()
    changed[1:] = 7.0
    torch.testing.assert_close(hypernet(coords, changed)[0], hypernet(coords, values)[0], rtol=1e-12, atol=1e-12)


def test_a_training_starts_from_the_base_that_the_inr_has():
    from inr_contract import with_base

    inr = with_base(make_inr("latent_siren"))
    assert torch.equal(make("functa", inr).base, torch.from_numpy(inr.base_weights))


def test_inrs_without_latents_are_refused():
    with pytest.raises(InrzooError, match=r"^functa learns a base for latents, and ReluMlp has none: pass --inr"):
        make("functa", make_inr())
    with pytest.raises(InrzooError, match=r"^trans_inr writes the matrices of an INR; LatentSiren has none of its own"):
        make("trans_inr", make_inr("latent_siren"))
