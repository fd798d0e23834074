"""The commands `merge`, `subset` and `convert`, which make new stores of finished ones."""

from pathlib import Path
from typing import Any

import click

from inrzoo.cli import SOURCE, STORE, StoreAddress, cli, say
from inrzoo.errors import InrzooError

OUT = click.option("--out", type=click.Path(path_type=Path), required=True, help="The new store, a folder.")
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace the store at --out.")


@cli.command()
@click.argument("stores", type=StoreAddress(), nargs=-1, required=True)
@OUT
@OVERWRITE
def merge(stores: tuple[str | Path, ...], out: Path, overwrite: bool) -> None:
    """Make one store of STORES: of other signals each, or of more seeds of the same signals. INRs keep every bit.

    Their settings must be equal; names of labels and splits are reconciled. The stores themselves do not change.
    """
    from inrzoo import open_store

    for each in stores:
        open_store(each)  # fails before torch is imported
    from inrzoo import gather, report

    made = report.with_bar("writing blocks", lambda tick: gather.merge(stores, out, overwrite=overwrite, on_block=tick))
    say(f"{out}: {_content(made)}")


@cli.command()
@STORE
@OUT
@click.option("--split", help="Name of a split.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label, e.g. digit=3; may be repeated.")
@click.option("--min-psnr", type=float, help="Minimum PSNR in dB, at the last snapshot.")
@click.option("--signals", help="Numbers of signals: 7 or 3,5, or a range such as 0:100.")
@click.option("--seeds", help="Numbers of the fits of each signal: 0 or 0,2, or a range such as 0:2.")
@click.option("--views", help="Step counts of the snapshots, e.g. 800,900.")
@OVERWRITE
def subset(store: str | Path, out: Path, labels: tuple[str, ...], overwrite: bool, **options: Any) -> None:
    """Make a store of some INRs of STORE: those that meet every condition. Values of one label are alternatives."""
    from inrzoo import open_store

    opened = open_store(store)  # fails before torch is imported
    wanted: dict[str, list[str]] = {}
    for word in labels:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise InrzooError(f"--label {word} is not allowed; expected NAME=VALUE, e.g. digit=3")
        wanted.setdefault(name, []).append(value)
    sizes = {"signals": opened.num_signals, "seeds": opened.num_seeds}
    options |= {name: _numbers(f"--{name}", options[name], sizes.get(name)) for name in ("signals", "seeds", "views")}
    from inrzoo import gather, report

    selection = gather.Selection(labels=wanted or None, **options)
    made = report.with_bar(
        "writing blocks", lambda tick: gather.subset(store, out, selection, overwrite=overwrite, on_block=tick)
    )
    say(f"{out}: {_content(made)}")


@cli.command()
@STORE
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--weights", required=True, help="Type of the stored weights: float32, float16, bfloat16, int16 or int8.")
@click.option("--compress", is_flag=True, help="Compress the weights, without loss.")
@SOURCE
@click.option("--overwrite", is_flag=True, help="Replace the store at OUT.")
def convert(store: str | Path, out: Path, **options: Any) -> None:
    """Make a store OUT of STORE whose weights take less room; the PSNR that it costs is measured and recorded.

    Loaders, tasks and exports get float32 numbers as before. STORE itself does not change.
    """
    from inrzoo import open_store

    open_store(store)  # fails before torch is imported
    from inrzoo import report
    from inrzoo.conversion import convert as convert_store

    made = report.with_bar("writing blocks", lambda tick: convert_store(store, out, on_block=tick, **options))
    say(report.of_conversion(made))


def _numbers(option: str, text: str | None, size: int | None) -> list[int] | None:
    """Parse `7`, `3,5` and, where the option counts `size` things, `0:100`."""
    if text is None:
        return None
    try:
        if size is not None and ":" in text:
            bounds = [int(part) if part else None for part in text.split(":")]
            return list(range(*slice(*bounds).indices(size)))
        return [int(part) for part in text.split(",")]
    except (ValueError, TypeError):
        expected = "e.g. 800,900" if size is None else "7 or 3,5, or a range such as 0:100"
        raise InrzooError(f"{option} {text} is not allowed; expected {expected}") from None


def _content(made: Any) -> str:
    """Count the INRs of a store."""
    inrs = int((made.status != 0).sum())
    return f"{inrs:,} INRs of {made.num_signals:,} signals; show it with: inrzoo info {made.location}"
