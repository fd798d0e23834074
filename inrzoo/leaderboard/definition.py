"""Benchmark tasks: a store that is pinned to the bit, a split, a measure, and a rule."""

from __future__ import annotations

import hashlib
import json
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from inrzoo import manifest
from inrzoo.errors import InrzooError
from inrzoo.keywords import unknown
from inrzoo.store import Store
from inrzoo.store.files import sha256
from inrzoo.store.info import StoreInfo
from inrzoo.store.names import CHUNK, label_arrays
from inrzoo.store.quantities import quantity_array
from inrzoo.typecheck import check_type

Measure = Literal[
    "accuracy", "r2", "linear probe", "identity", "5-way 1-shot", "5-way 5-shot", "20-way 1-shot", "error removed"
]
"""What is measured, in percent. `accuracy`: answers are classes of the test split. `r2`: answers are numbers, one for
each INR of the test split at each snapshot; R² is measured. `linear probe`: answers are features of all splits, on
which the evaluator fits logistic regression. `identity`: answers are features of the test split; an INR is right if
the nearest other one by cosine is a fit of the same signal. `N-way K-shot`: answers are features of the test split, by
whose cosines the evaluator compares queries with supports. `error removed`: answers are changed weights of the test
split, of which the evaluator measures how much nearer they are to edited signals; see `leaderboard.editing`."""
Network = Literal["encoder", "decoder"]
"""A task measures networks of one kind."""
PINNED = ("weights", "split", "status")
"""Arrays of a store whose chunks a benchmark pins, beside those of its labels."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkTask:
    """One task of the board: a file in `manifests/leaderboard/`.

    Attributes:
        name: of the file.
        title: one line of text.
        build: arguments of `inrzoo.build` that make the store.
        content_sha256: see the function `content_sha256`.
        train: the task of `inrzoo train` that networks are trained by.
        measure: what is measured.
        split: the split that is measured.
        store: file name of the store, without its ending; several tasks may share one. The name of the task by default.
        rule: what may be used.
        column: the label column, or for `r2` the column of numbers, that is asked about; the first label by default.
        source: the files that the build is given by `--source`, for people; empty if they are fetched.
        test_build: arguments of `inrzoo.build` that make a second store, whose INRs are measured in place of those of
            the first; it has other INRs of signals that nobody trains on. See `leaderboard.transfer`.
        test_content_sha256: of the second store.
        operation: for `error removed`, the operation on signals that networks learn, and its arguments.
        defaults: fields of the training task that apply to every network unless its row changes them.
    """

    name: str
    title: str
    build: dict[str, Any]
    content_sha256: str
    train: str
    measure: Measure
    rule: str
    split: str = "test"
    store: str = ""
    column: str = ""
    source: str = ""
    test_build: dict[str, Any] = field(default_factory=dict)
    test_content_sha256: str = ""
    operation: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        """The measure says which kind of network is asked for."""
        return network_of(self.measure)

    @property
    def store_name(self) -> str:
        """File name of the store that `build_command` makes."""
        return f"{self.store or self.name}.zarr"

    @property
    def test_store_name(self) -> str:
        """File name of the second store, which `test_build_command` makes; it stands beside the first."""
        return f"{self.name}.test.zarr"

    @property
    def build_command(self) -> str:
        """The command that makes the store, for a terminal."""
        return _command(self.build, self.store_name, self.source)

    @property
    def test_build_command(self) -> str:
        """The command that makes the second store; empty if there is none."""
        return _command(self.test_build, self.test_store_name, self.source) if self.test_build else ""

    @property
    def commands(self) -> list[str]:
        """All commands that make stores."""
        return [self.build_command, *([self.test_build_command] if self.test_build else [])]

    def require_store(self, store: Store) -> None:
        """Raise InrzooError unless a store is the one that the task pins, and its files are what it records of them."""
        self._require(store, self.content_sha256, "the store", self.build_command)

    def require_test_store(self, store: Store) -> None:
        """Raise InrzooError unless a store is the second one that the task pins; see `require_store`."""
        self._require(store, self.test_content_sha256, "the test store", self.test_build_command)

    def content_sha256_of(self, store: Store) -> str:
        """Return the digest that a task such as this one pins: of `r2` it covers the column that is asked about."""
        return content_sha256(store, self._quantities)

    @property
    def _quantities(self) -> tuple[str, ...]:
        return (self.column,) if self.measure == "r2" else ()

    def _require(self, store: Store, pinned: str, which: str, command: str) -> None:
        found = self.content_sha256_of(store)
        if found != pinned:
            raise InrzooError(
                f"{store.location} is not {which} of {self.name}: its content has sha256 {found[:12]}…, the task "
                f"pins {pinned[:12]}…; make it by: {command}"
            )
        if self.measure == "error removed":
            self._require_signals(store, which, command)
        if store.cache is not None:
            return  # files of a remote store are checked as they are fetched
        for name in _pinned_files(store.info, self._quantities):
            path = store.path / name
            if not path.exists() or sha256(path) != store.info.checksums[name]:
                raise InrzooError(
                    f"{store.location} is not {which} of {self.name}: {name} is not what the store records of it; "
                    f"inrzoo verify {store.location} --repair fits damaged INRs again"
                )

    def _require_signals(self, store: Store, which: str, command: str) -> None:
        """Raise InrzooError unless a store holds the signals whose sha256 it records."""
        if not store.has_signals:
            raise InrzooError(
                f"{store.location} does not hold its signals; {self.name} measures edits of them, so it needs a store "
                "whose licence lets them in"
            )
        if store.signal_table().digest(store.signal_ids) != store.info.signals_sha256:
            raise InrzooError(
                f"{store.location} is not {which} of {self.name}: its signals are not those that were fitted; "
                f"make it by: {command}"
            )


def network_of(measure: str) -> Network:
    """Return what kind of network a measure is of: decoders change weights, encoders read them.

    Example:
        >>> network_of("accuracy"), network_of("error removed")
        ('encoder', 'decoder')
    """
    return "decoder" if measure == "error removed" else "encoder"


def _command(build: Mapping[str, Any], name: str, source: str) -> str:
    words = ["inrzoo", "build", str(build["dataset"])]
    for key, value in build.items():
        if key == "settings":
            words += [word for name, each in value.items() for word in ("--set", f"{name}={each}")]
        elif key != "dataset":
            numbers = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{key.replace('_', '-')}", numbers]
    return shlex.join([*words, *(["--source", "PATH"] if source else []), "--out", name])


def content_sha256(store: Store, quantities: Iterable[str] = ()) -> str:
    """Return the sha256 (hex) of what a benchmark relies on: weights, labels, splits, and what their numbers mean.

    It covers the recorded checksums of the files of these arrays, the settings of INR and grid, names of labels and
    splits, and the sha256 of the signals. Environment and versions are left out: whoever builds the same bits has it.

    Args:
        store: a complete store.
        quantities: columns of numbers that are covered, too; see `store.quantities`.

    Raises:
        InrzooError: the store is not complete, or has no such column.
    """
    info = store.info
    if not info.complete:
        raise InrzooError(f"{store.location} is not complete: finish its build before it is measured on")
    digest = hashlib.sha256()
    for name in _pinned_files(info, quantities):
        digest.update(f"{name} {info.checksums[name]}\n".encode())
    settings = manifest.without_defaults({"inr": info.inr, "coords": asdict(info.manifest.coords)})
    names = {"labels": info.label_names, "splits": info.split_names, "signals": info.signals_sha256}
    digest.update(json.dumps([settings, names], sort_keys=True).encode())
    return digest.hexdigest()


def _pinned_files(info: StoreInfo, quantities: Iterable[str] = ()) -> list[str]:
    """Return the names of the chunks that a benchmark pins. Metadata may gain descriptions without another meaning."""
    numbers = (quantity_array(info, name) for name in quantities)
    arrays = {*PINNED, *label_arrays(info.label_columns), *numbers}
    return [name for name in sorted(info.checksums) if (chunk := CHUNK.fullmatch(name)) and chunk[1] in arrays]


def names() -> list[str]:
    """Return the names of the benchmark tasks that come with inrzoo."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def find(name: str | Path) -> BenchmarkTask:
    """Return a task by its name, or from a .toml file of the user's.

    Raises:
        InrzooError: there is no such task, or a key of its file is unknown, missing or of the wrong type.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = _folder() / f"{name}.toml"
        if not path.exists():
            raise unknown("the leaderboard", str(name), names(), kind="task")
    elif not path.exists():
        raise InrzooError(f"no file {path}; expected a .toml file of a benchmark task, or one of {', '.join(names())}")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InrzooError(f"{path.name} is not valid TOML: {error}") from None
    return _task(path, tables)


def _task(path: Path, tables: Mapping[str, Any]) -> BenchmarkTask:
    types: dict[str, Any] = {
        "title": str,
        "build": dict[str, Any],
        "content_sha256": str,
        "train": str,
        "measure": Measure,
        "rule": str,
        "split": str,
        "store": str,
        "column": str,
        "source": str,
        "test_build": dict[str, Any],
        "test_content_sha256": str,
        "operation": dict[str, Any],
        "defaults": dict[str, Any],
    }
    values = {}
    for key, value in tables.items():
        if key not in types:
            raise unknown(path.name, key, list(types), kind="key")
        values[key] = check_type(f"{path.name}: {key}", value, types[key])
    optional = {"split", "store", "column", "source", "test_build", "test_content_sha256", "operation", "defaults"}
    missing = [one.name for one in fields(BenchmarkTask) if one.name not in {*values, *optional, "name"}]
    if missing:
        raise InrzooError(f"{path.name} lacks {', '.join(missing)}")
    if ("test_build" in values) != ("test_content_sha256" in values):
        raise InrzooError(f"{path.name} has only one of test_build and test_content_sha256; a second store needs both")
    if values["measure"] == "r2" and not values.get("column"):
        raise InrzooError(f"{path.name} lacks column, the column of numbers that r2 asks about, such as psnr")
    if values["measure"] == "error removed" and not values.get("operation"):
        raise InrzooError(f"{path.name} lacks operation, the edit that is measured, such as {{ name = 'dilation' }}")
    for key in ("build", "test_build"):
        if "dataset" not in values.get(key, {"dataset": ""}):
            raise InrzooError(f"{path.name}: {key} lacks dataset, the first argument of `inrzoo build`")
    return BenchmarkTask(name=path.stem, **values)


def _folder() -> Path:
    return manifest.folder() / "leaderboard"
