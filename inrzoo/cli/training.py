"""The commands `train`, `evaluate`, `draw` and `embed`; the options of `train` are the fields of a task."""

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from inrzoo import registry
from inrzoo.cli import Command, Commands, cli, completing, key_values, say
from inrzoo.errors import InrzooError
from inrzoo.trust import trust

OR_DATASET = ", or the name or .toml file of a dataset, to read its signals"
SOURCE_HELP = "Local files of a dataset's signals."
SOURCE = click.option("--source", type=click.Path(path_type=Path), help=SOURCE_HELP)
DEVICE = click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
FORCE = click.option("--force", is_flag=True, help="Go on if the INRs were fitted with other settings.")
FILE = click.Path(path_type=Path)
COMPLETED = {
    "encoder": completing.components("encoders"),
    "decoder": completing.components("decoders"),
    "operation": completing.components("operations"),
    "hypernet": completing.components("hypernets"),
    "inr": completing.components("inrs"),
    "augment": completing.components("transforms", "augmentations"),
    "logger": completing.components("loggers"),
}
"""Completions of the options that take names, by option."""
LOGGER_HELP = (
    "Where the numbers of validations go beside metrics.jsonl: tensorboard, wandb=PROJECT, 'wandb mode=offline', or a "
    "class of yours, package.module:Class; repeat the option for several."
)
SET = "--set "
"""Prefix of the keys of `--set`, which are told apart from the options by it."""
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class TaskCommands(Commands):
    """The commands `train NAME`, one for every task; the options are the fields of the task."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the tasks."""
        return [name.replace("_", "-") for name in registry.names("tasks")]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; an unknown task is answered with the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make the command `train NAME`."""
        name = trust("tasks", cmd_name) if ":" in cmd_name else cmd_name.replace("-", "_")
        if name not in registry.names("tasks") and ("tasks", name) not in registry.trusted:
            return None
        if ctx.resilient_parsing:  # a shell completes
            return CompletedTask(cmd_name)
        return self.loaded(cmd_name, name)

    @staticmethod
    def loaded(cmd_name: str, name: str) -> click.Command:
        """Make the command of a task, whose class is imported."""
        from inrzoo.tasks.training.options import options

        cls = registry.find("tasks", name)
        unfitted = cls.reads_signals
        generated = []
        for option in options(cls):
            dashed = option.field.replace("_", "-")
            words = f"--{dashed}/--no-{dashed}" if option.flag else f"--{dashed}"
            help_text = option.help + (f"  [default: {option.default}]" if option.default else "")
            metavar = None if option.flag else "NAME[=VALUE]" if option.repeatable else "X"
            generated.append(
                click.Option(
                    [words],
                    default=None,
                    help=help_text,
                    metavar=metavar,
                    multiple=option.repeatable,
                    shell_complete=COMPLETED.get(option.field),
                )
            )
        fixed = [
            click.Argument(["store"], required=False),
            click.Option(["--out"], type=click.Path(path_type=Path), help="Folder of the run, STORE.TASK by default."),
            click.Option(["--set", "settings"], multiple=True, metavar="KEY=VALUE", help="E.g. encoder.dropout=0.1."),
            click.Option(["--device"], default="auto", show_default=True, help="cpu, cuda or auto."),
            *([click.Option(["--source"], type=click.Path(path_type=Path), help=SOURCE_HELP)] if unfitted else []),
            click.Option(
                ["--logger", "loggers"],
                metavar="NAME[=VALUE]",
                multiple=True,
                help=LOGGER_HELP,
                shell_complete=COMPLETED["logger"],
            ),
            click.Option(["--overwrite"], is_flag=True, help="Replace the run at --out."),
            click.Option(["--config"], type=FILE, help="TOML file of these options; the command line goes before it."),
            click.Option(["--save-config"], type=FILE, help="Write all options of this run, as --config reads them."),
        ]
        text = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
        return Command(
            cmd_name,
            params=[*fixed, *generated],
            callback=lambda **words: _train(name, **words),
            help=f"{text}\n\nSTORE is a folder, a URL or USER/NAME on the Hub{OR_DATASET if unfitted else ''}. "
            "It can be stopped at any time: the same command continues.",
            context_settings=HELP,
        )


class CompletedTask(Command):
    """The command of a task while a shell completes: without the task's class, whose import takes a second or more."""

    def __init__(self, name: str) -> None:
        named = [click.Option([f"--{field}"], shell_complete=complete) for field, complete in COMPLETED.items()]
        store = click.Argument(["store"], shell_complete=completing.datasets)
        super().__init__(name, params=[store, *named], context_settings={"ignore_unknown_options": True})

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of options, which are the fields of the task: only these need its class."""
        name = str(self.name)
        return TaskCommands.loaded(name, name.replace("-", "_")).shell_complete(ctx, incomplete)


@cli.group(cls=TaskCommands, context_settings=HELP)
def train() -> None:
    """Train a network on the weights in a store."""


def _train(
    name: str,
    store: str | None,
    out: Path | None,
    settings: tuple[str, ...],
    device: str,
    overwrite: bool,
    config: Path | None,
    save_config: Path | None,
    loggers: tuple[str, ...],
    source: Path | None = None,
    **words: Any,
) -> None:
    from inrzoo import api
    from inrzoo.api.typed import checked, option
    from inrzoo.tasks.training.options import make_loggers, make_task
    from inrzoo.tasks.training.run_file import LOGGER, RUN_KEYS, read_run_file, write_run_file

    options = {} if config is None else read_run_file(config, name)
    typed = {"store": store, "out": out, "source": source, LOGGER: loggers, **words}
    if click.get_current_context().get_parameter_source("device") is not ParameterSource.DEFAULT:
        typed["device"] = device
    options |= {key: value for key, value in typed.items() if value not in (None, ())}  # (): it was not typed
    run = {key: None if key not in options else str(options.pop(key)) for key in RUN_KEYS}
    log_to = list(options.pop(LOGGER, []))
    if run["store"] is None:
        raise InrzooError(
            "STORE is missing: a folder, a URL or USER/NAME, on the command line or in the file of --config"
        )
    by_key = key_values("--set", settings)
    chosen = {**options, **{f"{SET}{key}": value for key, value in by_key.items()}}
    typed = {key: option(key, words[key]) for key in options if words.get(key) not in (None, ())}
    typed |= {f"{SET}{key}": f"--set {word}" for key, word in zip(by_key, settings, strict=True)}
    task = checked(
        lambda given: make_task(
            name,
            {key: value for key, value in given.items() if not key.startswith(SET)},
            {key.removeprefix(SET): value for key, value in given.items() if key.startswith(SET)},
        ),
        chosen,
        typed,
    )
    made = make_loggers(log_to)
    if save_config is not None:
        write_run_file(save_config, task, {**run, LOGGER: log_to or None})
    device, files = run["device"] or device, run["source"]
    trained = api.train(
        task, run["store"], out=run["out"], device=device, source=files, overwrite=overwrite, loggers=made
    )
    how = ", stopped by patience" * trained.stopped + "; complete, nothing to do" * trained.unchanged
    say(f"run      {trained.folder}: {trained.step} steps{how}")
    say(f"best     step {trained.best_step}, validation score {trained.score:.4g}")
    with_files = f" --source {files}" if files else ""
    say(f"measure  inrzoo evaluate {trained.folder} {run['store']}{with_files}")


@cli.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("store")
@click.option("--split", default="test", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="E.g. test_ways=[5,20].")
@DEVICE
@SOURCE
@FORCE
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def evaluate(
    checkpoint: Path,
    store: str,
    split: str,
    settings: tuple[str, ...],
    device: str,
    source: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure a checkpoint, or the best one of a run, on a store with the conventions of the training.

    A task that learns from signals also takes a dataset as STORE.
    """
    from dataclasses import asdict

    from inrzoo import api

    changes = key_values("--set", settings)
    measurements = api.evaluate(
        checkpoint, store, split=split, settings=changes, device=device, source=source, force=force
    )
    if as_json:
        say(json.dumps([asdict(one) for one in measurements], indent=2))
    else:
        for one in measurements:
            say(f"{one.name:16} {one.text}   ({one.trials} trials)")


@cli.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("store")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the pictures.")
@click.option("--split", default="test", show_default=True)
@click.option("--count", default=4, show_default=True, help="Number of signals to draw.")
@DEVICE
@SOURCE
def draw(checkpoint: Path, store: str, out: Path, split: str, count: int, device: str, source: Path | None) -> None:
    """Draw what a trained hypernetwork, editor or autoencoder makes of STORE, or samples of a generator.

    Of a hypernetwork original, INR, and INR after test-time optimisation; attention of weight tokens; activations of
    hidden layers. Of a run of `end-to-end` the INR before and after each inner step. Of a run of `novel-views` support
    views, and held-out views beside what is predicted of them. Of an editor INR, edited INR and edited signal. Of an
    autoencoder INRs and what is decoded, and what lies between the codes of two INRs. Of a run of `generate` samples of
    each class, and the nearest training INRs.
    """
    from inrzoo.api import signals
    from inrzoo.tasks.reporting.drawing import draw as write

    for picture in write(checkpoint, signals(store, source), out, split=split, count=count, device=device):
        say(f"picture  {picture}")


@cli.command()
@click.argument("store")
@click.argument("checkpoint")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .parquet file.")
@click.option("--split", default=None, help="Name of a split; all signals by default.")
@DEVICE
@FORCE
def embed(store: str, checkpoint: str, out: Path, split: str | None, device: str, force: bool) -> None:
    """Write a trained encoder's features of the INRs in STORE: one row each, with labels and split.

    CHECKPOINT is a run, a checkpoint, or USER/NAME of an encoder on the Hub.
    """
    from inrzoo import addresses, api
    from inrzoo.tasks.reporting.embedding import embed as write

    on_hub = addresses.is_hub_name(checkpoint) and not Path(checkpoint).exists()
    encoder = api.load_encoder(checkpoint) if on_hub else Path(checkpoint)
    rows, features = write(encoder, store, out, split=split, device=device, force=force)
    say(f"features {out}: {rows} INRs, {features} numbers each")
