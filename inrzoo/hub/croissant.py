"""Describes a dataset on the Hub for machines: Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html.

`croissant.json` names every Parquet file with its sha256, the root of the zarr store, whose checksums cover its other
files, and the columns of the Parquet files. Search engines read it, and `mlcroissant` loads the rows by it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from huggingface_hub import constants

from inrzoo.hub import tables
from inrzoo.hub.citation import citation
from inrzoo.hub.header import LICENCES, TAG, licence_is_known, title
from inrzoo.hub.markdown import one_line
from inrzoo.hub.remote import Entry
from inrzoo.interchange import parquet
from inrzoo.interchange.parquet import parts, prefix, split_name
from inrzoo.store import Store, row

FILE = "croissant.json"
"""Path in the repository."""
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
TYPES = {"string": "sc:Text", "bool": "sc:Boolean"}
"""Types of columns that are no numbers."""
IN_GIT = "https://github.com/mlcommons/croissant/issues/80"
"""What stands in place of the sha256 of a git repository, which has none; as in the files that the Hub makes."""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet",
            "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet",
            "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField",
            "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}  # fmt: skip
"""The context of Croissant 1.0, to the letter."""


@dataclass(frozen=True)
class Release:
    """A version of a store on the Hub.

    Attributes:
        store: a complete store.
        repo_id: `USER/NAME` of the dataset.
        version: N of the tag vN that the files get.
        revision: tag or branch at which the files are fetched.
        folder: name of the zarr store in the repository.
        files: the files of the repository, among them the Parquet files.
        images: whether the rows of the Parquet files have a picture of each INR.
    """

    store: Store
    repo_id: str
    version: int
    revision: str
    folder: str
    files: Mapping[str, Entry]
    images: bool


def croissant(release: Release, root: bytes) -> str:
    """Return the content of `croissant.json`; `root` is the content of the root of the store."""
    store, repo_id, version, revision = release.store, release.repo_id, release.version, release.revision
    folder, images = release.folder, release.images
    page = f"{constants.ENDPOINT}/datasets/{repo_id}"
    at = f"{page}/resolve/{quote(revision, safe='')}"
    is_tag = revision == f"v{version}"
    names = [f"data/{part.name}" for part in parts(store, range(store.num_seeds))]
    splits = {part.split for part in parts(store, range(1))}
    content = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": one_line(repo_id.split("/")[1]),
        "alternateName": one_line(title(store)),
        "description": _description(store),
        "conformsTo": CONFORMS_TO,
        **_licence(store),
        "url": page,
        "creator": {"@type": "sc:Organization", "name": repo_id.split("/")[0]},
        "version": f"{version}.0.0",
        "keywords": [TAG, "implicit neural representations", "weight space learning"],
        "citeAs": citation(store, repo_id, page, version),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "repository",
                "name": "repository",
                "description": "The git repository of this version.",
                "contentUrl": f"{page}/tree/{quote(f'refs/tags/{revision}' if is_tag else revision, safe='')}",
                "encodingFormat": "git+https",
                "sha256": IN_GIT,
            },
            {
                "@type": "cr:FileObject",
                "@id": f"{folder}/zarr.json",
                "name": f"{folder}/zarr.json",
                "description": "The root of the zarr store; it lists the sha256 of each other file of the store.",
                "contentUrl": f"{at}/{folder}/zarr.json",
                "contentSize": f"{len(root)} B",
                "encodingFormat": "application/json",
                "sha256": hashlib.sha256(root).hexdigest(),
            },
            *(_file(name, release.files[name], at) for name in names),
            *(_file_set(store, split) for split in store.info.split_names if split in splits),
        ],
        "recordSet": [
            *(_classes(column) for column in _columns(store, images) if column.has_names),
            *(_records(store, split, images) for split in store.info.split_names if split in splits),
        ],
    }
    return json.dumps(_without_none(content), indent=1, ensure_ascii=True) + "\n"


def _description(store: Store) -> str:
    median = tables.median_psnr(store)
    quality = f", at a median PSNR of {median:.2f} dB" if median is not None else ""
    return (
        f"{tables.num_inrs(store):,} implicit neural representations: {store.num_signals:,} signals, "
        f"{store.num_seeds} fits of each, {store.layout.num_params:,} weights of a "
        f"{one_line(store.info.inr['name'])}{quality}. The weights are the data."
    )


def _licence(store: Store) -> dict[str, str]:
    if not licence_is_known(store):
        return {}
    licence = one_line(store.info.manifest.licence)
    return {"license": f"https://spdx.org/licenses/{licence}.html" if licence.lower() in LICENCES else licence}


def _file(name: str, entry: Entry, at: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": f"{at}/{name}",
        "contentSize": f"{entry.size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": entry.sha256,
    }


def _file_set(store: Store, split: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"files-{split_name(split)}",
        "name": f"files-{split_name(split)}",
        "description": f"The Parquet files of the split {one_line(split)}.",
        "containedIn": {"@id": "repository"},
        "encodingFormat": "application/x-parquet",
        "includes": [f"data/{prefix(split, seed)}*.parquet" for seed in range(store.num_seeds)],
    }


@dataclass(frozen=True)
class _Column:
    """A column of the Parquet files: its feature in the words of `datasets`, and what it means."""

    name: str
    feature: Mapping[str, Any]
    meaning: str

    @property
    def is_list(self) -> bool:
        return self.feature["_type"] in ("List", "Sequence")

    @property
    def has_names(self) -> bool:
        return bool(self.feature["_type"] == "ClassLabel")


def _columns(store: Store, images: bool) -> list[_Column]:
    shown = parquet.columns(store, images)
    meanings = {column.name: column.meaning for column in shown}
    return [_Column(name, feature, meanings[name]) for name, feature in row.features(shown).items()]


def _identifier(*words: str) -> str:
    """Join words to an identifier, which is part of a URL."""
    return "/".join(quote(word, safe="") for word in words)


def _records(store: Store, split: str, images: bool) -> dict[str, Any]:
    """Return the rows of a split: one INR at one snapshot each."""
    name = split_name(split)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"INRs of the split {one_line(split)}, one row for each (signal, seed, snapshot).",
        "key": [{"@id": _identifier(name, column)} for column in ("signal", "seed", "step")],
        "field": [_field(name, column) for column in _columns(store, images)],
    }


def _field(record_set: str, column: _Column) -> dict[str, Any]:
    described = one_line(column.meaning)
    if column.is_list:
        described = f"{column.feature['length']} numbers: {described}"
    elif column.has_names:
        described = f"code of the class; the record set {_identifier('classes', column.name)} names them"
    return {
        "@type": "cr:Field",
        "@id": _identifier(record_set, column.name),
        "name": one_line(column.name),
        "description": described or None,
        "dataType": _type(column.feature),
        "repeated": True if column.is_list else None,
        "source": {
            "fileSet": {"@id": f"files-{record_set}"},
            "extract": {"column": column.name},
            "transform": {"jsonPath": "bytes"} if column.feature["_type"] == "Image" else None,
        },
    }


def _type(feature: Mapping[str, Any]) -> str:
    if "feature" in feature:
        return _type(feature["feature"])
    if feature["_type"] == "Image":
        return "sc:ImageObject"
    dtype = feature.get("dtype", "int64")
    return TYPES.get(dtype, "sc:Float" if dtype.startswith("float") else "sc:Integer")


def _classes(column: _Column) -> dict[str, Any]:
    """Return the names of the codes of a column."""
    name = _identifier("classes", column.name)
    fields = {"code": "sc:Integer", "name": "sc:Text"}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{name}/code"},
        "field": [
            {"@type": "cr:Field", "@id": f"{name}/{field}", "name": f"{name}/{field}", "dataType": kind}
            for field, kind in fields.items()
        ],
        "data": [
            {f"{name}/code": code, f"{name}/name": one_line(label)}
            for code, label in enumerate(column.feature["names"])
        ],
    }


def _without_none(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_none(value) for key, value in content.items() if value is not None}
    return [_without_none(value) for value in content] if isinstance(content, list) else content
