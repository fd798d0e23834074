"""Writes the dataset card from the content of the store.

The Hub and `datasets` read the YAML header, people read the rest.
"""

import hashlib
import logging
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.utils import yaml_dump
from rich.filesize import decimal

from inrzoo.errors import MissingPackageError
from inrzoo.hub import tables
from inrzoo.hub.markdown import code, fenced, one_line, python, table, text
from inrzoo.hub.rebuild import rebuild
from inrzoo.interchange.parquet import parts, prefix, split_name
from inrzoo.preview import caption, preview
from inrzoo.store import Store

LOG = logging.getLogger("inrzoo.hub")
TAG = "inrzoo"
"""Tag of the datasets of inrzoo."""
IMAGES = re.compile(rf"^{TAG}:\n(?:  [^\n]*\n)*?  images: true$", re.MULTILINE)
"""What a header says of rows with pictures."""
MAX_HEADER_BYTES = 2**16
"""Maximum size of the header of a card in bytes."""
LICENCES = ("apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "mit", "bsd-3-clause")
"""The Hub's identifiers of common licences of datasets. Other licences appear by name."""
POWERS = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
"""Bounds of the Hub's size categories, 10³ to 10¹²."""


def card(store: Store, repo_id: str, version: int, with_preview: bool, images: bool = False) -> str:
    """Return the README.md of a store on the Hub.

    Args:
        store: a complete store.
        repo_id: `USER/NAME` of the dataset.
        version: N of the tag vN.
        with_preview: whether the card shows `preview.png`.
        images: whether the rows have a picture of each INR.
    """
    header = yaml_dump(_header(store, version, images), sort_keys=False, width=1000)
    sections = [
        f"# {text(_title(store))}",
        _introduction(store, version),
        f"![{caption(store)}](preview.png)" if with_preview else "",
        f"## Load it\n\n{_loading(store, repo_id)}",
        f"## What was fitted, and how\n\n{tables.fitting(store)}",
        f"## Conventions\n\n{tables.conventions(store)}",
        f"## Quality\n\n{tables.quality(store)}\n\n{tables.histogram(store)}",
        f"## Columns of the Parquet files\n\n{tables.columns(store, images)}",
        f"## Checksums\n\n{_checksums(store)}",
        f"## Build it again\n\n{_rebuilding(store)}",
        f"## Source, licence, citation\n\n{_source(store)}",
    ]
    return f"---\n{header}---\n\n" + "\n\n".join(section for section in sections if section) + "\n"


def says_images(content: bytes) -> bool:
    """Return whether the header of a card, as `card` writes it, says that rows have a picture of each INR."""
    header = content[:MAX_HEADER_BYTES].decode(errors="replace").partition("\n---\n")[0]
    return IMAGES.search(header) is not None


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


def _header(store: Store, version: int, images: bool) -> dict[str, Any]:
    recorded, num_inrs = store.info.manifest, tables.num_inrs(store)
    licence = one_line(recorded.licence).lower()
    known = licence in LICENCES
    tasks = ["image-classification"] if len(store.info.grid) == 2 else []
    return {
        "license": licence if known else "other",
        **({} if known else {"license_name": re.sub(r"[^a-z0-9.]+", "-", licence).strip("-") or "unknown"}),
        "pretty_name": one_line(_title(store)),
        "size_categories": [size_category(num_inrs)],
        "task_categories": [*tasks, "other"],
        "tags": [TAG, "implicit-neural-representations", "weight-space-learning", recorded.inr["name"]],
        "configs": [{"config_name": "default", "data_files": _data_files(store)}],
        TAG: {
            "format": store.info.format,
            "version": version,
            "dataset": one_line(store.info.dataset),
            "fingerprint": one_line(store.info.fingerprint),
            "num_inrs": num_inrs,
            "num_signals": store.num_signals,
            "num_seeds": store.num_seeds,
            "num_bytes": tables.num_bytes(store),
            "psnr_median": tables.median_psnr(store),
            "images": images,
        },
    }


def size_category(num_rows: int) -> str:
    """Return the Hub's size category of a dataset with `num_rows` rows.

    >>> size_category(999), size_category(1000), size_category(2 * 10**7)
    ('n<1K', '1K<n<10K', '10M<n<100M')
    """
    passed = sum(num_rows >= 10 ** (3 + index) for index in range(len(POWERS)))
    if passed == 0:
        return f"n<{POWERS[0]}"
    return f"n>{POWERS[-1]}" if passed == len(POWERS) else f"{POWERS[passed - 1]}<n<{POWERS[passed]}"


def _data_files(store: Store) -> list[dict[str, Any]]:
    """Return the data files by split and seed, so that files of an unfinished push do not match."""
    splits = {part.split for part in parts(store, range(1))}
    return [
        {
            "split": split_name(name),
            "path": [f"data/{prefix(name, seed)}*.parquet" for seed in range(store.num_seeds)],
        }
        for name in store.info.split_names
        if name in splits
    ]


def _title(store: Store) -> str:
    return f"{store.info.manifest.title or store.info.dataset}, as neural representations"


def _introduction(store: Store, version: int) -> str:
    num_inrs, info = tables.num_inrs(store), store.info
    median = tables.median_psnr(store)
    quality = f", at a median PSNR of {median:.2f} dB" if median is not None else ""
    views = f" × {len(store.snapshots)} snapshots" if len(store.snapshots) > 1 else ""
    return (
        f"{num_inrs:,} implicit neural representations (INRs): {store.num_signals:,} signals × {store.num_seeds} "
        f"independent fits{views}, each a {code(info.inr['name'])} of {store.layout.num_params:,} "
        f"weights{quality}. The weights are the data points. Data version v{version}, store format "
        f"{info.format}, {decimal(tables.num_bytes(store))} of weights, made with "
        f"inrzoo {text(info.version)}."
    )


def _loading(store: Store, repo_id: str) -> str:
    names = store.info.split_names
    split = next(name for code, name in enumerate(names) if (store.split == code).any())
    url = f"hf://datasets/{repo_id}"
    rows = f"""from datasets import load_dataset

rows = load_dataset({python(repo_id)}, split={python(split_name(split))}, streaming=True).with_format("numpy")
for row in rows:
    weights, label, psnr = row["weights"], row["label"], row["psnr"]  # weights: ({store.layout.num_params},) float32"""
    streamed = f"""import inrzoo

data = inrzoo.load({python(url)}, split={python(split)}, streaming=True)"""
    local = f"""import inrzoo

store = inrzoo.open_store({python(f"{repo_id.split('/')[-1]}.zarr")})
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
            f"These INRs were not fitted by inrzoo but imported from {text(origin.num_files)} files of state "
            f"dicts (convention {code(origin.convention)}, sha256 {code(origin.sha256)})."
        )
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
    signals = "are in the store too" if store.has_signals else "are not in the store, because their licence forbids it"
    cite = f"Cite the source data:\n\n{fenced(recorded.citation, 'text')}" if recorded.citation else ""
    return (
        f"The signals come from {text(recorded.title or recorded.name)} "
        f"(source {code(recorded.source.get('name'))}), under: {text(recorded.licence)}. They {signals}. "
        f"The INRs, being derived from them, are under the same licence.\n\n"
        f"{cite}"
    ).strip()
