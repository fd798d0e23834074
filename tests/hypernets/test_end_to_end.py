"""MWT: what the classifier sees, which gradient goes where."""

import pytest
import torch
from small import make, make_inr, randomise_, signals
from torch.nn.functional import cross_entropy

from inrzoo import registry
from inrzoo.encoders.weight_transformer import WeightTransformer
from inrzoo.errors import InrzooError

LABELS = torch.tensor([0, 1, 2])
DOUBLE = torch.float64


def tiny(**fields):
    inr = make_inr("siren", hidden_features=5, convention="mwt", omega_0=10.0)
    return randomise_(make("end_to_end", inr, **({"inner_fraction": 1.0} | fields)).double())


def gradients(net):
    found = {key: part.grad.clone() for key, part in net.named_parameters() if part.grad is not None}
    net.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize("task_weight", [0.01, 0.5, 1.0, 0.0])
def test_gradients_are_those_of_two_passes(task_weight):
    """n.14: start and rates w ∇CE + ∇error, classifier ∇CE."""
    net = tiny(task_weight=task_weight)
    coords, values = signals(dtype=DOUBLE)
    task, error, _ = net.losses(coords, values, LABELS)
    (task.mean() + error.mean()).backward()
    found = gradients(net)

    instances = net.instances(coords, values)
    cross_entropy(net.classify(instances), LABELS).backward()
    of_task = gradients(net)
    net.reconstruction_loss(net(coords, values), coords, values).mean().backward()
    of_error = gradients(net)

    assert of_task.keys() >= {"start", "rates"}
    assert of_error.keys() == {"start", "rates"}
    for key in ("start", "rates"):
        assert of_task[key].norm() > 0
        torch.testing.assert_close(found[key], task_weight * of_task[key] + of_error[key])
    for key, _ in net.classifier.named_parameters():
        torch.testing.assert_close(found[f"classifier.{key}"], of_task[f"classifier.{key}"])


def test_weighing_the_gradient_does_not_change_the_scores():
    net = tiny()
    coords, values = signals(dtype=DOUBLE)
    task, error, scores = net.losses(coords, values, LABELS)
    assert torch.equal(scores, net.classify(net.instances(coords, values)))
    assert task.tolist() == [cross_entropy(scores[i], LABELS[i]).item() for i in range(3)]
    torch.testing.assert_close(error, net.loss(coords, values))


def test_tokens_are_the_neurons_behind_the_first_layer():
    """Paper: 5 sine layers of 128 give 4 · 128 tokens of 128 weights and a bias."""
    spec = {"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": 128, "hidden_layers": 4}
    inr = registry.make("inrs", spec, in_features=2, out_features=3)
    net = registry.make("hypernets", {"name": "end_to_end", "num_layers": 1}, inr=inr, sizes=(32, 32), num_classes=10)
    weights = torch.randn(2, inr.layout.num_params)
    tokens = net.classifier[0].tokens(weights)
    assert tokens.shape == (2, 512, 129)
    tensors = inr.layout.split(weights)
    for i in (1, 2, 3, 4):
        part = tokens[:, 128 * (i - 1) : 128 * i]
        assert torch.equal(part[..., :128], tensors[f"weight_{i}"])
        assert torch.equal(part[..., 128], tensors[f"bias_{i}"])
    assert net.rates.shape == (6, inr.layout.num_params - 3 * 129)
    assert ((net.rates >= 0.1) & (net.rates <= 1.0)).all()
    assert (net.classifier[0].base == 0).all()


def test_classifier_sees_offsets_of_adapted_layers_alone():
    net = tiny()
    instances = net.instances(*signals(dtype=DOUBLE)).detach()
    before = net.classify(instances)
    with torch.no_grad():
        net.start.add_(1.0)
    assert torch.equal(net.classify(instances), before)
    first_layer = instances.clone()
    first_layer[:, :15] += 1.0  # weight_0 (5, 2) and bias_0 (5,)
    assert torch.equal(net.classify(first_layer), before)
    later = instances.clone()
    later[:, 15] += 1.0
    assert (net.classify(later) != before).any()


def test_scores_of_a_batch_equal_one_by_one():
    net = tiny().eval()
    instances = net.instances(*signals(dtype=DOUBLE)).detach()
    together = net.classify(instances)
    torch.testing.assert_close(together, torch.cat([net.classify(one[None]) for one in instances]))


def test_base_tells_neurons_apart_and_without_it_their_order_does_not_matter():
    net = tiny()
    classifier: WeightTransformer = net.classifier[0]
    weights = torch.randn(2, net.inr.layout.num_params, dtype=DOUBLE)
    orders = {"hidden_2": [3, 0, 1, 4, 2]}  # rows of weight_2; its columns' axis keeps its order
    permuted = net.inr.layout.permute(weights, orders)
    assert not torch.allclose(classifier(permuted), classifier(weights))
    with torch.no_grad():
        classifier.base.zero_()
    torch.testing.assert_close(classifier(permuted), classifier(weights))


def test_optimiser_groups_hold_every_parameter_once():
    net = tiny()
    groups = net.parameter_groups(1e-4, 1e-2, 1e-3)
    assert [group["lr"] for group in groups] == [1e-4, 1e-2, 1e-3]
    assert groups[0]["params"] == [net.start]
    assert groups[1]["params"] == [net.rates]
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(map(id, net.parameters()))


def test_inrs_without_a_second_hidden_layer_are_refused():
    with pytest.raises(InrzooError, match="hidden layers after the first"):
        make("end_to_end", make_inr("siren", hidden_layers=0))


def test_features_are_the_mean_over_all_tokens():
    """Without blocks all is linear: the feature of the mean token."""
    encoder: WeightTransformer = tiny().classifier[0]
    encoder.transformer.blocks = torch.nn.ModuleList()
    weights = torch.randn(1, encoder.layout.num_params, dtype=DOUBLE)
    tokens = encoder.modulation_scale * (encoder.tokens(weights) + encoder.base)
    torch.testing.assert_close(encoder(weights)[0], encoder.embed(tokens[0].mean(dim=0)))
