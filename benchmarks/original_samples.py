"""The baseline of a store: its classes read from the original signals, without any INR.

Command:  python benchmarks/original_samples.py STORE [--label COLUMN]     Duration: a minute for a thousand signals.
Needs:    a store that holds its signals (images, sounds, voxels, or points).
Features of a signal: its pixels; the log spectrogram of a sound, 16 times by 16 frequencies; voxels in 8³ blocks; of
points with values, the mean value in each of 8³ cells of the cube. Logistic regression reads them, with the strength of
its penalty chosen on the validation split. Prints the accuracy on the test split.
"""

import argparse

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d

from inrzoo import open_store
from inrzoo.store import Store
from inrzoo.tasks.probes import Features, linear_probe

BLOCKS, WINDOW, HOP = 8, 256, 64


def features(store: Store) -> Tensor:
    """Features of all signals of a store, (N, F)."""
    targets = store.targets(slice(None))
    values = torch.from_numpy(targets.values_BKC).float()
    if "points" in store.info.arrays:
        extent = store.info.manifest.coords.extent
        cell_BKD = ((torch.as_tensor(targets.coords) / extent + 1) * BLOCKS / 2).long().clamp(0, BLOCKS - 1)
        place_BK = (cell_BKD * torch.tensor([BLOCKS**2, BLOCKS, 1])).sum(-1)
        zeros = torch.zeros(len(values), BLOCKS**3)
        total, count = (
            zeros.scatter_add(1, place_BK, values[..., 0]),
            zeros.scatter_add(1, place_BK, place_BK * 0 + 1.0),
        )
        return total / count.clamp(min=1)
    grid = store.info.grid
    if len(grid) == 1:
        window = min(WINDOW, grid[0] // 2)
        spectrum = torch.stft(values[..., 0], window, HOP, window=torch.hann_window(window), return_complex=True)
        return adaptive_avg_pool2d((spectrum.abs() + 1e-3).log()[:, None], 16).flatten(1)
    if len(grid) == 3:
        return adaptive_avg_pool3d(values[..., 0].reshape(-1, 1, *grid), BLOCKS).flatten(1)
    return values.flatten(1)


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="folder or URL of a store")
    parser.add_argument("--label", help="label column; the first one by default")
    options = parser.parse_args()
    store = open_store(options.store)
    column = options.label or store.info.label_columns[0]
    read, labels, split = features(store), torch.as_tensor(store.labels[column]).long(), torch.as_tensor(store.split)
    parts = []
    for name in ("train", "validation", "test"):
        rows = split == store.info.split_names.index(name)
        parts.append(Features(read[rows], labels[rows], rows[rows].long(), rows[rows].long()))
    train, validation, test = parts
    found = linear_probe(train, validation, test)
    print(
        f"{options.store}, {column}: {found.mean:.1f} ± {found.interval:.1f} % of {found.trials} test signals, "
        f"{read.shape[1]} features of the original"
    )


if __name__ == "__main__":
    main()
