"""Pictures of stores of each kind of signals."""

import builtins
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constructed import sphere
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from inrzoo.hub.card import card, draw_preview
from inrzoo.preview import DRAWINGS, caption, fields, images, preview, sounds
from inrzoo.preview.page import Page
from inrzoo.rendering.shading import AMBIENT, HALF_WIDTH, SIZE, Canvas
from inrzoo.rendering.surfaces import Level, Surface, volume_surface
from inrzoo.store import Store, open_store

Stores = Callable[[str], Store]
CommandLine = Callable[..., tuple[int, str, str]]
KINDS = ("tones", "solids", "wind_levels", "voxels", "balls")


def pixels_of(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("L")).astype(float)


def texts_of(figure: Figure) -> list[str]:
    found = figure.findobj(Text)
    return [text.get_text() for text in found]


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_has_a_picture_and_without_signals_the_inr_alone(
    name: str, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores(name)
    if name == "solids":
        monkeypatch.setattr(store, "render", sphere)
    assert preview(store, tmp_path / "a.png", num_signals=2) == 2
    if name == "solids":
        assert preview(store, tmp_path / "b.png", num_signals=2) == 2
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    monkeypatch.setattr(Store, "_signals_home", None)
    assert preview(store, tmp_path / "c.png", num_signals=1) == 1
    with_signals, alone = pixels_of(tmp_path / "a.png"), pixels_of(tmp_path / "c.png")
    assert alone.std() > 15 and alone.shape[0] < with_signals.shape[0]


def test_a_field_has_a_colour_bar_in_its_unit_and_an_image_has_none(stores: Stores, finished: Path) -> None:
    page = fields.draw(stores("wind"), np.array([0, 1]), 0, -1)
    texts = texts_of(page.figure)
    assert texts.count("m/s") == 6 and "channel 1" in " ".join(texts)  # three rows of two channels
    maps = page.panels[0, 1].images[0]
    expected = stores("wind").signals(np.array([1])).reshape(6, 9, 2)[..., 0]
    assert np.array_equal(maps.get_array(), expected)
    both = stores("wind").signals(np.array([0, 1]))[..., 0]
    assert maps.get_clim() == (both.min(), both.max())
    store = stores("wind_levels")
    page = fields.draw(store, np.array([2]), 0, -1)
    drawn = [row[0].images[0].get_array() for row in page.panels]  # signal, INR, difference of each channel
    assert np.array_equal(drawn[3], store.signals(np.array([2])).reshape(3, 6, 9, 2)[1, ..., 1])
    low, high = store.limits[2]
    rendered = (store.render(2).numpy().reshape(3, 6, 9, 2)[1, ..., 1] + 1) / 2 * (high - low) + low
    np.testing.assert_allclose(drawn[5], rendered - drawn[3], atol=1e-4)
    assert drawn[4].shape == (24, 36)
    np.testing.assert_allclose(
        drawn[4][[0, 0, -1, -1], [0, -1, 0, -1]], rendered[[0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-4
    )
    levels = texts_of(fields.draw(stores("wind_levels"), np.array([0]), 0, -1).figure)
    assert any(text.startswith("height -1 m") for text in levels)
    image = images.draw(open_store(finished), np.array([0]), 0, -1)
    assert len(image.figure.axes) == 3  # original, reconstruction, finer grid: no bars


def test_a_spectrogram_has_the_frequency_of_a_tone(stores: Stores) -> None:
    store = stores("tones")
    tone = np.sin(2 * np.pi * 1500 * np.arange(4096) / 8000)
    page = sounds.draw(store, np.array([0]), 0, -1)
    image = sounds._draw_spectrogram(store, tone, tone, page.panels[-1, 0])
    start, stop, low, high = image.get_extent()
    assert (low, round(high)) == (0, 4000) and (start, stop) == (0, 4095 / 8000)
    powers = image.get_array()
    peak = powers.mean(axis=1).argmax() / (len(powers) - 1) * high
    assert abs(peak - 1500) < 40 and powers.max() == 0 and powers.min() == -sounds.DECIBELS
    quiet = sounds._draw_spectrogram(store, tone / 100, tone, page.panels[-1, 0])
    assert quiet.get_array().max() == pytest.approx(-40)  # on the scale of the signal


def test_a_sound_is_drawn_over_its_seconds_with_its_snr_below(stores: Stores) -> None:
    store = stores("tones")
    page = sounds.draw(store, np.array([1]), 0, -1)
    line = page.panels[1, 0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), np.arange(64) / 8000)
    assert np.array_equal(line.get_ydata(), store.signals(np.array([1]))[0, :, 0])
    below = page.panels[-1, 0].get_xlabel()
    assert "time (s)" in below and f"SNR {store.measures['snr'][1, 0, -1]:.1f} dB" in below
    axis = page.histogram.subplots()
    from inrzoo.preview.page import draw_histogram

    draw_histogram(store, -1, axis)
    assert axis.get_xlabel().startswith(f"SNR in dB of 3 INRs: mean {store.measures['snr'].mean():.2f}")


def test_points_without_a_shape_have_no_picture(made, inrzoo, tmp_path: Path) -> None:
    code, out, err = inrzoo("preview", made("scattered"), "--out", tmp_path / "a.png")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "are 1 values at points in 2 dimensions" in err and not [*tmp_path.iterdir()]


def test_a_card_has_the_picture_of_every_kind_that_has_one(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tones = stores("tones")
    assert draw_preview(tones, tmp_path / "a.png") and (tmp_path / "a.png").exists()
    assert f"![{caption(tones)}](preview.png)" in card(tones, "ada/tones", 1, True)
    assert not draw_preview(stores("scattered"), tmp_path / "b.png") and not caplog.records
    real = builtins.__import__

    def blocked(module: str, *rest: object) -> object:
        if module.split(".")[0] == "skimage":
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real(module, *rest)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with caplog.at_level(logging.WARNING, "inrzoo.hub"):
        assert not draw_preview(stores("solids"), tmp_path / "b.png")
    assert "the card has no picture: making surfaces needs skimage" in caplog.text
    assert not (tmp_path / "b.png").exists()


def test_every_drawing_has_a_caption() -> None:
    assert all(drawing.CAPTION and drawing.draw.__doc__ for drawing in DRAWINGS.values())


def ball(radius: float, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Surface:
    distances = np.linalg.norm((np.indices((40, 40, 40)).T / 19.5 - 1 - np.array(centre)), axis=-1).T - radius
    return volume_surface(distances, Level(0.0, 0.0, inside_above=False))


def test_a_ball_is_drawn_as_a_disc_lit_from_above() -> None:
    canvas, surface = Canvas(), ball(0.5)
    assert (canvas.pixels() == 1).all()
    canvas.draw_surface(surface.vertices_V3 / 19.5 - 1, surface.faces_F3, surface.normals_V3, (1.0, 1.0, 0.5))
    pixels = canvas.pixels()
    covered = np.isfinite(canvas.nearness_HW).mean() * (2 * HALF_WIDTH) ** 2
    assert covered == pytest.approx(np.pi * 0.25, rel=0.03)
    rows, columns = np.nonzero(pixels[..., 2] < 0.9)
    np.testing.assert_allclose([rows.mean(), columns.mean()], SIZE / 2 - 0.5, atol=1)
    # Of its two sides the near one is drawn, on which the brightest place is.
    assert (
        canvas.nearness_HW.max() == pytest.approx(0.5, abs=0.01)
        and canvas.colours_HW3[np.isfinite(canvas.nearness_HW)].max() > 0.98
    )
    middle = SIZE // 2
    column = pixels[rows.min() + 2 : rows.max() - 2, middle, 0]
    assert column[0] > column[-1] and column.min() >= AMBIENT - 1e-6
    # Without holes: every pixel between the ends of a row is covered.
    inner = pixels[middle, columns[rows == middle].min() : columns[rows == middle].max(), 2]
    assert (inner < 0.9).all()


def test_what_is_nearer_hides_what_is_behind() -> None:
    canvas, surface = Canvas(), ball(0.5)
    toward = canvas.axes_33[2]
    canvas.draw_points(np.array([0.9 * toward, -0.9 * toward]), (0.0, 0.0, 1.0))
    canvas.draw_surface(surface.vertices_V3 / 19.5 - 1, surface.faces_F3, surface.normals_V3, (1.0, 0.0, 0.0))
    middle = canvas.pixels()[SIZE // 2, SIZE // 2]
    assert middle[2] > 0.5  # the near point, in front of the ball
    behind = Canvas()
    behind.draw_points(np.array([-0.9 * toward]), (0.0, 0.0, 1.0))
    behind.draw_surface(surface.vertices_V3 / 19.5 - 1, surface.faces_F3, surface.normals_V3, (1.0, 0.0, 0.0))
    assert behind.pixels()[SIZE // 2, SIZE // 2, 2] == 0


def test_the_class_stands_below_each_picture(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any script, and with characters that a terminal or matplotlib would obey."""
    store = open_store(finished)
    [column] = store.info.label_columns
    names = ["$x^$", "零", "a\x1b[2J", "a class of a very long name", *store.info.label_names[column][4:]]
    monkeypatch.setitem(store.info.label_names, column, names)
    drawn = [int(np.flatnonzero(store.labels[column] == code)[0]) for code in range(5)]
    below: list[str] = []
    real = Page.describe

    def describe(drawn_page: Page, *arguments: Any) -> None:
        real(drawn_page, *arguments)
        below.extend(axis.get_xlabel() for axis in drawn_page.panels[-1])

    monkeypatch.setattr(Page, "describe", describe)
    assert preview(store, tmp_path / "a.png", signals=drawn) == 5
    shown = ["$x^$", "零", "a?[2J", "a class of a ve…", store.info.label_names[column][4]]
    assert [line.split("\n")[0] for line in below] == [
        f"signal {signal}: {name}" for signal, name in zip(drawn, shown, strict=True)
    ]
    psnr = [f"{store.psnr[signal, 0, -1]:.1f} dB" for signal in drawn]
    assert [line.split("\n")[1] for line in below] == psnr


def test_signals_splits_and_views_are_chosen(
    finished: Path, tmp_path: Path, inrzoo: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(finished)
    asked: list[tuple[list[int], int, int]] = []

    class Nothing:
        def save(self, *arguments: object) -> None:
            """Draw nothing."""

    def draw(store: Store, chosen: Any, seed: int, step: int) -> Nothing:
        asked.append((chosen.tolist(), seed, step))
        return Nothing()

    monkeypatch.setattr(images, "draw", draw)
    out = tmp_path / "a.png"
    words = ("preview", finished, "--out", out)
    assert inrzoo(*words, "--signal", 7, "--signal", 3, "--seed", 1) == (0, f"{out}: 2 INRs\n", "")
    assert inrzoo(*words, "--split", "test", "--count", 3, "--view", 0)[0] == 0
    (first, seed, step), (of_split, _, view) = asked
    assert (first, seed, step, view) == ([7, 3], 1, -1, 0)
    assert len(of_split) == 3 and {store.info.split_names[store.split[signal]] for signal in of_split} == {"test"}
    for wrong, says in (
        (("--signal", 10_000), "--signal 10000 is not allowed; expected at most 64 of the signals 0 to "),
        (("--split", "tset"), "--split tset is not allowed (did you mean 'test'?); there are: train, validation, test"),
        (("--view", 9), "--view 9 is not allowed; expected 0 to "),
        (("--split", "train", "--signal", of_split[0]), f"--signal {of_split[0]} is not allowed"),
    ):
        code, _, err = inrzoo(*words, *wrong)
        assert code == 2 and says in err and err.count("\n") == 1, err
    assert len(asked) == 2
