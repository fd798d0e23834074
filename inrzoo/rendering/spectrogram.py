"""Short-time spectra of sounds.

Shape letters: K samples, F frequencies, T windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST_SAMPLES = 32
"""Sounds of fewer samples have no spectrogram."""
DECIBELS = 80
"""Range of a spectrogram in dB below its loudest place."""


def power_of(wave_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power of a wave by frequency, from 0 to half the sample rate, and time, (F, T).

    Hann windows that overlap by three quarters, about as many as frequencies: of 128 samples for 4,096. What is not
    finite counts as 0. Frequencies but the first and the last count twice, as in a one-sided spectrum.
    """
    size = 2 ** round(np.log2(2 * np.sqrt(len(wave_K))))
    finite_K = np.nan_to_num(wave_K, nan=0.0, posinf=0.0, neginf=0.0)
    parts = np.lib.stride_tricks.sliding_window_view(finite_K, size)[:: size // 4]
    power_TF = np.abs(np.fft.rfft(parts * np.hanning(size))) ** 2
    power_TF[:, 1:-1] *= 2
    return np.asarray(power_TF.T)


def decibels_of(power_FT: NDArray[np.float64], loudest: float | None = None) -> NDArray[np.float64]:
    """Power in dB below the loudest place, from -`DECIBELS` to 0 and above where the power is greater than `loudest`.

    Args:
        loudest: the power of 0 dB; the greatest of `power_FT` if None.
    """
    loudest = max(float(power_FT.max()) if loudest is None else loudest, float(np.finfo(np.float64).tiny))
    return np.asarray(10 * np.log10(np.maximum(power_FT, loudest * 10 ** (-DECIBELS / 10)) / loudest))
