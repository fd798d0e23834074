"""The modules that public readers load a state dict into, re-written from their definitions: names, ω, offset, grid.

DWSNets nn/inr.py and experiments/utils.py; nfn experiments/siren_utils.py; siren modules.py and dataio.py.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import nn


class Layer(nn.Module):
    """A sine layer whose weight and bias are its own parameters, as in DWSNets."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((num_out, num_in), torch.nan))
        self.bias = nn.Parameter(torch.full((num_out,), torch.nan))

    def forward(self, x):
        return torch.sin(30.0 * (x @ self.weight.T + self.bias))


class Wrapped(nn.Module):
    """A sine layer around an `nn.Linear` called linear, as in nfn."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_in, num_out)

    def forward(self, x):
        return torch.sin(30 * self.linear(x))


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(30 * x)


class DwsInr(nn.Module):
    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        hidden = [Layer(a, b) for a, b in pairwise(sizes[:-1])]
        self.seq = nn.Sequential(*hidden, nn.Linear(*sizes[-2:]))

    def forward(self, x):
        return self.seq(x) + 0.5

    @staticmethod
    def grid(height: int, width: int) -> torch.Tensor:
        x, y = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width))
        return torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1)).float()


class NfnSiren(nn.Module):
    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        hidden = [Wrapped(a, b) for a, b in pairwise(sizes[:-1])]
        self.net = nn.Sequential(*hidden, nn.Linear(*sizes[-2:]))

    def forward(self, x):
        return self.net(x)

    @staticmethod
    def grid(height: int, width: int) -> torch.Tensor:
        line = torch.linspace(-1, 1, height)
        return torch.stack(torch.meshgrid(line, line, indexing="ij"), dim=-1).reshape(-1, 2)


class Block(nn.Module):
    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        pairs = list(pairwise(sizes))
        layers = [nn.Sequential(nn.Linear(a, b), Sine()) for a, b in pairs[:-1]]
        self.net = nn.Sequential(*layers, nn.Sequential(nn.Linear(*pairs[-1])))

    def forward(self, x):
        return self.net(x)


class SingleBvpNet(nn.Module):
    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.net = Block(sizes)

    def forward(self, x):
        return self.net(x)

    @staticmethod
    def grid(height: int, width: int) -> torch.Tensor:
        rows, cols = np.mgrid[:height, :width].astype(np.float32)
        points = np.stack([rows / max(height - 1, 1), cols / max(width - 1, 1)], axis=-1)
        return torch.from_numpy((points - 0.5) * 2).reshape(-1, 2)


READERS = {"dws": DwsInr, "nfn": NfnSiren, "sitzmann": SingleBvpNet}
