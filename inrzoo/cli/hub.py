"""The commands `push` and `pull`, which copy stores to and from the Hub."""

import json
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from inrzoo.cli import JSON, SOURCE, STORE, cli, say
from inrzoo.errors import InrzooError


@cli.command()
@STORE
@click.argument("name", metavar="USER/NAME")
@click.option("--private", is_flag=True, help="Make a new dataset private.")
@click.option("--revision", default="main", show_default=True, help="Branch; only main has version tags.")
@click.option("--create-pr", is_flag=True, help="Push to a new pull request.")
@click.option("--partial", is_flag=True, help="Push the finished seeds of an unfinished store.")
@click.option("--no-images", is_flag=True, help="Leave the small pictures of INRs out of the rows.")
@click.option("--gallery", is_flag=True, help="Publish a Space that shows the INRs in browsers, too.")
@SOURCE
@JSON
def push(
    store: str | Path,
    name: str,
    private: bool,
    revision: str,
    create_pr: bool,
    partial: bool,
    no_images: bool,
    gallery: bool,
    source: Path | None,
    as_json: bool,
) -> None:
    """Publish a store on the Hub: zarr, Parquet, card and an immutable version. The same command continues.

    STORE may also be the folder of a run of classify, contrastive or regress: its encoder becomes a model on the Hub.
    """
    from inrzoo.checkpoint import BEST

    if isinstance(store, Path) and (store / BEST).is_file() and not (store / "zarr.json").exists():
        other = {"--revision": revision != "main", "--create-pr": create_pr, "--partial": partial, "--gallery": gallery}
        other["--source"] = source is not None
        _push_encoder(store, name, private, [option for option, given in other.items() if given], as_json)
        return
    from inrzoo import hub, report
    from inrzoo import verify as checks

    def verify(path: Path) -> checks.Findings:
        return report.with_bar("verifying INRs", lambda tick: checks.verify(path, source, tick))

    done = report.with_bytes_bar(
        f"pushing to {name}",
        lambda tick: hub.push(
            store,
            name,
            verify=verify,
            private=private,
            revision=revision,
            create_pr=create_pr,
            partial=partial,
            images=not no_images,
            gallery=gallery,
            on_bytes=tick,
        ),
    )
    if as_json:
        content: dict[str, Any] = {
            key: getattr(done, key)
            for key in ("repo_id", "version", "commit", "num_bytes", "changed", "where", "repaired", "gallery")
        }
        say(json.dumps(content, indent=2))
        return
    version = f"v{done.version}" if done.version is not None else "no version (only main has versions)"
    what = f"{decimal(done.num_bytes)} sent" if done.changed else "is there already, nothing was sent"
    say(f"{done.where}: {version}, {what}, commit {done.commit[:12]}")
    if done.repaired:
        files = f"{len(done.repaired)} file(s), the first: {done.repaired[0]}"
        say(f"the version before lacks or has damaged {files}; {version} is complete, and a version never changes")
    if done.gallery:
        say(f"{done.gallery}: the gallery of {version}")


def _push_encoder(run: Path, name: str, private: bool, other: list[str], as_json: bool) -> None:
    if other:
        raise InrzooError(
            f"{', '.join(other)} cannot be used with the run {run}: an encoder has one branch and no parts"
        )
    from dataclasses import asdict

    from inrzoo import api

    done = api.push_encoder(run, name, private)
    if as_json:
        say(json.dumps(asdict(done), indent=2))
        return
    what = f"{decimal(done.num_bytes)} sent" if done.changed else "is there already, nothing was sent"
    say(f"{done.where}: an encoder, {what}, commit {done.commit[:12]}")
    say(f'load it  inrzoo.load_encoder("{name}")')


@cli.command()
@click.argument("name", metavar="USER/NAME")
@click.option("--out", type=click.Path(path_type=Path), help="The store, NAME.zarr by default.")
@click.option("--revision", help="Version, branch or commit; the newest version by default.")
@click.option("--split", "splits", multiple=True, help="Pull only the shards of this split; repeatable.")
@click.option("--seeds", type=int, help="Pull only the first N fits of each signal.", metavar="N")
@JSON
def pull(
    name: str, out: Path | None, revision: str | None, splits: tuple[str, ...], seeds: int | None, as_json: bool
) -> None:
    """Pull a store from the Hub and verify every file. The same command continues, and completes a part."""
    from inrzoo import hub, report

    done = report.with_bytes_bar(
        f"pulling {name}",
        lambda tick: hub.pull(name, out, revision=revision, splits=list(splits), seeds=seeds, on_bytes=tick),
    )
    if as_json:
        content = {
            key: getattr(done, key) for key in ("version", "commit", "num_bytes", "seeds", "num_seeds", "splits")
        }
        say(json.dumps({"path": str(done.path), **content}, indent=2))
        return
    version = f"v{done.version}" if done.version is not None else f"commit {done.commit[:12]}"
    parts = [f"{done.seeds} of {done.num_seeds} seeds"] if done.seeds < done.num_seeds else []
    parts += [f"the shards of {', '.join(done.splits)}"] if done.splits else []
    part = f"a part ({' and '.join(parts)})" if parts else "complete"
    say(f"{done.path}: {version}, {part}, {decimal(done.num_bytes)} fetched; every sha256 is verified")
