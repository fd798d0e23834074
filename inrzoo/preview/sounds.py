"""Draws sounds: waveforms and spectrograms, the INR's above the signal's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.preview.page import Page
from inrzoo.rendering.spectrogram import DECIBELS, FEWEST_SAMPLES, decibels_of, power_of
from inrzoo.rendering.values import real_numbers_of, values_of
from inrzoo.store import Store

CAPTION = "Waveforms and spectrograms, of the INR above those of the sound, and a histogram of quality"


def draw(store: Store, chosen: NDArray[np.int64], seed: int, step: int) -> Page:
    """Draw the signals `chosen`, one a column; of several channels the first."""
    waves = {"INR": real_numbers_of(store, chosen, values_of(store, chosen, seed, step, store.coords()))[..., 0]}
    if store.has_signals:
        waves["signal"] = store.signals(chosen)[..., 0].astype(np.float64)
    scale_NK = waves.get("signal", waves["INR"])
    spectra = list(waves) if scale_NK.shape[1] >= FEWEST_SAMPLES else []
    heights = (0.9,) * len(waves) + (1.15,) * len(spectra)
    page = Page(len(heights), len(chosen), width=1.9, heights=heights)
    upper, lower = page.panels[: len(waves)], page.panels[len(waves) :]
    for (title, waves_NK), row in zip(waves.items(), upper, strict=True):
        row[0].set_ylabel(f"{title}{_bracketed(store.info.manifest.values.unit)}", fontsize=8)
        for column, axis in enumerate(row):
            colour = "tab:blue" if title == "INR" else "dimgray"
            _draw_wave(store, int(chosen[column]), waves_NK[column], scale_NK[column], colour, axis)
    image = None
    for title, row in zip(spectra, lower, strict=True):
        row[0].set_ylabel(f"{title}\n{_frequency(store)}", fontsize=8)
        for column, axis in enumerate(row):
            image = _draw_spectrogram(store, waves[title][column], scale_NK[column], axis)
            axis.tick_params(labelleft=column == 0)
    for axis in page.panels.ravel():
        axis.tick_params(labelsize=5, length=2, pad=1, labelbottom=axis in page.panels[-1])
    page.describe(store, chosen, seed, step, f"{_time(store)}\n")
    if image is not None:
        bar = page.panels[0, 0].figure.colorbar(image, ax=lower.ravel().tolist(), pad=0.01, aspect=30)
        bar.set_label("dB of the loudest", fontsize=6)
        bar.ax.tick_params(labelsize=5)
    return page


def _draw_wave(
    store: Store, signal: int, wave_K: NDArray[np.float64], scale_K: NDArray[np.float64], colour: str, axis: Any
) -> None:
    """Draw numbers over time, on the scale of the signal's, with its padding in grey."""
    times_K = _measures(store, len(wave_K))
    axis.plot(times_K, wave_K, color=colour, linewidth=0.4)
    axis.set_xlim(times_K[0], times_K[-1])
    finite = scale_K[np.isfinite(scale_K)]
    if finite.size and finite.min() < finite.max():
        margin = 0.05 * (finite.max() - finite.min())
        axis.set_ylim(finite.min() - margin, finite.max() + margin)
    if not store.info.manifest.values.unit:
        axis.set_yticks([])
    if store.valid is not None:
        first, stop = store.valid[signal]
        for start, end in ((0, first), (stop - 1, len(wave_K) - 1)):
            if start < end:
                axis.axvspan(times_K[start], times_K[end], color="0.9", linewidth=0)


def _draw_spectrogram(store: Store, wave_K: NDArray[np.float64], scale_K: NDArray[np.float64], axis: Any) -> Any:
    """Draw the short-time spectrum in dB below the loudest place of `scale_K`, and return the image."""
    times_K = _measures(store, len(wave_K))
    decibels_FT = decibels_of(power_of(wave_K), float(power_of(scale_K).max()))
    rate = (len(wave_K) - 1) / (times_K[-1] - times_K[0])
    return axis.imshow(
        decibels_FT,
        cmap="magma",
        vmin=-DECIBELS,
        vmax=0,
        origin="lower",
        aspect="auto",
        extent=(times_K[0], times_K[-1], 0, abs(rate) / 2),
    )


def _measures(store: Store, count: int) -> NDArray[np.float64]:
    return store.info.axes[0].measures(count) if store.info.axes else np.arange(count, dtype=np.float64)


def _time(store: Store) -> str:
    return f"{store.info.axes[0].name}{_bracketed(store.info.axes[0].unit)}" if store.info.axes else "points"


def _frequency(store: Store) -> str:
    unit = store.info.axes[0].unit if store.info.axes else "point"
    return "frequency (Hz)" if unit == "s" else f"cycles per {unit or 'unit'}"


def _bracketed(unit: str) -> str:
    return f" ({unit})" if unit else ""
