"""`inrzoo render` writes the values of one INR into a file: WAV, PNG, PLY, OBJ or NPY."""

import builtins
import io
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from constructed import CENTRE, sphere
from PIL import Image

from inrzoo.errors import InrzooError
from inrzoo.rendering import write_rendering
from inrzoo.rendering.values import RESOLUTION, numbers_of, sampling
from inrzoo.store import Store, open_store
from inrzoo.targets import to_numbers

CommandLine = Callable[..., tuple[int, str, str]]
Stores = Callable[[str], Store]


def samples_of(file: Path) -> tuple[np.ndarray, int]:
    """Samples and rate of a 16-bit WAV file, read by the standard library."""
    with wave.open(str(file)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2"), sound.getframerate()


@pytest.mark.parametrize("signal", [0, 1, 2])
def test_a_sound_holds_the_numbers_of_the_inr_at_the_loudness_of_the_recording(
    signal: int, stores: Stores, tmp_path: Path
) -> None:
    tones = stores("tones")
    said = write_rendering(tones, tmp_path / "a.wav", signal)
    samples, rate = samples_of(tmp_path / "a.wav")
    assert (rate, said) == (8000, "64 samples at 8,000 Hz, 1 channel of int16")
    expected = to_numbers(tones.render([signal]).numpy(), tones.info.manifest.values, tones.limits[[signal]])
    assert np.array_equal(samples, expected.ravel())


def test_a_finer_sound_has_the_samples_of_the_fit_and_others_between_them(stores: Stores, tmp_path: Path) -> None:
    """They are at the times that its rate says; a grid `finer` over the same extent would not be."""
    tones = stores("tones")
    for finer in (1, 2, 3):
        write_rendering(tones, tmp_path / f"{finer}.wav", 1, finer=finer)
    fitted, _ = samples_of(tmp_path / "1.wav")
    places = tones.coords()[:, 0].astype(np.float64)
    for finer in (2, 3):
        samples, rate = samples_of(tmp_path / f"{finer}.wav")
        assert (rate, len(samples)) == (8000 * finer, finer * 63 + 1)
        assert np.abs(samples[::finer].astype(int) - fitted).max() <= 1
        between = places[:-1] + (places[1:] - places[:-1]) / finer
        values = tones.render(1, coords=between[:, None]).numpy()
        expected = numbers_of(tones, np.array([1]), values[None]).ravel()
        assert np.abs(samples[1::finer].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("finer", [1, 2])
def test_padding_is_left_out_on_demand(finer: int, stores: Stores, tmp_path: Path) -> None:
    tones = stores("tones")
    first, stop = tones.valid[1]
    assert 0 < first < stop < 64
    for name, valid in (("all", False), ("own", True)):
        write_rendering(tones, tmp_path / f"{name}.wav", 1, finer=finer, valid=valid)
    own, everything = samples_of(tmp_path / "own.wav")[0], samples_of(tmp_path / "all.wav")[0]
    assert np.array_equal(own, everything[first * finer : (stop - 1) * finer + 1])


def test_an_image_has_the_pixels_of_the_inr(finished: Path, tmp_path: Path, inrzoo: CommandLine) -> None:
    store = open_store(finished)
    assert inrzoo("render", finished, "--signal", 3, "--seed", 1, "--out", tmp_path / "a.png") == (
        0,
        f"{tmp_path / 'a.png'}: 8 × 8 pixels\n",
        "",
    )
    expected = to_numbers(store.render([3], 1).numpy(), store.info.manifest.values, np.array([[0.0, 255.0]]))
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(np.asarray(picture), expected.reshape(8, 8))
    write_rendering(store, tmp_path / "b.PNG", 3, finer=4)
    with Image.open(tmp_path / "b.PNG") as picture:
        assert picture.size == (32, 32)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("tones", (64, 1)),
        ("wind", (6, 9, 2)),
        ("wind_levels", (3, 6, 9, 2)),
        ("voxels", (6, 7, 8, 1)),
        ("solids", (RESOLUTION, RESOLUTION, RESOLUTION, 1)),
        ("scattered", (RESOLUTION, RESOLUTION, 1)),
    ],
)
def test_an_array_holds_the_values_of_any_inr_or_their_numbers(
    name: str, shape: tuple[int, ...], stores: Stores, tmp_path: Path
) -> None:
    store = stores(name)
    write_rendering(store, tmp_path / "a.npy", 1)
    write_rendering(store, tmp_path / "b.npy", 1, numbers=True)
    values, numbers = np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy")
    rendered = store.render(1, coords=sampling(store).coords_KD).numpy()
    assert values.dtype == np.float32 and values.shape == numbers.shape == shape
    np.testing.assert_allclose(values.ravel(), rendered.ravel(), atol=1e-5)
    assert numbers.dtype == store.info.manifest.values.dtype
    assert np.array_equal(numbers_of(store, np.array([1]), values.reshape(1, -1, shape[-1])).ravel(), numbers.ravel())


def test_a_view_is_what_a_held_out_camera_sees_of_the_inr(stores: Stores, tmp_path: Path) -> None:
    balls = stores("balls")
    for name, camera, finer in (("a.npy", 1, 1), ("fine.npy", 1, 3), ("above.npy", None, 2)):
        write_rendering(balls, tmp_path / name, 2, camera=camera, finer=finer)
    seen, fine, above = (np.load(tmp_path / name) for name in ("a.npy", "fine.npy", "above.npy"))
    rays = torch.from_numpy(balls.targets(np.array([2])).held_out[0])
    predicted = balls.predict(torch.from_numpy(balls.weights[2, 0]), rays).reshape(3, 8, 8, 3)
    np.testing.assert_allclose(seen, predicted[1].numpy(), atol=1e-6)
    # The middle of three times three finer pixels is the pixel's own.
    np.testing.assert_allclose(fine[1::3, 1::3], seen, atol=1e-5)
    assert above.shape == (16, 16, 3)
    write_rendering(balls, tmp_path / "a.png", 2, camera=1)
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(np.asarray(picture), np.rint(255 * seen).astype(np.uint8))


@pytest.mark.parametrize("ending", [".ply", ".obj", ".PLY"])
def test_a_mesh_is_that_of_the_sphere_that_the_values_describe(
    ending: str, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solids = stores("solids")
    monkeypatch.setattr(solids, "render", sphere)
    said = write_rendering(solids, tmp_path / f"a{ending}", 0)
    assert said.endswith("where the signal is 0")
    mesh = trimesh.load(tmp_path / f"a{ending}", process=False)
    radii = np.linalg.norm(mesh.vertices - CENTRE, axis=1)
    assert mesh.is_watertight and abs(radii - 0.5).max() < 2e-3
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=1e-2)  # faces look outward
    write_rendering(solids, tmp_path / f"b{ending}", 0, level=0.1)
    larger = trimesh.load(tmp_path / f"b{ending}", process=False)
    assert abs(np.linalg.norm(larger.vertices - CENTRE, axis=1) - 0.6).max() < 2e-3


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        (
            "tones",
            ["--out", "a.png"],
            "--out a.png is not allowed; a signal of PLACE is a sound and becomes .wav or .npy",
        ),
        ("tones", ["--out", "a"], "becomes .wav or .npy"),
        ("solids", ["--out", "a.wav"], "is a shape and becomes .ply or .obj or .npy"),
        ("wind", ["--out", "a.png"], "is a field and becomes .npy"),
        ("voxels", ["--out", "a.png"], "is a grid of voxels and becomes .ply or .obj or .npy"),
        ("scattered", ["--out", "a.ply"], "is values at points and becomes .npy"),
        ("balls", ["--out", "a.ply"], "is a radiance field and becomes .png or .npy"),
        ("balls", ["--out", "a.png", "--camera", "3"], "--camera 3 is not allowed; expected 0 to 2, a held-out view"),
        ("balls", ["--out", "a.png", "--finer", "0"], "--finer 0 is not allowed; expected 1 to"),
        ("tones", ["--out", "a.wav", "--camera", "0"], "--camera 0 is for radiance fields"),
        ("tones", ["--out", "a.wav", "--finer", "0"], "--finer 0 is not allowed; expected 1 to 524288"),
        ("solids", ["--out", "a.npy", "--finer", "999999999"], "--finer 999999999 is not allowed; expected 1 to 5"),
        ("tones", ["--out", "a.wav", "--signal", "3"], "--signal 3 is not allowed; expected 0 to 2"),
        ("tones", ["--out", "a.wav", "--signal", "-1"], "--signal -1 is not allowed; expected 0 to 2"),
        ("tones", ["--out", "a.wav", "--seed", "1"], "--seed 1 is not allowed; expected 0 to 0"),
        ("tones", ["--out", "a.wav", "--view", "1"], "--view 1 is not allowed; expected -1 to 0"),
        ("tones", ["--out", "a.wav", "--numbers"], "--numbers is for .npy"),
        (
            "tones",
            ["--out", "a.wav", "--level", "1"],
            "--level 1.0 is not allowed; it is a finite number, for .ply and",
        ),
        ("solids", ["--out", "a.ply", "--level", "nan"], "--level nan is not allowed"),
        (
            "solids",
            ["--out", "a.ply", "--level", "-99"],
            "the INR has no surface where the signal is -99, at the value -198",
        ),
    ],
)
def test_what_cannot_be_rendered_is_one_line(
    name: str,
    words: list[str],
    said: str,
    made: Callable[[str], Path],
    inrzoo: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    signal = [] if "--signal" in words else ["--signal", "0"]
    code, out, err = inrzoo("render", made(name), *signal, *words)
    assert (code, out) == (2, "") and err.count("\n") == 1 and said.replace("PLACE", str(made(name))) in err
    assert not [*tmp_path.iterdir()]


def test_an_unfinished_and_a_diverged_inr_are_refused(stores: Stores, tmp_path: Path, monkeypatch) -> None:
    tones = stores("tones")
    monkeypatch.setattr(tones, "render", lambda *_, **__: torch.full((64, 1), torch.nan))
    with pytest.raises(InrzooError, match="the INR of signal 0, seed 0 has values that are not finite"):
        write_rendering(tones, tmp_path / "a.wav", 0)
    write_rendering(tones, tmp_path / "a.npy", 0)
    assert np.isnan(np.load(tmp_path / "a.npy")).all()
    tones.status[0, 0] = 0
    with pytest.raises(InrzooError, match="is not finished; continue its build"):
        write_rendering(tones, tmp_path / "a.wav", 0)


@pytest.mark.parametrize(
    ("name", "out", "package", "extra"),
    [
        ("tones", "a.wav", "soundfile", "audio"),
        ("solids", "a.ply", "skimage", "shapes"),
        ("voxels", "a.obj", "trimesh", "shapes"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    name: str,
    out: str,
    package: str,
    extra: str,
    made: Callable[[str], Path],
    inrzoo: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    real = builtins.__import__

    def blocked(module: str, *rest: object) -> object:
        if module.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real(module, *rest)

    monkeypatch.setattr(builtins, "__import__", blocked)
    code, printed, err = inrzoo("render", made(name), "--signal", 0, "--out", tmp_path / out)
    assert (code, printed) == (2, "") and err.count("\n") == 1 and f"pip install 'inrzoo[{extra}]'" in err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(("name", "out"), [("tones", "a.wav"), ("solids", "a.ply"), ("wind", "a.npy")])
def test_a_kill_before_the_rename_leaves_the_old_file(
    name: str, out: str, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores(name)  # built before nothing can be renamed
    if name == "solids":
        monkeypatch.setattr(store, "render", sphere)
    (tmp_path / out).write_bytes(b"years of work")

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_rendering(store, tmp_path / out, 0)
    assert [file.name for file in tmp_path.iterdir()] == [out]
    assert (tmp_path / out).read_bytes() == b"years of work"


def test_equal_sounds_of_floats_are_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    from inrzoo.rendering.formats import wav_bytes

    samples = np.linspace(-0.5, 0.7, 9, dtype=np.float32)[:, None]
    content = wav_bytes(samples, 11_025)
    read, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    assert rate == 11_025 and np.array_equal(read, samples)
    place = content.index(b"PEAK")
    assert content[place + 12 : place + 16] == bytes(4)  # else the time of writing


def test_a_sound_without_seconds_becomes_an_array_only(stores: Stores, tmp_path: Path) -> None:
    import dataclasses

    tones = stores("tones")
    tones.info = dataclasses.replace(tones.info, axes=())
    with pytest.raises(InrzooError, match="does not say how many seconds a sample takes: write"):
        write_rendering(tones, tmp_path / "a.wav", 0)


def test_logits_become_occupancies(stores: Stores) -> None:
    """The numbers of a logit of 0 are in the middle, of ±large ones at the ends."""
    solids = stores("solids")
    values = SimpleNamespace(range=(0.0, 1.0), dtype="uint8", scale="dtype")
    store = SimpleNamespace(
        observation=SimpleNamespace(loss_name="bce"),
        limits=None,
        info=SimpleNamespace(manifest=SimpleNamespace(values=values)),
    )
    logits = np.array([[[-900.0], [0.0], [900.0]]], dtype=np.float32)
    assert numbers_of(store, np.array([0]), logits).ravel().tolist() == [0, 128, 255]  # type: ignore[arg-type]
    assert solids.observation.loss_name == "mse"
