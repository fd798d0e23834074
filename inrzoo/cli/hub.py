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
@click.option("--benchmark", multiple=True, metavar="TASK", help="Declare a task of the leaderboard; repeatable.")
@click.option("--dataset", metavar="USER/NAME", help="Of a leaderboard RUN: the dataset that has its store.")
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
    benchmark: tuple[str, ...],
    dataset: str | None,
    source: Path | None,
    as_json: bool,
) -> None:
    """Publish a store on the Hub: zarr, Parquet, card and an immutable version. The same command continues.

    STORE may also be the folder of a run of classify, contrastive, regress or leaderboard: its encoder becomes a model.
    """
    if isinstance(store, Path) and _is_run(store):
        other = {"--revision": revision != "main", "--create-pr": create_pr, "--partial": partial, "--gallery": gallery}
        other |= {"--source": source is not None, "--benchmark": bool(benchmark)}
        _push_encoder(store, name, private, dataset, [option for option, given in other.items() if given], as_json)
        return
    if dataset is not None:
        raise InrzooError(f"--dataset {dataset} is for a run of the leaderboard; {store} is a store")
    if benchmark and (create_pr or revision != "main"):
        raise InrzooError("--benchmark is of a version, and --revision and --create-pr make none; push it to main")
    declared = _declaration(store, benchmark) if benchmark else None
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
    page = None if declared is None else hub.push_benchmark(name, declared)
    if as_json:
        content: dict[str, Any] = {
            key: getattr(done, key)
            for key in ("repo_id", "version", "commit", "num_bytes", "changed", "where", "repaired", "gallery")
        }
        content["benchmark"] = page
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
    if page:
        say(f"{page}: a benchmark of {', '.join(benchmark)}")


def _is_run(folder: Path) -> bool:
    """Whether a folder is a run of training or of the leaderboard, not a store."""
    from inrzoo import api
    from inrzoo.checkpoint import BEST

    if (folder / "zarr.json").exists() or not folder.is_dir():
        return False
    return (folder / BEST).is_file() or api.is_leaderboard_run(folder)


def _declaration(store: str | Path, tasks: tuple[str, ...]) -> bytes:
    """The file that declares a store the benchmark of these tasks, each of which must pin it."""
    from inrzoo import leaderboard
    from inrzoo.addresses import open_store

    definitions, opened = [leaderboard.find(task) for task in tasks], open_store(store)
    for definition in definitions:
        definition.require_store(opened)
    return leaderboard.benchmark_file(definitions)


def _push_encoder(run: Path, name: str, private: bool, dataset: str | None, other: list[str], as_json: bool) -> None:
    if other:
        raise InrzooError(
            f"{', '.join(other)} cannot be used with the run {run}: an encoder has one branch and no parts"
        )
    from dataclasses import asdict

    from inrzoo import api

    done, results = api.push_encoder(run, name, private, dataset=dataset)
    if as_json:
        say(json.dumps({**asdict(done), "eval_results": results}, indent=2))
        return
    what = f"{decimal(done.num_bytes)} sent" if done.changed else "is there already, nothing was sent"
    say(f"{done.where}: an encoder, {what}, commit {done.commit[:12]}")
    say(f'load it  inrzoo.load_encoder("{name}")')
    if results:
        say(f"row      {results}, which the Hub's leaderboard of the dataset shows")
    elif api.is_leaderboard_run(run):
        say(
            "row      only in the card; for the Hub's leaderboard, --dataset USER/NAME names the one that has the store"
        )


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
