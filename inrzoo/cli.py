"""The command line: parse words, call one function, print. Every error of the user's is one line and exit code 2."""

import json
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import click

from inrzoo import __version__
from inrzoo.errors import InrzooError

STORE = click.argument("store", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
SOURCE = click.option("--source", type=click.Path(path_type=Path), help="Local files to read the signals from.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="inrzoo")
def cli() -> None:
    """Datasets of implicit neural representations: fit, verify, look, publish."""


def main() -> None:
    """Entry point: run a command; say what the user can put right in one line."""
    try:
        cli.main(standalone_mode=False)
    except InrzooError as error:
        _fail(str(error), 2)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except (KeyboardInterrupt, click.exceptions.Abort):
        command = shlex.join(["inrzoo", *sys.argv[1:]])
        _fail(f"stopped; what is finished is safe, go on with the same command: {command}", 130)
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        sys.stderr.close()
        sys.exit(0)


def _fail(message: str, code: int) -> None:
    click.echo(f"inrzoo: {' '.join(message.split())}", err=True)
    sys.exit(code)


@cli.command("list")
def list_command() -> None:
    """What can be built: datasets with their presets, sources, INRs."""
    from inrzoo import manifest, registry

    click.echo("datasets (and presets, the default first)")
    for name in manifest.names():
        click.echo(f"  {name:18} {', '.join(manifest.presets(name)):22} {manifest.load(name).title}")
    for kind in ("sources", "inrs"):
        click.echo(f"{kind}\n  {', '.join(registry.names(kind))}")


@cli.command()
@click.argument("dataset")
@click.option("--preset", help="Settings of a paper; `inrzoo list` shows them.")
@click.option("--seeds", type=int, help="Independent fits of each signal. More than a store has are added to it.")
@click.option("--views", help="Step counts at which snapshots are kept, e.g. 800,900,1000.")
@click.option("--inr", help="Architecture; `inrzoo list` shows them.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--lr", type=float, help="Adam's step size.")
@click.option("--stop-psnr", type=float, help="dB at which an INR stops; 0 for never.")
@click.option("--limit", type=int, help="At most this many signals, an even share of every class.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key, e.g. inr.omega_0=15.")
@SOURCE
@click.option("--out", type=click.Path(path_type=Path), help="The store; DATASET.zarr here by default.")
@click.option("--workers", type=int, help="Processes; one per core or GPU by default.")
@click.option("--address", help="A running Ray cluster to join.")
@click.option("--in-process", is_flag=True, help="Fit in this process, without Ray.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@click.option("--overwrite", is_flag=True, help="Replace a store that stands at --out.")
def build(dataset: str, preset: str | None, settings: tuple[str, ...], **options: Any) -> None:
    """Fit a dataset of INRs into a store. Stop it at will: the same command continues.

    DATASET is a name that `inrzoo list` shows, or a path to a TOML file.
    """
    from inrzoo import build as builder
    from inrzoo import manifest, report

    wanted = manifest.load(dataset, preset, _overrides(options, settings))
    given = manifest.load(dataset, preset).preset != manifest.load(dataset).preset
    out = options["out"] or Path(f"{wanted.name}-{wanted.preset}.zarr" if given else f"{wanted.name}.zarr")
    run = {key: options[key] for key in ("source", "workers", "in_process", "address", "device", "overwrite")}
    click.echo(report.of_build(builder.build(wanted, out, **run)))


@cli.command()
@STORE
@JSON
def info(store: Path, as_json: bool) -> None:
    """What is in a store, how good, how complete, with what it was made."""
    from inrzoo import open_store, report

    content = report.of_store(open_store(store))
    click.echo(json.dumps(content, indent=2) if as_json else report.as_text(content))


@cli.command()
@STORE
def stats(store: Path) -> None:
    """Compute the normalisation statistics again and write them into the store."""
    from inrzoo import open_store
    from inrzoo import stats as statistics

    statistics.run(open_store(store))
    click.echo(f"{store}: statistics over {open_store(store).stats['count'].max()} training INRs written")


@cli.command()
@STORE
@click.option("--out", type=click.Path(path_type=Path), help="STORE.png by default.")
@click.option("--count", default=10, show_default=True, help="INRs to draw.")
@click.option("--seed", default=0, show_default=True, help="Which fit of each signal.")
def preview(store: Path, out: Path | None, count: int, seed: int) -> None:
    """Draw originals, reconstructions, a finer grid and the PSNR histogram into one PNG."""
    from inrzoo import open_store
    from inrzoo.preview import preview as draw

    target = out or store.with_suffix(".png")
    drawn = draw(open_store(store), target, num_signals=count, seed=seed)
    click.echo(f"{target}: {drawn} INRs")


@cli.command()
@STORE
@SOURCE
@click.option("--repair", is_flag=True, help="Fit damaged blocks again, exactly those.")
@JSON
def verify(store: Path, source: Path | None, repair: bool, as_json: bool) -> None:
    """Check a store: every checksum, every INR rendered again. Exit code 1 and a list when something is off."""
    from inrzoo import open_store, report
    from inrzoo import verify as checks

    open_store(store)  # says in one line that there is none, before a bar begins
    findings = report.with_bar("verifying INRs", lambda tick: checks.verify(store, source, tick))
    if repair and (findings.bad_blocks or findings.bad_stats):
        repaired = checks.repair(store, findings, source=source)
        click.echo(f"{store}: {len(repaired)} block(s) fitted again; checking once more", err=True)
        findings = report.with_bar("verifying INRs", lambda tick: checks.verify(store, source, tick))
    click.echo(report.of_findings(store, findings, as_json))
    sys.exit(1 if findings.problems else 0)


def _overrides(options: dict[str, Any], settings: tuple[str, ...]) -> dict[str, Any]:
    """Options and `--set` as dotted manifest keys."""
    keys = {"seeds": "seeds", "limit": "limit", "inr": "inr.name", "steps": "fit.steps", "lr": "fit.lr"}
    overrides = {key: options[option] for option, key in keys.items() if options[option] is not None}
    if options["stop_psnr"] is not None:
        overrides["fit.stop_psnr"] = options["stop_psnr"] or None
    if options["views"] is not None:
        try:
            overrides["fit.views"] = [int(view) for view in options["views"].split(",")]
        except ValueError:
            raise InrzooError(f"--views {options['views']} is not allowed; expected step counts as 800,900") from None
        if options["steps"] is None:
            overrides["fit.steps"] = max(overrides["fit.views"])
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InrzooError(f"--set {setting} is not allowed; expected KEY=VALUE")
        try:
            overrides[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[key] = value
    return overrides
