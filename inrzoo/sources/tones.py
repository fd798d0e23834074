"""Sounds made by a formula: an example that needs neither a download nor a sound library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.coords import Axis
from inrzoo.sources import Signals
from inrzoo.sources._formula import FormulaSource
from inrzoo.sources._splits import check_counts

TIMBRES = {"flute": (1.0, 0.1, 0.05), "clarinet": (1.0, 0.0, 0.6), "string": (1.0, 0.5, 0.33)}
"""Amplitudes of the first three partials of each class."""
LOUDNESS = (0.9, 0.25, 0.05)
"""Peaks of the sounds in parts of full scale; they take turns."""


@dataclass(frozen=True, kw_only=True)
class Tones(FormulaSource):
    """Short tones of three timbres, int16, mono: twelve by default.

    Tone `n` has timbre `n mod 3` and a fundamental of 200 · 2^(n / 12) Hz. Its envelope is a Hann window over its
    length; every second tone is a quarter shorter than the others, and centred in padding.

    Attributes:
        num_samples: samples of each signal.
        sample_rate: samples per second.
    """

    SOURCE: ClassVar[str] = "tones"

    num_samples: int = 256
    sample_rate: int = 8000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts("tones", 1, sample_rate=self.sample_rate)
        check_counts("tones", 8, num_samples=self.num_samples)

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` must be None."""
        self.require_no_path(path)
        numbers = np.arange(self.num_signals)
        margin = self.num_samples // 8 * (numbers % 2)
        codes = numbers.astype(np.int64) % len(TIMBRES)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[np.int16]]]:
            for index in indices:
                yield index, self._tone(int(index), int(margin[index]))

        return Signals(
            grid=(self.num_samples,),
            channels=1,
            ids=[f"tones/{number:03d}" for number in numbers],
            labels={"timbre": codes},
            label_names={"timbre": list(TIMBRES)},
            split=self.draw_split(codes),
            values=values,
            dtype="int16",
            axes=(Axis(name="time", unit="s", step=1 / self.sample_rate),),
            valid=np.stack([margin, self.num_samples - margin], axis=1),
            numbers={"fundamental": 200.0 * 2.0 ** (numbers / 12)},
        )

    def _tone(self, number: int, margin: int) -> NDArray[np.int16]:
        count = self.num_samples - 2 * margin
        phase = 2 * np.pi * 200.0 * 2.0 ** (number / 12) * np.arange(count) / self.sample_rate
        partials = list(TIMBRES.values())[number % len(TIMBRES)]
        sound = sum(amplitude * np.sin((order + 1) * phase) for order, amplitude in enumerate(partials))
        sound = sound * np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 2
        scaled = sound * (32767 * LOUDNESS[number % len(LOUDNESS)] / np.abs(sound).max())
        return np.pad(np.rint(scaled).astype(np.int16), margin)[:, None]
