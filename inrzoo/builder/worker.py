"""Fits INRs from the settings and signals in a store. Builds, repairs and re-fits use the same function.

Shape letters: B INRs, S seeds, T snapshots, P parameters, K coordinates, D coordinate dimensions, C channels.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray

from inrzoo import fit, manifest, registry
from inrzoo.builder.fitter import network_starts
from inrzoo.builder.known import known, num_new
from inrzoo.builder.quality import measured
from inrzoo.builder.rounding import rounded
from inrzoo.fit.antialias import AntiAlias
from inrzoo.fit.schedule import Schedule
from inrzoo.inrs import INR
from inrzoo.manifest import FitSettings
from inrzoo.observations import Observation
from inrzoo.seeding import Stream
from inrzoo.store import Block, Quality, Store
from inrzoo.targets import SignalTable, Targets, concatenate

BYTES_AT_ONCE = 2**28
"""Maximum size, in bytes, of the weights that `fit_blocks` returns."""

SPREAD_DRAWS = 64
"""Draws of initial weights over which the spread of a tensor is taken."""


def environment(device: str, engine: str, by_network: bool) -> dict[str, str]:
    """Return what decides the bits of an INR besides the manifest: library, compiler, device type, instruction set.

    Args:
        device: `cpu` or `cuda`.
        engine: name of the fitting engine.
        by_network: whether a hypernetwork makes the initial weights; it always runs on torch.
    """
    own = fit.engine(engine).environment(device)
    if not by_network or engine == "reference":
        return own
    torchs = fit.engine("reference").environment(device)
    return {**own, "torch": torchs["torch"], "torch_instruction_set": torchs["instruction_set"]}


def environment_differences(store: Store, device: str) -> list[str]:
    """Return the keys in which this environment differs from that of the store; without differences the bits agree."""
    ours = environment(device, store.settings.fit.engine, store.settings.init.mode == "hypernet")
    return manifest.differences(store.info.environment, ours)


def fit_block(
    store: Store, block: Block, device: str, targets: Targets | None = None, threads: int = 1
) -> tuple[NDArray[np.float32], Quality]:
    """Fit the INRs of one block; see `fit_rows`. What the store grows from is copied."""
    rows, there = store.partition.rows(block.index), known(store, block) if targets is None else None
    if there is None:
        return fit_rows(store, rows, block.seed, device, targets, threads)
    new = np.flatnonzero(there.new_B)
    runs = [run for run in np.split(new, np.flatnonzero(np.diff(new) > 1) + 1) if len(run)]
    parts = [(slice(rows.start + int(run[0]), rows.start + int(run[-1]) + 1), block.seed) for run in runs]
    weights_BTP, columns = there.weights_BTP, there.quality.columns()
    for run, (fitted_BTP, quality) in zip(
        runs, _fit(store, parts, device, None, threads) if parts else [], strict=True
    ):
        weights_BTP[run] = fitted_BTP
        for name, values in quality.columns().items():
            columns[name][run] = values
    return weights_BTP, there.quality


def blocks_at_once(store: Store) -> int:
    """Return how many blocks `fit_blocks` should get, to fill the device; 1 where bits depend on the batch."""
    row_bytes = 4 * len(store.settings.fit.snapshots) * store.layout.num_params
    inrs = min(fit.engine(store.settings.fit.engine).INRS_AT_ONCE, BYTES_AT_ONCE // row_bytes)
    return max(1, inrs // store.partition.block_rows)


def fit_blocks(
    store: Store, blocks: Sequence[Block], device: str, threads: int = 1
) -> list[tuple[NDArray[np.float32], Quality]]:
    """Fit the INRs of several blocks, up to `blocks_at_once`, in one call of the engine; results as `fit_block`."""
    if any(num_new(store, block) < store.num_rows(block) for block in blocks):
        return [fit_block(store, block, device, threads=threads) for block in blocks]
    return _fit(store, [(store.partition.rows(block.index), block.seed) for block in blocks], device, None, threads)


def fit_rows(
    store: Store,
    rows: slice,
    seed: int,
    device: str,
    targets: Targets | None = None,
    threads: int = 1,
) -> tuple[NDArray[np.float32], Quality]:
    """Fit the INRs of some signals.

    Args:
        store: source of INR, grid, settings and signals.
        rows: range of the signals. To reproduce the bits of a build it must start with a batch.
        seed: number of the fit of each signal.
        device: `"cpu"` (with one thread, so that products round the same everywhere) or a CUDA device.
        targets: what the INRs of `rows` are fitted to, if the store does not hold the signals.
        threads: number of threads of engines whose bits do not depend on it; others use one.

    Returns:
        Weights (B, T, P) and their quality, rounded if the store rounds them.
    """
    return _fit(store, [(rows, seed)], device, targets, threads)[0]


def _fit(
    store: Store, parts: Sequence[tuple[slice, int]], device: str, targets: Targets | None, threads: int
) -> list[tuple[NDArray[np.float32], Quality]]:
    """Fit rows of some seeds in one call of the engine; return weights and quality of each part.

    Everything but the fit, whose bits may depend on the batch, is done part by part.
    """
    settings, sizes = store.settings, [rows.stop - rows.start for rows, _ in parts]
    with one_thread():
        signals = [store.targets(rows) for rows, _ in parts] if targets is None else [targets]
        by_network = settings.init.mode == "hypernet"
        starts_BP = [
            network_starts(store, part, device) if by_network else starts(store, rows, seed)
            for part, (rows, seed) in zip(signals, parts, strict=True)
        ]
        keys = [subset_keys(settings, seed, store.signal_ids[rows]) for rows, seed in parts]
        keys_B = None if keys[0] is None else np.concatenate([part for part in keys if part is not None])
        result = fit_to(
            store.inr,
            np.concatenate(starts_BP),
            concatenate(signals),
            settings,
            store.info.grid,
            device,
            threads,
            keys_B,
        )
        evaluate = fit.engine(settings.fit.engine).evaluate
        return [
            _as_kept(store, targets, part.weights_BTP.cpu().numpy(), measured(store, targets, part, evaluate))
            for targets, part in zip(signals, result.split(sizes), strict=True)
        ]


def _as_kept(
    store: Store, targets: Targets, weights_BTP: NDArray[np.float32], quality: Quality
) -> tuple[NDArray[np.float32], Quality]:
    """Round fitted weights if the store does, and return them with their quality."""
    if store.info.rounding is None:
        return weights_BTP, quality
    return rounded(store, targets, weights_BTP, quality)


def fit_to(
    inr: INR,
    starts_BP: NDArray[np.float32],
    targets: Targets,
    settings: FitSettings,
    grid: tuple[int, ...],
    device: str,
    threads: int = 1,
    keys_B: NDArray[np.uint64] | None = None,
) -> fit.Fit:
    """Fit INRs to signals; `keys_B` are those of `subset_keys`."""
    antialias = AntiAlias(**asdict(settings.antialias)) if settings.antialias.used else None
    observation: Observation = registry.make("observations", settings.observation)
    problem = fit.FitProblem(
        inr,
        torch.from_numpy(starts_BP).to(device),
        torch.from_numpy(targets.coords).to(device),
        torch.from_numpy(targets.values_BKC).to(device),
        lr=settings.fit.lr,
        snapshots=settings.fit.snapshots,
        stop_psnr=settings.fit.effective_stop_psnr,
        value_range=settings.values.range,
        antialias=antialias,
        nyquist_D=torch.from_numpy(settings.coords.nyquist(grid)).to(device) if antialias else None,
        products=settings.fit.products,
        loss=observation.loss_name,
        schedule=Schedule(
            kind=settings.fit.schedule,
            steps=settings.fit.steps,
            final_factor=settings.fit.final_lr_factor,
            warm_up=settings.fit.warm_up,
        ),
        weight_decay=settings.fit.weight_decay,
        max_grad_norm=settings.fit.max_grad_norm,
        lr_factors=spread_factors(inr) if settings.fit.lr_per_tensor == "spread" else {},
        num_coords=settings.fit.num_coords,
        keys_B=keys_B,
        evaluate_every=settings.fit.evaluate_every,
        observe=observation.observer(extent=settings.coords.extent, value_range=settings.values.range),
        evaluations=observation.evaluations,
    )
    return fit.engine(settings.fit.engine).fit(problem, threads)


def subset_keys(settings: FitSettings, seed: int, signal_ids: Sequence[str]) -> NDArray[np.uint64] | None:
    """Return the key of each INR's draws of coordinates; None for settings that take all."""
    if settings.fit.num_coords is None:
        return None
    streams = [Stream("coordinate subset", settings.name, seed, signal) for signal in signal_ids]
    return np.array([stream.word() for stream in streams], dtype=np.uint64)


@functools.lru_cache(maxsize=4)
def spread_factors(inr: INR) -> dict[str, float]:
    """Return the standard deviation of each tensor's initial weights, over the largest one.

    Taken over `SPREAD_DRAWS` draws of a stream of its own, rounded to three digits so that it is a setting and not a
    sum whose last bits depend on the machine. A tensor that begins at 0 has the factor of the tensor before it.
    """
    draws = np.stack([inr.init(Stream("spread", "", number)) for number in range(SPREAD_DRAWS)]).astype(np.float64)
    deviations: dict[str, float] = {}
    latest = 0.0
    for name, tensor in inr.layout.split(draws).items():
        latest = float(np.sqrt(np.mean(np.square(tensor)))) or latest
        deviations[name] = latest
    largest = max(deviations.values())
    return {name: float(f"{deviation / largest:.3g}") for name, deviation in deviations.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one torch thread inside the block, as more would round products differently. More workers use the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def starts(store: Store, rows: slice, seed: int) -> NDArray[np.float32]:
    """Return initial weights, (B, P): the store's init for all, or a draw from the random stream of each INR."""
    ids, name = store.signal_ids[rows], store.info.dataset
    if store.init is not None:
        return np.repeat(store.init[seed : seed + 1], len(ids), axis=0)
    return random_draws(store.inr, name, seed, ids)


def random_draws(inr: INR, dataset: str, seed: int, ids: Sequence[str]) -> NDArray[np.float32]:
    """Draw initial weights, (B, P), each from the random stream of its own INR."""
    return np.stack([inr.init(Stream("init", dataset, seed, signal)) for signal in ids])


def shared_draw(inr: INR, settings: FitSettings, seed: int) -> NDArray[np.float32]:
    """Draw the initial weights that all signals of a seed share, (P,)."""
    return inr.init(Stream("fixed init", settings.name, seed))


def fixed_start(inr: INR, settings: FitSettings, seed: int, signals: SignalTable, device: str) -> NDArray[np.float32]:
    """Fit the initial weights that all signals of a seed share, (P,), to one of the signals, drawn by the seed.

    Few-shot paper, Sec. 3.3.3; the fit starts from `shared_draw`.
    """
    chosen = int(Stream("fixed init signal", settings.name, seed).shuffle(len(signals))[0])
    start = shared_draw(inr, settings, seed)
    with one_thread():
        keys_B = subset_keys(settings, seed, ["fixed init"])
        signal = signals.targets(slice(chosen, chosen + 1))
        result = fit_to(inr, start[None], signal, settings, signals.grid, device, keys_B=keys_B)
    return result.weights_BTP[0, -1].cpu().numpy()
