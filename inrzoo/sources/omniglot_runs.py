"""Omniglot's one-shot runs in the layout of `all_runs.zip`: runNN/training/classNN.png, runNN/test/itemNN.png.

Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program induction. Science, 2015.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import SPLITS, Signals, Source
from inrzoo.sources._download import local_or_fetched
from inrzoo.sources._files import FileTree, open_tree
from inrzoo.sources._pixels import decode
from inrzoo.sources._splits import check_counts

DRAWING = re.compile(r"(?:.*/)?(run\d+/(?:training/class|test/item)\d+\.png)")
CLASSES = re.compile(r"(?:.*/)?(run\d+)/class_labels\.txt")
PARTS = ("training", "test")


@dataclass(frozen=True, kw_only=True)
class OmniglotRuns(Source):
    """The 20 runs of Lake's one-shot classification, 105 × 105, resampled to `size` × `size` as `omniglot` does it.

    A run has one drawing of each of 20 characters of one alphabet of the evaluation set, its `training` part, and one
    further drawing of each, its `test` part, which is to be classified. Every drawing is in the split `test`.

    The labels are `character` (`run01/class07`: which drawing of the training part it is, or is alike), `run` and
    `part`.

    Attributes:
        size: rows and columns after area resampling (mean of the pixels whose centres an output pixel covers).
        url: URL of the folder with the archive.
        hashes: names and hashes of the archive.
    """

    size: int = 32
    url: str | None = None
    hashes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_counts("omniglot_runs", 1, size=self.size)

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` is `all_runs.zip`, the folder unpacked from it, or a folder with the archive."""
        path = local_or_fetched("omniglot_runs", path, self.url, self.hashes)
        if path.is_dir() and (archive := path / "all_runs.zip").is_file():
            path = archive
        tree = open_tree(path, (".png", ".txt"))
        members = {match[1]: name for name in tree.names if (match := DRAWING.fullmatch(name))}
        character_of = _characters(tree, members)
        ids = sorted(members)
        parts = [identifier.split("/") for identifier in ids]
        names = {
            "character": sorted(set(character_of.values())),
            "run": sorted({run for run, _, _ in parts}),
            "part": list(PARTS),
        }
        columns = {
            "character": [character_of[identifier] for identifier in ids],
            "run": [run for run, _, _ in parts],
            "part": [part for _, part, _ in parts],
        }
        codes = {column: {name: code for code, name in enumerate(names[column])} for column in names}
        grid = (self.size, self.size)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
            from PIL import Image, ImageOps

            with tree.reader() as read:
                for index in indices:
                    content = read(members[ids[index]])
                    image = ImageOps.invert(decode(content, f"{tree.path}: {ids[index]}", "L"))
                    yield index, np.asarray(image.resize(grid, Image.Resampling.BOX)).reshape(*grid, 1)

        return Signals(
            grid=grid,
            channels=1,
            ids=ids,
            labels={column: np.array([codes[column][name] for name in columns[column]], np.int64) for column in names},
            label_names=names,
            split=np.full(len(ids), SPLITS.index("test"), np.uint8),
            values=values,
            checksums=tree.checksums(
                [name for name in tree.names if DRAWING.fullmatch(name) or CLASSES.fullmatch(name)]
            ),
        )


def _characters(tree: FileTree, members: dict[str, str]) -> dict[str, str]:
    """Return the character of each drawing, `run01/class07`, from the tables `class_labels.txt`.

    Raises:
        InrzooError: there are no runs, or a table does not name the character of every drawing of the test part.
    """
    tables = {match[1]: name for name in tree.names if (match := CLASSES.fullmatch(name))}
    if not members or not tables:
        raise InrzooError(
            f"no one-shot runs in {tree.path}; expected all_runs.zip or its folders runNN/training/classNN.png, "
            "runNN/test/itemNN.png and runNN/class_labels.txt"
        )
    alike: dict[str, str] = {name: name for name in members if "/training/" in name}
    with tree.reader() as read:
        for name in tables.values():
            for line in read(name).decode("utf-8", "replace").split("\n"):
                if not (words := line.split()):
                    continue
                if len(words) != 2 or words[0] not in members or words[1] not in alike or "/test/" not in words[0]:
                    raise InrzooError(
                        f"{tree.path}: {name} has the line {line.strip()!r}; expected a drawing of the test part and "
                        "the one of the training part that shows the same character"
                    )
                alike[words[0]] = words[1]
    if without := sorted(set(members) - set(alike)):
        raise InrzooError(f"{tree.path}: no class_labels.txt names the character of {without[0]}")
    return {name: training.replace("/training/", "/").removesuffix(".png") for name, training in alike.items()}
