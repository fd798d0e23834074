"""Shapes in class folders as distances at points: all that meshes and clouds of points share.

Shape letters: V vertices of a shape, K points that an INR is fitted to, M held-out points.
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
from inrzoo.observations import ArraySpec
from inrzoo.seeding import Stream
from inrzoo.sources import Signals, Source
from inrzoo.sources._files import FileTree
from inrzoo.sources._folders import folder_split, of_classes, open_folder, outer_folders, split_and_class
from inrzoo.sources._labels import encode_labels
from inrzoo.sources._splits import check_counts, check_split_table, check_splits
from inrzoo.sources._unreadable import UnreadableError, leave_out, unread

MAX_COORDINATE = 1e9
"""Largest coordinate that is taken for a measure of a shape, in units of the file; larger ones are taken for damage."""
NEAR_WIDTHS = (0.01, 0.05)
"""Standard deviations of the distance of points near the surface, in turn, in units of the cube [-1, 1]^3."""


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
class ShapeFolder(Source):
    """Base class of sources of shapes: seeded points and what is measured at each of them.

    A shape is moved and scaled into [-1, 1]^3. Of its K points the first `round(share_near · K)` lie near the surface:
    points drawn evenly over it plus N(0, 0.01) and N(0, 0.05) in turn, cut off at the cube; the others are uniform in
    the cube. M held-out points are uniform in the cube, so that an intersection over union is one of volumes; they are
    of another stream. Coordinates are rounded to float16 before anything is measured at them. The points of a shape
    depend on `seed` and on its id alone.

    Classes and splits are read off the folders, `[SPLIT/]CLASS/file` as in `image_folder` or `CLASS/SPLIT/file` as in
    ModelNet. `read` loads every file once, to find damaged ones before anything is fitted.

    Attributes:
        num_points: K, the number of points to fit.
        num_held_out: M, the number of points to measure the quality at.
        share_near: share of the points near the surface, from 0 to 1.
        seed: seed of the points.
        clip: greatest distance, in units of the cube; greater ones become this.
        normalise: `"box"` scales the largest side of the bounding box to 2 · `fill`, `"ball"` the largest distance of a
            vertex from the centre of the box to `fill`.
        fill: share of the cube or of its inner ball that the shape fills, above 0 and at most 1.
        dtype: type of the distances.
        skip_unreadable: leave out files that hold no shape; they are logged, and listed in `Signals.skipped`. Otherwise
            they are an error.
        class_column: name of the label column.
        classes: class names of each split, for few-shot sets; folders of other classes are left out.
        num_validation: number of signals drawn for validation, evenly over the classes.
        num_test: number of signals drawn for test, if there are neither `classes` nor split folders.
        split_seed: seed of that random draw.
    """

    SOURCE: ClassVar[str]
    NOUN: ClassVar[str]
    LAYOUT: ClassVar[str]
    SUFFIXES: ClassVar[tuple[str, ...]]

    num_points: int = 8192
    num_held_out: int = 4096
    share_near: float = 0.5
    seed: int = 0
    clip: float = 0.1
    normalise: Literal["ball", "box"] = "box"
    fill: float = 0.9
    dtype: Literal["float16", "float32"] = "float16"
    skip_unreadable: bool = False
    class_column: str = "class"
    classes: dict[str, list[str]] | None = None
    num_validation: int = 0
    num_test: int = 0
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self.SOURCE, 1, num_points=self.num_points, num_held_out=self.num_held_out)
        check_counts(self.SOURCE, seed=self.seed)
        check_splits(self.SOURCE, self.classes, self.num_validation, self.num_test, self.split_seed)
        for field, value, possible, allowed in (
            ("share_near", self.share_near, 0 <= self.share_near <= 1, "from 0 to 1"),
            ("fill", self.fill, 0 < self.fill <= 1, "above 0 and at most 1"),
            # float16 has no smaller normal number; 4 is more than the longest way in the cube.
            ("clip", self.clip, 1e-4 <= self.clip <= 4, "from 0.0001 to 4"),
        ):
            if not possible:
                raise InrzooError(f"{self.SOURCE}.{field} = {value} is impossible; it must be {allowed}")

    @abstractmethod
    def load(self, content: bytes, suffix: str) -> Shape:
        """Read the shape of a file; `suffix` is the end of its name, in lower case.

        Raises:
            UnreadableError: there is none.
        """

    @abstractmethod
    def on_surface(self, shape: Shape, stream: Stream, count: int) -> NDArray[np.float64]:
        """Draw points of the shape, (count, 3)."""

    @abstractmethod
    def measure(self, shape: Shape, points_K3: NDArray[np.float64]) -> NDArray[Any]:
        """Measure the shape at points, (K,), of the type `value_type`."""

    @property
    def value_type(self) -> ValueType:
        """Type of the signals."""
        return self.dtype

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
        counts = (self.num_validation, self.num_test, self.split_seed)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
            with tree.reader() as read:
                for index in indices:
                    name = members[ids[index]][0]
                    try:
                        shape = self.load(read(name), suffix_of(name))
                    except UnreadableError as error:
                        raise InrzooError(f"{path}: {ids[index]} {error}; it changed after it was listed") from error
                    yield index, self._table(shape, ids[index])

        return Signals(
            grid=(self.num_points,),
            channels=1,
            ids=ids,
            labels={self.class_column: codes},
            label_names={self.class_column: names},
            split=folder_split(self.SOURCE, path, splits, codes, *counts),
            values=values,
            checksums=tree.checksums(members[identifier][0] for identifier in ids),
            dtype=self.value_type,
            arrays={
                "points": ArraySpec((self.num_points, 3), "float16"),
                "held_out_points": ArraySpec((self.num_held_out, 3), "float16"),
                "held_out_signals": ArraySpec((self.num_held_out, 1), self.value_type),
            },
            numbers=self.numbers(list(shapes.values())),
            skipped=skipped,
        )

    def numbers(self, shapes: Sequence[Shape]) -> dict[str, NDArray[Any]]:
        """Return the columns of numbers: how the shapes were moved and scaled."""
        centres_N3 = np.array([shape.centre for shape in shapes])
        columns = dict(zip(("centre_x", "centre_y", "centre_z"), centres_N3.T.copy(), strict=True))
        return {"scale": np.array([shape.scale for shape in shapes]), **columns}

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

    def clipped(self, distance_K: NDArray[np.float64]) -> NDArray[Any]:
        """Round distances to the type of the signals, never beyond `clip` on either side."""
        bound = np.array(self.clip, dtype=self.dtype)
        if float(bound) > self.clip:
            bound = np.nextafter(bound, np.zeros_like(bound))
        clipped: NDArray[Any] = np.clip(distance_K.astype(self.dtype), -bound, bound)
        return clipped

    def _members(self, tree: FileTree) -> dict[str, tuple[str, int | None, str]]:
        """Return, for each identifier, its name in the tree, its split (None if unknown) and its class."""
        outer = outer_folders(tree.names, split_inside=True)
        names = sorted(name.removeprefix(outer) for name in tree.names)
        files = [(name, *split_and_class(tree.path, name, split_inside=True)) for name in names]
        if self.classes is not None:
            field = f"{self.SOURCE}.classes"
            files = of_classes(field, tree.path, files, check_split_table(field, self.classes))
        return {name: (outer + name, split, class_name) for name, split, class_name in files}

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

    def _table(self, shape: Shape, identifier: str) -> dict[str, NDArray[Any]]:
        table: dict[str, NDArray[Any]] = {}
        near = round(self.share_near * self.num_points)
        for prefix, count, num_near in (("", self.num_points, near), ("held_out_", self.num_held_out, 0)):
            points = self._draw(shape, Stream(f"{prefix}points", self.SOURCE, self.seed, identifier), count, num_near)
            table[f"{prefix}points"] = points
            table[f"{prefix}signals"] = self.measure(shape, points.astype(np.float64))[:, None]
        return table

    def _draw(self, shape: Shape, stream: Stream, count: int, num_near: int) -> NDArray[np.float16]:
        width = np.resize(NEAR_WIDTHS, num_near)[:, None]
        near = self.on_surface(shape, stream, num_near) + width * stream.normal(3 * num_near).reshape(-1, 3)
        uniform = stream.uniform(-1, 1, 3 * (count - num_near)).reshape(-1, 3)
        points: NDArray[np.float16] = np.clip(np.concatenate([near, uniform]), -1, 1).astype(np.float16)
        return points


def suffix_of(name: str) -> str:
    """Return the end of a file's name, in lower case."""
    return PurePosixPath(name).suffix.lower()


def require_shapes(source: str) -> None:
    """Import the libraries for shapes.

    Raises:
        InrzooError: one is not installed.
    """
    try:
        import rtree
        import scipy.spatial
        import trimesh
    except ImportError as error:
        raise InrzooError(f'{source} needs {error.name}; pip install "inrzoo[shapes]"') from error
    del rtree, scipy, trimesh
