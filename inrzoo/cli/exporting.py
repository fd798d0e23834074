"""Stores in other people's formats."""

from pathlib import Path

import click

from inrzoo.cli import STORE, cli, say
from inrzoo.errors import InrzooError


@cli.command()
@STORE
@click.option(
    "--format",
    "kind",
    type=click.Choice(["state-dicts", "parquet", "safetensors"]),
    default="state-dicts",
    show_default=True,
)
@click.option("--convention", help="Of state-dicts: whose layout and key names: dws, nfn or sitzmann.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The folder to make; of safetensors a file."
)
@click.option("--seed", help="Which fit of each signal, or all. Parquet takes all by default, the others 0.")
@click.option("--step", type=int, help="Which view, where the store keeps several; Parquet takes all.")
@click.option("--signal", "signals", help="Of safetensors: one signal, or a range as 0:100.")
def export(
    store: Path, kind: str, convention: str | None, out: Path, seed: str | None, step: int | None, signals: str | None
) -> None:
    """Write a store as files that other tools read: a .pth per INR, rows of Parquet, tensors of some INRs."""
    from inrzoo import open_store

    meant = {"--convention": ("state-dicts", convention), "--signal": ("safetensors", signals)}
    for option, (format_of, given) in meant.items():
        if (kind == format_of) != (given is not None):
            needed = "needs" if kind == format_of else "takes no"
            raise InrzooError(f"--format {kind} {needed} {option}; see inrzoo export --help")
    open_store(store)  # says in one line that there is none, before torch is imported
    from inrzoo import interchange

    if kind == "parquet":
        if step is not None:
            raise InrzooError("--format parquet takes no --step; every view is a row, `step` says which")
        rows = interchange.export_parquet(
            store, out, None if seed in (None, "all") else range(_seed(seed), _seed(seed) + 1)
        )
        say(f"{out}: {rows} INRs as rows of parquet")
    elif kind == "safetensors":
        written = interchange.export_safetensors(store, out, str(signals), _seed(seed), step)
        say(f"{out}: {written} INRs as safetensors")
    else:
        written = interchange.export_state_dicts(store, out, str(convention), seed or "0", step)
        say(f"{out}: {written} INRs as {convention} {kind}")


def _seed(seed: str | None) -> int:
    try:
        return int(seed or 0)
    except ValueError:
        raise InrzooError(f"--seed {seed} is not allowed; expected a number") from None
