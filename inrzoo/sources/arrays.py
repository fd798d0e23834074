"""Fields of a NetCDF, zarr or npz file: variables whose dimensions are coordinates, signals or channels.

Shape letters: C channels.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.coords import Axis
from inrzoo.errors import InrzooError
from inrzoo.nearest import hint
from inrzoo.sources import Signals, Source
from inrzoo.sources._array_files import array_file, checksums, opened, read_array
from inrzoo.sources._field_reader import FieldReader
from inrzoo.sources._globe import Poles, globe_points, unit_vectors
from inrzoo.sources._labels import encode_labels
from inrzoo.sources._splits import check_counts, stratified_split

MAX_SIGNALS = 20_000_000
"""Maximum number of signals of a file."""
MAX_NUMBERS = 2**28
"""Maximum number of a signal's numbers, one gigabyte as float32."""
UNEVEN = 0.01
"""Distance, in steps of an axis, by which a coordinate may be beside its even place."""
TIME_PARTS = ("year", "month", "day", "hour", "dayofyear")
"""Parts of a time that can be labels."""


@dataclass(frozen=True, kw_only=True)
class Arrays(Source):
    """Fields of a NetCDF (3 or 4), zarr or npz file, float32.

    Each dimension of a variable is one of `coords`, `signals` or `channels`. Packed numbers (`scale_factor`,
    `add_offset`, fill values) are unpacked; a missing number is an error. Every signal is read once before anything is
    fitted.

    Without `globe`, signals are values on a grid (the observation `grid`): its coordinates must be evenly spaced, and
    ascend in the signal even where they descend in the file; `Signals.axes` says what they measure, in the file's
    units. With `globe`, signals are values at points of the unit sphere (the observation `points`), of which every
    `stride`-th latitude and longitude is fitted and those between are held out.

    The label columns are those of `labels`, then `variable`: name and unit, as the file says them. Each dimension of
    `signals` with numeric coordinates is also a column of numbers; times become seconds since 1970.

    Attributes:
        variable: name of a variable, or of several with the same dimensions, which are channels.
        coords: dimensions of the coordinates, slowest first; with `globe` the latitude and the longitude, in degrees or
            radians.
        signals: dimensions of which every position is a signal, slowest first; without any, the variable is one signal.
        channels: dimension whose positions are channels, if there is one.
        globe: whether the coordinates are points on a globe.
        stride: every `stride`-th point along each dimension of `coords` is fitted; on a grid the others are left out.
        num_held_out: maximum number of held-out points on a globe; they are drawn evenly over the area.
        poles: what a row of values at a pole is on a globe: one value, and an error if it has several (`"same"`); its
            `"first"` value; or nothing (`"drop"`), as components of vectors have no value at a pole.
        labels: dimensions of `signals` that are label columns, or parts of a time such as `time.month`.
        num_validation: number of signals drawn for validation, evenly over the classes (first label column).
        num_test: number of signals drawn for test.
        split_seed: seed of the random draws.
    """

    variable: str | tuple[str, ...] = ()
    coords: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    channels: str | None = None
    globe: bool = False
    stride: int = 1
    num_held_out: int = 4096
    poles: Poles = "same"
    labels: tuple[str, ...] = ()
    num_validation: int = 0
    num_test: int = 0
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_counts("arrays", 1, stride=self.stride, num_held_out=self.num_held_out)
        check_counts("arrays", num_validation=self.num_validation, num_test=self.num_test, split_seed=self.split_seed)
        dims = self._dims
        if twice := [name for name in dims if dims.count(name) > 1]:
            raise InrzooError(f"arrays uses the dimension {twice[0]!r} twice in coords, signals and channels")
        if self.globe and self.stride < 2:
            raise InrzooError("arrays.globe needs stride = 2 or more: the points between are held out")
        if self.globe and self.coords and len(self.coords) != 2:
            raise InrzooError(f"arrays.coords = {list(self.coords)} on a globe must be a latitude and a longitude")
        for label in self.labels:
            dim, _, part = label.partition(".")
            if dim not in self.signals:
                raise InrzooError(f"arrays.labels names {label!r}, which is none of signals = {list(self.signals)}")
            if "." in label and part not in TIME_PARTS:
                raise InrzooError(f"arrays.labels names {label!r}; parts of a time are: {', '.join(TIME_PARTS)}")

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` is a file, a zarr folder, or a folder that holds one of them.

        Raises:
            InrzooError: variables or dimensions do not fit the settings, coordinates are uneven, or numbers are absent.
        """
        if path is None:
            raise InrzooError("arrays has no download; pass --source PATH, a NetCDF, zarr or npz file")
        file = array_file(path)
        with opened(file) as dataset:
            self._check(file, dataset)
            sizes = {dim: int(dataset.sizes[dim]) for dim in self._dims}
            positions = [_Positions.of(file, dataset, dim) for dim in self.signals]
            measures = [_measures(file, dataset, dim) for dim in self.coords]
            units = [_unit(dataset, dim) for dim in self.coords]
            titles = [f"{name} ({unit})" if (unit := _unit(dataset, name)) else name for name in self.names]
        reader = FieldReader(
            file=file,
            names=self.names,
            coords=self.coords,
            signals={dim: sizes[dim] for dim in self.signals},
            channels=self.channels,
            num_channels=len(self.names) * (sizes[self.channels] if self.channels else 1),
            stride=self.stride,
            descending=tuple(bool(along[0] > along[-1]) for along in measures),
        )
        axes: tuple[Axis, ...] = ()
        if self.globe:
            latitudes, longitudes = self._degrees(file, measures, units)
            chosen = globe_points(
                str(file), latitudes, longitudes, self.stride, self.num_held_out, self.poles, self.split_seed
            )
            reader = reader.on_globe(unit_vectors(latitudes, longitudes), chosen)
        else:
            axes = tuple(map(self._axis, itertools.repeat(file), self.coords, units, measures))
        fields = [
            dict(zip(self.signals, names, strict=True)) for names in itertools.product(*(p.names for p in positions))
        ]
        ids = ["/".join((self.names[0], *(f"{dim}={name}" for dim, name in field.items()))) for field in fields]
        reader.check(ids, " and ".join(titles), one_pole=self.poles == "same")
        labels = self._labels(file, positions)
        labels.setdefault("variable", ["+".join(titles)] * len(ids))
        encoded = {column: encode_labels(names) for column, names in labels.items()}
        codes = next(iter(encoded.values()))[0]
        return Signals(
            grid=reader.grid(sizes),
            channels=reader.num_channels,
            ids=ids,
            labels={column: codes for column, (codes, _) in encoded.items()},
            label_names={column: names for column, (_, names) in encoded.items()},
            split=stratified_split(codes, self.num_validation, self.num_test, self.split_seed),
            values=reader.values,
            checksums=checksums(file),
            dtype="float32",
            axes=axes,
            arrays=reader.array_specs,
            numbers={
                _column(position.dim): _along(position.numbers, axis, [p.count for p in positions])
                for axis, position in enumerate(positions)
                if position.numbers is not None
            },
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return (self.variable,) if isinstance(self.variable, str) else self.variable

    @property
    def _dims(self) -> list[str]:
        return [*self.coords, *self.signals, *((self.channels,) if self.channels else ())]

    def _check(self, file: Path, dataset: Any) -> None:
        """Check that variables and dimensions are those of the settings."""
        listed = ", ".join(f"{name} ({', '.join(map(str, array.dims))})" for name, array in dataset.data_vars.items())
        if not self.names or not self.coords:
            missing = "variable" if not self.names else "coords"
            raise InrzooError(
                f"arrays needs {missing}, set by --set source.{missing}=…; {file} has: {listed or 'none'}"
            )
        for name in self.names:
            if name not in dataset.data_vars:
                near = hint(name, map(str, dataset.data_vars))
                raise InrzooError(f"{file} has no variable {name!r}{near}; it has: {listed or 'none'}")
            array = dataset[name]
            dims = [str(dim) for dim in array.dims]
            of = f"{name} in {file} has the dimensions {', '.join(dims) or 'none'}"
            if absent := [dim for dim in self._dims if dim not in dims]:
                raise InrzooError(f"{of}, and no {absent[0]!r}; source.coords, signals and channels name all of them")
            if unnamed := [dim for dim in dims if dim not in self._dims]:
                raise InrzooError(f"{of}; {unnamed[0]!r} is in none of source.coords, signals and channels")
            if array.dtype.kind not in "biuf":
                raise InrzooError(f"{name} in {file} has the type {array.dtype}; expected numbers")
        sizes = dataset.sizes
        for dim in self.coords:
            if sizes[dim] < 2 or (not self.globe and sizes[dim] <= self.stride):
                number = f"{sizes[dim]} point{'' if sizes[dim] == 1 else 's'} with stride = {self.stride}"
                raise InrzooError(f"{file}: the dimension {dim} has {number}; a coordinate needs two points or more")
        if not 0 < (count := math.prod(sizes[dim] for dim in self.signals)) <= MAX_SIGNALS:
            raise InrzooError(
                f"{file} holds {count} signals along {', '.join(self.signals)}; expected 1 to {MAX_SIGNALS}"
            )
        others = [dim for dim in self._dims if dim not in self.signals]
        if not 0 < (count := math.prod(sizes[dim] for dim in others) * len(self.names)) <= MAX_NUMBERS:
            raise InrzooError(
                f"a signal of {file} has {count} numbers along {', '.join(others)}; expected 1 to {MAX_NUMBERS}"
            )

    def _axis(self, file: Path, dim: str, unit: str, measures: NDArray[np.float64]) -> Axis:
        """The axis of a grid, which ascends; uneven coordinates are an error."""
        ascending = np.sort(measures) if measures[0] > measures[-1] else measures
        step = (ascending[-1] - ascending[0]) / (len(ascending) - 1)
        beside = np.abs(ascending - (ascending[0] + step * np.arange(len(ascending))))
        if not (step > 0 and beside.max() <= UNEVEN * step):
            raise InrzooError(
                f"{file}: the coordinates of {dim} are not evenly spaced, from {measures[0]:g} to {measures[-1]:g}; "
                "a grid needs even ones"
            )
        return Axis(name=dim, unit=unit, start=float(ascending[0]), step=float(step * self.stride))

    def _degrees(
        self, file: Path, measures: list[NDArray[np.float64]], units: list[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latitudes and longitudes in degrees."""
        for along, unit, dim, other in zip(measures, units, self.coords, ("degrees_e", "degrees_n"), strict=True):
            if unit.lower().replace("degree_", "degrees_").startswith(other):
                raise InrzooError(f"{file}: {dim} is in {unit}; source.coords on a globe names the latitude first")
            if not np.isfinite(along).all():
                raise InrzooError(f"{file}: {dim} holds coordinates that are missing or not finite")
        latitudes, longitudes = (
            np.degrees(along) if unit.lower().startswith("rad") else along
            for along, unit in zip(measures, units, strict=True)
        )
        return latitudes, longitudes

    def _labels(self, file: Path, positions: list[_Positions]) -> dict[str, list[str]]:
        """The label columns of all signals."""
        columns: dict[str, list[str]] = {}
        for label in self.labels:
            dim, _, part = label.partition(".")
            axis = self.signals.index(dim)
            names = positions[axis].names if not part else positions[axis].time_part(file, part)
            every = _along(np.array(names), axis, [position.count for position in positions])
            columns[_column(part or dim)] = [str(name) for name in every]
        return columns


@dataclass(frozen=True, eq=False)
class _Positions:
    """The positions along a dimension of signals.

    Attributes:
        names: of each, different ones.
        numbers: coordinates, int64 or float64, of times the seconds since 1970; None if they are no numbers.
        times: datetime64, if they are times.
    """

    dim: str
    names: list[str]
    numbers: NDArray[Any] | None
    times: NDArray[np.datetime64] | None = None

    @property
    def count(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, file: Path, dataset: Any, dim: str) -> _Positions:
        """Read the coordinates of a dimension; without any, positions are counted from 0."""
        if dim not in dataset.coords:
            every = np.arange(dataset.sizes[dim])
            return cls(dim, [str(number) for number in every], every.astype(np.int64))
        values, times = read_array(file, dataset[dim]), None
        if " since " in _unit(dataset, dim):
            times = _times(dataset, dim)
        if times is not None:
            texts, numbers = np.datetime_as_string(times), times.astype("datetime64[s]").astype(np.int64)
            names = [re.sub(r"T00:00:00\.?0*$|\.0+$", "", name) for name in texts.tolist()]
            return cls(dim, _unique(names), numbers, times)
        kind = values.dtype.kind
        names = [str(value).removesuffix(".0") for value in values]
        return cls(
            dim, _unique(names), values.astype(np.int64 if kind in "biu" else np.float64) if kind in "biuf" else None
        )

    def time_part(self, file: Path, part: str) -> list[str]:
        """The year, month, … of each position."""
        if self.times is None:
            raise InrzooError(f"{file}: {self.dim} holds no times of the standard calendar, and so has no {part}")
        import xarray

        return [str(number) for number in getattr(xarray.DataArray(self.times).dt, part).values]


def _times(dataset: Any, dim: str) -> NDArray[np.datetime64] | None:
    """The times of a dimension; None for those of other calendars, which stay numbers."""
    import xarray

    try:
        times = xarray.decode_cf(dataset[[dim]], decode_timedelta=False)[dim].values
    except (ValueError, ImportError):
        return None
    return times if times.dtype.kind == "M" and not np.isnat(times).any() else None


def _measures(file: Path, dataset: Any, dim: str) -> NDArray[np.float64]:
    """The coordinates along a dimension; without any, points are counted from 0."""
    if dim not in dataset.coords:
        return np.arange(dataset.sizes[dim], dtype=np.float64)
    values = read_array(file, dataset[dim])
    if values.dtype.kind not in "biuf":
        raise InrzooError(f"{file}: the coordinates of {dim} have the type {values.dtype}; expected numbers")
    return values.astype(np.float64)


def _unit(dataset: Any, name: str) -> str:
    of_variable = dataset[name].attrs if name in dataset.variables else {}
    return str(of_variable.get("units", "")).strip()


def _unique(names: list[str]) -> list[str]:
    """The names if they differ, else their positions."""
    return names if len(set(names)) == len(names) else [str(position) for position in range(len(names))]


def _column(name: str) -> str:
    """The name of a column of a store for that of a dimension."""
    return re.sub(r"[^a-z0-9_]+", "_", name.lower()) or "_"


def _along(values: NDArray[Any], axis: int, sizes: list[int]) -> NDArray[Any]:
    """The value of each signal, of those along one dimension."""
    every: NDArray[Any] = values[np.indices(sizes)[axis].ravel()]
    return every
