"""Tables in the root of a store: its manifest, its partition, and where its INRs came from.

Nothing in a store is believed before it is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

from inrzoo.errors import InrzooError
from inrzoo.manifest import DatasetSettings, FitSettings
from inrzoo.store.blocks import Partition


def damaged(where: str, what: object) -> InrzooError:
    """The line for a store that contradicts itself."""
    text = " ".join(str(what).split())
    return InrzooError(f"{where} is damaged ({text[:300]}); see inrzoo verify, pull it again or build it anew")


@dataclass(frozen=True, kw_only=True)
class RecordedManifest(DatasetSettings):
    """The manifest in a store. Keys that this version does not know are kept and not looked at.

    Attributes:
        tables: the manifest exactly as it is recorded: the fingerprint covers it.
        init, fit, antialias: its tables of how the INRs came about, as they are recorded. `settings` reads them, for
            INRs that inrzoo fitted.
    """

    tables: dict[str, Any]
    init: dict[str, str | None] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    antialias: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> Self:
        """Read and check a recorded manifest.

        Raises:
            InrzooError: names the key that is missing or has an impossible value.
        """
        for key in ("coords", "values"):
            if key not in tables:
                raise InrzooError(f"manifest of the store: missing key {key}")
        return cls.recorded({**tables, "tables": dict(tables)})

    @cached_property
    def settings(self) -> FitSettings:
        """The settings that the INRs were fitted with.

        Raises:
            InrzooError: they were imported, or fitted with settings that this version does not know.
        """
        return FitSettings.recorded(self.tables)

    @property
    def init_mode(self) -> str:
        """The mode of the starts: one of `inrzoo.manifest.Init`, or of a later version."""
        return self.init.get("mode") or "random"

    def with_seeds(self, num_seeds: int) -> Self:
        """This manifest with another number of seeds."""
        return self.from_tables({**self.tables, "seeds": num_seeds})


@dataclass(frozen=True, kw_only=True)
class PartitionRows:
    """Rows of a chunk, of a block and of a shard; each a whole number of those before it."""

    chunk_rows: int
    block_rows: int
    shard_rows: int

    def __post_init__(self) -> None:
        """Reject rows that do not divide each other."""
        sizes = [self.chunk_rows, self.block_rows, self.shard_rows]
        require("partition", sizes, sizes[0] > 0 and all(b >= a and b % a == 0 for a, b in pairwise(sizes)))

    @classmethod
    def choose(cls, num_signals: int, num_numbers: int) -> Self:
        """The rows for a new store, of which each INR has that many float32 numbers in all its snapshots."""
        chosen = Partition.of(num_signals, 4 * num_numbers)
        return cls(chunk_rows=chosen.chunk_rows, block_rows=chosen.block_rows, shard_rows=chosen.shard_rows)

    def of(self, num_signals: int) -> Partition:
        """The partition of a store with that many signals."""
        return Partition(num_signals, self.chunk_rows, self.block_rows, self.shard_rows)


@dataclass(frozen=True, kw_only=True)
class ImportInfo:
    """The origin of imported INRs.

    Attributes:
        format: kind of the files.
        convention: whose layout and key names they have.
        said_by: the option, file or convention that decided each setting.
        num_files: files that were read.
        sha256: hex, over the sha256 of every file.
        lists: sha256 (hex) of the files that list the others, by name.
        copies: the number that each seed has in the folder.
        exported_from: fingerprint of the store that was exported to the folder, if one was.
    """

    format: str = "state-dicts"
    convention: str
    said_by: dict[str, str] = field(default_factory=dict)
    num_files: int
    sha256: str
    lists: dict[str, str] = field(default_factory=dict)
    copies: tuple[int, ...] = ()
    exported_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class FitterInfo:
    """The hypernetwork that made the starts of the fits.

    Attributes:
        sha256: hex, of the file in the array `fitter`.
        task, conventions, identity: how it was trained, what the weights that it makes mean, and on what it was
            trained; from its checkpoint.
    """

    sha256: str
    task: dict[str, Any]
    conventions: dict[str, Any]
    identity: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class GeneratedInfo:
    """The generative model that the INRs are samples of.

    Attributes:
        sha256: hex, of the file of the checkpoint.
        task, conventions, identity: how the model was trained, what its weights mean, and on what it was trained; from
            its checkpoint.
        steps, guidance: how samples were drawn.
        seed: of the noise; None where several stores were merged.
        label: the class that all INRs are of; None for all classes in turn.
    """

    sha256: str
    task: dict[str, Any]
    conventions: dict[str, Any]
    identity: dict[str, Any]
    steps: int
    guidance: float
    seed: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        """The model in words."""
        drawn = "" if self.seed is None else f", seed {self.seed}"
        return f"the checkpoint of sha256 {self.sha256[:16]}…, {self.steps} steps, guidance {self.guidance:g}{drawn}"


@dataclass(frozen=True, kw_only=True)
class ConvertedInfo:
    """The store whose INRs were converted.

    Attributes:
        store: name of its folder, or its URL.
        fingerprint, version: what it recorded.
    """

    store: str
    fingerprint: str
    version: str


@dataclass(frozen=True, kw_only=True)
class GatheredPart:
    """A store from which INRs were taken.

    Attributes:
        store: name of its folder, or its URL.
        dataset, fingerprint, signals_sha256, source, source_checksums, environment, version: what it recorded.
        num_signals, num_inrs: signals and INRs that were taken.
        seeds: the numbers that the seeds had in it.
    """

    store: str
    dataset: str
    fingerprint: str
    signals_sha256: str
    source: dict[str, Any] = field(default_factory=dict)
    source_checksums: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    version: str
    num_signals: int
    num_inrs: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class GatheredInfo:
    """The origin of INRs that were copied from other stores.

    Attributes:
        parts: the stores, in the order of the signals or of the seeds.
        selection: the INRs that a subset was asked for, by name of the option.
        refits: whether the records decide every bit, so that the INRs can be fitted again.
    """

    parts: tuple[GatheredPart, ...]
    selection: dict[str, str] = field(default_factory=dict)
    refits: bool = False

    def __str__(self) -> str:
        """The stores in words."""
        return ", ".join(f"{part.store} ({part.num_inrs:,} INRs)" for part in self.parts)


def require(key: str, value: Any, holds: bool) -> None:
    """Raise InrzooError that names a key of a store and its value, unless a condition holds."""
    if not holds:
        raise InrzooError(f"{key} = {value!r}")
