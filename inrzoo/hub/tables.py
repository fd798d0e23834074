"""Makes the tables of the card.

Shape letters: N signals, S seeds, T snapshots.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.hub.markdown import code, fenced, table, text
from inrzoo.interchange import parquet
from inrzoo.manifest import Values
from inrzoo.store import Store

BINS, BAR = 16, 40

SIREN_CONVENTIONS = {
    "sitzmann": "first layer U(±1/fan_in), others U(±√(6/fan_in)/ω₀), biases as in torch's `nn.Linear`",
    "dws": "sine layers U(±√(6/fan_in)/ω₀), their biases 0, output layer as in torch's `nn.Linear`",
    "mwt": "first layer U(±1/fan_in), hidden ones U(±√(6/fan_in)), biases 0, output layer 0.1 × `nn.Linear`; "
    "ω₀ in the first layer alone",
}
ARCHITECTURES = {
    "fourier_net": "multiplicative filter network with sine filters (Fathony et al. 2021)",
    "gabor_net": "multiplicative filter network with Gabor filters (Fathony et al. 2021)",
    "relu_mlp": "multilayer perceptron with ReLU",
    "latent_siren": "latents that modulate a SIREN which all signals share, array `inr.base` (Dupont et al. 2022)",
}
SPACINGS = {
    "end_points": "end points: the outer samples lie at -{extent:g} and {extent:g}",
    "pixel_centres": "pixel centres in [-{extent:g}, {extent:g}]",
}
ORDERS = {"row_col": "(row, column, …), row-major", "x_y": "(x, y): columns first, row-major samples"}
INITS = {
    "random": "every (signal, seed) starts at its own draw",
    "shared": "all signals of a seed start at the same draw",
    "fixed": "all signals of a seed start at the same weights, fitted to one signal of the training split",
    "file": "all signals start at given weights, sha256 {sha256}",
    "hypernet": "at the weights that a trained hypernetwork makes of the signal (array `fitter`, sha256 {sha256})",
}


def num_inrs(store: Store) -> int:
    """Return the number of finished INRs, counting every snapshot."""
    return int((_status(store) != "pending").sum()) * len(store.snapshots)


def num_bytes(store: Store) -> int:
    """Return the size of the weights in bytes."""
    return num_inrs(store) * store.info.codec.row_bytes


def median_psnr(store: Store) -> float | None:
    """Return the median PSNR in dB at the last snapshot, to two places; None if it is unknown."""
    finite = _finite(store.psnr[:, :, -1])
    return round(float(np.median(finite)), 2) if finite.size else None


def fitting(store: Store) -> str:
    """Return the table of signals, architecture and fit."""
    info = store.info
    rows = {
        "signals": f"{store.num_signals:,} of {code(info.dataset)}, grid {_times(info.grid)}, "
        f"{store.channels} channel(s)",
        "splits": ", ".join(f"{text(name)} {count:,}" for name, count in _split_sizes(store).items()),
        "labels": ", ".join(f"{text(name)} ({len(info.label_names[name])})" for name in store.labels),
        "architecture": _settings(info.inr),
        "weights": f"{store.layout.num_params:,}: "
        + ", ".join(f"{code(tensor.name)} {_times(tensor.shape)}" for tensor in store.layout.tensors),
        "fits of each signal": f"{store.num_seeds} (seeds 0 to {store.num_seeds - 1})",
        "snapshots": f"after {', '.join(map(str, store.snapshots))} steps",
        "fit": _settings(info.manifest.fit),
        "preset": text(info.manifest.preset or "none"),
        "environment": _settings(info.environment),
        "inrzoo": text(info.version),
    }
    return table(("what", "value"), rows.items())


def conventions(store: Store) -> str:
    """Return the table of the conventions that affect the weights."""
    recorded, inr = store.info.manifest, store.info.inr
    coords, fit = recorded.coords, recorded.fit
    low, high = store.value_range
    stop = fit.get("stop_psnr")
    stops = "never before the last step"
    if stop is not None and (not fit.get("views") or fit.get("stop_views")):
        stops = f"an INR stops at {stop:g} dB; its neighbours go on"
    regulariser = recorded.antialias
    used = regulariser.get("weight", 0) or regulariser.get("regulariser") == "projection"
    rows = {
        "architecture": _architecture(inr),
        "formula, in LaTeX": code(store.formula.latex) if store.formula else "",
        "ω₀": f"{inr['omega_0']:g}; inside, it multiplies the bias: {text(inr.get('bias_inside', True))}"
        if "omega_0" in inr
        else "",
        "added to every channel of the output": f"{inr['output_offset']:g}" if "output_offset" in inr else "",
        "frequency bound": _bound(store),
        "grid": SPACINGS[coords.spacing].format(extent=coords.extent),
        "coordinate order": ORDERS[coords.axis_order],
        "values": f"[{low:g}, {high:g}]: value = {low:g} + {high - low:g} · {_number(recorded.values)}",
        "observation": _settings(recorded.observation) if recorded.observation.get("name") != "grid" else "",
        "PSNR": "10·log10((high − low)² / MSE) on the fitting grid: peak 1 on the [0, 1] scale, unclamped; "
        "of a set, the mean of the dB values",
        "loss": "mean over coordinates and channels of one INR, summed over a batch: INRs do not influence each other",
        "start": INITS.get(recorded.init_mode, text(recorded.init_mode)).replace(
            "{sha256}", code(recorded.init.get("sha256") or "unknown")
        ),
        "random numbers": "counter-based streams keyed by purpose, dataset, seed and signal id alone",
        "early stopping": stops,
        "anti-aliasing": _settings(regulariser) if used else "none",
        "snapshots": "of one optimisation" if len(store.snapshots) > 1 else "the end of the fit alone",
        "statistics": "`stats/`: training split, fits that did not diverge, float64, per parameter and per tensor",
    }
    return table(("convention", "here"), ((key, value) for key, value in rows.items() if value))


def quality(store: Store) -> str:
    """Return the table of PSNR and status by split and snapshot."""
    lines = []
    for position, step in enumerate(store.snapshots):
        for index, name in enumerate(store.info.split_names):
            rows = store.split == index
            psnr, status = _finite(store.psnr[rows, :, position]), _status(store)[rows]
            if not rows.any():
                continue
            counted = [int((status == kind).sum()) for kind in ("ok", "early stop", "diverged")]
            figures, exact = ["–"] * 5, _finite(store.exact[rows, :, position])
            if psnr.size:
                values = psnr.mean(dtype=np.float64), np.median(psnr), np.quantile(psnr, 0.05), psnr.min()
                figures = [*(f"{value:.2f}" for value in values), f"{(exact == 1).mean():.1%}" if exact.size else "–"]
            lines.append([text(name), str(step), f"{int((status != 'pending').sum()):,}", *figures, *map(str, counted)])
    measures = measured(store)
    head = (
        "split",
        "step",
        "INRs",
        "mean dB",
        "median",
        "5 % quantile",
        "lowest",
        "lossless",
        "ok",
        "early stops",
        "diverged",
    )
    return "\n\n".join(part for part in (table(head, lines), measures) if part)


def measured(store: Store) -> str:
    """Return the table of the observation's measures by split, at the last snapshot; empty if it has none."""
    lines = []
    for name, values in store.measures.items():
        for index, split in enumerate(store.info.split_names):
            finite = _finite(values[store.split == index, :, -1][_status(store)[store.split == index] != "diverged"])
            if finite.size:
                figures = (finite.mean(dtype=np.float64), *np.quantile(finite, (0.05, 0.5, 0.95)))
                lines.append([code(name), text(split), *(f"{figure:.4g}" for figure in figures)])
    return table(("measure", "split", "mean", "5 % quantile", "median", "95 % quantile"), lines) if lines else ""


def histogram(store: Store) -> str:
    """Return the histogram of PSNRs at the last snapshot as text."""
    psnr = _finite(store.psnr[:, :, -1])
    if not psnr.size:
        return ""
    counts, edges = np.histogram(psnr, bins=BINS)
    lines = [
        f"{low:7.2f} to {high:7.2f} dB  {'█' * int(np.ceil(BAR * count / counts.max())):{BAR}} {count:,}"
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    return fenced("\n".join(lines), "text")


def columns(store: Store, images: bool) -> str:
    """Return the table of the columns of the Parquet files.

    Args:
        images: whether they have a picture of each INR.
    """
    kinds = {"image": "PNG", "class": "class of {}", "vector": "list of {} float32"}
    rows = [
        (
            code(column.name),
            text(kinds.get(column.kind, column.kind).format(column.length or len(column.names))),
            column.meaning,
        )
        for column in parquet.columns(store, images)
    ]
    return table(("column", "type", "what"), rows)


def _number(values: Values) -> str:
    """Return how a number of a signal becomes a share of the range."""
    if values.dtype == "uint8" and values.scale == "dtype":
        return "signal / 255"
    limits = {
        "dtype": f"of {values.dtype}",
        "dataset": "[{:g}, {:g}]".format(*values.limits) if values.limits else "of the training split",
        "signal": "of each signal, in `signals.limits`",
    }
    unit = f", in {text(values.unit)}" if values.unit else ""
    around = ", the same on both sides of 0" if values.symmetric else ""
    return f"(number − first) / (last − first); first and last: {limits[values.scale]}{around}{unit}"


def _settings(settings: Mapping[str, Any]) -> str:
    """Format settings as Markdown."""
    return text(", ".join(f"{key} {value}" for key, value in settings.items() if value is not None and value != []))


def _architecture(inr: Mapping[str, Any]) -> str:
    if inr["name"] != "siren":
        return ARCHITECTURES.get(inr["name"], code(inr["name"])) + f": {_settings(inr)}"
    return f"SIREN, drawn as {code(inr['convention'])}: {SIREN_CONVENTIONS[inr['convention']]}"


def _bound(store: Store) -> str:
    """Format the maximum of the recorded frequency bounds, Σᵢ maxⱼ|ω⁽ⁱ⁾ⱼc| per axis."""
    bounds = _finite(store.max_frequency)
    return f"at most {bounds.max():.4g} radians per unit; each INR's own in `max_frequency`" if bounds.size else ""


def _split_sizes(store: Store) -> dict[str, int]:
    names = store.info.split_names
    return dict(zip(names, np.bincount(store.split, minlength=len(names)).tolist(), strict=True))


def _status(store: Store) -> NDArray[Any]:
    """Return the names of the status, shape (N, S)."""
    return np.array(store.info.status_names)[store.status]


def _times(shape: Iterable[int]) -> str:
    return " × ".join(map(str, shape))


def _finite(psnr: NDArray[np.float32]) -> NDArray[np.float32]:
    return psnr[np.isfinite(psnr)]
