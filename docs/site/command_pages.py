"""Makes the page of the command line from the commands themselves."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import click
from reference_pages import as_markdown

from inrzoo.cli import cli


def write_commands(path: Path) -> None:
    """Write the page of all commands, their arguments and options."""
    top = click.Context(cli, info_name="inrzoo")
    commands = list(commands_below(top))
    lines = ["# Command line", "", "`inrzoo COMMAND --help` prints the same.", "", "| command | |", "|---|---|"]
    for context in commands:
        name = context.command_path
        lines.append(f"| [`{name}`](#{anchor(name)}) | {as_markdown(context.command.get_short_help_str(200))} |")
    lines += ["", "## Options before the command { #inrzoo }", "", *options(top)]
    for context in commands:
        lines += section(context)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def commands_below(context: click.Context) -> Iterator[click.Context]:
    """The contexts of all commands below a group, in order of their names."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from commands_below(below)
        elif not command.hidden:
            yield below


def section(context: click.Context) -> Iterator[str]:
    """One command: how it is called, what it does, its options."""
    name, command = context.command_path, context.command
    yield from ("", f"## `{name}` {{ #{anchor(name)} }}", "")
    yield from ("```text", " ".join([name, *command.collect_usage_pieces(context)]), "```", "")
    yield from (as_markdown(inspect.cleandoc(command.help or "")), "")
    yield from options(context)


def options(context: click.Context) -> Iterator[str]:
    """A table of a command's options, as its help has them, but for `--help` itself."""
    records = [parameter.get_help_record(context) for parameter in context.command.get_params(context)]
    described = [record for record in records if record and record[1] and "--help" not in record[0]]
    if described:
        yield from ("| option | |", "|---|---|")
    for words, text in described:
        yield f"| `{words}` | {as_markdown(text)} |"
    yield ""


def anchor(name: str) -> str:
    """The anchor of a command's section."""
    return name.replace(" ", "-")
