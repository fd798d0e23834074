"""Streams image datasets from the Hugging Face Hub, or from files on disk that `datasets` reads."""

from __future__ import annotations

import dataclasses
import gc
import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.nearest import among
from inrzoo.sources import SPLITS, Signals
from inrzoo.sources._files import read_file, sha256
from inrzoo.sources._pixels import ImageSource, decode
from inrzoo.sources._splits import check_counts, check_split_table, draw_validation
from inrzoo.sources.image_folder import ImageFolder
from inrzoo.sources.image_order import ordered_rows

ROWS_AT_ONCE = 256
SAVED_TO_DISK = ("dataset_dict.json", "state.json")


@dataclass(frozen=True, kw_only=True)
class HubImages(ImageSource):
    """Images of a dataset with an image column and label columns.

    Images are streamed, never copied to the disk or held in memory: every call of `values` streams each split from its
    start to the last requested image. Datasets on the Hub have no local files for checksums: pin `revision` to a
    commit.

    Attributes:
        repo: `user/name` on the Hub.
        revision: commit, tag or branch; None is the newest.
        config: the dataset's configuration, where it has several.
        splits: our split -> the dataset's split. With `split_column` it only selects the splits that are read.
        image_column: column with the images.
        label_column: column with the classes; the store uses its name.
        extra_columns: further label columns.
        split_column: label column whose value decides the split (few-shot sets).
        split_classes: names in `split_column` of each split; rows with other names are left out.
        num_validation: number of train signals that become validation, evenly over the classes.
        split_seed: seed of that random draw.
        order: name of an order that the images of each split are brought to, whatever copy they are read from: a file
            of `manifests/orders`. By default they keep the order of the dataset. It reads all images once more.
    """

    repo: str
    revision: str | None = None
    config: str | None = None
    splits: dict[str, str] = field(default_factory=lambda: {"train": "train", "test": "test"})
    image_column: str = "image"
    label_column: str = "label"
    extra_columns: list[str] = field(default_factory=list)
    split_column: str | None = None
    split_classes: dict[str, list[str]] | None = None
    num_validation: int = 0
    split_seed: int = 0
    order: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts("hub_images", num_validation=self.num_validation, split_seed=self.split_seed)
        if unknown := [split for split in self.splits if split not in SPLITS]:
            raise InrzooError(f"hub_images.splits has no split {unknown[0]!r}{among(unknown[0], SPLITS)}")
        if not self.splits or len(set(self.splits.values())) < len(self.splits):
            raise InrzooError(f"hub_images.splits = {self.splits} must name one or more splits, each once")
        if (self.split_column is None) != (self.split_classes is None):
            raise InrzooError("hub_images.split_column and split_classes belong together; give both or neither")
        if self.split_classes is None:
            return
        check_split_table("hub_images.split_classes", self.split_classes)
        if self.split_column not in self.columns:
            raise InrzooError(f"hub_images.split_column = {self.split_column!r} must be one of: {self.columns}")
        if self.num_validation:
            raise InrzooError("hub_images.split_classes decides the splits; leave num_validation at 0")

    @property
    def columns(self) -> list[str]:
        """The label columns, the class first."""
        return [self.label_column, *self.extra_columns]

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`.

        `path` is a folder of Parquet files as in a dataset repository, one that `datasets.save_to_disk` wrote, or
        images in class folders as `ImageFolder` reads them.
        """
        if path is not None and not (path.is_dir() and _data_files(path)):
            return self._read_folder(path)
        where = str(path or self.repo)
        parts = {split: self.splits[split] for split in SPLITS if split in self.splits}
        part_names = list(parts.values())
        counts, labels, names = self._read_labels(path, part_names)
        part_of = np.repeat(np.arange(len(parts)), counts)
        place_of = np.concatenate([np.arange(count) for count in counts])
        row_of = self._rows(path, part_names, counts, labels[self.label_column])
        first_of = np.repeat(np.cumsum(counts) - counts, counts)
        labels = {column: codes[first_of + row_of] for column, codes in labels.items()}
        split = np.array([SPLITS.index(name) for name in parts], dtype=np.uint8)[part_of]
        if self.split_column is not None and self.split_classes is not None:
            table = check_split_table("hub_images.split_classes", self.split_classes)
            classes = names[self.split_column]
            if absent := [name for name in table if name not in classes]:
                raise InrzooError(
                    f"{where} has no {self.split_column} {absent[0]!r}{among(absent[0], classes, 'it has')}"
                )
            split_of = np.array([table.get(name, len(SPLITS)) for name in classes], dtype=np.uint8)
            split = split_of[labels[self.split_column]]
        selected = np.flatnonzero(split < len(SPLITS))
        if not len(selected):
            raise InrzooError(f"{where} holds no signals in its splits {', '.join(part_names)}")
        part_of, place_of, row_of = part_of[selected], place_of[selected], row_of[selected]
        labels = {column: codes[selected] for column, codes in labels.items()}
        ids = [f"{part_names[part]}/{place:06d}" for part, place in zip(part_of, place_of, strict=True)]
        first = next(self._images(path, part_names[part_of[0]], [int(row_of[0])]))
        grid = self.grid(first, f"{where}: {ids[0]}")

        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[Any]]]:
            for number, part in enumerate(part_names):
                inside = sorted((int(row_of[index]), index) for index in indices if part_of[index] == number)
                images = self._images(path, part, [row for row, _ in inside])
                for (_, index), content in zip(inside, images, strict=True):
                    yield index, self.pixels(content, f"{where}: {ids[index]}", grid)

        return Signals(
            grid=grid,
            channels=self.channels,
            ids=ids,
            labels=labels,
            label_names=names,
            split=draw_validation(split[selected], labels[self.label_column], self.num_validation, self.split_seed),
            values=values,
            dtype=self.dtype,
            checksums={} if path is None else {file.name: sha256(file) for file in _data_files(path)},
        )

    def _rows(
        self, path: Path | None, parts: list[str], counts: list[int], codes: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the row in its split of each image, in `order`; `codes` has all splits, one after the other."""
        if self.order is None:
            return np.concatenate([np.arange(count) for count in counts])
        rows, start = [], 0
        for part, count in zip(parts, counts, strict=True):
            images = enumerate(self._images(path, part, list(range(count))))
            where = f"{path or self.repo}: {part}"
            pixels = (decode(image, f"{where}/{row:06d}", "RGB").tobytes() for row, image in images)
            pairs = zip(codes[start : start + count].tolist(), pixels, strict=True)
            rows.append(ordered_rows("source.order", self.order, part, pairs))
            start += count
        return np.concatenate(rows)

    def _read_labels(
        self, path: Path | None, parts: list[str]
    ) -> tuple[list[int], dict[str, NDArray[np.int64]], dict[str, list[str]]]:
        """Read the number of rows of each part, and by column the codes of all rows and their names."""
        cells: dict[str, list[Any]] = {column: [] for column in self.columns}
        counts: list[int] = []
        features: Any = None
        for part in parts:
            stream = self._stream(path, part)
            features = self._features(stream, path)
            for table in self._tables(stream.select_columns(self.columns), path):
                for column in self.columns:
                    cells[column] += table.column(column).to_pylist()
            counts.append(len(cells[self.label_column]) - sum(counts))
        where = path or self.repo
        coded = {column: _codes(cells[column], features[column], f"{where}: {column}") for column in self.columns}
        return (
            counts,
            {column: codes for column, (codes, _) in coded.items()},
            {column: names for column, (_, names) in coded.items()},
        )

    def _read_folder(self, path: Path) -> Signals:
        if self.order is not None:
            raise InrzooError(
                f"source.order = {self.order!r} orders the rows of a dataset; {path} is no folder of "
                f"Parquet files as in the Hub's {self.repo}"
            )
        if self.split_column is not None or self.extra_columns:
            columns = ", ".join(self.extra_columns) or self.split_column
            raise InrzooError(
                f"{path} has no column {columns}: expected a folder of Parquet files as in the Hub's {self.repo}"
            )
        return ImageFolder(
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(ImageSource)},
            class_column=self.label_column,
            num_validation=self.num_validation,
            split_seed=self.split_seed,
        ).read(path)

    def _stream(self, path: Path | None, part: str) -> Any:
        """Open the rows of one split as a `datasets.IterableDataset`."""
        with needed("build", f"the source hub_images ({self.repo})"):
            import datasets

        datasets.logging.set_verbosity(logging.CRITICAL)  # its log repeats the errors that it raises
        try:
            if path is None:
                return datasets.load_dataset(
                    self.repo, name=self.config, revision=self.revision, split=part, streaming=True
                )
            if any((path / file).is_file() for file in SAVED_TO_DISK):
                saved = datasets.load_from_disk(str(path))
                if not isinstance(saved, dict):
                    raise InrzooError(f"{path} is a dataset without splits; save a DatasetDict with the split {part}")
                return saved[part].to_iterable_dataset()
            # A clone of the repository has named configurations, a bare folder of Parquet files has none.
            names = datasets.get_dataset_config_names(str(path))
            config = self.config if self.config in names else None
            return datasets.load_dataset(str(path), name=config, split=part, streaming=True)
        except InrzooError:
            raise
        except Exception as error:  # the Hub's client raises errors of several libraries
            raise self._unreadable(path, error) from error

    def _features(self, stream: Any, path: Path | None) -> Any:
        import datasets

        features = stream.features
        for column in (self.image_column, *self.columns):
            if features is None or column not in features:
                raise InrzooError(
                    f"{path or self.repo} has no column {column!r}{among(column, features or (), 'it has')}"
                )
        if not isinstance(features[self.image_column], datasets.Image):
            raise InrzooError(f"{path or self.repo}: the column {self.image_column!r} does not hold images")
        return features

    def _tables(self, stream: Any, path: Path | None) -> Generator[Any, None, None]:
        """Yield the Arrow tables of the stream; an error becomes one line."""
        tables = iter(stream.with_format("arrow").iter(batch_size=ROWS_AT_ONCE))
        try:
            while True:
                try:
                    table = next(tables)
                except StopIteration:
                    return
                except Exception as error:  # as in _stream
                    raise self._unreadable(path, error) from error
                yield table
        finally:
            # A half-read Parquet stream keeps threads of Arrow that abort the process when they outlive the
            # interpreter (apache/arrow #45214), so it goes now.
            del tables
            gc.collect()

    def _images(self, path: Path | None, part: str, rows: list[int]) -> Iterator[bytes]:
        """Yield the image files of the sorted `rows` of a part; stop reading after the last."""
        import datasets

        if not rows:
            return
        stream = self._stream(path, part).select_columns([self.image_column])
        stream = stream.cast_column(self.image_column, datasets.Image(decode=False))
        left, start = deque(rows), 0
        with closing(self._tables(stream, path)) as tables:
            for table in tables:
                while left[0] < start + len(table):
                    row = left.popleft()
                    image = table.column(self.image_column)[row - start].as_py()
                    yield _content(image, path, f"{path or self.repo}: {part}/{row:06d}")
                    if not left:
                        return
                start += len(table)
        raise InrzooError(f"{path or self.repo} ends before row {left[0]} of {part}; it changed while it was read")

    def _unreadable(self, path: Path | None, error: Exception) -> InrzooError:
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        if path is not None:
            return InrzooError(f"cannot read {path} as a dataset ({reason})")
        return InrzooError(
            f"cannot read {self.repo} from the Hub ({reason}); fetch its Parquet files from "
            f"https://huggingface.co/datasets/{self.repo}/tree/{self.revision or 'main'} into a folder "
            "and give it with --source"
        )


def _data_files(path: Path) -> list[Path]:
    """List the files that `datasets` reads: Parquet, or Arrow in a folder of `save_to_disk`."""
    saved = any((path / file).is_file() for file in SAVED_TO_DISK)
    return sorted(path.rglob("*.arrow" if saved else "*.parquet"))


def _content(image: Any, home: Path | None, name: str) -> bytes:
    """Return the image file of a cell: bytes in the table, or a file inside `home`.

    A table could name any file of this machine; files outside of its folder are refused.
    """
    if image is not None and image["bytes"] is not None:
        content: bytes = image["bytes"]
        return content
    if image is not None and image["path"] and home is not None:
        file = home / image["path"]
        if file.is_file() and file.resolve().is_relative_to(home.resolve()):
            return read_file(file)
    raise InrzooError(f"{name} has no image in the table; only images stored in the Parquet files can be streamed")


def _codes(values: list[Any], feature: Any, name: str) -> tuple[NDArray[np.int64], list[str]]:
    """Return codes and names of a label column: the names that the dataset declares, else the sorted values."""
    declared = getattr(feature, "names", None)
    if odd := [value for value in values if not isinstance(value, int | str)]:
        raise InrzooError(f"{name} is not a label column: it holds {odd[0]!r}; expected whole numbers or names")
    if declared:
        if odd := [code for code in values if not 0 <= code < len(declared)]:
            raise InrzooError(f"{name} holds the label {odd[0]}, but names only 0 to {len(declared) - 1}")
        return np.array(values, dtype=np.int64), list(declared)
    distinct = sorted(set(values))
    code_of = {value: code for code, value in enumerate(distinct)}
    return np.array([code_of[value] for value in values], dtype=np.int64), [str(value) for value in distinct]
