"""The average of parameters against a loop, and that saving it in between changes nothing."""

import torch
from torch import nn

from inrzoo.tasks.classify import AveragedClassifier, Classifier


class Small(Classifier):
    """A linear layer and buffers in place of an encoder."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.layers = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.layers(numbers)


def trained(steps: int, decay: float, reload: bool = False) -> tuple[AveragedClassifier, list[list[torch.Tensor]]]:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    averaged = AveragedClassifier(Small(), decay)
    path = [[parameter.detach().clone() for parameter in averaged.network.parameters()]]
    for _ in range(steps):
        for parameter in averaged.network.parameters():
            parameter.data += torch.randn(parameter.shape, generator=generator)
        averaged.network(torch.randn(8, 3, generator=generator))
        averaged.update()
        if reload:
            fresh = AveragedClassifier(Small(), decay)
            fresh.load_state_dict(averaged.state_dict())
            averaged = fresh
        path.append([parameter.detach().clone() for parameter in averaged.network.parameters()])
    return averaged, path


def test_the_average_is_that_of_a_loop() -> None:
    averaged, path = trained(30, 0.9)
    average = path[0]
    for step, parameters in enumerate(path[1:], start=1):
        decay = min(0.9, (1 + step) / (10 + step))
        average = [decay * old + (1 - decay) * new for old, new in zip(average, parameters, strict=True)]
    torch.testing.assert_close(list(averaged.measured.parameters()), average)
    assert (next(averaged.measured.parameters()) - next(averaged.network.parameters())).abs().max() > 0.1
    torch.testing.assert_close(list(averaged.measured.buffers()), list(averaged.network.buffers()))


def test_saving_and_loading_change_nothing() -> None:
    plain, reloaded = trained(7, 0.95)[0], trained(7, 0.95, reload=True)[0]
    for one, other in zip(plain.state_dict().values(), reloaded.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_tensors_of_older_checkpoints_are_renamed() -> None:
    averaged, _ = trained(5, 0.9)
    state = averaged.state_dict()
    older = {name.replace("average.module.", "copy."): tensor for name, tensor in state.items()}
    older["num_updates"] = older.pop("average.n_averaged") - 1
    fresh = AveragedClassifier(Small(), 0.9)
    fresh.load_state_dict(older)
    assert all(torch.equal(tensor, fresh.state_dict()[name]) for name, tensor in state.items())
    plain = AveragedClassifier(Small(), 0.0)  # one without an average recorded that it had no updates
    plain.load_state_dict({**plain.state_dict(), "num_updates": torch.tensor(0)})


def test_no_decay_is_the_network_itself() -> None:
    averaged, _ = trained(3, 0.0)
    assert averaged.measured is averaged.network and len(list(averaged.parameters())) == 4


def test_only_the_network_is_trained() -> None:
    averaged = AveragedClassifier(Small(), 0.9)
    assert [parameter.requires_grad for parameter in averaged.parameters()] == [True] * 4 + [False] * 4
