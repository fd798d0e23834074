"""The average of parameters against a loop, and that saving it in between changes nothing."""

import torch
from torch import nn

from inrzoo.tasks._ema import Ema


def trained(steps, decay, again=False):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    ema = Ema(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), decay)
    path = [[parameter.detach().clone() for parameter in ema.network.parameters()]]
    for step in range(1, steps + 1):
        for parameter in ema.network.parameters():
            parameter.data += torch.randn(parameter.shape, generator=generator)
        ema.network(torch.randn(8, 3, generator=generator))
        ema.update(step)
        if again:
            ema.update(step)
            fresh = Ema(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), decay)
            fresh.load_state_dict(ema.state_dict())
            ema = fresh
        path.append([parameter.detach().clone() for parameter in ema.network.parameters()])
    return ema, path


def test_the_average_is_that_of_a_loop():
    ema, path = trained(30, 0.9)
    average = path[0]
    for step, parameters in enumerate(path[1:], start=1):
        decay = min(0.9, (1 + step) / (10 + step))
        average = [decay * old + (1 - decay) * new for old, new in zip(average, parameters, strict=True)]
    torch.testing.assert_close(list(ema.average.parameters()), average)
    assert (next(ema.average.parameters()) - next(ema.network.parameters())).abs().max() > 0.1
    torch.testing.assert_close(list(ema.average.buffers()), list(ema.network.buffers()))


def test_saving_loading_and_a_second_update_change_nothing():
    plain, again = trained(7, 0.95)[0], trained(7, 0.95, again=True)[0]
    for one, other in zip(plain.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_no_decay_is_the_network_itself():
    ema, _ = trained(3, 0.0)
    assert ema.average is ema.network and len(list(ema.parameters())) == 4


def test_only_the_network_is_trained():
    ema = Ema(nn.Linear(2, 2), 0.9)
    assert [parameter.requires_grad for parameter in ema.parameters()] == [True, True, False, False]
