"""Shapes in class folders: what sources share that measure them at points or draw views of them.

Shape letters: V vertices of a shape.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import ValueType
from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.observations import ArraySpec
from inrzoo.sources import Signals, Source
from inrzoo.sources._files import FileTree
from inrzoo.sources._folders import ClassFolders, open_folder, outer_folders, split_and_class
from inrzoo.sources._labels import encode_labels
from inrzoo.sources._splits import check_counts
from inrzoo.sources._unreadable import UnreadableError, leave_out, unread

MAX_COORDINATE = 1e9
"""Largest coordinate that is taken for a measure of a shape, in units of the file; larger ones are taken for damage."""


@dataclass(frozen=True)
class Shape:
    """A shape in [-1, 1]^3.

    Attributes:
        geometry: the mesh, or the points (V, 3).
        centre: the place in the file, (3,), that became 0.
        scale: length in [-1, 1]^3 for one unit of the file: point = (vertex − centre) · scale.
        watertight: whether a surface is closed; False for points.
    """

    geometry: Any
    centre: NDArray[np.float64]
    scale: float
    watertight: bool


@dataclass(frozen=True, kw_only=True)
class ScaledShapes(Source):
    """Base class of sources of shapes, each moved and scaled into [-1, 1]^3.

    Attributes:
        seed: seed of what is drawn for each shape; it depends on `seed` and on the id of the shape alone.
        normalise: `"box"` scales the largest side of the bounding box to 2 · `fill`, `"ball"` the largest distance of a
            vertex from the centre of the box to `fill`.
        fill: share of the cube or of its inner ball that the shape fills, above 0 and at most 1.
        skip_unreadable: leave out files that hold no shape; they are logged, and listed in `Signals.skipped`. Otherwise
            they are an error.
    """

    SOURCE: ClassVar[str]

    seed: int = 0
    normalise: Literal["ball", "box"] = "box"
    fill: float = 0.9
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self.SOURCE, seed=self.seed)
        self.require("fill", 0 < self.fill <= 1, "above 0 and at most 1")

    def require(self, field: str, possible: bool, allowed: str) -> None:
        """Raise InrzooError unless the value of a field is possible; `allowed` ends the line."""
        if not possible:
            raise InrzooError(f"{self.SOURCE}.{field} = {getattr(self, field)} is impossible; it must be {allowed}")

    def normalised(self, vertices_V3: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Move and scale vertices into [-1, 1]^3.

        Returns:
            The vertices (V, 3), the centre (3,) and the scale; see `Shape`.

        Raises:
            UnreadableError: there are none, one is not a number or too large, or all lie in one place.
        """
        if not len(vertices_V3):
            raise UnreadableError("holds no points")
        if not np.isfinite(vertices_V3).all():
            raise UnreadableError("has coordinates that are not numbers")
        if (largest := float(np.abs(vertices_V3).max())) > MAX_COORDINATE:
            raise UnreadableError(f"has the coordinate {largest:.3g}; the maximum is {MAX_COORDINATE:g}")
        low, high = vertices_V3.min(axis=0), vertices_V3.max(axis=0)
        centre = (low + high) / 2
        moved = vertices_V3 - centre
        radius = float((high - low).max() / 2 if self.normalise == "box" else np.linalg.norm(moved, axis=1).max())
        if radius <= 1e-6 * largest or radius < 1e-100:
            raise UnreadableError("has no size; all its points lie in one place")
        scale = self.fill / radius
        return moved * scale, centre, scale

    def numbers(self, shapes: Sequence[Shape]) -> dict[str, NDArray[Any]]:
        """Return the columns of numbers: how the shapes were moved and scaled."""
        centres_N3 = np.array([shape.centre for shape in shapes])
        columns = dict(zip(("centre_x", "centre_y", "centre_z"), centres_N3.T.copy(), strict=True))
        return {"scale": np.array([shape.scale for shape in shapes]), **columns}


@dataclass(frozen=True, kw_only=True)
class ShapeFiles(ClassFolders, ScaledShapes):
    """Base class of sources of files of shapes.

    Classes and splits are read off the folders, `[SPLIT/]CLASS/file` as in `image_folder` or `CLASS/SPLIT/file` as in
    ModelNet. `read` loads every file once, to find damaged ones before anything is fitted.
    """

    NOUN: ClassVar[str]
    LAYOUT: ClassVar[str]
    SUFFIXES: ClassVar[tuple[str, ...]]

    @abstractmethod
    def load(self, content: bytes, suffix: str) -> Shape:
        """Read the shape of a file; `suffix` is the end of its name, in lower case.

        Raises:
            UnreadableError: there is none.
        """

    @abstractmethod
    def table(self, shape: Shape, identifier: str) -> dict[str, NDArray[Any]]:
        """Make the arrays of one signal, as in `array_specs`."""

    @property
    @abstractmethod
    def array_specs(self) -> tuple[tuple[int, ...], dict[str, ArraySpec]]:
        """The grid of `Signals`, and shape and type of every array of a signal; the last axis of `signals` is C."""

    @property
    @abstractmethod
    def value_type(self) -> ValueType:
        """Type of the signals."""

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` is a zip archive, a folder of files, or a folder that holds one zip archive."""
        if path is None:
            raise InrzooError(f"{self.SOURCE} has no download; pass --source PATH, a folder or zip of {self.LAYOUT}")
        require_shapes(self.SOURCE)
        tree = open_folder(path, self.SUFFIXES, self.NOUN, self.LAYOUT)
        members = self._members(tree)
        shapes, skipped = self._shapes(tree, {name: member for name, (member, _, _) in members.items()})
        ids = list(shapes)
        codes, names = encode_labels([members[identifier][2] for identifier in ids])
        splits = [members[identifier][1] for identifier in ids]
        grid, declared = self.array_specs

        def values(indices: Sequence[int]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
            with tree.reader() as read:
                for index in indices:
                    name = members[ids[index]][0]
                    try:
                        shape = self.load(read(name), suffix_of(name))
                    except UnreadableError as error:
                        raise InrzooError(f"{path}: {ids[index]} {error}; it changed after it was listed") from error
                    yield index, self.table(shape, ids[index])

        return Signals(
            grid=grid,
            channels=declared["signals"].shape[-1],
            ids=ids,
            labels={self.class_column: codes},
            label_names={self.class_column: names},
            split=self.split_of(path, splits, codes),
            values=values,
            checksums=tree.checksums(members[identifier][0] for identifier in ids),
            dtype=self.value_type,
            arrays={name: spec for name, spec in declared.items() if name != "signals"},
            numbers=self.numbers(list(shapes.values())),
            skipped=skipped,
        )

    def _members(self, tree: FileTree) -> dict[str, tuple[str, int | None, str]]:
        """Return, for each identifier, its name in the tree, its split (None if unknown) and its class."""
        outer = outer_folders(tree.names, split_inside=True)
        names = sorted(name.removeprefix(outer) for name in tree.names)
        files = [(name, *split_and_class(tree.path, name, split_inside=True)) for name in names]
        chosen = self.of_classes(tree.path, files)
        return {name: (outer + name, split, class_name) for name, split, class_name in chosen}

    def _shapes(self, tree: FileTree, members: Mapping[str, str]) -> tuple[dict[str, Shape], dict[str, str]]:
        """Load every file once; return the shapes without their geometry, and the files left out with the reasons."""
        shapes: dict[str, Shape] = {}
        unreadable: dict[str, str] = {}
        with tree.reader() as read:
            for identifier, member in members.items():
                try:
                    shapes[identifier] = dataclasses.replace(self.load(read(member), suffix_of(member)), geometry=None)
                except UnreadableError as error:
                    unreadable[identifier] = str(error)
                except InrzooError as error:
                    unreadable[identifier] = str(unread(tree.path, error))
        leave_out(tree.path, unreadable, len(members), self.skip_unreadable)
        unsuitable = {name: why for name, shape in shapes.items() if (why := self.unsuitable(shape))}
        leave_out(tree.path, unsuitable, len(shapes), self.skips_unsuitable, "skip_open", "not watertight")
        return {name: shape for name, shape in shapes.items() if name not in unsuitable}, {**unreadable, **unsuitable}

    def unsuitable(self, shape: Shape) -> str:
        """Return why the shape cannot be measured, or nothing."""
        return ""

    @property
    def skips_unsuitable(self) -> bool:
        """Whether shapes that cannot be measured are left out."""
        return False


def suffix_of(name: str) -> str:
    """Return the end of a file's name, in lower case."""
    return PurePosixPath(name).suffix.lower()


def require_shapes(source: str) -> None:
    """Import the libraries for shapes.

    Raises:
        InrzooError: one is not installed.
    """
    with needed("shapes", source):
        import rtree
        import scipy.spatial
        import trimesh
    del rtree, scipy, trimesh
