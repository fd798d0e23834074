"""What a shell completes: names of datasets, presets, recipes and components. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def beginning_with(incomplete: str, names: Iterable[str]) -> list[CompletionItem]:
    """Return the names that begin with what is typed so far."""
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def components(*kinds: str) -> Completer:
    """Return a completer of the names of some of `registry.KINDS`, those of installed packages too."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from inrzoo import registry

        return beginning_with(incomplete, sorted({name for kind in kinds for name in registry.names(kind)}))

    return complete


def datasets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete datasets, and files and folders: a manifest, or a store."""
    from inrzoo import manifest

    return [*beginning_with(incomplete, manifest.names()), CompletionItem(incomplete, type="file")]


def presets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the presets of the dataset that was typed, or else those of all."""
    from inrzoo import manifest
    from inrzoo.errors import InrzooError

    # While `--preset` has no value yet, click leaves the dataset among the arguments.
    dataset = context.params.get("dataset") or next(iter(context.args), None)
    try:
        known = manifest.presets(str(dataset))
    except InrzooError:
        known = sorted({preset for name in manifest.names() for preset in manifest.presets(name)})
    return beginning_with(incomplete, known)


def recipes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete recipes."""
    from inrzoo import manifest

    return beginning_with(incomplete, manifest.recipes())


def engines(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete fitting engines."""
    from typing import get_args

    from inrzoo.choices import EngineName

    return beginning_with(incomplete, get_args(EngineName))


def everything(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete whatever `inrzoo show` shows: kinds and names of all kinds, or after a kind its names."""
    from inrzoo import reference

    known = reference.names()
    kind = next(iter(context.params.get("words") or ()), None)
    if kind in known:
        return beginning_with(incomplete, known[kind])
    return beginning_with(incomplete, sorted({*known, *(name for names in known.values() for name in names)}))
