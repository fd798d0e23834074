"""The nearest of many functions, which come in parts.

Shape letters: N functions, M others, J neighbours, K values of a function.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def nearest_distances(queries: Tensor, parts: Iterable[Tensor], neighbours: int) -> tuple[Tensor, Tensor]:
    """Root-mean-square differences to the nearest of M others, (N, J) ascending, and their numbers, (N, J) int64.

    Args:
        queries: (N, K).
        parts: the others, (·, K) each; M at least J.
        neighbours: J.

    Example:
        >>> distance, number = nearest_distances(torch.zeros(1, 2), [torch.ones(3, 2), 2 * torch.eye(2)], 1)
        >>> distance.tolist(), number.tolist()
        ([[1.0]], [[0]])
    """
    best = torch.full((len(queries), 0), torch.inf)
    numbers = torch.zeros(len(queries), 0, dtype=torch.int64)
    first, scale = 0, queries.shape[1] ** 0.5
    for part in parts:
        both = torch.cat([best, torch.cdist(queries, part) / scale], dim=1)
        own = torch.arange(first, first + len(part)).expand(len(queries), -1)
        best, order = both.topk(min(neighbours, both.shape[1]), dim=1, largest=False)
        numbers = torch.cat([numbers, own], dim=1).gather(1, order)
        first += len(part)
    return best, numbers
