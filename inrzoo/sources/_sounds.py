"""Decodes sound files: one channel, one sample rate, one type of number; and chooses the window of a long recording.

Shape letters: S samples of a recording, F frames of a block, C channels.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.sources._unreadable import UnreadableError

Channels = Literal["refuse", "mean", "first"]
Crop = Literal["energy", "start", "centre"]
SampleType = Literal["int16", "float32"]

SUFFIXES = (".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
MAX_SECONDS = 600
"""Maximum duration of a recording in seconds; a compressed file of a few bytes can hold hours of silence."""
MAX_SAMPLE_RATE = 768_000
"""Maximum sample rate of a file in Hz, the highest that is sold."""
BLOCK_FRAMES = 2**16
"""Number of samples, of all channels together, that are decoded at once."""
MP3_SLACK = 2 * 1152
"""Number of frames that an MP3 file may lack: its length is stated to one or two MPEG frames of 1,152."""
STREAMED_SIZES = (0, 2**32 - 1)
"""Sizes in the header of a WAV file whose writer could not go back to fill in the size."""


def decode(
    content: bytes, name: str, sample_rate: int, channels: Channels = "refuse", dtype: SampleType = "int16"
) -> NDArray[Any]:
    """Decode a WAV, FLAC, Ogg or MP3 file, block by block.

    Samples of 16 bits at `sample_rate` come back as they are in the file. Other ones are rounded to 16 bits, and those
    beyond full scale are set to the smallest or largest number of int16; float32 has full scale at -1 and 1 and keeps
    what is beyond.

    Args:
        content: bytes of the file.
        name: name of the file, for messages.
        sample_rate: sample rate of the result in Hz; recordings at another one are resampled (soxr, quality HQ).
        channels: `"mean"` mixes the channels of a file, `"first"` takes the first (the left one); `"refuse"` raises an
            error if there are several.
        dtype: type of the result.

    Returns:
        Shape (S,), `dtype`; S = 0 for an empty recording.

    Raises:
        UnreadableError: the file is damaged, in another format, longer than `MAX_SECONDS`, or has NaN.
        InrzooError: the file has several channels, or soundfile or soxr are not installed.
    """
    soundfile, soxr = _libraries()
    _check_container(content)
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.samplerate > MAX_SAMPLE_RATE:
                raise UnreadableError(f"states {file.samplerate} samples a second; the maximum is {MAX_SAMPLE_RATE}")
            if file.channels > 1 and channels == "refuse":
                raise InrzooError(
                    f'{name} has {file.channels} channels; --set source.channels="mean" mixes them, '
                    '"first" takes the first one'
                )
            blocks = _mono_blocks(file, channels)
            if file.samplerate != sample_rate:
                blocks = _resampled(blocks, soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float64"))
            return np.concatenate([_converted(block, dtype) for block in blocks] or [np.zeros(0, dtype)])
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise UnreadableError(f"cannot be decoded ({' '.join(reason.split())})") from error


def window_start(samples_S: NDArray[Any], num_samples: int, crop: Crop) -> int:
    """Return the first sample of the window of `num_samples` samples that stands for a recording.

    Args:
        samples_S: the recording.
        num_samples: length of the window.
        crop: `"start"`; `"centre"`; or `"energy"`, the first window with the greatest sum of squares.

    Returns:
        0 if the recording is not longer than the window.

    Example:
        >>> window_start(np.array([0, 1, 3, -3, 0]), 2, "energy")
        2
    """
    last = len(samples_S) - num_samples
    if last <= 0 or crop == "start":
        return 0
    if crop == "centre":
        return last // 2
    exact: type[Any] = np.int64 if samples_S.dtype.kind == "i" else np.float64
    start, greatest = 0, exact(-1)
    for first in range(0, last + 1, BLOCK_FRAMES):
        # The windows that begin in this block; together they end before first + BLOCK_FRAMES + num_samples.
        squares = samples_S[first : first + BLOCK_FRAMES + num_samples - 1].astype(exact) ** 2
        sums = np.concatenate([np.zeros(1, exact), np.cumsum(squares)])
        energies = sums[num_samples:] - sums[:-num_samples]
        if energies.max() > greatest:
            start, greatest = first + int(energies.argmax()), energies.max()
    return start


def _libraries() -> tuple[Any, Any]:
    with needed("audio", "reading sounds"):
        import soundfile
        import soxr
    return soundfile, soxr


def _check_container(content: bytes) -> None:
    """Refuse formats that libsndfile would read as well, and WAV files that end too early, which it shortens."""
    head = content[:4]
    if head == b"RIFF":
        size = int.from_bytes(content[4:8], "little")
        if size not in STREAMED_SIZES and size > len(content) - 8:
            raise UnreadableError(f"ends after {len(content)} of {size + 8} bytes")
    elif not (head in (b"RF64", b"fLaC", b"OggS") or head[:3] == b"ID3" or _is_mpeg(head)):
        raise UnreadableError("is empty" if not content else "is no WAV, FLAC, Ogg or MP3 file")


def _is_mpeg(head: bytes) -> bool:
    return len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0


def _mono_blocks(file: Any, channels: Channels) -> Iterator[NDArray[np.float64]]:
    """Yield blocks of one channel, full scale -1 to 1, which hold 16-bit numbers exactly."""
    maximum = MAX_SECONDS * file.samplerate
    too_long = UnreadableError(f"lasts longer than {MAX_SECONDS} s; cut it into clips")
    # Streams do not know their length, and libsndfile then states the greatest number.
    if maximum < file.frames < np.iinfo(np.int64).max:
        raise too_long
    num_frames = 0
    while len(block_FC := file.read(max(1, BLOCK_FRAMES // file.channels), dtype="float64", always_2d=True)):
        num_frames += len(block_FC)
        if num_frames > maximum:
            raise too_long
        if not (np.abs(block_FC) <= np.finfo(np.float32).max).all():
            raise UnreadableError("holds NaN or infinite samples")
        yield block_FC.mean(axis=1) if channels == "mean" and file.channels > 1 else block_FC[:, 0]
    slack = MP3_SLACK if file.format == "MP3" else 0
    if num_frames + slack < file.frames < np.iinfo(np.int64).max:
        raise UnreadableError(f"ends after {num_frames} of {file.frames} samples")


def _resampled(blocks: Iterator[NDArray[np.float64]], stream: Any) -> Iterator[NDArray[np.float64]]:
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block))
    yield stream.resample_chunk(np.zeros(0), last=True)


def _converted(block: NDArray[np.float64], dtype: SampleType) -> NDArray[Any]:
    if dtype == "float32":
        return block.astype(np.float32)
    return np.clip(np.rint(block * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
