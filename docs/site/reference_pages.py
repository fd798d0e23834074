"""Makes the pages of the reference from what `inrzoo show` knows, and from the commands themselves."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from inrzoo import manifest, reference, registry
from inrzoo.docstrings import summary

HEADINGS = {
    "source": "Sources",
    "observation": "Observations",
    "inr": "INRs",
    "encoder": "Encoders",
    "decoder": "Decoders",
    "hypernet": "Hypernetworks",
    "task": "Tasks",
    "transform": "Transforms",
    "augmentation": "Augmentations",
    "operation": "Operations",
    "logger": "Loggers",
}
INTRODUCTIONS = {
    "source": "A source reads signals: the table `[source]` of a manifest. `--source PATH` names its files.",
    "observation": "An observation says where an INR is compared with a signal and by which measures: the table "
    "`[observation]` of a manifest.",
    "inr": "An INR is an architecture: the table `[inr]` of a manifest, `--inr NAME`, `--set inr.FIELD=VALUE`.",
    "encoder": "An encoder is a network on weights: `--encoder NAME`, `--set encoder.FIELD=VALUE`.",
    "decoder": "A decoder maps weights to a change of them, for the task `edit`: `--decoder NAME`, "
    "`--set decoder.FIELD=VALUE`.",
    "hypernet": "A hypernetwork maps signals to the weights of INRs: `--hypernet NAME`, `--set hypernet.FIELD=VALUE`.",
    "task": "A task trains and evaluates: `inrzoo train TASK STORE`. Each field is an option, with `-` for `_`.",
    "transform": "A transform augments weights: `--augment NAME=VALUE`, or `inrzoo.loaders.transforms`.",
    "augmentation": "An augmentation changes signals that a hypernetwork or an end-to-end classifier is trained on: "
    "`--augment NAME=VALUE`.",
    "operation": "An operation edits signals, and the task `edit` learns to do it on weights: `--operation NAME`, "
    "`--set operation.FIELD=VALUE`.",
    "logger": "A logger takes the numbers of a training: `--logger NAME`, `--logger NAME=VALUE`, "
    "`--logger 'NAME FIELD=VALUE'`.",
}
TABLES = ("coords", "values", "init", "fit", "antialias")
"""The tables of a manifest that are no components."""


def write_reference(out: Path) -> list[Path]:
    """Write the pages of components, of settings and of a manifest's keys into a folder, and return their paths."""
    pages = {f"{reference.COMPONENTS[kind]}.md": component_page(kind) for kind in reference.COMPONENTS}
    pages |= {f"{kind}s.md": settings_page(kind) for kind in ("dataset", "preset", "recipe")}
    pages |= {"manifest.md": manifest_page()}
    out.mkdir(parents=True, exist_ok=True)
    for name, lines in pages.items():
        (out / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [out / name for name in pages]


def component_page(kind: str) -> Iterator[str]:
    """The page of one kind of components: each with its summary and its fields."""
    yield f"# {HEADINGS[kind]}\n\n{INTRODUCTIONS[kind]} `inrzoo show {kind} NAME` prints the same.\n"
    for name in registry.names(reference.COMPONENTS[kind]):
        cls = registry.find(reference.COMPONENTS[kind], name)
        yield f"## `{name}` {{ #{name} }}\n\n{as_markdown(summary(cls))}\n"
        described = reference.fields(cls, reference.RUNTIME_PARAMETERS.get(kind, ()))
        settings = [field for field in described if field.is_setting]
        yield from table(settings) if settings else ("No fields.\n",)
        if runtime := [field for field in described if not field.is_setting]:
            names = "; ".join(f"`{field.name}`: {as_markdown(field.description).rstrip('.')}" for field in runtime)
            yield f"Not settings, as the signals, the store or the run decide them: {names}.\n"


def settings_page(kind: str) -> Iterator[str]:
    """The page of all datasets, presets or recipes: what `inrzoo show` prints of each."""
    yield f"# {kind.capitalize()}s\n\n`inrzoo show {kind} NAME` prints the same.\n"
    for name in reference.names()[kind]:
        yield f"## `{name}` {{ #{name} }}\n\n```text\n{reference.show(kind, name)}\n```\n"


def manifest_page() -> Iterator[str]:
    """The page of all keys of a manifest."""
    yield (
        "# Keys of a manifest\n\nWhat a manifest is and how its tables combine: [manifests](../docs/manifests.md). "
        "Every key can also be set by `--set KEY=VALUE`, as in `--set fit.lr=1e-3`.\n"
    )
    fields = reference.fields(manifest.Manifest)
    yield "## Outside of tables { #top }\n"
    yield from table([field for field in fields if field.name not in {*TABLES, "source", "inr", "observation"}])
    yield (
        "A file also has `default_preset`, the name of the preset that applies if none is chosen, and "
        "`[presets.NAME]`, tables that a preset lays over the others; the name of the dataset is that of the file.\n"
    )
    classes = {field.name: field.default_factory for field in dataclasses.fields(manifest.Manifest)}
    for name in TABLES:
        cls = classes[name]
        assert isinstance(cls, type)
        yield f"## `[{name}]` {{ #{name} }}\n\n{as_markdown(summary(cls))}\n"
        yield from table(reference.fields(cls))
    for name, page in (("source", "sources"), ("observation", "observations"), ("inr", "inrs")):
        yield f"## `[{name}]` {{ #{name} }}\n\n`name`, and the fields of that component: [{page}]({page}.md).\n"


def table(fields: list[reference.Field]) -> Iterator[str]:
    """A Markdown table of fields."""
    yield "| field | default | type | |\n|---|---|---|---|"
    for field in fields:
        default = "required" if field.default is None else f"`{field.default}`"
        yield f"| `{field.name}` | {default} | {as_markdown(field.type)} | {as_markdown(field.description)} |"
    yield ""


def as_markdown(text: str) -> str:
    """Text of a docstring or a help page as Markdown: characters that mean something there are shown as they are."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[\]$|])", r"\\\1", part) for part in parts)
