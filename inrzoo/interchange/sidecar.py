"""`inrzoo.json`: the metadata of an export that the public layouts lack, with which an import is complete."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from inrzoo.errors import InrzooError
from inrzoo.typecheck import check_type

NAME = "inrzoo.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """Contents of `inrzoo.json`.

    Attributes:
        format: version of this file's format.
        inrzoo: version of inrzoo that wrote it.
        convention: layout and key names of the folder.
        dataset, title, licence, citation: as in the manifest.
        fingerprint: fingerprint of the exported store.
        inr, grid, init: as in the store's attributes and manifest.
        step: step count of the snapshot.
        seeds: written seeds in the order of the copies.
        split_names, label_columns, label_names: as in the store.
        labels: codes of each label column, in the order of `paths`.
        signal_ids: id of each signal in its source.
        paths: the first file of each signal.
        split_points: first rows of validation and of test, an option of nfn's readers.
        value_range: range of the fitted values, where the convention does not say it; else None and left out.
    """

    format: int
    inrzoo: str
    convention: str
    dataset: str
    title: str
    licence: str
    citation: str
    fingerprint: str
    inr: dict[str, Any]
    grid: list[int]
    init: dict[str, Any]
    step: int
    seeds: list[int]
    split_names: list[str]
    label_columns: list[str]
    label_names: dict[str, list[str]]
    labels: dict[str, list[int]]
    signal_ids: list[str]
    paths: list[str]
    split_points: list[int]
    value_range: list[float] | None = None

    def write(self, folder: Path) -> None:
        """Write the file into `folder`."""
        tables = dataclasses.asdict(self)
        if self.value_range is None:
            del tables["value_range"]
        (folder / NAME).write_text(json.dumps(tables, indent=1, ensure_ascii=False))


def read(folder: Path) -> Sidecar | None:
    """Read a folder's `inrzoo.json`; return None if there is none.

    Raises:
        InrzooError: the file is damaged, or of another format.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        tables = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InrzooError(f"{path} is not valid JSON ({error}); export the store again") from None
    hints = get_type_hints(Sidecar)
    known = {*tables} | {"value_range"} if isinstance(tables, dict) else set()
    if not isinstance(tables, dict) or tables.get("format") != FORMAT or known != hints.keys():
        raise InrzooError(f"{path} is not a description of format {FORMAT}; export the store again")
    sidecar = Sidecar(**{key: check_type(f"{path}: {key}", value, hints[key]) for key, value in tables.items()})
    counts = {len(sidecar.paths), len(sidecar.signal_ids), *(len(codes) for codes in sidecar.labels.values())}
    columns = {*sidecar.label_columns}
    if sidecar.value_range is not None and len(sidecar.value_range) != 2:
        raise InrzooError(f"{path}: value_range = {sidecar.value_range} is not allowed; expected [low, high]")
    if len(counts) != 1 or not columns or not columns == sidecar.labels.keys() == sidecar.label_names.keys():
        raise InrzooError(f"{path} contradicts itself: its lists have different lengths; export the store again")
    return sidecar
