"""The command `diff`."""

import json
import sys
from pathlib import Path

import click

from inrzoo.cli import JSON, StoreAddress, cli, say


@cli.command()
@click.argument("a", type=StoreAddress())
@click.argument("b", type=StoreAddress())
@JSON
def diff(a: str | Path, b: str | Path, as_json: bool) -> None:
    """Show what differs between two stores, A and B. Exit code 0 if they are the same, 1 if they differ.

    Settings, environment, signals, labels, seeds and snapshots; of INRs in both, how many are equal to the bit, and the
    largest and the RMS difference of their weights and PSNRs.
    """
    from inrzoo import open_store

    stores = open_store(a), open_store(b)  # fails before the progress bar is imported
    from inrzoo import compare, report

    found = report.with_bar("comparing INRs", lambda tick: compare.compare(*stores, tick))
    say(json.dumps(found.to_json(), indent=2) if as_json else compare.as_text(found))
    sys.exit(0 if found.same else 1)
