"""The views of a scene: which are chosen, and how their pictures and cameras become a signal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import Source
from inrzoo.sources._files import FileTree
from inrzoo.sources._scenes import read_scene
from inrzoo.sources._splits import check_counts
from inrzoo.sources._unreadable import UnreadableError, leave_out, unread
from inrzoo.sources._views import Alpha, Background, composite, open_view, place


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
class SceneViews(Source):
    """Base class of a source of scenes.

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
    """

    size: int | None = None
    num_views: int | None = None
    num_held_out: int | None = None
    box: float = 1.0
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    background: Background = "white"
    alpha: Alpha = "straight"
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        counts = {"size": self.size, "num_views": self.num_views, "num_held_out": self.num_held_out}
        check_counts("posed_views", 1, **counts)
        if not 1e-9 <= self.box <= 1e9:
            raise InrzooError(f"posed_views.box = {self.box} is impossible; it must be from 1e-9 to 1e9")
        if not all(math.isfinite(number) for number in self.centre):
            raise InrzooError(
                f"posed_views.centre = {list(self.centre)} is impossible; it must be three finite numbers"
            )

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
