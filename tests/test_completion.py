"""A shell completes commands, options and names: click's completion of bash, zsh and fish, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from blocking import ROOT, run

from inrzoo import cli, manifest, reference, registry

COMPLETE = """
import os, sys
from inrzoo import cli
os.environ["_INRZOO_COMPLETE"] = "bash_complete"
for line in {lines}:
    os.environ |= {{"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}}
    try:
        cli.cli.main(prog_name="inrzoo")
    except SystemExit:
        print("=", line)
"""
EXPECTED = {
    "inrzoo bui": {"build"},
    "inrzoo build dig": {"digits"},
    "inrzoo build mnist --preset ": {*manifest.presets("mnist")},
    "inrzoo build digits --recipe ": {*manifest.recipes()},
    "inrzoo build digits --inr s": {"siren"},
    "inrzoo build digits --engine fu": {"fused"},
    "inrzoo build digits --qui": {"--quiet"},
    "inrzoo tune digits --inr relu": {"relu_mlp"},
    "inrzoo train cla": {"classify", "classify-signals"},
    "inrzoo train classify x.zarr --steps 5 --encoder flat": {"flat_mlp"},
    "inrzoo train classify x.zarr --augment rot": {"rotate"},
    "inrzoo train hypernetwork digits --hypernet cav": {"cavia"},
    "inrzoo show sir": {"siren"},
    "inrzoo show encoder ra": {"raw"},
}


def test_names_are_completed_without_torch(tmp_path: Path) -> None:
    printed = run(COMPLETE.format(lines=[*EXPECTED]), {"torch", "zarr"}, tmp_path)
    found: dict[str, set[str]] = {}
    words: set[str] = set()
    for line in printed.splitlines():
        if line.startswith("= "):
            found[line.removeprefix("= ")], words = words, set()
        else:
            kind, _, word = line.partition(",")
            assert kind in ("plain", "file", "dir"), printed
            words |= {word} if kind == "plain" else set()
    assert found == EXPECTED


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_written(shell: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_INRZOO_COMPLETE": f"{shell}_source"}
    program = "import sys; sys.argv[0] = 'inrzoo'; from inrzoo import cli; cli.main()"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "_INRZOO_COMPLETE" in done.stdout, done.stderr


def test_options_of_a_task_are_its_fields() -> None:
    context = cli.cli.make_context("inrzoo", ["train", "classify", "x.zarr"], resilient_parsing=True)
    group = cli.cli.commands["train"]
    command = group.get_command(context, "classify")
    assert command is not None
    words = {item.value for item in command.shell_complete(context, "--val")}
    assert words == {"--validate-every"}


def test_everything_that_show_shows_is_completed() -> None:
    context = click.Context(cli.cli.commands["show"])
    words = {item.value for item in cli.completing.everything(context, context.command.params[0], "")}
    assert {name for kind in registry.KINDS for name in registry.names(kind)} <= words
    assert {*manifest.names(), *manifest.recipes(), *reference.names()} <= words
