"""Omniglot in the layout of its official archives: ALPHABET/characterNN/NNNN_NN.png.

Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program induction. Science, 2015.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import SPLITS, Signals, Source
from inrzoo.sources._download import local_or_fetched
from inrzoo.sources._files import FileTree, open_tree
from inrzoo.sources._pixels import decode
from inrzoo.sources._splits import check_counts, seeded_order

DRAWING = re.compile(r"(?:.*/)?([^/]+)/(character\d+)/(\d+_(\d+)\.png)")
# "33/5/12" of the few-shot paper (Table 1) adds up to the 50 alphabets; its text does not list them.
PAPER_ALPHABETS = (33, 5, 12)


@dataclass(frozen=True, kw_only=True)
class Omniglot(Source):
    """Handwritten characters, 105 × 105, resampled to `size` × `size`, background 0, ink 255, one channel.

    Reads any of the official archives (`images_background.zip`, `images_evaluation.zip`, the two small ones), zipped or
    unpacked; a drawing that is in several of them is read once. The signals are ordered by alphabet, character and
    drawer.

    Attributes:
        size: rows and columns after area resampling (mean of the pixels whose centres an output pixel covers).
        splits: `"alphabets"` draws whole alphabets for each split; `"official"` makes the background set train and
            the evaluation set test.
        num_alphabets: numbers of train, validation and test alphabets. None takes the proportion 33 : 5 : 12, with at
            least one of each for three or more alphabets; for official splits it leaves validation empty. [25, 5, 20]
            draws 5 of the 30 background alphabets for validation.
        split_seed: seed of the random draw of alphabets.
        url: URL of the folder with the archives.
        hashes: names and hashes of those archives.
    """

    size: int = 32
    splits: Literal["alphabets", "official"] = "alphabets"
    num_alphabets: tuple[int, int, int] | None = None
    split_seed: int = 0
    url: str | None = None
    hashes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_counts("omniglot", 1, size=self.size)
        check_counts("omniglot", split_seed=self.split_seed)
        if self.num_alphabets is None:
            return
        if min(self.num_alphabets) < 0 or self.num_alphabets[0] == 0:
            raise InrzooError(
                f"omniglot.num_alphabets = {list(self.num_alphabets)} is impossible; expected [train, validation, test]"
                " with one or more for train"
            )

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` is an archive, an unpacked one, or a folder that holds any of them."""
        path = local_or_fetched("omniglot", path, self.url, self.hashes)
        trees, drawings = _drawings(path)
        ids = sorted(drawings)
        parts = [identifier.split("/") for identifier in ids]
        alphabets = sorted({alphabet for alphabet, _, _ in parts})
        characters = sorted({f"{alphabet}/{character}" for alphabet, character, _ in parts})
        drawer_of = [file.rpartition("_")[2].removesuffix(".png") for _, _, file in parts]
        drawers = sorted(set(drawer_of))
        names = {"character": characters, "alphabet": alphabets, "drawer": drawers}
        codes = {column: {name: code for code, name in enumerate(names[column])} for column in names}
        labels = {
            "character": [codes["character"][f"{alphabet}/{character}"] for alphabet, character, _ in parts],
            "alphabet": [codes["alphabet"][alphabet] for alphabet, _, _ in parts],
            "drawer": [codes["drawer"][drawer] for drawer in drawer_of],
        }
        evaluation = {name.split("/")[0] for name, (_, _, official) in drawings.items() if official == "test"}
        split_of = self._split_alphabets(alphabets, evaluation)
        grid = (self.size, self.size)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
            from PIL import Image, ImageOps

            for number, tree in enumerate(trees):
                if not (inside := [index for index in indices if drawings[ids[index]][0] == number]):
                    continue
                with tree.reader() as read:
                    for index in inside:
                        content = read(drawings[ids[index]][1])
                        image = ImageOps.invert(decode(content, f"{tree.path}: {ids[index]}", "L"))
                        yield index, np.asarray(image.resize(grid, Image.Resampling.BOX)).reshape(*grid, 1)

        checksums: dict[str, str] = {}
        for number, tree in enumerate(trees):
            if used := [name for origin, name, _ in drawings.values() if origin == number]:
                checksums |= tree.checksums(used)
        return Signals(
            grid=grid,
            channels=1,
            ids=ids,
            labels={column: np.array(column_codes, dtype=np.int64) for column, column_codes in labels.items()},
            label_names=names,
            split=split_of[labels["alphabet"]],
            values=values,
            checksums=checksums,
        )

    def _split_alphabets(self, alphabets: list[str], evaluation: set[str]) -> NDArray[np.uint8]:
        """Return an index into `SPLITS` for each alphabet."""
        sizes = self.num_alphabets
        if sizes is None and self.splits == "official":
            sizes = (len(alphabets) - len(evaluation), 0, len(evaluation))
        sizes = sizes or _in_proportion(len(alphabets))
        if sum(sizes) != len(alphabets):
            raise InrzooError(
                f"omniglot.num_alphabets = {list(sizes)} adds up to {sum(sizes)}, but there are {len(alphabets)} "
                f"alphabets: {', '.join(alphabets)}"
            )
        order = seeded_order(len(alphabets), self.split_seed)
        if self.splits == "official":
            if sizes[2] != len(evaluation):
                raise InrzooError(
                    f"omniglot.num_alphabets = {list(sizes)} is impossible with official splits: the evaluation set, "
                    f"which is the test split, has {len(evaluation)} alphabets"
                )
            order = order[np.argsort([alphabets[number] in evaluation for number in order], kind="stable")]
        split_of = np.empty(len(alphabets), np.uint8)
        split_of[order] = np.repeat(np.arange(len(SPLITS)), sizes)
        return split_of


def _in_proportion(count: int) -> tuple[int, int, int]:
    if count < len(SPLITS):
        return 1, 0, count - 1
    validation, test = (max(1, round(count * share / sum(PAPER_ALPHABETS))) for share in PAPER_ALPHABETS[1:])
    return count - validation - test, validation, test


def _drawings(path: Path) -> tuple[list[FileTree], dict[str, tuple[int, str, str]]]:
    """Return the archives, and for the id of each drawing the number of its archive, its name in it, official split."""
    archives = sorted(path.glob("*.zip")) if path.is_dir() else []
    trees = [open_tree(archive, (".png",)) for archive in (*archives, path)]
    drawings: dict[str, tuple[int, str, str]] = {}
    for number, tree in enumerate(trees):
        for name in tree.names:
            if match := DRAWING.fullmatch(name):
                alphabet, character, file, _ = match.groups()
                archive = name.split("/")[-4] if name.count("/") >= 3 else tree.path.stem
                official = "test" if "evaluation" in archive else "train"
                drawings.setdefault(f"{alphabet}/{character}/{file}", (number, name, official))
    if not drawings:
        raise InrzooError(
            f"no Omniglot drawings in {path}; expected images_background.zip, images_evaluation.zip or their folders "
            "ALPHABET/characterNN/NNNN_NN.png"
        )
    return trees, drawings
