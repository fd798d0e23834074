"""The cost and the gain of anti-aliasing: PSNR and out-of-band energy with and without it, on MNIST and CIFAR-10.

Command:  python benchmarks/antialiasing.py [digits] [photos]     Duration: 17 minutes on one core (it uses two).
Needs:    MNIST in mnist/ and CIFAR-10 in cifar10/ below the folder $INRZOO_DATA (default ../shared/data).
Writes docs/antialiasing.png; every number of docs/antialiasing.md is from its output.

Multiplicative filter networks as in Table 1 of "Contrastive implicit representation learning": 3 filters of 16 units,
input_scale 3.03 (MNIST) and 3.46 (CIFAR-10), Adam with lr 1e-2. Steps are not stated there; 1,000 unless a row says
otherwise. Out-of-band energy is `inrzoo.fit.spectrum.out_of_band` on a 4 times finer grid; bounds are in shares of the
Nyquist frequency. SIREN as in the same table (2/32/32/C, lr 5e-4).
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

from inrzoo import manifest, registry
from inrzoo.coords import grid, nyquist
from inrzoo.fit import FitProblem, fit
from inrzoo.fit.antialias import AntiAlias
from inrzoo.fit.spectrum import out_of_band, spectrum
from inrzoo.seeding import Stream

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("INRZOO_DATA", ROOT / ".." / "shared" / "data"))
FILES = {"mnist": DATA / "mnist", "cifar10": DATA / "cifar10"}
INPUT_SCALE = {"mnist": 3.03, "cifar10": 3.46}
FINER, PROCESSES = 4, 2
WANTED_CUT, WANTED_COST = 10, 0.5
"""The goal of anti-aliasing: divide the out-of-band energy by this, at no more than so many dB."""
DRAWN = {"mnist": 7, "cifar10": 5}
"""Which signal the picture shows."""


@dataclass(frozen=True)
class Run:
    """One row of a table. `fraction`: of Nyquist at the start, None for the authors' init."""

    data: str
    family: str = "fourier_net"
    fraction: float | None = None
    antialias: AntiAlias | None = None
    lr: float = 1e-2
    steps: int = 1000

    @property
    def start(self) -> str:
        if self.family == "siren":
            return "ω₀ = 30"
        return f"input_scale {INPUT_SCALE[self.data]}" if self.fraction is None else f"{self.fraction:g} Nyquist"

    @property
    def what(self) -> str:
        aa = self.antialias
        text = "none"
        if aa is not None:
            weight = "" if aa.regulariser == "projection" else f", λ = {aa.weight:g}"
            alpha = f", α = {aa.alpha:g}" if aa.regulariser in ("hinge", "projection") else ""
            text = aa.regulariser + weight + alpha
        if self.family != "siren" and self.lr != 1e-2:
            text += f", lr {self.lr:g}"
        return text if self.steps == 1000 else f"{text}, {self.steps:,} steps"


@dataclass(frozen=True)
class Measured:
    """Means over the signals; `values` are the drawn signal's on the finer grid and `energy` its spectrum."""

    psnr: float
    share: float
    worst: float
    bound: float
    seconds: float
    values: np.ndarray
    energy: np.ndarray


@cache
def signals(data: str, count: int) -> tuple[list[str], tuple[int, ...], torch.Tensor]:
    """Ids, grid and values in [-1, 1], shape (N, K, C)."""
    found = registry.make("sources", manifest.load(data).source).read(FILES[data]).limit(count)
    arrays = dict(found.values(range(len(found))))
    stacked = np.stack([arrays[index].reshape(-1, found.channels) for index in range(len(found))])
    return list(found.ids), found.grid, torch.from_numpy(stacked).float() / 127.5 - 1


def make(run: Run, sizes: tuple[int, ...], channels: int) -> Any:
    fields: dict[str, Any] = {"name": run.family}
    if run.family != "siren" and run.fraction is None:
        fields["input_scale"] = INPUT_SCALE[run.data]
    elif run.family != "siren":
        limit = float(nyquist(sizes).min())
        fields |= {"filter_init": "nyquist_fraction", "nyquist_fraction": run.fraction, "nyquist": limit}
    return registry.make("inrs", fields, in_features=len(sizes), out_features=channels)


def measure(run: Run, count: int, shorten: int) -> Measured:
    torch.set_num_threads(1)
    ids, sizes, targets = signals(run.data, count)
    inr = make(run, sizes, targets.shape[-1])
    starts = torch.from_numpy(np.stack([inr.init(Stream("init", run.data, 0, name)) for name in ids]))
    limit = torch.from_numpy(nyquist(sizes))
    began = time.perf_counter()
    problem = FitProblem(
        inr,
        starts,
        torch.from_numpy(grid(sizes)),
        targets,
        lr=run.lr,
        snapshots=[max(1, run.steps // shorten)],
        antialias=run.antialias,
        nyquist_D=limit,
    )
    fitted = fit(problem)
    seconds = time.perf_counter() - began
    fine = torch.from_numpy(grid(sizes, finer=FINER))
    values = torch.cat([inr(weights, fine) for weights in fitted.weights_BTP[:, 0].split(8)])
    share = out_of_band(values, sizes, finer=FINER)
    bound = float("nan") if fitted.bound_BTD is None else float((fitted.bound_BTD[:, 0] / limit).amax(dim=1).mean())
    drawn = min(DRAWN[run.data], len(ids) - 1)
    return Measured(
        psnr=float(fitted.psnr_BT.mean()),
        share=float(share.mean()),
        worst=float(share.max()),
        bound=bound,
        seconds=seconds,
        values=values[drawn].numpy(),
        energy=spectrum(values[drawn : drawn + 1], sizes, FINER)[0].numpy(),
    )


def aliasing_runs(data: str, family: str) -> list[Run]:
    """One family from every start, nothing done against aliasing."""
    return [Run(data, family, fraction) for fraction in (None, 0.9, 1.0, 1.5, 2.0, 3.0)]


def projection(alpha: float) -> AntiAlias:
    return AntiAlias(regulariser="projection", alpha=alpha)


def tables() -> dict[str, list[Run]]:
    """Title -> rows. In a table "from" some start, the first row is what the others are compared with."""
    mfn, gabor = "fourier_net", "gabor_net"
    plain, photo = AntiAlias(weight=10.0), "cifar10"
    projections = [projection(alpha) for alpha in (1.2, 1.15, 1.1, 1.0, 0.9)]
    hinges = [AntiAlias(weight=weight, alpha=alpha) for alpha in (1.0, 0.9) for weight in (0.1, 1.0, 10.0)]
    strengths = {
        "linf": (1.0,),
        "axis_linf": (0.1, 1.0),
        "smooth_max": (0.1, 1.0),
        "l1": (0.1,),
        "l0_surrogate": (1.0,),
    }
    others = [AntiAlias(regulariser=name, weight=weight) for name in strengths for weight in strengths[name]]
    lowered = [None, plain, projection(1.15)]
    return {
        "MNIST: where there is aliasing at all": [
            *aliasing_runs("mnist", mfn),
            Run("mnist", steps=5000),
            *(Run("mnist", gabor, fraction) for fraction in (None, 1.0, 1.5, 3.0)),
            Run("mnist", "siren", lr=5e-4),
        ],
        "MNIST, FourierNet from 1 Nyquist": [
            Run("mnist", mfn, 1.0, aa) for aa in [None, *hinges, *others, *projections[3:]]
        ],
        "MNIST, FourierNet from 1.5 Nyquist": [
            Run("mnist", mfn, 1.5, aa) for aa in [None, hinges[1], plain, *projections]
        ],
        "MNIST, FourierNet from 2 Nyquist": [Run("mnist", mfn, 2.0, aa) for aa in [None, plain, *projections]],
        "MNIST, FourierNet from 3 Nyquist": [
            Run("mnist", mfn, 3.0, aa) for aa in [None, *hinges[:3], AntiAlias(weight=1e3), *others[:4], *projections]
        ],
        "MNIST, FourierNet from 3 Nyquist, lr 5e-3": [Run("mnist", mfn, 3.0, aa, lr=5e-3) for aa in lowered],
        "MNIST, GaborNet from 1.5 Nyquist": [Run("mnist", gabor, 1.5, aa) for aa in [None, *projections[::2]]],
        "MNIST, GaborNet from 3 Nyquist": [Run("mnist", gabor, 3.0, aa) for aa in [None, plain, *projections[::2]]],
        "CIFAR-10: where there is aliasing at all": [
            *aliasing_runs(photo, mfn),
            *(Run(photo, gabor, fraction) for fraction in (None, 1.0, 1.5, 3.0)),
            Run(photo, "siren", lr=5e-4),
        ],
        "CIFAR-10, FourierNet from 1 Nyquist": [
            Run(photo, mfn, 1.0, aa) for aa in [None, *hinges[4:], *projections[3:]]
        ],
        "CIFAR-10, FourierNet from 1.5 Nyquist": [Run(photo, mfn, 1.5, aa) for aa in [None, plain, *projections]],
        "CIFAR-10, FourierNet from 3 Nyquist": [Run(photo, mfn, 3.0, aa) for aa in [None, plain, *projections]],
        "CIFAR-10, GaborNet from 3 Nyquist": [Run(photo, gabor, 3.0, aa) for aa in [None, plain, *projections[::2]]],
    }


def table(title: str, rows: list[Run], measured: dict[Run, Measured]) -> str:
    base = measured[rows[0]]
    compared = " from " in title
    lines = [f"### {title}", ""]
    head = ["INR", "start", "anti-aliasing", "PSNR, dB", "out of band", "worst INR", "bound / Nyquist"]
    head += ["PSNR, change", "out of band, times less", f"{WANTED_CUT}× for {WANTED_COST} dB"] if compared else []
    lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for run in rows:
        one = measured[run]
        bound = "none" if np.isnan(one.bound) else f"{one.bound:.2f}"
        cells = [run.family, run.start, run.what, f"{one.psnr:.2f}", f"{one.share:.1e}", f"{one.worst:.1e}", bound]
        if compared:
            cut, change = base.share / one.share, one.psnr - base.psnr
            met = cut >= WANTED_CUT and change >= -WANTED_COST
            cells += [f"{change:+.2f}", f"{cut:.3g}" if cut < 1000 else f"{cut:.0f}", "yes" if met else "no"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(path: Path, rows: list[tuple[Run, Run]], measured: dict[Run, Measured], counts: dict[str, int]) -> None:
    """Original | without | with | their spectra, one row a data set; the box is the fitting grid's Nyquist box."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(rows), 5, figsize=(10, 2.2 * len(rows)), layout="constrained", squeeze=False)
    for (without, held), row in zip(rows, axes, strict=True):
        _, sizes, targets = signals(without.data, counts[without.data])
        original = targets[min(DRAWN[without.data], len(targets) - 1)].numpy()
        shown = [(original, sizes), *((measured[run].values, [FINER * n for n in sizes]) for run in (without, held))]
        titles = ["original", f"{FINER}× finer, without", f"{FINER}× finer, {held.what}"]
        for axis, (values, shape), title in zip(row, shown, titles, strict=False):
            picture = np.clip((values.reshape(*shape, -1) + 1) / 2, 0, 1)
            axis.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
            axis.set_title(title, fontsize=7)
        half = nyquist(sizes)[0] / nyquist(tuple(FINER * n for n in sizes))[0] / 2  # cycles per point, finer grid
        for axis, run, title in zip(row[3:], (without, held), ("without", "with"), strict=True):
            energy = np.fft.fftshift(measured[run].energy)
            axis.imshow(
                np.log10(energy / energy.max() + 1e-12), cmap="magma", vmin=-8, vmax=0, extent=(-0.5, 0.5, 0.5, -0.5)
            )
            axis.plot(half * np.array([-1, 1, 1, -1, -1]), half * np.array([-1, -1, 1, 1, -1]), color="white", lw=0.8)
            axis.set_title(f"spectrum {title}, 8 decades", fontsize=7)
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
    figure.savefig(path, dpi=75, metadata={"Software": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", type=int, nargs="?", default=32, help="images of MNIST (default 32)")
    parser.add_argument("photos", type=int, nargs="?", default=16, help="images of CIFAR-10 (default 16)")
    parser.add_argument("--shorten", type=int, default=1, help="divide all numbers of steps by this, to try the script")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "antialiasing.png")
    options = parser.parse_args()
    counts = {"mnist": options.digits, "cifar10": options.photos}
    wanted, began = tables(), time.perf_counter()
    runs = list(dict.fromkeys(run for rows in wanted.values() for run in rows))
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        results = pool.map(measure, runs, [counts[run.data] for run in runs], repeat(options.shorten))
        measured = {}
        for number, (run, one) in enumerate(zip(runs, results, strict=True), start=1):
            measured[run] = one
            print(f"{number}/{len(runs)} {one.seconds:.0f} s", file=sys.stderr, flush=True)
    print(f"{counts['mnist']} digits, {counts['cifar10']} photos, torch {torch.__version__}\n")
    for title, rows in wanted.items():
        print(table(title, rows, measured))
    held = projection(1.0)
    pairs = [(Run(data, fraction=3.0), Run(data, fraction=3.0, antialias=held)) for data in counts]
    path = options.picture
    draw(path, pairs, measured, counts)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB; {time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
