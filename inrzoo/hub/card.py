"""Writes the dataset card from the content of the store. The Hub reads its header, people read the rest."""

import hashlib
import logging
import shlex
from pathlib import Path

import numpy as np
from huggingface_hub import constants
from rich.filesize import decimal

from inrzoo.errors import MissingPackageError
from inrzoo.hub import tables
from inrzoo.hub.citation import citation
from inrzoo.hub.header import header, licence_is_known, title
from inrzoo.hub.markdown import code, fenced, python, table, text
from inrzoo.hub.rebuild import rebuild
from inrzoo.hub.uses import limitations, uses
from inrzoo.interchange.parquet import split_name
from inrzoo.preview import caption, preview
from inrzoo.store import Store

LOG = logging.getLogger("inrzoo.hub")


def card(store: Store, repo_id: str, version: int, with_preview: bool, images: bool = False) -> str:
    """Return the README.md of a store on the Hub.

    Args:
        store: a complete store.
        repo_id: `USER/NAME` of the dataset.
        version: N of the tag vN.
        with_preview: whether the card shows `preview.png`.
        images: whether the rows have a picture of each INR.
    """
    page = f"{constants.ENDPOINT}/datasets/{repo_id}"
    sections = [
        f"# {text(title(store))}",
        _introduction(store, version),
        f"![{caption(store)}](preview.png)" if with_preview else "",
        f"## Uses\n\n{uses(store)}",
        f"## Limitations\n\n{limitations(store)}",
        f"## Load it\n\n{_loading(store, repo_id)}",
        f"## What was fitted, and how\n\n{tables.fitting(store)}",
        f"## Conventions\n\n{tables.conventions(store)}{_formula(store)}",
        f"## Quality\n\n{tables.quality(store)}\n\n{tables.histogram(store)}",
        f"## Columns of the Parquet files\n\n{tables.columns(store, images)}",
        f"## Checksums\n\n{_checksums(store)}",
        f"## Build it again\n\n{_rebuilding(store)}",
        f"## Source and licence\n\n{_source(store)}",
        f"## How to cite\n\n{_citing(store, citation(store, repo_id, page, version))}",
    ]
    return (
        f"---\n{header(store, version, images)}---\n\n" + "\n\n".join(section for section in sections if section) + "\n"
    )


def draw_preview(store: Store, out: Path) -> bool:
    """Draw the picture of the card.

    Returns:
        False if its signals are of a kind without a picture, no INR has a finite PSNR, or a package that draws them is
        not installed; that is logged, and the card has no picture.
    """
    if caption(store) is None or not np.isfinite(store.psnr[:, 0, -1]).any():
        return False
    try:
        preview(store, out)
    except MissingPackageError as error:
        LOG.warning("the card has no picture: %s", error)
        return False
    return True


def _introduction(store: Store, version: int) -> str:
    num_inrs, info = tables.num_inrs(store), store.info
    median = tables.median_psnr(store)
    quality = f", at a median PSNR of {median:.2f} dB" if median is not None else ""
    kept = "" if info.codec.dtype == "float32" else f", kept as {info.codec.dtype} and read as float32"
    views = f" × {len(store.snapshots)} snapshots" if len(store.snapshots) > 1 else ""
    return (
        f"{num_inrs:,} implicit neural representations (INRs): {store.num_signals:,} signals × {store.num_seeds} "
        f"independent fits{views}, each a {code(info.inr['name'])} of {store.layout.num_params:,} "
        f"weights{quality}. The weights are the data points. Data version v{version}, store format "
        f"{info.format}, {decimal(tables.num_bytes(store))} of weights{kept}, made with "
        f"inrzoo {text(info.version)}."
    )


def _loading(store: Store, repo_id: str) -> str:
    names = store.info.split_names
    split = next(name for code, name in enumerate(names) if (store.split == code).any())
    rows = f"""from datasets import load_dataset

rows = load_dataset({python(repo_id)}, split={python(split_name(split))}, streaming=True).with_format("numpy")
for row in rows:
    weights, label, psnr = row["weights"], row["label"], row["psnr"]  # weights: ({store.layout.num_params},) float32"""
    streamed = f"""import inrzoo

data = inrzoo.load({python(repo_id)}, split={python(split)}, streaming=True)"""
    local = f"""import inrzoo

store = inrzoo.open_store({python(f"{repo_id.split('/')[-1]}.zarr")})  # or {python(repo_id)}, without a copy
weights = store.weights[:100, 0, -1]  # (signals, {store.layout.num_params})
tensors = store.layout.split(weights)  # the same numbers by layer
values = store.render(signal=0, seed=0)  # the INR on its grid
mean, std = store.stats["mean"], store.stats["std"]"""
    pulling = shlex.join(["inrzoo", "pull", repo_id])
    return "\n\n".join(
        [
            "With `datasets`, without inrzoo:",
            fenced(rows, "python"),
            "With inrzoo, streamed in batches:",
            fenced(streamed, "python"),
            "As a local store, which also renders, verifies and normalises:",
            fenced(pulling, "bash"),
            fenced(local, "python"),
        ]
    )


def _formula(store: Store) -> str:
    """Return how weights and a coordinate become a value, as LaTeX; empty if the INR's class does not say it."""
    formula = getattr(store, "formula", None)
    sentence = "" if formula is None else str(formula.latex)
    return f"\n\nHow weights and a coordinate x become a value:\n\n{fenced(sentence, 'latex')}" if sentence else ""


def _checksums(store: Store) -> str:
    root = hashlib.sha256((store.path / "zarr.json").read_bytes()).hexdigest()
    rows = [
        (
            f"`zarr.json` of the store, which lists the sha256 of each of its {len(store.info.checksums)} other files",
            code(root),
        ),
        ("fingerprint: signals and settings that decide the weights", code(store.info.fingerprint)),
        ("the signals that were fitted", code(store.info.signals_sha256)),
        *((f"source: {code(name)}", code(value)) for name, value in store.info.source_checksums.items()),
    ]
    pulled = "`inrzoo pull` compares every file; `inrzoo verify` also renders every INR and compares its PSNR."
    return f"{table(('what', 'sha256'), rows)}\n\n{pulled}"


def _rebuilding(store: Store) -> str:
    if (origin := store.info.imported) is not None:
        return (
            f"These INRs were not fitted by inrzoo but imported from {text(origin.num_files)} files of "
            f"{text(origin.format.replace('-', ' '))} (convention {code(origin.convention)}, "
            f"sha256 {code(origin.sha256)})."
        )
    if store.info.generated is not None:
        return f"These INRs were not fitted but drawn by `inrzoo generate` from {text(str(store.info.generated))}."
    if store.info.gathered is not None:
        return (
            f"These INRs were copied to the bit from other stores: {text(str(store.info.gathered))}. "
            f"Their fingerprints: {', '.join(code(part.fingerprint) for part in store.info.gathered.parts)}."
        )
    command, content = rebuild(store)
    environment = text(", ".join(f"{key} {value}" for key, value in store.info.environment.items()))
    way = f"{fenced(command, 'bash')}\n\nThe same bytes come out in the same environment ({environment})."
    return f"{way} `manifest.toml` is:\n\n{fenced(content, 'toml')}" if content else way


def _source(store: Store) -> str:
    recorded = store.info.manifest
    if store.info.generated is not None:
        return (
            "No signals exist: a model drew the INRs. It learned from INRs that, being derived from their signals, are "
            f"under: {text(recorded.licence)}."
        )
    signals = "are in the store too" if store.has_signals else "are not in the store, because their licence forbids it"
    origin = (
        f"The signals come from {text(recorded.title or recorded.name)} (source {code(recorded.source.get('name'))})"
    )
    if not licence_is_known(store):
        return f"{origin}. Its licence is not known ({text(recorded.licence)}). They {signals}."
    return (
        f"{origin}, under: {text(recorded.licence)}. They {signals}. "
        "The INRs, being derived from them, are under the same licence."
    )


def _citing(store: Store, entries: str) -> str:
    words = store.info.manifest.citation
    source = f"The source of the signals:\n\n{fenced(words, 'text')}\n\n" if words else ""
    return f"{source}This dataset, inrzoo and, where it is known, the source:\n\n{fenced(entries, 'bibtex')}"
