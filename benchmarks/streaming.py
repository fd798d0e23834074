"""Memory of a training on photographs that do not fit in it: peak and speed at several numbers of them.

Command:  python benchmarks/streaming.py FOLDER [--photos 3000 12000 200000]     Duration: 4 minutes on one core.
Needs:    3 GB of disk below FOLDER, which keeps the photographs for the next time.

A set is JPEG files of 178×178 pixels, hard links to 2,000 that are drawn at random. A small learned start of a small
SIREN is trained on it for 60 steps of 16 photographs, is stopped after 25 and continued, each in a process of its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from inrzoo import manifest, registry, tasks
from inrzoo.tasks import UnfittedDataset
from inrzoo.tasks.signals import signal_set

SIDE, STEPS, STOP_AFTER = 178, 60, 25
HELD_OUT = 64
"""Photographs of the validation split, and of the test split."""
TASK = {
    "name": "hypernetwork",
    "hypernet": {"name": "learned_init", "inner_steps": 1, "inner_fraction": 0.05},
    "inr": {"name": "siren", "hidden_features": 8, "hidden_layers": 1},
    "batch": 16,
    "num_coords": 256,
    "steps": STEPS,
    "validate_every": STEPS // 2,
    "validation_signals": 16,
}


def made_photos(folder: Path, count: int, distinct: int) -> Path:
    """Make a set of `count` photographs, hard links to `distinct` ones, and its manifest, unless it is there."""
    if (folder / "photos.toml").exists():
        return folder
    generator = np.random.default_rng(0)
    (folder / "originals").mkdir(parents=True, exist_ok=True)
    for number in range(distinct):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / "originals" / f"{number}.jpg", quality=90)
    for split, share in (("train", count), ("val", HELD_OUT), ("test", HELD_OUT)):
        for number in range(share):
            place = folder / "photos" / split / f"class_{number * 10 // share}"
            place.mkdir(parents=True, exist_ok=True)
            if not (link := place / f"{number:06d}.jpg").exists():
                os.link(folder / "originals" / f"{number % distinct}.jpg", link)
    text = f'[source]\nname = "image_folder"\nsize = {SIDE}\n[inr]\nname = "siren"\nhidden_features = 8\n'
    (folder / "photos.toml").write_text(text)
    return folder


def train(folder: Path, out: Path, stop_after: int | None) -> dict[str, float]:
    """Train in this process; return steps done, seconds and peak memory in bytes."""
    torch.set_num_threads(1)
    data = UnfittedDataset(manifest.load(str(folder / "photos.toml")), folder / "photos")
    begun = time.perf_counter()
    signal_set(data, "train")
    listed = time.perf_counter()
    run = tasks.train(registry.make("tasks", TASK), data, out, device="cpu", quiet=True, stop_after=stop_after)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"step": run.step, "listing": listed - begun, "seconds": time.perf_counter() - listed, "peak": peak}


def measured(folder: Path, out: Path) -> list[dict[str, float]]:
    """Train in two processes, the second of which continues the first; return what `train` does of each."""
    found = []
    for stop_after in (STOP_AFTER, 0):
        words = [sys.executable, __file__, str(folder), "--train", str(out), "--stop-after", str(stop_after)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def main() -> None:
    """Measure, and print a row for each number of photographs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, nargs="+", default=[3_000, 12_000, 200_000])
    parser.add_argument("--distinct", type=int, default=2_000, help="photographs that the others are links to")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stop-after", type=int, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.train is not None:
        print(json.dumps(train(words.folder, words.train, words.stop_after or None)))
        return
    print("photographs, size of their pixels, peak memory, seconds to list them, steps per second")
    for count in words.photos:
        folder = made_photos(words.folder / str(count), count, words.distinct)
        runs = words.folder / f"run_{count}_{int(time.time())}"
        found = measured(folder, runs)
        peak, listing = max(each["peak"] for each in found), max(each["listing"] for each in found)
        rate = STEPS / sum(each["seconds"] for each in found)
        print(
            f"{count:>11,} {count * SIDE**2 * 3 / 1e9:>6.2f} GB {peak / 2**20:>6.0f} MiB {listing:>6.1f} s {rate:>6.2f}"
        )


if __name__ == "__main__":
    main()
