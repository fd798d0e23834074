"""Fits one block from what the store records, and nothing else. The same function serves builds, repairs and re-fits.

Shape letters: B INRs of a block, T snapshots, P parameters, K coordinates, C channels.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from inrzoo import fit, manifest
from inrzoo.seeding import Stream
from inrzoo.store import Block, Quality, Store


def environment(device: str) -> dict[str, str]:
    """What besides the manifest decides the bits of an INR: the library, the kind of device, its instructions."""
    if device == "cpu":
        kind, instructions = "cpu", torch.backends.cpu.get_cpu_capability()
    else:
        kind = torch.cuda.get_device_name(device)
        instructions = "sm_{}{}".format(*torch.cuda.get_device_capability(device))
    return {"torch": torch.__version__.split("+")[0], "device": kind, "instruction_set": instructions}


def fit_block(
    store: Store, block: Block, device: str, signals_BKC: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.float32], Quality]:
    """Fit the INRs of one block.

    Args:
        store: says everything: INR, grid, settings, signals.
        block: which signals and which seed.
        device: `"cpu"` (one thread, so that products round the same everywhere) or a CUDA device.
        signals_BKC: the block's signals, where the store does not hold them.

    Returns:
        weights (B, T, P) and their quality.
    """
    settings = manifest.Manifest.from_json(store.attributes["manifest"])
    rows = store.partition.rows(block.index)
    signals = store.signals(rows) if signals_BKC is None else signals_BKC
    with one_thread():
        result = fit.fit(
            store.inr,
            torch.from_numpy(starts(store, block)).to(device),
            torch.from_numpy(store.coords()).to(device),
            targets(signals, store.value_range).to(device),
            lr=settings.fit.lr,
            snapshots=settings.fit.snapshots,
            stop_psnr=settings.fit.effective_stop_psnr,
            value_range=store.value_range,
        )
    quality = Quality(
        psnr_BT=result.psnr_BT.cpu().numpy(),
        loss_BT=result.loss_BT.cpu().numpy(),
        steps_BT=result.steps_BT.cpu().numpy(),
        status_B=result.status_B.cpu().numpy(),
    )
    return result.weights_BTP.cpu().numpy(), quality


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside: more would split a product, and round it, differently. Cores get workers instead."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def starts(store: Store, block: Block) -> NDArray[np.float32]:
    """Where the block's INRs start: each from its own stream, whatever block it is in. Shape (B, P)."""
    rows, name = store.partition.rows(block.index), store.attributes["manifest"]["name"]
    streams = (Stream("init", name, block.seed, signal) for signal in store.signal_ids[rows])
    return np.stack([store.inr.init(stream) for stream in streams])


def targets(signals_BKC: NDArray[np.uint8], value_range: tuple[float, float]) -> torch.Tensor:
    """Signals on the value scale: low + (high − low) · signal / 255, float32."""
    low, high = value_range
    return torch.from_numpy(signals_BKC).to(torch.float32) * ((high - low) / 255.0) + low
