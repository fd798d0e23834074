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
LONGEST_LINE = 4000
INIT_MODES = ("random", "fixed")
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
    except MemoryError as error:
        _fail(f"out of memory ({error or 'no reason given'}); ask for less, or check what was given", 2)
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # a file that is no file, or may not be read or written; without a name it is our mistake
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}", 2)


def printable(text: str) -> str:
    """Text without what a terminal would obey: names in a store or on a card are somebody else's words."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def _fail(message: str, code: int) -> None:
    line = printable(" ".join(message.split()))
    click.echo(f"inrzoo: {line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + '…'}", err=True)
    sys.exit(code)


@cli.command()
@click.argument("dataset")
@click.option("--preset", help="Settings of a paper; `inrzoo list` shows them.")
@click.option("--seeds", type=int, help="Independent fits of each signal. More than a store has are added to it.")
@click.option("--views", help="Step counts at which snapshots are kept, e.g. 800,900,1000.")
@click.option("--inr", help="Architecture; `inrzoo list` shows them.")
@click.option("--engine", help="What fits, auto by default; `inrzoo list` shows what serves which INR.")
@click.option("--products", help="Precision of matrix products on a GPU: bf16x3 (default), ieee or tf32.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--lr", type=float, help="Adam's step size.")
@click.option("--stop-psnr", type=float, help="dB at which an INR stops; 0 for never.")
@click.option("--init", help="Where fits start: random, fixed, or a store or .safetensors FILE.")
@click.option("--anti-alias", metavar="W", help="Weight of the anti-aliasing regulariser, or projection.")
@click.option("--limit", type=int, help="At most this many signals, an even share of every class.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key, e.g. inr.omega_0=15.")
@SOURCE
@click.option("--out", type=click.Path(path_type=Path), help="The store; DATASET.zarr here by default.")
@click.option("--workers", type=int, help="Processes; one per core or GPU by default.")
@click.option("--address", help="A running Ray cluster to join.")
@click.option("--in-process", is_flag=True, help="Fit in this process, without Ray.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@click.option("--overwrite", is_flag=True, help="Replace a store that stands at --out.")
@click.option("--plan", "planned", is_flag=True, help="Say what would be done and how long it takes; build nothing.")
@click.option("--nodes", type=int, default=1, show_default=True, help="Of --plan: machines like this one.")
def build(dataset: str, preset: str | None, settings: tuple[str, ...], **options: Any) -> None:
    """Fit a dataset of INRs into a store. Stop it at will: the same command continues.

    DATASET is a name that `inrzoo list` shows, or a path to a TOML file.
    """
    from inrzoo import build as builder
    from inrzoo import manifest, report
    from inrzoo.build.estimate import check_nodes

    wanted = manifest.load(dataset, preset, _overrides(options, settings))
    given = manifest.load(dataset, preset).preset != manifest.load(dataset).preset
    out = options["out"] or Path(f"{wanted.name}-{wanted.preset}.zarr" if given else f"{wanted.name}.zarr")
    run = {key: options[key] for key in ("source", "workers", "in_process", "address", "device", "overwrite")}
    if options["init"] not in (None, *INIT_MODES):
        run["init"] = Path(options["init"])
    if options["planned"]:
        run = {key: value for key, value in run.items() if key not in ("workers", "in_process", "address")}
        nodes = check_nodes(options["nodes"])
        click.echo(printable(report.of_plan(builder.plan(wanted, out, **run), nodes)))
        return
    click.echo(report.of_build(builder.build(wanted, out, **run)))


@cli.command()
@STORE
@JSON
def info(store: Path, as_json: bool) -> None:
    """What is in a store, how good, how complete, with what it was made."""
    from inrzoo import open_store, report

    content = report.of_store(open_store(store))
    click.echo(json.dumps(content, indent=2) if as_json else printable(report.as_text(content)))


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
    click.echo(printable(f"{target}: {drawn} INRs"))


@cli.command()
@STORE
@SOURCE
@click.option("--repair", is_flag=True, help="Fit damaged blocks again, exactly those.")
@click.option("--refit", type=int, metavar="N", help="Fit N randomly chosen INRs again and compare.")
@JSON
def verify(store: Path, source: Path | None, repair: bool, refit: int | None, as_json: bool) -> None:
    """Check a store: every checksum, every INR rendered again. Exit code 1 and a list when something is off."""
    from inrzoo import open_store, report
    from inrzoo import refit as refitting
    from inrzoo import verify as checks

    open_store(store)  # says in one line that there is none, before a bar begins
    findings = report.with_bar("verifying INRs", lambda tick: checks.verify(store, source, tick))
    if repair and (findings.bad_blocks or findings.bad_stats):
        repaired = checks.repair(store, findings, source=source)
        click.echo(f"{store}: {len(repaired)} block(s) fitted again; checking once more", err=True)
        findings = report.with_bar("verifying INRs", lambda tick: checks.verify(store, source, tick))
    again = None
    if refit is not None and not findings.bad_blocks:
        again = report.with_bar(
            "fitting INRs again", lambda tick: refitting.refit(store, refit, source=source, on_done=tick)
        )
        findings.problems += [
            f"signal {one.signal}, seed {one.seed}: fitted again it is another function "
            f"(differs by {one.difference:.2g} of the value range, {one.allowed:.2g} is allowed)"
            for one in again.refits
            if not one.passed
        ]
    click.echo(printable(report.of_findings(store, findings, again, as_json)))
    sys.exit(1 if findings.problems else 0)


@cli.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The store to make.")
@click.option("--convention", help="dws, nfn or sitzmann; read off the key names by default.")
@click.option("--dataset", help="The images that were fitted: PSNRs are then computed. A name of `inrzoo list`.")
@click.option("--images", type=click.Path(path_type=Path), help="Local files of that dataset.")
@click.option("--grid", help="Size of an image, e.g. 28x28, where nothing else says it.")
@click.option("--split-points", help="First validation and first test number of nfn's folders, e.g. 45000,50000.")
@click.option("--name", help="What the dataset is called.")
def import_command(folder: Path, out: Path, grid: str | None, split_points: str | None, **options: Any) -> None:
    """Read a folder of one .pth per INR, as DWSNets, neural-graphs and nfn use it, into a store."""
    from inrzoo import report
    from inrzoo.interchange import import_state_dicts

    sizes, points = _numbers("--grid", grid, "x", "28x28"), _numbers("--split-points", split_points, ",", "45000,50000")
    made = report.with_bar(
        "reading INRs",
        lambda tick: import_state_dicts(folder, out, grid=sizes, split_points=points, on_file=tick, **options),
    )
    click.echo(f"{made}: look at it with: inrzoo info {made}")


@cli.command()
@click.option("--workload", "workloads", multiple=True, metavar="W1|W2|W3|W4", help="What is fitted; all by default.")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="How; all that work here by default.")
@click.option("--rounds", default=7, show_default=True, help="Samples of a method, methods in turn.")
@click.option("--seconds", default=0.5, show_default=True, help="How long a sample lasts at least.")
@JSON
@click.option("--out", type=click.Path(path_type=Path), help="A .json or .md file for the results.")
def bench(out: Path | None, as_json: bool, workloads: tuple[str, ...], methods: tuple[str, ...], **times: Any) -> None:
    """INR-steps per second here: our engines, what else one could use, and the processor's limit."""
    from inrzoo import bench as benchmark

    if out is not None:
        benchmark.check_path(out)
    results = benchmark.run(workloads, methods, **times)
    if out is not None:
        benchmark.write(results, out, shlex.join(["inrzoo", *sys.argv[1:]]))
    click.echo(json.dumps(results, indent=2) if as_json else benchmark.as_text(results))


def _numbers(option: str, text: str | None, between: str, example: str) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(between))
    except ValueError:
        raise InrzooError(f"{option} {text} is not allowed; expected {example}") from None


def _overrides(options: dict[str, Any], settings: tuple[str, ...]) -> dict[str, Any]:
    """Options and `--set` as dotted manifest keys."""
    keys = {"seeds": "seeds", "limit": "limit", "inr": "inr.name", "steps": "fit.steps", "lr": "fit.lr"}
    keys |= {"engine": "fit.engine", "products": "fit.products"}
    overrides = {key: options[option] for option, key in keys.items() if options[option] is not None}
    if options["stop_psnr"] is not None:
        overrides["fit.stop_psnr"] = options["stop_psnr"] or None
    if options["views"] is not None:
        overrides["fit.views"] = list(_numbers("--views", options["views"], ",", "800,900") or ())
        if options["steps"] is None:
            overrides["fit.steps"] = max(overrides["fit.views"])
        # Both were asked for: stop, and let later views repeat the stopped weights.
        overrides["fit.stop_views"] = bool(options["stop_psnr"])
    if options["anti_alias"] == "projection":  # the one regulariser without a weight
        overrides["antialias.regulariser"] = "projection"
    elif options["anti_alias"] is not None:
        try:
            overrides["antialias.weight"] = float(options["anti_alias"])
        except ValueError:
            given = options["anti_alias"]
            raise InrzooError(f"--anti-alias {given} is not allowed; expected a weight as 0.1, or projection") from None
    if options["init"] in INIT_MODES:
        overrides["init.mode"] = options["init"]
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InrzooError(f"--set {setting} is not allowed; expected KEY=VALUE")
        try:
            overrides[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[key] = value
    return overrides


# The other commands, a file a group; they need `cli`, so they are read last.
from inrzoo.cli import catalogue, exporting, hub, training  # noqa: E402, F401
