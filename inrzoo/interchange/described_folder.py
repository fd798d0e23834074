"""Plain folders with one file an INR, by the user's own description, pattern of names and list of splits.

`--pattern "{split}/{label}/{id}.pth"`: a field stands for a part of a name, `*` for anything in one. `--splits FILE` is
JSON, `{"train": [id or path, …]}` or DWSNets' `{"train": {"path": […], "label": […]}}`, or CSV with the columns `id` or
`path`, `split` and, if wanted, `label`.

Shape letters: N signals, S seeds, P parameters of one INR.
"""

import csv
import hashlib
import io
import json
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from inrzoo.errors import InrzooError
from inrzoo.interchange import description, state_files
from inrzoo.interchange.description import Description
from inrzoo.interchange.incoming import UNLABELLED, FileEach, IncomingSet, Options, codes_of
from inrzoo.interchange.rebasing import proposal, rebase
from inrzoo.store.files import sha256

FIELDS = ("label", "id", "split", "seed")
THEIR_NAMES = {"val": "validation", "valid": "validation"}
ORDER = ("train", "validation", "test")
MOST_SEEDS = 2**16


@dataclass
class _Signal:
    """One signal: its id, label, split, and its files by seed."""

    signal_id: str
    label: str | None
    split: str | None
    files: dict[int, str] = field(default_factory=dict)


def read_folder(folder: Path, options: Options) -> IncomingSet:
    """List the files that match a pattern, and read the description of their tensors.

    Raises:
        InrzooError: the description, the pattern or the list of splits is wrong, or fits nothing.
    """
    if options.description is None or options.pattern is None:
        raise InrzooError('a folder of your own needs both --inr FILE.toml and --pattern "{label}/{id}.pth"')
    if not folder.is_dir():
        raise InrzooError(f"no folder {folder}")
    described = description.read(options.description, options)
    signals = _listed(folder, options.pattern)
    lists = {options.description.name: sha256(options.description)}
    if options.splits is not None:
        _add_splits(folder, signals, options.splits, options.root)
        lists[options.splits.name] = sha256(options.splits)
    elif options.root is not None:
        raise InrzooError(f"--root {options.root} begins the paths in a list of files; pass the list with --splits")
    if any(signal.split is None for signal in signals):
        raise InrzooError("nothing says the splits; pass --splits FILE, or put {split} into --pattern")
    names = _split_names([str(signal.split) for signal in signals])
    signals.sort(key=lambda signal: names.index(str(signal.split)))  # stable
    codes, label_names = _labels(signals)
    first = [signal.files[min(signal.files)] for signal in signals]
    ids = [signal.signal_id for signal in signals]
    ids = ids if len({*ids}) == len(ids) else first
    files = FileEach([signal.files for signal in signals])
    _vector(folder, first[0], described)  # a description that does not fit is said before anything is written

    def vector(row: int, name: str) -> tuple[NDArray[np.float32], bytes]:
        return _vector(folder, name, described)

    return IncomingSet(
        source=folder,
        format="state-dicts",
        convention="described",
        meaning=described.meaning,
        names=first,
        ids=ids,
        keys=ids,
        split=np.array([names.index(str(signal.split)) for signal in signals], dtype=np.uint8),
        split_names=names,
        labels={"class": codes},
        label_names={"class": label_names},
        fits=files.fits,
        read=partial(files.read, vector),
        grids={options.description.name: described.grid} if described.grid else {},
        lists=lists,
    )


def pattern_of(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern of file names.

    Raises:
        InrzooError: a field is unknown, or there is no {id}.

    Example:
        >>> pattern_of("{label}/{id}.pth").fullmatch("3/net17.pth").groupdict()
        {'label': '3', 'id': 'net17'}
    """
    text, seen = "", set()
    for part in re.split(r"(\{[^}]*\}|\*)", pattern):
        name = part[1:-1]
        if part == "*":
            text += "[^/]*"
        elif not part.startswith("{"):
            text += re.escape(part)
        elif name not in FIELDS:
            raise InrzooError(f"--pattern {pattern} has {part}; expected {', '.join(f'{{{each}}}' for each in FIELDS)}")
        elif name in seen:
            text += f"(?P={name})"
        else:
            seen.add(name)
            characters = r"\d+" if name == "seed" else "[^/]+?"
            text += f"(?P<{name}>{characters})"
    if "id" not in seen:
        raise InrzooError(f"--pattern {pattern} has no {{id}}, which tells signals apart")
    return re.compile(text)


def _listed(folder: Path, pattern: str) -> list[_Signal]:
    expression, home = pattern_of(pattern), folder.resolve()
    signals: dict[tuple[str | None, str | None, str], _Signal] = {}
    depth = "/".join(["*"] * len(pattern.split("/")))
    for path in sorted(folder.glob(depth)):
        name = path.relative_to(folder).as_posix()
        match = expression.fullmatch(name)
        if match is None or not path.is_file():
            continue
        if not path.resolve().is_relative_to(home):
            raise InrzooError(f"{name} in {folder} is a link to outside; copy the file there")
        found = match.groupdict()
        split = found.get("split")
        split = None if split is None else THEIR_NAMES.get(split, split)
        key = (split, found.get("label"), found["id"])
        signal = signals.setdefault(key, _Signal(found["id"], found.get("label"), split))
        seed = int(found.get("seed") or 0)
        if seed in signal.files or seed > MOST_SEEDS:
            other = signal.files.get(seed, f"a seed up to {MOST_SEEDS}")
            raise InrzooError(f"--pattern {pattern} takes {name} and {other} for one fit of one signal; add a field")
        signal.files[seed] = name
    if not signals:
        raise InrzooError(f"--pattern {pattern} matches no file in {folder}")
    return list(signals.values())


def _add_splits(folder: Path, signals: list[_Signal], file: Path, root: str | None) -> None:
    """Set split and, if it is listed, label of every signal."""
    by_path = {path: signal for signal in signals for path in signal.files.values()}
    by_id: dict[str, list[_Signal]] = {}
    for signal in signals:
        by_id.setdefault(signal.signal_id, []).append(signal)
    for name, split, label in _entries(file):
        chosen = by_id.get(name, [])
        if len(chosen) != 1 or root is not None:
            path = str(rebase(folder, name, file, root))
            chosen = [by_path[path]] if path in by_path else chosen
        if len(chosen) != 1:
            several = (
                f"an id of {len(chosen)} signals; list their paths"
                if chosen
                else "no id or path that --pattern matches"
            )
            raise InrzooError(f"{file} lists {name}, {several}{proposal(folder, name) if not chosen else ''}")
        signal = chosen[0]
        split = THEIR_NAMES.get(split, split)
        if signal.split not in (None, split):
            raise InrzooError(f"{file} has {name} in {split}, it is in {signal.split} as well")
        if label is not None and signal.label not in (None, label):
            raise InrzooError(f"{file} gives {name} the label {label}, its name says {signal.label}")
        signal.split, signal.label = split, signal.label if label is None else label
    if absent := [signal for signal in signals if signal.split is None]:
        raise InrzooError(
            f"{len(absent)} signals are in no split of {file}, the first is {absent[0].signal_id}; list them, or make "
            "--pattern narrower"
        )


def _entries(file: Path) -> list[tuple[str, str, str | None]]:
    """Return (id or path, split, label or None) of each line of a list of splits."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InrzooError(f"{file}, which --splits names, cannot be read: {error}") from None
    if not text.lstrip().startswith("{"):
        return _rows(file, text)
    try:
        tables: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InrzooError(f"{file} is not valid JSON: {error}") from None
    entries: list[tuple[str, str, str | None]] = []
    for split, table in tables.items():
        names = table.get("path") if isinstance(table, dict) else table
        labels = table.get("label") if isinstance(table, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
            raise InrzooError(f"{file}: {split} is no list of ids or paths")
        if labels is not None and (not isinstance(labels, list) or len(labels) != len(names)):
            raise InrzooError(f"{file}: {split} does not have as many labels as paths")
        entries += [(str(name), split, None if labels is None else str(labels[row])) for row, name in enumerate(names)]
    return entries


def _rows(file: Path, text: str) -> list[tuple[str, str, str | None]]:
    reader = csv.DictReader(io.StringIO(text))
    columns = reader.fieldnames or []
    name = "path" if "path" in columns else "id"
    if name not in columns or "split" not in columns:
        raise InrzooError(f"{file} is neither JSON nor CSV with the columns id (or path) and split")
    try:
        rows = list(reader)
    except csv.Error as error:
        raise InrzooError(f"{file} is not valid CSV: {error}") from None
    for number, row in enumerate(rows, start=2):
        if not row[name] or not row["split"]:
            raise InrzooError(f"{file}, line {number}, has no {name} or no split")
    return [(row[name], row["split"], row.get("label")) for row in rows]


def _split_names(names: list[str]) -> list[str]:
    return [name for name in ORDER if name in names] if {*names} <= {*ORDER} else list(dict.fromkeys(names))


def _labels(signals: list[_Signal]) -> tuple[NDArray[np.int64], list[str]]:
    labels = [signal.label for signal in signals]
    if all(label is None for label in labels):
        return np.zeros(len(labels), dtype=np.int64), [UNLABELLED]
    if None in labels:
        raise InrzooError(f"signal {signals[labels.index(None)].signal_id} has no label, others have one")
    return codes_of(str(label) for label in labels)


def _vector(folder: Path, name: str, described: Description) -> tuple[NDArray[np.float32], bytes]:
    """Return the weight vector (P,) in a file of torch or a .safetensors, and the sha256 of the file."""
    content = (folder / name).read_bytes()
    if name.endswith(".safetensors"):
        try:
            arrays: dict[str, NDArray[Any]] = load_safetensors(content)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise InrzooError(f"{name} cannot be read as safetensors ({' '.join(str(error).split())[:120]})") from None
        arrays = {key: array for key, array in arrays.items() if key not in described.files.ignored}
    else:
        state = state_files.load(content, name)
        if described.files.inside:
            state = state.get(described.files.inside)  # type: ignore[assignment]
            if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
                raise InrzooError(f"{name} has no table {described.files.inside}, which files.inside names")
        kept = {key: value for key, value in state.items() if key not in described.files.ignored}
        tensors = state_files.dense_tensors(kept, len(content), name)
        arrays = {key: tensor.numpy() for key, tensor in tensors.items()}
    return described.vector(arrays, name), hashlib.sha256(content).digest()
