"""A set of INRs as others wrote it: what its files, its convention and the user say of it, before weights are read.

Shape letters: N signals, S seeds, P parameters of one INR.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrzoo import manifest, registry
from inrzoo.choices import AxisOrder, Spacing
from inrzoo.errors import InrzooError
from inrzoo.interchange.sidecar import Sidecar
from inrzoo.nearest import among
from inrzoo.typecheck import check_type

COORDS = ("spacing", "axis_order", "extent", "range")
"""Keys of `--coords`."""
SIZES = ("in_features", "out_features", "hidden_features", "hidden_layers", "num_filters")
"""Fields of INRs that follow from the shapes of tensors."""
UNLABELLED = "unlabelled"
"""Name of the one class of signals that have none."""

File = TypeVar("File")
OnFile = Callable[[int, int], None]
"""Called with the numbers of files read and of all files."""
ImageKey = str | tuple[str | None, int]
"""What identifies an image in a dataset: its id, or its number in `train`, in `test`, or (None) in both together."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user said of the files.

    Attributes:
        convention: whose files they are; None to recognise them.
        inr: fields of the INR that the files do not say, or that differ.
        coords: `spacing`, `axis_order`, `extent` or `range` that differ.
        split_points: numbers of the first validation and the first test signal.
        root: beginning of the paths in a list of files, which the folder stands for.
        base: file of the shared weights of functa's modulations.
        description: TOML of the user's own, which describes an INR and its tensors.
        pattern: names of files, with the fields `{label}`, `{id}`, `{split}` and `{seed}`.
        splits: file that lists the signals of each split.
        per_seed: signals of one seed, where one numbering runs over all seeds.
    """

    convention: str | None = None
    inr: Mapping[str, Any] = field(default_factory=dict)
    coords: Mapping[str, Any] = field(default_factory=dict)
    split_points: tuple[int, ...] | None = None
    root: str | None = None
    base: Path | None = None
    description: Path | None = None
    pattern: str | None = None
    splits: Path | None = None
    per_seed: int | None = None


@dataclass(frozen=True)
class Standardised:
    """Targets whose channels were standardised: (number / 255 − mean) / deviation.

    Attributes:
        mean, deviation: of each channel, of numbers from 0 to 1.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def uniform(self) -> bool:
        """Whether one range holds for all channels."""
        return len({*self.mean}) == len({*self.deviation}) == 1

    @property
    def value_range(self) -> tuple[float, float]:
        """The lowest and the highest value that any channel can take.

        Example:
            >>> Standardised((0.5, 0.25), (0.5, 0.25)).value_range
            (-1.0, 3.0)
        """
        pairs = list(zip(self.mean, self.deviation, strict=True))
        return min(-mean / width for mean, width in pairs), max((1 - mean) / width for mean, width in pairs)

    def apply_to(self, numbers: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the values, float32, of numbers (..., C)."""
        mean, width = (np.array(each, dtype=np.float64) for each in (self.mean, self.deviation))
        values = (numbers / 255.0 - mean) / width
        return values.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What the tensors of a set mean.

    Attributes:
        spec: the INR table.
        coords: the table `coords` of a manifest.
        value_range: lowest and highest value of a signal, on the scale of the INR's output; None if nobody says it.
        said_by: source of each setting and of the convention: `convention NAME`, `--inr`, `--coords`, a file.
        standardised: how targets were standardised; None if one range holds for all channels.
    """

    spec: dict[str, Any]
    coords: dict[str, Any]
    value_range: tuple[float, float] | None
    said_by: dict[str, str]
    standardised: Standardised | None = None

    @property
    def known_range(self) -> tuple[float, float]:
        """`value_range`, which `require_range` found."""
        assert self.value_range is not None
        return self.value_range


@dataclass(frozen=True)
class Fits:
    """Which fits of its signals a set has.

    Attributes:
        copies: numbers of the S fits.
        present_SN: whether there are weights.
        num_files: files that hold the weights.
    """

    copies: list[int]
    present_SN: NDArray[np.bool_]
    num_files: int


@dataclass(frozen=True)
class FileEach(Generic[File]):
    """The files of a set that has one file a fit.

    Attributes:
        files: for each of N signals, the file of each of its fits by their number.
    """

    files: Sequence[Mapping[int, File]]

    @property
    def fits(self) -> Fits:
        """The fits that there are, in ascending order."""
        copies = sorted({copy for of_signal in self.files for copy in of_signal})
        present_SN = np.array([[copy in of_signal for of_signal in self.files] for copy in copies])
        return Fits(copies, present_SN, sum(map(len, self.files)))

    def read(
        self,
        vector: Callable[[int, File], tuple[NDArray[np.float32], bytes]],
        weights_SNP: NDArray[np.float32],
        on_file: OnFile,
    ) -> str:
        """Read every file, as `IncomingSet.read` does.

        Args:
            vector: returns, for the number of a signal and a file, the weights (P,) and the sha256 of the file.
        """
        fits, done, digest = self.fits, 0, hashlib.sha256()
        on_file(0, fits.num_files)
        for seed, copy in enumerate(fits.copies):
            for row, of_signal in enumerate(self.files):
                if copy not in of_signal:
                    weights_SNP[seed, row] = np.nan
                    continue
                weights_SNP[seed, row], content_sha = vector(row, of_signal[copy])
                digest.update(content_sha)
                done += 1
                on_file(done, fits.num_files)
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class IncomingSet:
    """A set of INRs, listed and described, from which weights can be read.

    Attributes:
        source: the folder or file.
        format: kind of the files, see `ImportInfo`.
        convention: whose they are.
        meaning: what their tensors mean.
        names: for each of N signals, what an error calls it, such as its first file.
        ids: ids of the signals.
        keys: what identifies the image of each signal.
        settled: whether ids and labels are those of the dataset, so that images bring no others.
        split: N indices into `split_names`.
        labels, label_names: as in a store; the first column is the class.
        fits: which weights there are.
        read: fills an array (S, N, P) with the weights, NaN for missing ones, and returns the sha256 (hex) over the
            sha256 of every file.
        grids: sizes of the signals' grid, by who says it.
        lists: sha256 (hex) of the files that list or describe the others, by name.
        sidecar: content of `inrzoo.json`, or None.
        numbers: further numbers of each signal.
    """

    source: Path
    format: str
    convention: str
    meaning: Meaning
    names: list[str]
    ids: list[str]
    keys: Sequence[ImageKey]
    split: NDArray[np.uint8]
    split_names: list[str]
    labels: dict[str, NDArray[np.int64]]
    label_names: dict[str, list[str]]
    fits: Fits
    read: Callable[[NDArray[np.float32], OnFile], str]
    settled: bool = False
    grids: dict[str, list[int]] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    sidecar: Sidecar | None = None
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)


def meaning_of(
    assumed: Mapping[str, Any],
    grid: Mapping[str, Any],
    value_range: tuple[float, float] | None,
    *,
    by: str,
    recognised_by: str,
    options: Options,
    standardised: Standardised | None = None,
    said: Mapping[str, str] | None = None,
) -> Meaning:
    """Lay the user's settings over those of a convention, and record who said what.

    Args:
        assumed: the INR table by the convention.
        grid: its `spacing`, `axis_order` and `extent`.
        value_range: its values' range; None if it has none.
        by: who says `assumed` and `grid`.
        recognised_by: how the convention was found.
        options: what the user says.
        standardised: how targets were standardised; a range of the user's replaces it.
        said: sources that differ from `by`, by setting.

    Raises:
        InrzooError: a setting does not exist or is impossible.
    """
    assumed_inr = registry.make("inrs", assumed)
    fields = [key for key in vars(assumed_inr) if key not in SIZES]
    require_known("--inr", options.inr, fields)
    require_known("--coords", options.coords, COORDS)
    inr = registry.make("inrs", {**assumed, **options.inr})  # checks the values
    spec = {**assumed, **{key: getattr(inr, key) for key in options.inr}}
    settled: dict[str, Any] = {**grid, "range": value_range, **options.coords}
    check_type("--coords spacing", settled["spacing"], Spacing)
    check_type("--coords axis_order", settled["axis_order"], AxisOrder)
    settled["extent"] = check_type("--coords extent", settled["extent"], float)
    manifest.Coords(extent=settled["extent"])
    if settled["range"] is not None:
        low_high = settled["range"]
        low_high = list(low_high) if isinstance(low_high, tuple) else low_high
        settled["range"] = check_type("--coords range", low_high, tuple[float, float])
        manifest.Values(range=settled["range"])
    keys = [key for key in (*assumed, *options.inr) if key not in ("name", *SIZES)]
    said_by = {"convention": recognised_by, **{f"inr.{key}": by for key in keys}}
    said_by |= dict.fromkeys((*(f"coords.{key}" for key in grid), "values.range"), by)
    said_by |= dict(said or {})
    said_by |= {f"inr.{key}": "--inr" for key in options.inr}
    said_by |= {"values.range" if key == "range" else f"coords.{key}": "--coords" for key in options.coords}
    return Meaning(
        spec=spec,
        coords={key: settled[key] for key in grid},
        value_range=settled["range"],
        said_by=said_by,
        standardised=None if "range" in options.coords else standardised,
    )


def require_known(option: str, settings: Iterable[str], known: Iterable[str]) -> None:
    """Raise InrzooError for the first setting that an option does not know."""
    names = list(known)
    for key in settings:
        if key not in names:
            raise InrzooError(f"{option} has no key {key!r}{among(key, names)}")


def codes_of(names: Iterable[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Return class codes and the names of the codes: numbers stay what they are, other names are sorted.

    Example:
        >>> codes_of(["2", "0"])[1], codes_of(["dog", "cat"])[0].tolist()
        (['0', '1', '2'], [1, 0])
    """
    listed = list(names)
    if listed and all(name.isdecimal() and len(name) < 5 for name in listed):
        codes = np.array([int(name) for name in listed], dtype=np.int64)
        return codes, [str(code) for code in range(int(codes.max()) + 1)]
    known = sorted({*listed})
    number = {name: code for code, name in enumerate(known)}
    return np.array([number[name] for name in listed], dtype=np.int64), known
