"""The progress bar of a build: signals read, then INRs fitted, rate, ETA, mean PSNR, diverged INRs."""

import sys
import time
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.progress import TaskID

from inrzoo.display import is_quiet, progress_bar
from inrzoo.store import Block, Quality, Store

LINE_EVERY_SECONDS = 30.0
"""Minimum interval in seconds between progress lines without a terminal."""


class BuildProgress:
    """Shows a bar on a terminal, and progress lines elsewhere (a log file, CI)."""

    def __init__(self, quiet: bool) -> None:
        quiet = quiet or is_quiet()
        self._console = Console(stderr=True, quiet=quiet)
        self._bar = progress_bar(self._console, quiet)
        self._lines = not quiet and not sys.stderr.isatty()
        self._reading: TaskID | None = None
        self._fitting: TaskID | None = None
        self._psnr_sum, self._psnr_blocks = 0.0, 0
        self._done = self._already = self._diverged = 0
        self._started = self._last_line = time.monotonic()

    def __enter__(self) -> "BuildProgress":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Print one line above the bar."""
        self._console.print(line, highlight=False, soft_wrap=True)

    def read(self, done: int, total: int) -> None:
        """Show the number of signals read."""
        if self._reading is None:
            self._reading = self._bar.add_task("reading signals", total=total, note="")
        self._bar.update(self._reading, completed=done)

    def begin(self, store: Store, todo: list[Block]) -> None:
        """Start counting INRs, including those of earlier runs."""
        total = store.num_signals * store.num_seeds
        missing = sum(map(store.num_rows, todo))
        self._already, self._started = total - missing, time.monotonic()
        self._fitting = self._bar.add_task("fitting INRs", total=total, completed=self._already, note="")
        if self._already and missing:
            self.say(f"continuing: {self._already} of {total} INRs are finished")
        self._total = total

    def done(self, quality: Quality) -> None:
        """Count the INRs of a block."""
        psnr_B = quality.psnr[:, -1]
        if np.isfinite(psnr_B).any():
            self._psnr_sum += float(psnr_B[np.isfinite(psnr_B)].mean())
            self._psnr_blocks += 1
        self._done += len(psnr_B)
        self._diverged += int((quality.status == 3).sum())
        mean = self._psnr_sum / self._psnr_blocks if self._psnr_blocks else np.nan
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        note = f"{rate:.1f} INRs/s, {mean:.2f} dB, {self._diverged} diverged"
        if self._fitting is not None:
            self._bar.update(self._fitting, advance=len(psnr_B), note=note)
        now = time.monotonic()
        if self._lines and now - self._last_line > LINE_EVERY_SECONDS:
            self._last_line = now
            left = self._total - self._already - self._done
            self.say(f"{self._already + self._done}/{self._total} INRs, {note}, ETA {left / rate:.0f} s")
