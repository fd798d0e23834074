"""The command `bench`: measures how fast fits are, in steps a second or to a quality."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from inrzoo.cli import JSON, SOURCE, cli, say
from inrzoo.errors import InrzooError


@cli.command()
@click.option("--workload", "workloads", multiple=True, metavar="W1|W2|W3|W4", help="Workload; all by default.")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Method; by default all that run here.")
@click.option("--rounds", type=int, help="Samples of each method, which take turns; 7, or 3 with --target-psnr.")
@click.option("--seconds", type=float, help="Minimum duration of a sample; 0.5 by default.")
@click.option("--target-psnr", type=float, metavar="DB", help="Measure INRs a second at this PSNR instead of steps.")
@click.option("--dataset", help="With --target-psnr: the dataset; digits by default.")
@click.option("--preset", help="With --target-psnr: the preset that recipes are compared with.")
@click.option("--signals", type=int, help="With --target-psnr: number of training signals; 256 by default.")
@SOURCE
@JSON
@click.option("--out", type=click.Path(path_type=Path), help="A .json or .md file for the results.")
def bench(**options: Any) -> None:
    """Measure INR-steps per second of every engine, and the processor's limit.

    With --target-psnr: INRs per second at that quality, by the dataset's own settings and by every recipe for its INR.
    """
    quality = {key: options.pop(key) for key in ("dataset", "preset", "signals", "source")}
    if options["target_psnr"] is not None:
        return _at_quality(options, quality)
    if given := [f"--{key}" for key, value in quality.items() if value is not None]:
        raise InrzooError(f"{', '.join(given)} needs --target-psnr DB, e.g. --target-psnr 40")
    from inrzoo import bench as benchmark

    out, as_json = options["out"], options["as_json"]
    if out is not None:
        benchmark.check_path(out)
    times = _given(options, "rounds", "seconds")
    results = benchmark.run(options["workloads"], options["methods"], **times)
    if out is not None:
        benchmark.write(results, out, shlex.join(["inrzoo", *sys.argv[1:]]))
    say(json.dumps(results, indent=2) if as_json else benchmark.as_text(results))
    return None


def _at_quality(options: dict[str, Any], quality: dict[str, Any]) -> None:
    if given := [f"--{key.removesuffix('s')}" for key in ("workloads", "methods") if options[key]]:
        raise InrzooError(f"{', '.join(given)} cannot be used with --target-psnr")
    for key in ("seconds", "out"):
        if options[key] is not None:
            raise InrzooError(f"--{key} {options[key]} cannot be used with --target-psnr")
    from inrzoo import manifest, report
    from inrzoo.trials import compare

    dataset, preset = quality["dataset"] or "digits", quality["preset"]
    own = manifest.load(dataset, preset, trusted=True)
    ways: dict[str, dict[str, Any]] = {f"preset {own.preset}" if own.preset else "own settings": {}}
    ways |= {f"recipe {name}": keys for name, keys in manifest.recipes_for(own.inr["name"]).items()}
    counts = _given(options, "rounds") | ({} if quality["signals"] is None else {"count": quality["signals"]})
    target = options["target_psnr"]
    compared = report.with_bar(
        "fitting",
        lambda bar: compare(own, ways, source=quality["source"], target_psnr=target, on_progress=bar, **counts),
    )
    say(json.dumps(asdict(compared), indent=2) if options["as_json"] else report.of_comparison(compared))


def _given(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the options that the user has given; the others keep the defaults of what is called."""
    return {name: options[name] for name in names if options[name] is not None}
