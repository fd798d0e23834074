"""The header of a dataset card, which the Hub and `datasets` read: licence, tasks, size, data files, figures."""

import re
from typing import Any

from huggingface_hub import DatasetCardData

from inrzoo.hub import tables
from inrzoo.hub.markdown import one_line
from inrzoo.interchange.parquet import parts, prefix, split_name
from inrzoo.rendering.kinds import Kind, kind_of
from inrzoo.store import Store

TAG = "inrzoo"
"""Tag of the datasets of inrzoo."""
IMAGES = re.compile(rf"^{TAG}:\n(?:  [^\n]*\n)*?  images: true$", re.MULTILINE)
"""Matches the header of a card that says that rows have pictures."""
MAX_HEADER_BYTES = 2**16
"""Maximum size of the header of a card in bytes."""
LICENCES = ("apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "mit", "bsd-3-clause")
"""The Hub's identifiers of common licences of datasets. Other licences appear by name."""
POWERS = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
"""Bounds of the Hub's size categories, 10³ to 10¹²."""
TASKS: dict[Kind, str] = {"image": "image-classification", "sound": "audio-classification"}
"""The Hub's task of signals with classes, by kind."""
MODALITIES: dict[Kind, str] = {"image": "image", "sound": "audio", "shape": "3d", "voxels": "3d", "views": "3d"}
"""The Hub's modality of a kind of signals."""


def header(store: Store, version: int, images: bool) -> str:
    """Return the header as YAML.

    Args:
        store: a complete store.
        version: N of the tag vN.
        images: whether the rows of the Parquet files have a picture of each INR.
    """
    recorded, num_inrs, kind = store.info.manifest, tables.num_inrs(store), kind_of(store)
    num_classes = len(store.info.label_names[store.info.label_columns[0]])
    tasks = [TASKS[kind]] if kind in TASKS and num_classes > 1 else []
    modality = [MODALITIES[kind]] if kind in MODALITIES else []
    figures: dict[str, Any] = {
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
    }
    data = DatasetCardData(
        **_licence(store),
        pretty_name=one_line(title(store)),
        size_categories=[size_category(num_inrs)],
        task_categories=[*tasks, "other"],
        tags=[TAG, "implicit-neural-representations", "weight-space-learning", recorded.inr["name"], *modality],
        configs=[{"config_name": "default", "data_files": _data_files(store)}],
        inrzoo=figures,
    )
    return f"{data.to_yaml()}\n"


def says_images(content: bytes) -> bool:
    """Return whether the header of a card, as `header` writes it, says that rows have a picture of each INR."""
    text = content[:MAX_HEADER_BYTES].decode(errors="replace").partition("\n---\n")[0]
    return IMAGES.search(text) is not None


def title(store: Store) -> str:
    """Return the title of the dataset: what was fitted, whether that is all of the source, and what it has become."""
    recorded = store.info.manifest
    part = f"{store.num_signals:,} signals of " if recorded.limit is not None else ""
    return f"{part}{recorded.title or store.info.dataset}, as implicit neural representations"


def licence_is_known(store: Store) -> bool:
    """Return whether the licence of the source is recorded."""
    licence = one_line(store.info.manifest.licence).lower()
    return bool(licence) and not licence.startswith("unknown")


def size_category(num_rows: int) -> str:
    """Return the Hub's size category of a dataset with `num_rows` rows.

    >>> size_category(999), size_category(1000), size_category(2 * 10**7)
    ('n<1K', '1K<n<10K', '10M<n<100M')
    """
    passed = sum(num_rows >= 10 ** (3 + index) for index in range(len(POWERS)))
    if passed == 0:
        return f"n<{POWERS[0]}"
    return f"n>{POWERS[-1]}" if passed == len(POWERS) else f"{POWERS[passed - 1]}<n<{POWERS[passed]}"


def _licence(store: Store) -> dict[str, Any]:
    """Return the licence as the Hub names it; without a recorded licence nothing, which the Hub shows as unknown."""
    if not licence_is_known(store):
        return {}
    licence = one_line(store.info.manifest.licence).lower()
    if licence in LICENCES:
        return {"license": licence}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence).strip("-") or "other"}


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
