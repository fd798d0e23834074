"""Scenes seen by known cameras: pictures with poses, in the layouts of NeRF's synthetic scenes and of SRN."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import Signals, Source
from inrzoo.sources._files import FileTree
from inrzoo.sources._folders import (
    SPLIT_FOLDERS,
    folder_split,
    of_classes,
    open_folder,
    outer_folders,
    split_and_class,
)
from inrzoo.sources._labels import encode_labels
from inrzoo.sources._scenes import MARKS, read_scene
from inrzoo.sources._splits import check_counts, check_split_table, check_splits
from inrzoo.sources._unreadable import UnreadableError, leave_out, unread
from inrzoo.sources._views import Alpha, Background, composite, open_view, place, view_arrays
from inrzoo.sources.image_folder import SUFFIXES

LAYOUT = "[SPLIT/][CLASS/]SCENE"
SCENE = "scene"
"""Id of the only scene of a folder or archive that is that scene itself."""


@dataclass(frozen=True)
class Views:
    """What is known of a scene before its pictures are decoded for good.

    Attributes:
        files: names in the tree of all files that were read.
        fitted, held_out: names in the tree of the pictures.
        size: rows and columns of the pictures in the files.
        cameras: `poses`, `held_out_poses` and `intrinsics`, as in `Signals.arrays`.
    """

    files: tuple[str, ...]
    fitted: tuple[str, ...]
    held_out: tuple[str, ...]
    size: tuple[int, int]
    cameras: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class PosedViews(Source):
    """Views of scenes with their cameras, for radiance fields: one signal a scene, fitted and held-out views.

    A scene is a folder in one of two layouts:

    * NeRF's synthetic scenes: `transforms_train.json` names the views to fit, `transforms_val.json` and
      `transforms_test.json` the held-out ones, in this order; pictures are named with or without `.png`. Depths and
      normals beside them are not read.
    * SRN's renders of ShapeNet: `rgb/NAME.png`, `pose/NAME.txt` (camera to world, OpenCV's axes, which are turned) and
      `intrinsics.txt`. Held-out views are taken from them, evenly spread over the sorted names; the origin and the
      scale of `intrinsics.txt` are not used.

    Folders above say split and class, `[SPLIT/][CLASS/]SCENE` or `CLASS/SPLIT/SCENE`; scenes without a class folder
    have the class `all`. All scenes have the same numbers of views and pixels. Every chosen picture is decoded once by
    `read`, to find damaged ones before anything is fitted.

    Attributes:
        size: rows and columns of the signals, at most those of the pictures; pixels are averaged over their area, and a
            picture that is not square is squeezed, with its camera. None keeps the pictures as they are.
        num_views: number of views to fit, evenly spread over those that there are; None for all.
        num_held_out: number of held-out views, evenly spread; None for all, in SRN's layout for all that are not
            fitted, or a fifth if `num_views` is None, too.
        box: half the side of the cube that bounds a scene, in units of the file; it becomes 1.
        centre: middle of that cube, in units of the file; it becomes 0.
        background: colour behind pictures with transparency.
        alpha: whether the colours of such pictures are `"straight"`, as in PNG, or multiplied by alpha already.
        skip_unreadable: leave out scenes with a damaged or absent file, an impossible camera, or too few views; they
            are logged, and listed in `Signals.skipped`. Otherwise they are an error.
        class_column: name of the label column.
        classes: class names of each split, for few-shot sets; scenes of other classes are left out.
        num_validation: number of signals drawn for validation, evenly over the classes.
        num_test: number of signals drawn for test, if there are neither `classes` nor split folders.
        split_seed: seed of that random draw.
    """

    size: int | None = None
    num_views: int | None = None
    num_held_out: int | None = None
    box: float = 1.0
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    background: Background = "white"
    alpha: Alpha = "straight"
    skip_unreadable: bool = False
    class_column: str = "class"
    classes: dict[str, list[str]] | None = None
    num_validation: int = 0
    num_test: int = 0
    split_seed: int = 0

    def __post_init__(self) -> None:
        counts = {"size": self.size, "num_views": self.num_views, "num_held_out": self.num_held_out}
        check_counts("posed_views", 1, **counts)
        check_splits("posed_views", self.classes, self.num_validation, self.num_test, self.split_seed)
        if not 1e-9 <= self.box <= 1e9:
            raise InrzooError(f"posed_views.box = {self.box} is impossible; it must be from 1e-9 to 1e9")
        if not all(math.isfinite(number) for number in self.centre):
            raise InrzooError(
                f"posed_views.centre = {list(self.centre)} is impossible; it must be three finite numbers"
            )

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` is a zip archive, a folder of scenes or one scene, or a folder with one archive."""
        if path is None:
            raise InrzooError(
                f"posed_views has no download; pass --source PATH, a folder or zip of {LAYOUT} with {MARKS[0]}, or "
                f"with {MARKS[-1]}, pose/ and rgb/"
            )
        tree = open_folder(path, MARKS, "scenes", LAYOUT, (".txt", *SUFFIXES))
        places = self._places(tree)
        scenes, skipped = self._scenes(tree, {identifier: root for identifier, (root, _, _) in places.items()})
        ids = list(scenes)
        size, num_views, num_held_out = self._shape(tree, scenes)
        grid = (num_views, *(size if self.size is None else (self.size, self.size)))
        codes, names = encode_labels([places[identifier][2] for identifier in ids])
        splits = [places[identifier][1] for identifier in ids]

        def values(indices: Sequence[int]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
            with tree.reader() as read:
                for index in indices:
                    scene = scenes[ids[index]]
                    try:
                        fitted, held_out = (
                            np.stack([self._pixels(read(name), name, scene.size, grid[1:]) for name in part])
                            for part in (scene.fitted, scene.held_out)
                        )
                    except UnreadableError as error:
                        raise InrzooError(
                            f"{tree.path}: {ids[index]} {error}; it changed after it was listed"
                        ) from error
                    yield index, {**scene.cameras, "signals": fitted, "held_out_signals": held_out.reshape(-1, 3)}

        return Signals(
            grid=grid,
            channels=3,
            ids=ids,
            labels={self.class_column: codes},
            label_names={self.class_column: names},
            split=folder_split("posed_views", path, splits, codes, self.num_validation, self.num_test, self.split_seed),
            values=values,
            checksums=tree.checksums(name for scene in scenes.values() for name in scene.files),
            arrays=view_arrays(grid, num_held_out),
            skipped=skipped,
        )

    def _places(self, tree: FileTree) -> dict[str, tuple[str, int | None, str]]:
        """Return, for each scene's id, its folder in the tree, its split (None if unknown) and its class."""
        roots = sorted({name.rpartition("/")[0] for name in tree.names if name.rpartition("/")[2] in MARKS})
        if not roots:
            raise InrzooError(f"no scenes in {tree.path}; expected {LAYOUT} with one of {', '.join(MARKS)}")
        if roots == [""]:
            return {SCENE: ("", None, "all")}
        roots = [root for root in roots if root]  # a file beside all scenes makes none
        outer = outer_folders([f"{root}/{MARKS[0]}" for root in roots])
        scenes = []
        for root in roots:
            identifier = root.removeprefix(outer)
            folders = identifier.split("/")[:-1]
            if not folders or (len(folders) == 1 and folders[0].lower() in SPLIT_FOLDERS):
                scenes.append((identifier, SPLIT_FOLDERS[folders[0].lower()] if folders else None, "all"))
            else:
                scenes.append((identifier, *split_and_class(tree.path, identifier, split_inside=True)))
        if self.classes is not None:
            field = "posed_views.classes"
            scenes = of_classes(field, tree.path, scenes, check_split_table(field, self.classes))
        return {identifier: (outer + identifier, split, name) for identifier, split, name in scenes}

    def _scenes(self, tree: FileTree, roots: Mapping[str, str]) -> tuple[dict[str, Views], dict[str, str]]:
        """Read every scene once; return the readable ones, and those left out with the reasons."""
        names: dict[str, set[str]] = {root: set() for root in roots.values()}
        for name in tree.names:
            folders = name.split("/")[:-1]
            for root in ("/".join(folders[:depth]) for depth in range(len(folders) + 1)):
                if root in names:
                    names[root].add(name.removeprefix(_prefix(root)))
        scenes: dict[str, Views] = {}
        unreadable: dict[str, str] = {}
        with tree.reader() as read:
            for identifier, root in roots.items():
                try:
                    scenes[identifier] = self._views(frozenset(names[root]), _prefix(root), read)
                except UnreadableError as error:
                    unreadable[identifier] = str(error)
                except InrzooError as error:
                    unreadable[identifier] = str(unread(tree.path, error))
        leave_out(tree.path, unreadable, len(roots), self.skip_unreadable, kind="scenes")
        return scenes, unreadable

    def _views(self, names: frozenset[str], prefix: str, read: Callable[[str], bytes]) -> Views:
        """Read one scene, and decode each of its pictures.

        Raises:
            UnreadableError: its files or cameras are damaged, or its pictures differ in size.
        """
        scene = read_scene(names, lambda name: read(prefix + name), self.num_views, self.num_held_out)
        sizes: dict[str, tuple[int, int]] = {}
        for view in (*scene.fitted, *scene.held_out):
            rows, columns, _ = open_view(read(prefix + view.picture), view.picture).shape
            sizes[view.picture] = rows, columns
        (first, size), *others = sizes.items()
        if other := next(((name, shape) for name, shape in others if shape != size), None):
            raise UnreadableError(
                f"has views of different sizes: {first} is {size[0]} x {size[1]}, {other[0]} {other[1][0]} x "
                f"{other[1][1]}"
            )
        if self.size is not None and self.size > min(size):
            raise UnreadableError(f"has views of {size[0]} x {size[1]}; size = {self.size} would enlarge them")
        down, across = (1.0, 1.0) if self.size is None else (self.size / size[0], self.size / size[1])
        views = np.stack([view.pose for view in (*scene.fitted, *scene.held_out)])
        poses = place(views, self.centre, self.box)
        pictures = [prefix + name for name in sizes]
        return Views(
            files=(*(prefix + name for name in scene.files), *pictures),
            fitted=tuple(pictures[: len(scene.fitted)]),
            held_out=tuple(pictures[len(scene.fitted) :]),
            size=size,
            cameras={
                "poses": poses[: len(scene.fitted)],
                "held_out_poses": poses[len(scene.fitted) :],
                "intrinsics": (scene.lens(*size) * [across, down, across, down]).astype(np.float32),
            },
        )

    def _pixels(self, content: bytes, name: str, size: tuple[int, int], grid: tuple[int, int]) -> NDArray[np.uint8]:
        """Decode a picture of `size` into pixels of the signal."""
        pixels_HL4 = open_view(content, name)
        if pixels_HL4.shape[:2] != size:
            raise UnreadableError(f"has a picture of another size: {name}")
        return composite(pixels_HL4, self.background, self.alpha, grid)

    def _shape(self, tree: FileTree, scenes: Mapping[str, Views]) -> tuple[tuple[int, int], int, int]:
        """Return the size of the pictures and the numbers of fitted and held-out views, which all scenes share.

        Raises:
            InrzooError: two scenes differ.
        """
        (first, model), *others = scenes.items()
        for identifier, scene in others:
            for field, count, expected in (
                ("num_views", len(scene.fitted), len(model.fitted)),
                ("num_held_out", len(scene.held_out), len(model.held_out)),
            ):
                if count != expected:
                    what = "views to fit" if field == "num_views" else "held-out views"
                    raise InrzooError(
                        f"{tree.path}: {identifier} has {count} {what}, {first} has {expected}; "
                        f"--set source.{field}={min(count, expected)} takes as many of all scenes"
                    )
            if self.size is None and scene.size != model.size:
                raise InrzooError(
                    f"{tree.path}: the views of {identifier} are {scene.size[0]} x {scene.size[1]}, those of {first} "
                    f"{model.size[0]} x {model.size[1]}; set size to bring all of them to one size"
                )
        return model.size, len(model.fitted), len(model.held_out)


def _prefix(root: str) -> str:
    """Return what comes before the names of a scene's files in the tree."""
    return f"{root}/" if root else ""
