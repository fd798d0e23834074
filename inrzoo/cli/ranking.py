"""The commands `leaderboard list`, `run`, `submit` and `show`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inrzoo import registry
from inrzoo.cli import StoreAddress, cli, format_option, key_values, say
from inrzoo.cli.training import DEVICE
from inrzoo.errors import InrzooError
from inrzoo.nearest import among
from inrzoo.trust import trust

if TYPE_CHECKING:
    from inrzoo.leaderboard import BenchmarkTask, Result

FOLDER = click.Path(path_type=Path)
BOARD = click.option("--board", type=FOLDER, default=Path("leaderboard"), show_default=True, help="Folder of results.")
STORE = click.option(
    "--store", type=StoreAddress(), help="The store of the task, the one that `list` names by default."
)

TEST_STORE = click.option(
    "--test-store",
    type=StoreAddress(),
    help="The second store of the task, if it has one; beside the first by default.",
)


@cli.group(context_settings={"help_option_names": ["-h", "--help"]})
def leaderboard() -> None:
    """Measure encoders and decoders on pinned stores, and rank them."""


@leaderboard.command("list")
def list_tasks() -> None:
    """List the benchmark tasks, and the commands that build their stores."""
    from inrzoo import leaderboard as room

    for name in room.names():
        task = room.find(name)
        say(f"{name:24}{task.title}")
        for number, command in enumerate(task.commands):
            say(f"{'':24}{command if number else f'{task.measure} of {task.split}; {command}'}")
        if task.source:
            say(f"{'':24}PATH: {task.source}")


@leaderboard.command()
@click.argument("task")
@click.option("--encoder", help="Name of an encoder, or MODULE:CLASS of yours.")
@click.option("--decoder", help="Name of a decoder, or MODULE:CLASS of yours, for a task that measures edits.")
@STORE
@TEST_STORE
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Number of trainings.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="E.g. steps=500, encoder.dropout=0.1.")
@click.option("--out", type=FOLDER, help="Folder of the run, TASK.NETWORK by default.")
@DEVICE
@click.option("--plan", is_flag=True, help="Say how long it would take, from ten steps.")
def run(
    task: str,
    encoder: str | None,
    decoder: str | None,
    store: str | Path | None,
    test_store: str | Path | None,
    seeds: int,
    settings: tuple[str, ...],
    out: Path | None,
    device: str,
    plan: bool,
) -> None:
    """Train an encoder, or a decoder, on TASK with several seeds and score it. The same command continues."""
    from inrzoo import leaderboard as room

    definition = room.find(task)
    name = _network(definition, {"encoder": encoder, "decoder": decoder})
    words: dict[str, Any] = dict(key_values("--set", settings))
    place = store or Path(definition.store_name)
    folder = out or Path(f"{definition.name}.{name.rpartition(':')[2]}")
    if isinstance(place, Path) and not place.exists():
        raise InrzooError(f"no store {place}; make it by: {definition.build_command}, or name it with --store")
    how: dict[str, Any] = {"seeds": seeds, "settings": words, "device": device}
    if plan:
        costs = room.plan(room.Evaluator(task, place, test_store), name, folder, **how)
        minutes = costs.seconds / 60
        say(f"{costs.seeds} trainings of {costs.steps} steps: {minutes:.1f} minutes each, on this machine")
        return
    result = room.run(task, name, place, folder, test_store=test_store, **how)
    interval = "" if result.interval is None else f" ± {result.interval:.2f}"
    errors = f"; {result.errors}" if result.errors else ""
    say(f"{result.measure}  {result.mean:.2f}{interval} % over {len(result.seeds)} training seed(s){errors}")
    say(f"result   {folder / room.RESULT}")


@leaderboard.command()
@click.argument("run", type=FOLDER)
@click.option("--task", help="The .toml file of a task of yours.")
@STORE
@TEST_STORE
@BOARD
@DEVICE
def submit(
    run: Path,
    task: str | None,
    store: str | Path | None,
    test_store: str | Path | None,
    board: Path,
    device: str,
) -> None:
    """Measure the trainings of a RUN again and add its result to the board."""
    from inrzoo import leaderboard as room

    result = room.Result.read(run / room.RESULT)
    place = store or Path(room.find(task or result.task).store_name)
    say(f"row      {room.submit(run, place, board, task=task, test_store=test_store, device=device)}")


@leaderboard.command()
@BOARD
@format_option(
    *("markdown", "html", "json", "hub"),
    help="What is written; hub: eval.yaml of datasets and .eval_results/ of models, into the folder --out.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="TASK=USER/NAME[@COMMIT]",
    help="For hub: the dataset on the Hub that has the store of a task; repeatable.",
)
@click.option("--out", type=FOLDER, help="Write to a file, for hub a folder, instead of the terminal.")
def show(board: Path, kind: str, datasets: tuple[str, ...], out: Path | None) -> None:
    """Show all results of a board."""
    from dataclasses import asdict

    from inrzoo import leaderboard as room
    from inrzoo.store.files import write_atomically

    if datasets and kind != "hub":
        raise InrzooError(f"--dataset {datasets[0]} is for --format hub; this is --format {kind}")
    results = room.read_results(board)
    if not results:
        raise InrzooError(f"no results in {board}; inrzoo leaderboard submit adds one, --board names another folder")
    if kind == "hub":
        _write_for_the_hub(results, datasets, out)
        return
    renderers = {"markdown": room.as_markdown, "html": room.as_html}
    text = renderers[kind](results) if kind in renderers else json.dumps([asdict(one) for one in results], indent=2)
    if out is None:
        say(text)
    else:
        write_atomically(out, text.encode())
        say(f"board    {out}: {len(results)} results")


def _network(task: "BenchmarkTask", options: dict[str, str | None]) -> str:
    """Return the name of the encoder, or of the decoder, that a task measures; a wrong one is said in one line."""
    kind = task.network
    for other, name in options.items():
        if other != kind and name is not None:
            raise InrzooError(f"--{other} {name} is not allowed: {task.name} measures {kind}s; use --{kind} NAME")
    if (name := options[kind]) is None:
        raise InrzooError(f"{task.name} measures {kind}s; give --{kind} NAME{among('', registry.names(f'{kind}s'))}")
    name = trust(f"{kind}s", name) if ":" in name else name
    registry.find(f"{kind}s", name)  # a wrong name is said before a store is looked for
    return name


def _write_for_the_hub(results: "list[Result]", datasets: tuple[str, ...], out: Path | None) -> None:
    """Write the files that are to be pushed beside datasets and models, and say which rows are left out."""
    from inrzoo import leaderboard as room
    from inrzoo.store.files import write_atomically

    if out is None or out.is_file():
        raise InrzooError(f"--format hub writes several files: --out {out or 'FOLDER'} must name a folder")
    places = key_values("--dataset", datasets)
    if not places:
        example = f"--dataset {results[0].task}=USER/NAME"
        raise InrzooError(f"--format hub needs the datasets on the Hub that have the stores of the tasks, as {example}")
    tasks = [(room.find(task), str(place)) for task, place in places.items()]
    files = room.hub_files(results, tasks)
    for path, content in files.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out / path, content)
        say(str(out / path))
    if absent := sorted({result.task for result in results} - {task.name for task, _ in tasks}):
        say(f"left out, without a --dataset: rows of {', '.join(absent)}")
