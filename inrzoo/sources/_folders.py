"""Folders whose names are classes and splits: `class/file` or `split/class/file`, in a directory or a zip archive.

Sets of shapes may also have `class/split/file`, as ModelNet does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import Source
from inrzoo.sources._files import FileTree, open_tree
from inrzoo.sources._splits import check_counts, check_split_table, draw_validation, stratified_split

SPLIT_FOLDERS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2}


def open_folder(
    path: Path, suffixes: tuple[str, ...], kind: str, layout: str, others: tuple[str, ...] = ()
) -> FileTree:
    """Open a zip archive, a folder of files, or a folder that holds one zip archive.

    Args:
        path: the archive or the folder.
        suffixes: endings of the signals' files, in lower case.
        kind: plural of what the files are, for messages.
        layout: expected names, for messages.
        others: endings of further files to list.

    Raises:
        InrzooError: there are no such files or several archives; or as `open_tree`.
    """
    tree = open_tree(path, suffixes + others)
    if path.is_dir() and not tree.names:
        archives = sorted(path.glob("*.zip"))
        if len(archives) > 1:
            raise InrzooError(f"{path} holds {len(archives)} zip archives; name one: {', '.join(map(str, archives))}")
        tree = open_tree(archives[0], suffixes + others) if archives else tree
    if not any(name.lower().endswith(suffixes) for name in tree.names):
        raise InrzooError(f"no {kind} in {path}; expected {layout} with one of {', '.join(suffixes)}")
    return tree


def outer_folders(names: Sequence[str], num_folders: int = 1, split_inside: bool = False) -> str:
    """Return the outer folders that all names share and that are not splits; archives often hold one with their own
    name.

    Args:
        names: names with forward slashes.
        num_folders: number of folders that each name keeps at least: 1 if the innermost one is the class.
        split_inside: whether `class/split/file` is a layout, so that a folder of split folders is a class.
    """
    outer = ""
    while True:
        tops = {name.removeprefix(outer).split("/")[0] for name in names}
        deep = all(name.removeprefix(outer).count("/") > num_folders for name in names)
        if len(tops) > 1 or not deep or (top := tops.pop()).lower() in SPLIT_FOLDERS:
            return outer
        inner = [name.removeprefix(outer).split("/")[1:] for name in names]
        # Below a folder of split folders there may be classes, though: then it is no class.
        if split_inside and all(len(parts) == 2 and parts[0].lower() in SPLIT_FOLDERS for parts in inner):
            return outer
        outer += f"{top}/"


def split_and_class(path: Path, identifier: str, split_inside: bool = False) -> tuple[int | None, str]:
    """Return split (None if unknown) and class of a file from the names of its folders.

    Raises:
        InrzooError: the folders are neither `class` nor `split/class`, nor, with `split_inside`, `class/split`.
    """
    folders = identifier.split("/")[:-1]
    if len(folders) == 1:
        return None, folders[0]
    if len(folders) == 2 and folders[0].lower() in SPLIT_FOLDERS:
        return SPLIT_FOLDERS[folders[0].lower()], folders[1]
    if split_inside and len(folders) == 2 and folders[1].lower() in SPLIT_FOLDERS:
        return SPLIT_FOLDERS[folders[1].lower()], folders[0]
    layouts = "CLASS/, SPLIT/CLASS/ or CLASS/SPLIT/" if split_inside else "CLASS/ or SPLIT/CLASS/"
    raise InrzooError(f"{path}: {identifier} is not in a folder {layouts} with a split of {', '.join(SPLIT_FOLDERS)}")


@dataclass(frozen=True, kw_only=True)
class ClassFolders(Source):
    """Base class of sources of files in folders that are named by classes and splits.

    Attributes:
        class_column: name of the label column.
        classes: class names of each split, for few-shot sets; folders of other classes are left out.
        num_validation: number of signals drawn for validation, evenly over the classes.
        num_test: number of signals drawn for test, if there are neither `classes` nor split folders.
        split_seed: seed of that random draw.
    """

    SOURCE: ClassVar[str]
    """Name of the source, for messages."""

    class_column: str = "class"
    classes: dict[str, list[str]] | None = None
    num_validation: int = 0
    num_test: int = 0
    split_seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields that decide the splits: a table of classes, or numbers to draw.

        Raises:
            InrzooError: a number is negative, the table is impossible, or both are given.
        """
        super().__post_init__()
        numbers = {"num_validation": self.num_validation, "num_test": self.num_test, "split_seed": self.split_seed}
        check_counts(self.SOURCE, **numbers)
        if self.classes is None:
            return
        check_split_table(f"{self.SOURCE}.classes", self.classes)
        if self.num_validation or self.num_test:
            raise InrzooError(f"{self.SOURCE}.classes decides the splits; leave num_validation and num_test at 0")

    def of_classes(self, path: Path, files: list[tuple[str, int | None, str]]) -> list[tuple[str, int | None, str]]:
        """Return the files of `classes`, each with the split of its class; all files where there is no such table.

        Args:
            path: place of the files, for messages.
            files: identifier, split and class of each file.

        Raises:
            InrzooError: a class has no files.
        """
        if self.classes is None:
            return files
        field = f"{self.SOURCE}.classes"
        split_of = check_split_table(field, self.classes)
        classes = {class_name for _, _, class_name in files}
        if absent := [name for name in split_of if name not in classes]:
            some = f"{', '.join(absent[:3])}{', …' if len(absent) > 3 else ''}"
            raise InrzooError(
                f"{path} lacks {len(absent)} of the {len(split_of)} classes in {field} ({some}); it has: "
                f"{', '.join(sorted(classes)[:3])}, …"
            )
        return [(name, split_of[class_name], class_name) for name, _, class_name in files if class_name in split_of]

    def split_of(self, path: Path, splits: Sequence[int | None], codes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the split of each signal; see `folder_split`."""
        return folder_split(self.SOURCE, path, splits, codes, self.num_validation, self.num_test, self.split_seed)


def folder_split(
    source: str,
    path: Path,
    splits: Sequence[int | None],
    codes: NDArray[np.int64],
    num_validation: int,
    num_test: int,
    seed: int,
) -> NDArray[np.uint8]:
    """Return the split of each signal: that of its folder, of which validation may be drawn, or else a random draw.

    Args:
        source: name of the source, for messages.
        path: place of the files, for messages.
        splits: for each signal the index into `SPLITS` of its split folder, or None.
        codes: N class codes.
        num_validation, num_test, seed: as in `stratified_split`.

    Raises:
        InrzooError: only some signals are in split folders, or the numbers do not fit.
    """
    known = [split for split in splits if split is not None]
    if not known:
        return stratified_split(codes, num_validation, num_test, seed)
    if len(known) < len(splits):
        raise InrzooError(f"{path} mixes split folders ({', '.join(SPLIT_FOLDERS)}) with class folders beside them")
    if num_test:
        raise InrzooError(f"{source}.num_test = {num_test}, but {path} has split folders; leave it at 0")
    return draw_validation(np.array(known, dtype=np.uint8), codes, num_validation, seed)
