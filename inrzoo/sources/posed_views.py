"""Scenes seen by known cameras: pictures with poses, in the layouts of NeRF's synthetic scenes and of SRN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import Signals
from inrzoo.sources._files import FileTree
from inrzoo.sources._folders import SPLIT_FOLDERS, ClassFolders, open_folder, outer_folders, split_and_class
from inrzoo.sources._labels import encode_labels
from inrzoo.sources._scene_views import SceneViews
from inrzoo.sources._scenes import MARKS
from inrzoo.sources._unreadable import UnreadableError
from inrzoo.sources._views import view_arrays
from inrzoo.sources.image_folder import SUFFIXES

LAYOUT = "[SPLIT/][CLASS/]SCENE"
SCENE = "scene"
"""Id of the only scene of a folder or archive that is that scene itself."""


@dataclass(frozen=True, kw_only=True)
class PosedViews(ClassFolders, SceneViews):
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
        classes: class names of each split, for few-shot sets; scenes of other classes are left out.
    """

    SOURCE = "posed_views"

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
            split=self.split_of(path, splits, codes),
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
        chosen = self.of_classes(tree.path, scenes)
        return {identifier: (outer + identifier, split, name) for identifier, split, name in chosen}
