"""Images in folders, one for each class: `class/image` or `split/class/image`, in a directory or a zip archive."""

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
from inrzoo.sources._folders import ClassFolders, open_folder, outer_folders, split_and_class
from inrzoo.sources._pixels import ImageSource

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ClassFolders, ImageSource):
    """Images whose class is the name of their folder. Files that are not images are left out.

    The split of an image comes from, in this order: the table `classes`; folders above the class folders called train,
    val, valid, validation or test; a random draw with `split_seed`.

    Attributes:
        num_validation: number of signals drawn for validation, evenly over the classes; from train if there are split
            folders.
        split_seed: seed of the random draw.
    """

    SOURCE = "image_folder"

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` is a zip archive, a folder of images, or a folder that holds one zip archive."""
        if path is None:
            raise InrzooError(
                "image_folder has no download; pass --source PATH, a folder or zip of [SPLIT/]CLASS/IMAGE"
            )
        tree = open_folder(path, SUFFIXES, "images", "[SPLIT/]CLASS/IMAGE")
        outer = outer_folders(tree.names)
        members = {name.removeprefix(outer): name for name in tree.names}
        images = self.of_classes(path, [(name, *split_and_class(path, name)) for name in sorted(members)])
        ids = [identifier for identifier, _, _ in images]
        names = sorted({class_name for _, _, class_name in images})
        code_of = {name: code for code, name in enumerate(names)}
        codes = np.array([code_of[class_name] for _, _, class_name in images], dtype=np.int64)
        grid, checksums = self._grid(tree, [members[identifier] for identifier in ids])

        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[Any]]]:
            with tree.reader() as read:
                for index in indices:
                    name = members[ids[index]]
                    yield index, self.pixels(read(name), f"{path}: {ids[index]}", grid)

        return Signals(
            grid=grid,
            channels=self.channels,
            ids=ids,
            labels={self.class_column: codes},
            label_names={self.class_column: names},
            split=self.split_of(path, [split for _, split, _ in images], codes),
            values=values,
            dtype=self.dtype,
            random_access=True,
            checksums=checksums,
        )

    def _grid(self, tree: FileTree, names: list[str]) -> tuple[tuple[int, int], dict[str, str]]:
        """Return rows and columns of the signals, and the checksums of their files.

        Without `size` every header is checked, so that no build fails late.
        """
        with tree.reader() as read:
            grid = self.grid(read(min(names)), f"{tree.path}: {min(names)}")

        def see(name: str, content: bytes) -> None:
            if (other := self.grid(content, f"{tree.path}: {name}")) != grid:
                raise InrzooError(
                    f"{tree.path}: {name} is {other[0]} x {other[1]}, the images before it {grid[0]} x {grid[1]}; "
                    "set size to bring all of them to one size"
                )

        return grid, tree.checksums(names, see if self.size is None else None)
