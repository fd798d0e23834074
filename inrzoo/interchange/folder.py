"""Lists a folder of state dicts by names and JSON: files by signal and fit, labels, splits.

Shape letters: N signals, S fits of each.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.interchange import sidecar
from inrzoo.interchange.naming import SPLITS_SUFFIX, ParsedName, parse_name, split_key
from inrzoo.interchange.rebasing import proposal, rebase
from inrzoo.interchange.sidecar import Sidecar

THEIR_NAMES = {"val": "validation", "valid": "validation"}
ORDER = ("train", "validation", "test")


@dataclass
class Signal:
    """One signal of the folder.

    Attributes:
        name: parsed name of its first file.
        split: name of its split.
        label: class code.
        files: path of each copy, relative to the folder.
    """

    name: ParsedName
    split: str
    label: int
    files: dict[int, PurePosixPath] = field(default_factory=dict)

    @property
    def first(self) -> str:
        """Path of its first file."""
        return str(self.files[min(self.files)])


@dataclass(frozen=True)
class Listing:
    """A folder's signals, sorted by split.

    Attributes:
        folder: the folder.
        signals: N signals in the order of their splits and, inside, of the splits file.
        split_names: names of the splits.
        sidecar: content of `inrzoo.json`, or None.
        splits_file: file with the splits, None if numbers decide them.
    """

    folder: Path
    signals: list[Signal]
    split_names: list[str]
    sidecar: Sidecar | None
    splits_file: Path | None

    @property
    def split(self) -> NDArray[np.uint8]:
        """N indices into `split_names`."""
        return np.array([self.split_names.index(signal.split) for signal in self.signals], dtype=np.uint8)

    @property
    def labels(self) -> NDArray[np.int64]:
        """N class codes."""
        return np.array([signal.label for signal in self.signals], dtype=np.int64)


def read(folder: Path, split_points: Sequence[int] | None = None, root: str | None = None) -> Listing:
    """List the signals of a folder.

    Args:
        folder: a folder with one `*splits.json`, or with nfn's folders of classes.
        split_points: numbers of the first validation and the first test signal, for nfn's folders without splits file.
        root: beginning of the paths in the splits file that `folder` stands for.

    Raises:
        InrzooError: the folder or a listed file is absent, or splits are absent or contradictory.
    """
    if not folder.is_dir():
        raise InrzooError(f"no folder {folder}")
    files = sorted(folder.glob(f"*{SPLITS_SUFFIX[1:]}"))
    if len(files) > 1:
        raise InrzooError(f"{folder} has several splits: {', '.join(file.name for file in files)}; keep only one")
    if files and split_points:
        raise InrzooError(f"{files[0]} defines the splits; leave --split-points out")
    if root is not None and not files:
        raise InrzooError(f"{folder} has no *{SPLITS_SUFFIX[1:]} whose paths --root {root} could begin; leave it out")
    described = sidecar.read(folder)
    names = described.split_names if described else None
    our_name = {split_key(name, names): name for name in names} if names else THEIR_NAMES
    entries = _listed(files[0], our_name, root) if files else _numbered(folder, split_points)
    signals: dict[str, Signal] = {}
    for path, label, split in entries:
        name = parse_name(path)
        signal = signals.setdefault(name.signal, Signal(name, split, label))
        if (signal.split, signal.label) != (split, label):
            raise InrzooError(
                f"{path} is in {split} with label {label}, another file of that signal in {signal.split} with "
                f"label {signal.label}"
            )
        if name.copy in signal.files:
            raise InrzooError(f"{folder} lists {path} twice")
        signal.files[name.copy] = path
    if not signals:
        raise InrzooError(f"{folder} lists no files")
    names = names or _split_names([signal.split for signal in signals.values()])
    if unknown := {signal.split for signal in signals.values()} - {*names}:
        raise InrzooError(f"{folder / sidecar.NAME} does not know the split {sorted(unknown)[0]}")
    ordered = sorted(signals.values(), key=lambda signal: names.index(signal.split))  # stable
    _require_files(folder, ordered)
    return Listing(folder, ordered, names, described, files[0] if files else None)


def _listed(file: Path, our_name: dict[str, str], root: str | None) -> Iterator[tuple[PurePosixPath, int, str]]:
    """Yield (path, label, split) of every file in a splits file, in its order.

    Its format is that of DWSNets and neural-graphs: `{"train": {"path": […], "label": […]}, "val": …, "test": …}`.
    """
    try:
        tables: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InrzooError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(tables, dict):
        raise InrzooError(f"{file} holds a {type(tables).__name__}; expected a table of splits")
    for key, table in tables.items():
        lists: list[Any] = [table.get(name) for name in ("path", "label")] if isinstance(table, dict) else []
        if not lists or not all(isinstance(each, list) for each in lists) or len(lists[0]) != len(lists[1]):
            raise InrzooError(f'{file}: {key} is not {{"path": […], "label": […]}} with lists of one length')
        for path, label in zip(*lists, strict=True):
            if not isinstance(path, str) or isinstance(label, bool) or not str(label).isdecimal():
                raise InrzooError(
                    f"{file}: {key} pairs {path!r} with the label {label!r}; expected a path and a class code"
                )
            yield rebase(file.parent, path, file, root), int(label), str(our_name.get(key, key))


def _numbered(folder: Path, split_points: Sequence[int] | None) -> Iterator[tuple[PurePosixPath, int, str]]:
    """Yield (path, label, split) of nfn's folders by number; `split_points` cut the numbering into splits."""
    paths = [PurePosixPath(path.relative_to(folder).as_posix()) for path in folder.glob("*_*s/net*.pth")]
    parsed = [(name, path) for path in paths if (name := parse_name(path)).label is not None]
    if not parsed:
        raise InrzooError(
            f"{folder} has neither a *{SPLITS_SUFFIX[1:]} nor folders like randinit_smaller_3s/net17.pth; "
            "name the folder that has them"
        )
    prefixes = sorted({str(name.prefix) for name, _ in parsed})
    if len(prefixes) > 1:
        raise InrzooError(f"{folder} has several sets: {', '.join(prefixes)}; keep only one")
    if split_points is None or len(split_points) != 2 or not 0 <= split_points[0] <= split_points[1]:
        raise InrzooError(
            f"{folder} has no *{SPLITS_SUFFIX[1:]}; nfn cuts its numbering instead: pass the first "
            "validation and the first test number with --split-points, for its own sets 45000,50000"
        )
    for name, path in sorted(parsed, key=lambda pair: (pair[0].number or 0, pair[0].copy)):
        number, label = name.number, name.label
        assert number is not None
        assert label is not None
        yield path, label, ORDER[sum(number >= point for point in split_points)]


def _split_names(names: list[str]) -> list[str]:
    """Return our names in our order, or other ones in the order of the file."""
    return list(ORDER) if {*names} <= {*ORDER} else list(dict.fromkeys(names))


def _require_files(folder: Path, signals: list[Signal]) -> None:
    home = folder.resolve()
    for signal in signals:
        for path in signal.files.values():
            if not (folder / path).is_file():
                raise InrzooError(f"the splits name {path}, which is not in {folder}{proposal(folder, str(path))}")
            if not (folder / path).resolve().is_relative_to(home):
                raise InrzooError(f"{path} in {folder} is a link to outside; copy the file there")
