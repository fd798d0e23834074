"""The command line: a command parses words, calls one function, prints. User errors are one line and exit code 2."""

import errno
import json
import logging
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from inrzoo import __version__
from inrzoo.cli import completing
from inrzoo.display import printable, show_log
from inrzoo.errors import InrzooError, Terminated, stopped_by_sigterm
from inrzoo.typecheck import toml_value


class FolderOrUrl(click.ParamType[str | Path]):
    """A folder, as a path, or a URL, as a string."""

    name = "folder or URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | Path:
        """Convert a value without `://` to a path."""
        if value == "":
            self.fail("'' is not allowed; expected a folder, e.g. digits.zarr, or a URL", param, ctx)
        return value if isinstance(value, Path) or "://" in value else Path(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete folders."""
        return [CompletionItem(incomplete, type="dir")]


class StoreAddress(FolderOrUrl):
    """A folder, a URL, or a dataset on the Hub, which becomes the URL of its store at one commit."""

    name = "folder, URL or USER/NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | Path:
        """Convert a name to the folder or the URL that it means."""
        from inrzoo.addresses import located

        return super().convert(located(value) if isinstance(value, str) else value, param, ctx)


STORE = click.argument("store", type=StoreAddress())
JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
MAX_LINE = 4000
"""Maximum number of characters of an error message."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
SOURCE = click.option("--source", type=click.Path(path_type=Path), help="Local files of the signals.")


def format_option(*kinds: str, help: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `--format`, by default the first of its kinds; it becomes the parameter `kind`."""
    return click.option("--format", "kind", type=click.Choice(kinds), default=kinds[0], show_default=True, help=help)


def _log_option(level: int, *names: str, help: str) -> click.Option:
    """An option that shows the log from a level on."""

    def show(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
        if wanted:
            show_log(level)

    return click.Option(names, is_flag=True, expose_value=False, callback=show, help=help)


QUIET = _log_option(logging.WARNING, "--quiet", "-q", help="No progress; warnings, errors and the result alone.")
VERBOSE = _log_option(logging.DEBUG, "--verbose", "-v", help="Say more of what is being done.")


class Command(click.Command):
    """A command with the options that all have: `--quiet`, `--verbose`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the command, the common ones, and `--help`."""
        *own, help_option = super().get_params(ctx)
        return [*own, QUIET, VERBOSE, help_option]


class Commands(click.Group, Command):
    """The commands of inrzoo."""

    command_class = Command
    group_class = type  # groups of commands are of this class, too


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="inrzoo")
@click.option("--trust", "words", multiple=True, metavar="KIND=MODULE:CLASS", help="Import e.g. inrs=mine.net:Net.")
def cli(words: tuple[str, ...]) -> None:
    """Datasets of implicit neural representations: fit, verify, inspect, publish."""
    from inrzoo.trust import trust

    for word in words:
        kind, _, name = word.partition("=")
        trust(kind, name)


def main() -> None:
    """Run a command; print an error that the user can fix as one line."""
    show_log()
    try:
        with stopped_by_sigterm():
            cli.main(standalone_mode=False)
    except InrzooError as error:
        _fail(str(error), 2)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except (KeyboardInterrupt, click.exceptions.Abort) as stop:
        command = shlex.join(["inrzoo", *sys.argv[1:]])
        terminated = isinstance(stop, Terminated) or isinstance(stop.__cause__, Terminated)  # click chains them
        code = 128 + (signal.SIGTERM if terminated else signal.SIGINT)
        _fail(f"stopped; finished work is safe, continue with the same command: {command}", code)
    except MemoryError as error:
        _fail(f"out of memory ({error or 'no reason given'}); reduce or check the arguments", 2)
    except BrokenPipeError:  # the reader of our output has ended, as `head` does
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            reason = "the disk is full" if error.errno == errno.ENOSPC else f"the disk fails ({error.strerror})"
            _fail(f"{reason}; existing files are safe: free some space, then run the same command again", 2)
        if error.errno is None or error.filename is None:  # a bug in inrzoo
            raise
        _fail(f"{error.filename}: {error.strerror}", 2)


def say(text: str, err: bool = False) -> None:
    """Print a text without control characters, which names in a store or on a card may contain."""
    click.echo(printable(text), err=err)


def _fail(message: str, code: int) -> None:
    line = printable(" ".join(message.split()))
    click.echo(f"inrzoo: {line if len(line) <= MAX_LINE else line[:MAX_LINE] + '…'}", err=True)
    sys.exit(code)


@cli.command()
@STORE
@JSON
def info(store: str | Path, as_json: bool) -> None:
    """Show the content, quality and completeness of a store, and its settings."""
    from inrzoo import open_store

    opened = open_store(store)  # fails before rich is imported
    from inrzoo import summary

    width = shutil.get_terminal_size().columns
    say(json.dumps(summary.of_store(opened), indent=2) if as_json else summary.as_text(opened, width))


@cli.command()
@STORE
def stats(store: str | Path) -> None:
    """Recompute the normalisation statistics and write them into the store."""
    from inrzoo import stats as statistics
    from inrzoo.store import location

    updated = statistics.recompute(location(store))
    say(f"{store}: wrote statistics over {updated.stats['count'].max()} training INRs")


@cli.command()
@STORE
@click.option("--out", type=click.Path(path_type=Path), help="STORE.png by default.")
@click.option("--count", default=10, show_default=True, help="Number of INRs to draw, 64 at most.")
@click.option("--signal", "signals", type=int, multiple=True, metavar="N", help="A signal to draw; repeatable.")
@click.option("--split", help="Draw signals of this split alone.")
@click.option("--seed", default=0, show_default=True, help="Number of the fit of each signal.")
@click.option("--view", "step", default=-1, show_default=True, help="Index of the view; -1 is the last one.")
def preview(
    store: str | Path, out: Path | None, count: int, signals: tuple[int, ...], split: str | None, seed: int, step: int
) -> None:
    """Draw originals, reconstructions, renderings on a finer grid and the PSNR histogram into one PNG.

    Below each picture stand the number and the class of its signal.
    """
    from inrzoo import open_store

    opened = open_store(store)
    from inrzoo.preview import MAX_DRAWN
    from inrzoo.preview import preview as draw

    target = out or (store if isinstance(store, Path) else Path(store.rsplit("/", 1)[-1])).with_suffix(".png")
    drawn = draw(opened, target, num_signals=count, seed=seed, step=step, signals=signals, split=split)
    count = len(signals) or count
    why = f"the maximum is {MAX_DRAWN}" if drawn == MAX_DRAWN else f"seed {seed} has no more finished INRs"
    say(f"{target}: {drawn} INRs" if drawn >= count else f"{target}: {drawn} of {count} requested INRs; {why}")


@cli.command()
@STORE
@SOURCE
@click.option("--repair", is_flag=True, help="Fit the damaged blocks again.")
@click.option("--refit", type=int, metavar="N", help="Fit N randomly chosen INRs again and compare.")
@click.option("--generator", type=click.Path(path_type=Path), help="Of a generated store: draw it again and compare.")
@JSON
def verify(
    store: str | Path, source: Path | None, repair: bool, refit: int | None, generator: Path | None, as_json: bool
) -> None:
    """Check every checksum of a store and render every INR again. Problems are listed, with exit code 1."""
    from inrzoo import open_store

    open_store(store)  # fails before torch is imported and a progress bar begins
    from inrzoo import refit as refitting
    from inrzoo import report
    from inrzoo import verify as checks

    findings = report.with_bar("verifying INRs", lambda tick: checks.verify(store, source, tick))
    if repair and findings.repairable:
        repaired = checks.repair(store, findings, source=source)
        say(f"{store}: fitted {len(repaired)} block(s) again; verifying again", err=True)
        findings = report.with_bar("verifying INRs", lambda tick: checks.verify(store, source, tick))
    refitted = None
    if refit is not None and not findings.bad_blocks:
        refitted = report.with_bar(
            "fitting INRs again", lambda tick: refitting.refit(store, refit, source=source, on_done=tick)
        )
        findings.problems += [
            f"signal {one.signal}, seed {one.seed}: the new fit is another function "
            f"(differs by {one.difference:.2g} of the value range, {one.allowed:.2g} is allowed)"
            for one in refitted.refits
            if not one.passed
        ]
    if generator is not None and not findings.problems:
        from inrzoo import generation

        lines, compared = report.with_bar(
            "drawing INRs again", lambda tick: generation.verify_samples(open_store(store), generator, tick)
        )
        findings.problems += lines
        findings.unchecked = compared
    say(report.of_findings(store, findings, refitted, as_json))
    sys.exit(1 if findings.problems else 0)


@cli.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The store to make.")
@click.option("--convention", help="Whose files they are, if their content leaves it open: dws, nfn, fit_a_nef, …")
@click.option(
    "--inr",
    "inr_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A field of the INR that differs, omega_0=20; or FILE.toml, your description of a plain folder.",
)
@click.option(
    "--coords", multiple=True, metavar="KEY=VALUE", help="spacing=…, axis_order=row_col|x_y, extent=…, range=LOW,HIGH."
)
@click.option(
    "--dataset",
    shell_complete=completing.datasets,
    help="Dataset of the images, a name of `inrzoo list`; PSNRs are then computed.",
)
@click.option("--images", type=click.Path(path_type=Path), help="Local files of that dataset.")
@click.option("--grid", help="Size of an image, e.g. 28x28, if the files do not contain it.")
@click.option("--split-points", help="First validation and first test number, where numbers decide: 45000,50000.")
@click.option(
    "--per-seed", type=int, metavar="N", help="Of fit-a-nef: signals of one seed, if there are several seeds."
)
@click.option("--base", type=click.Path(path_type=Path), help="Of functa: the file of the shared weights.")
@click.option("--root", metavar="PATH", help="Beginning of the listed paths, which SOURCE stands for.")
@click.option("--pattern", help="Of a plain folder: names of its files, such as {label}/{id}.pth.")
@click.option(
    "--splits", type=click.Path(path_type=Path), help="Of a plain folder: JSON or CSV of each signal's split."
)
@click.option("--name", help="Name of the dataset.")
def import_command(
    source: Path,
    out: Path,
    grid: str | None,
    split_points: str | None,
    inr_settings: tuple[str, ...],
    coords: tuple[str, ...],
    **options: Any,
) -> None:
    """Read INRs that others fitted into a store.

    SOURCE is a folder of DWSNets, neural-graphs, nfn, fit-a-nef, Implicit-Zoo or inr2vec, one of your own that you
    describe, or functa's file of modulations.
    """
    from inrzoo import report
    from inrzoo.interchange import import_inrs

    sizes, points = numbers("--grid", grid, "x", "28x28"), numbers("--split-points", split_points, ",", "45000,50000")
    files = [word for word in inr_settings if word.endswith(".toml") and "=" not in word]
    if len(files) > 1:
        raise InrzooError(f"--inr names several descriptions: {', '.join(files)}; one describes all files")
    settings = tuple(word for word in inr_settings if word not in files)
    options |= {"inr_settings": key_values("--inr", settings), "coords": key_values("--coords", coords)}
    options["description"] = Path(files[0]) if files else None
    store = report.with_bar(
        "reading INRs",
        lambda tick: import_inrs(source, out, grid=sizes, split_points=points, on_file=tick, **options),
    )
    say(f"{store}: show it with: inrzoo info {store}")


def key_values(option: str, words: tuple[str, ...]) -> dict[str, Any]:
    """Parse `KEY=VALUE` words; a value is a TOML value, numbers with commas between them, or a string."""
    table: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise InrzooError(f"{option} {word} is not allowed; expected KEY=VALUE")
        if key in table:
            raise InrzooError(f"{option} {key} occurs twice")
        table[key] = _value(value)
    return table


def _value(word: str) -> Any:
    parsed = toml_value(word)
    if parsed == word and "," in word and isinstance(listed := toml_value(f"[{word}]"), list):
        return listed
    return parsed


def numbers(option: str, text: str | None, between: str, example: str) -> tuple[int, ...] | None:
    """Parse numbers such as `800,900`; None stays None."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(between))
    except ValueError:
        raise InrzooError(f"{option} {text} is not allowed; expected {example}") from None


# The other commands, one file for each group; they import `cli`, so they are imported last.
from inrzoo.cli import (  # noqa: E402
    benching,  # noqa: F401
    building,  # noqa: F401
    catalogue,  # noqa: F401
    comparing,  # noqa: F401
    exporting,  # noqa: F401
    gathering,  # noqa: F401
    generating,  # noqa: F401
    hub,  # noqa: F401
    ranking,  # noqa: F401
    training,  # noqa: F401
    tuning,  # noqa: F401
    viewing,  # noqa: F401
)
