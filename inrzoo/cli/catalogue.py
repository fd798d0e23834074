"""The commands `list` and `show`: datasets and components of this installation, and datasets on the Hub."""

import dataclasses
import json
import shutil
import textwrap

import click

from inrzoo.cli import JSON, cli, completing, say
from inrzoo.display import MAX_COLUMNS
from inrzoo.errors import InrzooError

NAME_COLUMNS = 18
"""Columns of a name."""


@cli.command("list")
@click.argument("user", required=False)
@click.option("--hub", "on_hub", is_flag=True, help="List the inrzoo datasets on the Hub, or those of USER.")
@JSON
def list_command(user: str | None, on_hub: bool, as_json: bool) -> None:
    """List datasets with their presets, sources, INRs and other components. With --hub: published datasets."""
    if on_hub:
        _list_hub(user, as_json)
    elif user is not None:
        raise InrzooError(f"list {user} is not allowed; did you mean: inrzoo list --hub {user}")
    else:
        _list_local(as_json)


@cli.command()
@click.argument("words", nargs=-1, required=True, metavar="[KIND] NAME", shell_complete=completing.everything)
def show(words: tuple[str, ...]) -> None:
    """Show the fields of a component with their defaults, or the settings of a dataset, a preset or a recipe.

    NAME is one that `inrzoo list` names. KIND tells things of one name apart: `inrzoo show source digits`.
    """
    if len(words) > 2:
        raise InrzooError(f"show {' '.join(words)} is not allowed; expected [KIND] NAME")
    from inrzoo import reference

    say(reference.show(*words))


def _list_local(as_json: bool) -> None:
    from inrzoo import fit, manifest, registry

    served: dict[str, list[str]] = {}
    reasons: dict[str, str | None] = {}
    for name in registry.names("inrs"):
        try:
            inr = manifest.make_inr({"name": name}, in_features=2, out_features=1, nyquist=1.0)
        except InrzooError as error:  # a broken package must not hide the others
            served[name], reasons[name] = [], str(error)
            continue
        served[name] = fit.serving(inr, "cpu")
        _, reasons[name] = fit.choose("auto", inr, "cpu")
    if as_json:
        content = {
            "datasets": {name: manifest.presets(name) for name in manifest.names()},
            "recipes": manifest.recipes(),
            "inrs": served,
            **{kind: registry.names(kind) for kind in registry.KINDS if kind != "inrs"},
        }
        say(json.dumps(content, indent=2))
        return
    say("datasets (and presets, the default first)")
    for name in manifest.names():
        _say_row(name, manifest.title(name))
        _say_row("", f"presets: {', '.join(manifest.presets(name)) or 'none'}")
    say("recipes (our settings of fits, for any dataset)")
    for name, purpose in manifest.recipes().items():
        _say_row(name, purpose)
    for kind in registry.KINDS:
        if kind != "inrs":
            say(kind)
            _say_wrapped(", ".join(registry.names(kind)), "  ")
    say("INRs (and the engines that fit them here, the fastest first)")
    for name, engines in served.items():
        _say_row(name, ", ".join(engines) + (f" ({reasons[name]})" if reasons[name] else ""))


def _say_row(name: str, text: str) -> None:
    """Print a name and what is said of it, in columns."""
    _say_wrapped(text, f"  {name:{NAME_COLUMNS}} ")


def _say_wrapped(text: str, start: str) -> None:
    width = min(shutil.get_terminal_size().columns, MAX_COLUMNS)
    say(textwrap.fill(text, width, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False))


def _list_hub(user: str | None, as_json: bool) -> None:
    from rich.filesize import decimal

    from inrzoo import hub

    datasets = hub.search(user)
    if as_json:
        say(json.dumps([dataclasses.asdict(listed) for listed in datasets], indent=2))
        return
    head = ["dataset", "version", "INRs", "seeds", "size", "median PSNR", "format"]
    rows = [
        [
            str(listed.repo_id) + (" (private)" if listed.private else ""),
            "?" if listed.version is None else f"v{listed.version}",
            "?" if listed.num_inrs is None else f"{listed.num_inrs:,}",
            "?" if listed.num_seeds is None else str(listed.num_seeds),
            "?" if listed.num_bytes is None else decimal(listed.num_bytes),
            "?" if listed.psnr_median is None else f"{listed.psnr_median:.2f} dB",
            "?" if listed.format is None else str(listed.format),
        ]
        for listed in datasets
    ]
    if not rows:
        say(f"no inrzoo dataset on the Hub{f' of {user}' if user else ''}", err=True)
        return
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        say("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
