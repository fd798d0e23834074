"""Sounds in a directory or a zip archive, with labels from folders, from file names or from a table.

Shape letters: N signals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrzoo.coords import Axis
from inrzoo.errors import InrzooError
from inrzoo.sources import Signals, Source
from inrzoo.sources._files import FileTree
from inrzoo.sources._folders import SPLIT_FOLDERS, folder_split, open_folder, outer_folders, split_and_class
from inrzoo.sources._labels import check_pattern, encode_labels, held_out_split, labels_of_names, labels_of_table
from inrzoo.sources._sounds import SUFFIXES, Channels, Crop, SampleType, decode, window_start
from inrzoo.sources._splits import check_counts, draw_validation
from inrzoo.sources._unreadable import UnreadableError, leave_out, unread

DELIMITERS = {".csv": ",", ".tsv": "\t"}
"""Character between two cells of a table of labels, by the ending of its name."""


class Clip(NamedTuple):
    """The window of a recording that is a signal.

    Attributes:
        name: name of the recording in the archive or folder.
        length: number of samples of the recording, at the sample rate of the signals.
        offset: first sample of the window.
        start: point of the grid at which the recording's own samples start.
        stop: one after the point of the grid at which they end.
    """

    name: str
    length: int
    offset: int
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class AudioFolder(Source):
    """Sounds (WAV, FLAC, Ogg, MP3) as clips of one length, one channel and one sample rate.

    A recording longer than `num_samples` gives one window of it, by `crop`. A shorter one stands in the middle of the
    clip between zeros, one more after it than before if their number is odd; `Signals.valid` says where. The columns
    `offset` and `num_samples` hold the first sample of the window in the recording and the recording's length in
    samples, both at `sample_rate`.

    Labels come from the folder, `[SPLIT/]CLASS/CLIP`; from the file's name, by `label_pattern`; or from a table,
    `labels_csv`. The split comes from, in this order: `held_out`; folders called train, val, valid, validation or test
    around all others; a random draw with `split_seed`.

    `read` decodes each file once, one at a time, to find damaged ones before anything is fitted.

    Attributes:
        sample_rate: samples a second of the signals, in Hz; recordings at another rate are resampled.
        num_samples: length of a clip in samples: 4,096 are 0.512 s at 8,000 Hz.
        crop: window of a long recording: the first one with the greatest sum of squares (`"energy"`), the `"start"`, or
            the `"centre"`.
        channels: of recordings with several channels, the `"mean"` or the `"first"` (left) one; `"refuse"` is an error.
        dtype: type of the samples. As int16, 16-bit files at `sample_rate` are taken unchanged, others are rounded. As
            float32, full scale is -1 to 1.
        class_column: name of the label column, for labels from folders.
        label_pattern: regular expression that is searched in each file's name, folders included and suffix left out;
            each named group is a label column: `(?P<digit>\\d)_(?P<speaker>[a-z]+)_(?P<index>\\d+)$`.
        labels_csv: name of a table in the folder or archive, .csv or .tsv; files without a row are left out.
        file_column: column of the table that holds file names.
        label_columns: columns of the table that become label columns.
        held_out: for label columns, the names that form the test split: `speaker = ["theo"]`.
        num_validation: number of signals drawn for validation, evenly over the classes (first label column).
        num_test: number of signals drawn for test, if there are neither `held_out` nor split folders.
        split_seed: seed of the random draw.
        skip_unreadable: leave out files that cannot be decoded, are empty, hold NaN, last longer than 600 s, or whose
            window is silent; they are logged, and listed in `Signals.skipped`. Otherwise they are an error.
    """

    sample_rate: int = 8000
    num_samples: int = 4096
    crop: Crop = "energy"
    channels: Channels = "refuse"
    dtype: SampleType = "int16"
    class_column: str = "class"
    label_pattern: str | None = None
    labels_csv: str | None = None
    file_column: str = "filename"
    label_columns: list[str] = field(default_factory=list)
    held_out: dict[str, list[str]] = field(default_factory=dict)
    num_validation: int = 0
    num_test: int = 0
    split_seed: int = 0
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        check_counts("audio_folder", 1, sample_rate=self.sample_rate, num_samples=self.num_samples)
        check_counts(
            "audio_folder", num_validation=self.num_validation, num_test=self.num_test, split_seed=self.split_seed
        )
        if self.label_pattern is not None:
            check_pattern("audio_folder.label_pattern", self.label_pattern)
            if self.labels_csv is not None:
                raise InrzooError("audio_folder takes labels from label_pattern or from labels_csv; set one of them")
        if self.labels_csv is not None and not self.labels_csv.lower().endswith(tuple(DELIMITERS)):
            raise InrzooError(f"audio_folder.labels_csv = {self.labels_csv!r} must end in {' or '.join(DELIMITERS)}")
        if (self.labels_csv is None) != (not self.label_columns):
            raise InrzooError("audio_folder.labels_csv and label_columns belong together; set both or neither")
        if self.held_out and self.num_test:
            raise InrzooError("audio_folder.held_out decides the test split; leave num_test at 0")

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` is a zip archive, a folder of sounds, or a folder that holds one zip archive.

        Raises:
            InrzooError: there are no sounds, labels or splits do not fit, files are unreadable, or recordings have
                several channels.
        """
        if path is None:
            raise InrzooError("audio_folder has no download; pass --source PATH, a folder or zip of [SPLIT/]CLASS/CLIP")
        tree = open_folder(path, SUFFIXES, "sounds", "[SPLIT/]CLASS/CLIP", tuple(DELIMITERS) if self.labels_csv else ())
        sounds = [name for name in tree.names if name.lower().endswith(SUFFIXES)]
        outer = outer_folders(sounds, 1 if self.label_pattern is None and self.labels_csv is None else 0)
        members = {name.removeprefix(outer): name for name in sounds}
        splits, labels = self._labels(tree, members)
        clips, skipped = self._clips(tree, {identifier: members[identifier] for identifier in splits})
        ids = list(clips)
        columns = {column: [labels[identifier][column] for identifier in ids] for column in labels[ids[0]]}
        coded = {column: encode_labels(names) for column, names in columns.items()}
        windows = list(clips.values())
        tables = [] if self.labels_csv is None else [self._table_name(tree)]
        return Signals(
            grid=(self.num_samples,),
            channels=1,
            ids=ids,
            labels={column: codes for column, (codes, _) in coded.items()},
            label_names={column: names for column, (_, names) in coded.items()},
            split=self._split(path, [splits[identifier] for identifier in ids], columns, next(iter(coded.values()))[0]),
            values=self._values(tree, ids, windows),
            checksums=tree.checksums([*tables, *(clip.name for clip in windows)]),
            dtype=self.dtype,
            axes=(Axis(name="time", unit="s", step=1 / self.sample_rate),),
            valid=np.array([(clip.start, clip.stop) for clip in windows], dtype=np.int64),
            numbers={
                "offset": np.array([clip.offset for clip in windows], dtype=np.int64),
                "num_samples": np.array([clip.length for clip in windows], dtype=np.int64),
            },
            skipped=skipped,
        )

    def _labels(
        self, tree: FileTree, members: Mapping[str, str]
    ) -> tuple[dict[str, int | None], dict[str, dict[str, str]]]:
        """Return, for each identifier, the split of its folder and the label of each column."""
        ids = sorted(members)
        splits = {identifier: SPLIT_FOLDERS.get(identifier.split("/")[0].lower()) for identifier in ids}
        if self.label_pattern is not None:
            pattern = check_pattern("audio_folder.label_pattern", self.label_pattern)
            columns = labels_of_names(str(tree.path), [members[identifier] for identifier in ids], pattern)
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            return splits, dict(zip(ids, rows, strict=True))
        if self.labels_csv is not None:
            rows_of = self._table(tree, members)
            return {name: split for name, split in splits.items() if name in rows_of}, rows_of
        labels = {}
        for identifier in ids:
            try:
                splits[identifier], class_name = split_and_class(tree.path, identifier)
            except InrzooError as error:
                raise InrzooError(f"{error}; label_pattern and labels_csv take labels from elsewhere") from None
            labels[identifier] = {self.class_column: class_name}
        return splits, labels

    def _table_name(self, tree: FileTree) -> str:
        tables = [name for name in tree.names if name.lower().endswith(tuple(DELIMITERS))]
        matches = [name for name in tables if f"/{name}".endswith(f"/{self.labels_csv}")]
        if len(matches) != 1:
            raise InrzooError(
                f"{tree.path} holds {len(matches)} tables called {self.labels_csv} (audio_folder.labels_csv); "
                f"expected one of: {', '.join(tables[:8]) or 'none'}"
            )
        return matches[0]

    def _table(self, tree: FileTree, members: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return the labels of the files that the table names, by identifier."""
        table = self._table_name(tree)
        with tree.reader() as read:
            content = read(table)
        labels = labels_of_table(
            f"{tree.path}: {table}",
            content,
            list(members.values()),
            self.file_column,
            self.label_columns,
            DELIMITERS[table[-4:].lower()],
        )
        if not labels:
            raise InrzooError(f"{tree.path}: {table} has no rows")
        return {identifier: labels[name] for identifier, name in members.items() if name in labels}

    def _clips(self, tree: FileTree, members: Mapping[str, str]) -> tuple[dict[str, Clip], dict[str, str]]:
        """Decode each file; return the clips, and the unreadable files with the reasons."""
        clips: dict[str, Clip] = {}
        skipped: dict[str, str] = {}
        with tree.reader() as read:
            for identifier, name in members.items():
                try:
                    clips[identifier] = self._clip(name, self._recording(tree, read, name))
                except UnreadableError as reason:
                    skipped[identifier] = str(reason)
        leave_out(tree.path, skipped, len(members), self.skip_unreadable)
        return clips, skipped

    def _recording(self, tree: FileTree, read: Callable[[str], bytes], name: str) -> NDArray[Any]:
        """Return the samples of a whole recording.

        Raises:
            UnreadableError: it cannot be read or decoded.
        """
        try:
            content = read(name)
        except InrzooError as error:
            raise unread(tree.path, error) from error
        return decode(content, f"{tree.path}: {name}", self.sample_rate, self.channels, self.dtype)

    def _clip(self, name: str, samples: NDArray[Any]) -> Clip:
        if not len(samples):
            raise UnreadableError("is of zero length")
        offset = window_start(samples, self.num_samples, self.crop)
        size = min(len(samples), self.num_samples)
        if not samples[offset : offset + size].any():
            raise UnreadableError(f"is silent (crop = {self.crop!r}: all samples are 0)")
        start = (self.num_samples - size) // 2
        return Clip(name, len(samples), offset, start, start + size)

    def _values(
        self, tree: FileTree, ids: Sequence[str], clips: Sequence[Clip]
    ) -> Callable[[Sequence[int]], Iterator[tuple[int, NDArray[Any]]]]:
        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[Any]]]:
            with tree.reader() as read:
                for index in indices:
                    clip = clips[index]
                    try:
                        samples = self._recording(tree, read, clip.name)
                    except UnreadableError as reason:
                        raise InrzooError(
                            f"{tree.path}: {ids[index]} {reason}; it changed after it was listed"
                        ) from reason
                    if len(samples) != clip.length:
                        raise InrzooError(f"{tree.path}: {ids[index]} changed after it was listed")
                    array = np.zeros((self.num_samples, 1), dtype=self.dtype)
                    array[clip.start : clip.stop, 0] = samples[clip.offset :][: clip.stop - clip.start]
                    yield index, array

        return values

    def _split(
        self, path: Path, splits: Sequence[int | None], columns: Mapping[str, Sequence[str]], codes: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        if self.held_out:
            split = held_out_split("audio_folder.held_out", self.held_out, columns)
            return draw_validation(split, codes, self.num_validation, self.split_seed)
        return folder_split("audio_folder", path, splits, codes, self.num_validation, self.num_test, self.split_seed)
