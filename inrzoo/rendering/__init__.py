"""Files of what an INR says: pictures, sounds, meshes and arrays. The ending of the name decides.

Shape letters: K points, C channels.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import Status
from inrzoo.errors import InrzooError
from inrzoo.rendering.formats import mesh_bytes, png_bytes, require_soundfile, require_trimesh, wav_bytes
from inrzoo.rendering.kinds import Kind, kind_of
from inrzoo.rendering.surfaces import surface_of
from inrzoo.rendering.values import numbers_of, sampling, values_at
from inrzoo.rendering.views import view_of
from inrzoo.store import Store
from inrzoo.store.files import write_atomically

MESHES = (".ply", ".obj")
ENDINGS: dict[Kind, tuple[str, ...]] = {
    "image": (".png", ".npy"),
    "sound": (".wav", ".npy"),
    "field": (".npy",),
    "voxels": (*MESHES, ".npy"),
    "shape": (*MESHES, ".npy"),
    "points": (".npy",),
    "views": (".png", ".npy"),
}
"""Endings of the files that the signals of each kind become."""


class Request(NamedTuple):
    """One rendering: the arguments of `write_rendering`."""

    store: Store
    signal: int
    seed: int
    step: int
    finer: int
    valid: bool
    numbers: bool
    level: float | None
    camera: int | None


def write_rendering(
    store: Store,
    out: Path,
    signal: int,
    seed: int = 0,
    step: int = -1,
    finer: int = 1,
    valid: bool = False,
    numbers: bool = False,
    level: float | None = None,
    camera: int | None = None,
) -> str:
    """Write what an INR says into a file; after a crash the file is the old one or the new one, never a part.

    `.png`: an image in 8 bits, or in 16 if its numbers are uint16. `.wav`: a sound of one axis in seconds, as int16 or
    float32, as loud as the recording. `.ply`, `.obj`: the surface of a shape or of voxels, by `rendering.surfaces`.
    `.npy`: an array (*sizes, C) of any signal, of float32 values, or with `numbers` of the numbers that they stand for.

    Args:
        signal, seed, step: number of the signal and the fit, index of the view.
        finer: factor of a finer grid; see `inrzoo.rendering.values.sampling`. 1 is the grid of the fit.
        valid: leave out the padding of a sound.
        camera: of a radiance field, the number of the held-out view whose camera is used; None for one from above.
        level: where the surface lies, in the unit of the signals' numbers; see `inrzoo.rendering.surfaces.level_of`.

    Returns:
        What was written, in a few words: `4,096 samples at 8,000 Hz, 1 channel of int16`.

    Raises:
        InrzooError: the ending does not fit the signals, an option does not fit the ending, there is no such INR or it
            is not finished, its values are not finite, or a package is missing.
    """
    kind, ending = kind_of(store), out.suffix.lower()
    if ending not in ENDINGS[kind]:
        article = "an" if kind == "image" else "a"
        nouns = {"voxels": "a grid of voxels", "points": "values at points", "views": "a radiance field"}
        noun = nouns.get(kind, f"{article} {kind}")
        raise InrzooError(
            f"--out {out} is not allowed; a signal of {store.location} is {noun} "
            f"and becomes {' or '.join(ENDINGS[kind])}"
        )
    if level is not None and (ending not in MESHES or not np.isfinite(level)):
        raise InrzooError(f"--level {level} is not allowed; it is a finite number, for {' and '.join(MESHES)}")
    if numbers and ending != ".npy":
        raise InrzooError(f"--numbers is for .npy; {ending} always holds what the signals' numbers say")
    if camera is not None and kind != "views":
        raise InrzooError(f"--camera {camera} is for radiance fields; {store.location} holds others")
    request = Request(store, signal, seed, step, finer, valid, numbers, level, camera)
    _require_finished(request)
    write = {".png": _picture, ".wav": _sound, ".npy": _array}.get(ending, _mesh(ending))
    content, said = write(request)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content)
    return said


def _require_finished(request: Request) -> None:
    store = request.store
    ranges = (
        ("--signal", request.signal, 0, store.num_signals - 1),
        ("--seed", request.seed, 0, store.num_seeds - 1),
        ("--view", request.step, -len(store.snapshots), len(store.snapshots) - 1),
    )
    for option, value, first, last in ranges:
        if not first <= value <= last:
            raise InrzooError(f"{option} {value} is not allowed; expected {first} to {last}")
    if store.status[request.signal, request.seed] == Status.PENDING:
        raise InrzooError(
            f"the INR of signal {request.signal}, seed {request.seed} in {store.location} is not finished; "
            "continue its build"
        )


def _values(request: Request) -> NDArray[np.float32]:
    """Values on the value scale, (*sizes, C); without the padding if that was asked for."""
    store, finer = request.store, request.finer
    if kind_of(store) == "views":
        return view_of(store, request.signal, request.seed, request.step, request.camera, finer)
    grid = sampling(store, finer)
    values_KC = values_at(store, request.signal, request.seed, request.step, grid.coords_KD)
    values = values_KC.reshape(*grid.sizes, -1)
    if request.valid and store.valid is not None:
        first, stop = map(int, store.valid[request.signal])
        values = values[first * finer : (stop - 1) * finer + 1]
    return values


def _numbers(request: Request) -> NDArray[np.generic]:
    """The numbers that the values stand for, in the same shape."""
    values = _values(request)
    if not np.isfinite(values).all():
        raise InrzooError(
            f"the INR of signal {request.signal}, seed {request.seed} has values that are not finite, "
            "as diverged ones may; .npy without --numbers holds them"
        )
    rows = numbers_of(request.store, np.array([request.signal]), values.reshape(1, -1, values.shape[-1]))
    return rows.reshape(values.shape)


def _picture(request: Request) -> tuple[bytes, str]:
    numbers = _numbers(request)
    depth = " of 16 bits" if numbers.dtype == np.uint16 else ""
    return png_bytes(numbers), f"{numbers.shape[0]} × {numbers.shape[1]} pixels{depth}"


def _sound(request: Request) -> tuple[bytes, str]:
    store = request.store
    dtype = store.info.manifest.values.dtype
    if dtype in ("uint8", "uint16"):
        raise InrzooError(f".wav holds int16 or float32; the numbers of {store.location} are {dtype}: write .npy")
    if not store.info.axes or store.info.axes[0].unit != "s" or store.info.axes[0].step < 0:
        raise InrzooError(f"{store.location} does not say how many seconds a sample takes: write .npy")
    require_soundfile()  # before the INR is evaluated at many points
    rate = round(request.finer / store.info.axes[0].step)
    samples = _numbers(request)
    samples = samples if dtype == "int16" else samples.astype(np.float32)
    channels = f"{samples.shape[1]} channel{'s' if samples.shape[1] > 1 else ''}"
    content = wav_bytes(samples, rate)
    return content, f"{len(samples):,} samples at {rate:,} Hz, {channels} of {samples.dtype}"


def _array(request: Request) -> tuple[bytes, str]:
    array = _numbers(request) if request.numbers else _values(request)
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue(), f"{array.shape} of {array.dtype}"


def _mesh(ending: str) -> Callable[[Request], tuple[bytes, str]]:
    def write(request: Request) -> tuple[bytes, str]:
        require_trimesh()
        store = request.store
        surface, level = surface_of(
            store, request.signal, request.seed, request.step, sampling(store, request.finer), request.level
        )
        content = mesh_bytes(surface, ending)
        sizes = f"{len(surface.vertices_V3):,} vertices, {len(surface.faces_F3):,} triangles"
        return content, f"{sizes}, where the signal is {level.number:.4g}"

    return write
