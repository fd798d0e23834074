"""Encodes pictures, sounds and meshes as files.

Shape letters: H rows, W columns, K samples, C channels.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.rendering.surfaces import Surface

MAX_RATE = 2**31 - 1
"""Maximum sample rate that a WAV file can say, in Hz."""


def png_bytes(pixels_HWC: NDArray[Any]) -> bytes:
    """A PNG of pixels of one channel (grey, uint8 or uint16) or three (RGB, uint8)."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels_HWC.squeeze(-1) if pixels_HWC.shape[-1] == 1 else pixels_HWC).save(content, format="PNG")
    return content.getvalue()


def wav_bytes(samples_KC: NDArray[Any], rate: int) -> bytes:
    """A WAV file of int16 or float32 samples.

    Args:
        rate: samples a second of each channel, in Hz.

    Raises:
        InrzooError: the rate or the number of channels does not fit into a WAV file.
        MissingPackageError: soundfile is not installed.
    """
    soundfile = require_soundfile()
    if not 1 <= rate <= MAX_RATE:
        raise InrzooError(f"a WAV file has no sample rate of {rate} Hz: write .npy")
    content = io.BytesIO()
    subtype = "PCM_16" if samples_KC.dtype == np.int16 else "FLOAT"
    try:
        soundfile.write(content, samples_KC, rate, format="WAV", subtype=subtype)
    except soundfile.SoundFileError as error:
        raise InrzooError(f"a WAV file cannot hold these samples ({error}): write .npy") from error
    written = bytearray(content.getvalue())
    # libsndfile notes the time of writing beside the peak of floats; without it, equal sounds are equal bytes.
    if (peak := written.find(b"PEAK", 0, written.find(b"data"))) >= 0:
        written[peak + 12 : peak + 16] = bytes(4)
    return bytes(written)


def require_soundfile() -> Any:
    """The package soundfile. Raises MissingPackageError."""
    with needed("audio", "writing sounds"):
        import soundfile
    return soundfile


def require_trimesh() -> Any:
    """The package trimesh. Raises MissingPackageError."""
    with needed("shapes", "writing surfaces"):
        import trimesh
    return trimesh


def mesh_bytes(surface: Surface, ending: str) -> bytes:
    """A binary PLY or an OBJ of a surface.

    Raises:
        MissingPackageError: trimesh is not installed.
    """
    mesh = require_trimesh().Trimesh(surface.vertices_V3, surface.faces_F3, process=False)
    content: bytes | str = mesh.export(file_type=ending.removeprefix("."))
    return content.encode() if isinstance(content, str) else content
