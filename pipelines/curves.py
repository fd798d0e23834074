"""Validation curves of runs, as tables show them beside their numbers."""

import json
from pathlib import Path

from inrzoo.tasks import Measurement


def validation_curve(run: Path, number: str, factor: float = 1.0) -> dict[float, Measurement]:
    """A number of the validation split by thousands of training steps.

    Args:
        run: folder of the run.
        number: its name in `metrics.jsonl`, `validation_psnr`.
        factor: what it is multiplied by, such as 100 for percent.
    """
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {line["step"] / 1000: Measurement("", factor * line[number], 0.0, 1) for line in lines}
