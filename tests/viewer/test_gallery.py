"""What a browser shows of a store: values of INRs as torch computes them, filters, keys, names as text."""

import json
import shutil
import struct
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from latent_base import write_base
from tiny_store import set_attributes, tiny

from inrzoo.builder import build
from inrzoo.store import open_store
from inrzoo.viewer import write_site
from inrzoo.viewer.server import PageHandler
from inrzoo.viewer.site import store_files

DIGITS = {"limit": 4, "fit__stop_psnr": 60.0}
INRS = {
    "siren": {"inr__hidden_layers": 2, "inr__omega_hidden": 5.0},
    "siren of dws": {"inr__convention": "dws", "inr__output_offset": 0.5, "coords__axis_order": "x_y"},
    "siren of mwt": {"inr__convention": "mwt", "inr__bias_inside": False, "coords__spacing": "pixel_centres"},
    "relu_mlp": {"inr__name": "relu_mlp", "inr__omega_0": None, "coords__extent": 2.0},
    "positional": {"inr__name": "relu_mlp", "inr__encoding": "positional", "inr__num_frequencies": 6},
    "log_spaced": {"inr__name": "relu_mlp", "inr__encoding": "log_spaced", "inr__num_frequencies": 4},
    "fourier": {"inr__name": "relu_mlp", "inr__encoding": "fourier", "inr__sigma": 1.5},
    "fourier_net": {"inr__name": "fourier_net"},
    "gabor_net": {"inr__name": "gabor_net", "coords__axis_order": "x_y"},
}
SLOW = {"siren of mwt", "relu_mlp", "positional", "log_spaced"}
DRAWN = "document.querySelectorAll('.tile.drawn').length"
SHOWN = "window.inrzoo.shown().map(item => [item.signal, item.seed])"
CHOOSE = """((text, position) => {
    const control = [...document.querySelectorAll('.filters .control')].find(each => each.innerText.startsWith(text));
    const select = control.querySelector('select');
    select.selectedIndex = position;
    select.dispatchEvent(new Event('input', {bubbles: true}));
})"""


FILL = """((selector, value) => {
    const field = document.querySelector(selector);
    field.value = value;
    field.dispatchEvent(new Event('input', {bubbles: true}));
})"""


def choose(browser, text, position):
    browser.evaluate(f"{CHOOSE}({json.dumps(text)}, {position})")


def fill(browser, selector, value):
    browser.evaluate(f"{FILL}({json.dumps(selector)}, {json.dumps(str(value))})")


@pytest.fixture(scope="module")
def gallery(finished, serve):
    return serve(finished)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in INRS]
)
def test_the_page_gives_the_values_of_every_family(browser, serve, built, name):
    settings = {key: value for key, value in INRS[name].items() if value is not None}
    if "inr__name" in settings:
        settings = {**settings, "inr__hidden_features": 9}
    path = built("digits", **DIGITS, **settings)
    store = open_store(path)
    browser.open(serve(path))
    for signal in (0, 3):
        expected = store.render(signal).numpy().ravel()
        assert np.abs(expected).max() > 0.01  # a page that gives zeros does not pass
        np.testing.assert_allclose(browser.evaluate(f"window.inrzoo.values({signal})"), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("modulation", ["shift", "low_rank"])
def test_the_page_gives_the_values_of_latents(browser, serve, tmp_path, modulation):
    base = write_base(tmp_path / "base.safetensors", modulation=modulation, rank=3)
    wanted = tiny(limit=4, seeds=1, fit__stop_psnr=60.0, weights="float16")
    build(wanted, tmp_path / "latents.zarr", base=base, in_process=True, quiet=True)
    store = open_store(tmp_path / "latents.zarr")
    browser.open(serve(store.path))
    for signal in (0, 3):
        expected = store.render(signal).numpy().ravel()
        assert np.ptp(expected) > 0.01 and (store.render(0) != store.render(3)).any()
        np.testing.assert_allclose(browser.evaluate(f"window.inrzoo.values({signal})"), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("weights", ["float16", "bfloat16", "int16", "int8"])
def test_the_page_reads_rounded_weights(browser, serve, built, weights):
    path = built("digits", limit=6, weights=weights)
    store, signal = open_store(path), 3
    browser.open(serve(path))
    expected = store.render(signal).numpy().ravel()
    np.testing.assert_allclose(browser.evaluate(f"window.inrzoo.values({signal})"), expected, rtol=0, atol=1e-5)


def test_seeds_and_snapshots_are_those_of_the_store(browser, serve, built):
    path = built("digits", **DIGITS, seeds=2, fit__views=[2, 4])
    store = open_store(path)
    assert store.weights.shape[1:3] == (2, 2)
    browser.open(serve(path))
    for seed, step in ((0, 0), (1, 0), (1, 1)):
        values = browser.evaluate(f"window.inrzoo.values(2, {seed}, {step})")
        np.testing.assert_allclose(values, store.render(2, seed, step).numpy().ravel(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dataset", ["tones", pytest.param("solids", marks=pytest.mark.slow), "balls"])
def test_sounds_shapes_and_views_are_drawn(browser, serve, built, dataset):
    small = {"balls": {"source__size": 8, "source__num_views": 2, "source__num_held_out": 1, "observation__samples": 4}}
    path = built(dataset, limit=3, **small.get(dataset, {}))
    store = open_store(path)
    browser.open(serve(path))
    browser.wait_for(f"{DRAWN} === {len(browser.evaluate(SHOWN))} && {DRAWN} > 0")
    places = np.random.default_rng(0).uniform(-1, 1, (5, store.inr.in_features))
    values = browser.evaluate(f"window.inrzoo.values(1, 0, -1, {places.ravel().tolist()})")
    np.testing.assert_allclose(values, store.render(1, coords=places).numpy().ravel(), rtol=0, atol=1e-5)
    browser.evaluate("document.querySelector('.tile').click()")
    browser.wait_for("document.querySelector('dialog figcaption').innerText.startsWith('From the weights')")
    if dataset == "tones":
        browser.evaluate("[...document.querySelectorAll('dialog button')].find(b => b.innerText === '▶ INR').focus()")
        browser.press("Enter")
    browser.press("Escape")


def test_voxels_are_drawn_beside_their_original(browser, serve, built_from, tmp_path):
    occupied = np.zeros((2, 6, 7, 8), bool)
    occupied[0, 2:5, 2:5, 2:5] = occupied[1, :, :, :4] = True
    np.savez(tmp_path / "voxels.npz", voxels=occupied)
    path = built_from(tmp_path / "voxels.npz", source__name="voxels", coords__spacing="pixel_centres", fit__steps=60)
    browser.open(serve(path))
    browser.wait_for(f"{DRAWN} === {len(browser.evaluate(SHOWN))} && {DRAWN} > 0")
    browser.evaluate("document.querySelector('.tile').click()")
    original = "document.querySelector('dialog figure:nth-child(2) canvas')"
    browser.wait_for(f"{original}.width > 400")
    share = browser.evaluate(f"""(canvas => {{
        const {{data}} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.reduce((sum, value, i) => sum + (i % 4 === 3 && value > 0), 0) / canvas.width ** 2;
    }})({original})""")
    assert 0.01 < share < 0.5
    browser.press("Escape")


@pytest.mark.parametrize("axes, drawn", [(2, True), (3, False)])
def test_fields_of_two_axes_are_drawn_and_others_named(browser, serve, built_from, tmp_path, axes, drawn):
    names = ["y", "x"] if axes == 2 else ["z", "y", "x"]
    waves = np.sin(np.indices((3, *(5 + axis for axis in range(axes)))).sum(axis=0)).astype(np.float32)
    np.savez(tmp_path / "waves.npz", waves=waves, dims=np.array(["time", *names]))
    values = {"values__dtype": "float32", "values__scale": "dataset"}
    source = {"source__name": "arrays", "source__variable": "waves", "source__coords": names}
    path = built_from(tmp_path / "waves.npz", **values, **source, source__signals=["time"])
    browser.open(serve(path))
    if drawn:
        browser.wait_for(f"{DRAWN} === 3")
    else:
        reason = browser.evaluate("document.querySelector('.reason').innerText")
        assert reason == "Fields of more than two axes are not drawn yet." and browser.evaluate(DRAWN) == 0
    expected = open_store(path).render(2).numpy().ravel()
    np.testing.assert_allclose(browser.evaluate("window.inrzoo.values(2)"), expected, rtol=0, atol=1e-5)


def test_a_grid_shows_what_the_weights_say(browser, gallery, store):
    browser.open(gallery)
    choose(browser, "grid", 0)
    browser.wait_for(f"{DRAWN} > 5")
    pixels = browser.evaluate(
        "[...document.querySelector('.tile canvas').getContext('2d').getImageData(0, 0, 8, 8).data]"
    )
    grey = np.array(pixels).reshape(64, 4)
    low, high = store.value_range
    expected = (255 * (store.render(0).numpy().ravel() - low) / (high - low)).clip(0, 255)
    assert np.abs(grey[:, 0] - expected).max() <= 1 and (grey[:, 3] == 255).all()


def test_filters_choose_by_label_seed_and_psnr_and_order_sorts(browser, gallery, store):
    browser.open(gallery)
    assert browser.evaluate(SHOWN) == [[signal, 0] for signal in range(store.num_signals)]
    choose(browser, "seed", 0)
    assert len(browser.evaluate(SHOWN)) == 2 * store.num_signals
    choose(browser, "seed", 2)
    choose(browser, "digit", 4)
    labelled = np.flatnonzero(store.labels["digit"] == 3)
    assert len(labelled) and browser.evaluate(SHOWN) == [[int(signal), 1] for signal in labelled]
    choose(browser, "digit", 0)
    middle = float(np.median(store.psnr[:, 1, -1])) + 1e-4
    fill(browser, "[aria-label='lowest PSNR in dB']", middle)
    choose(browser, "order", 1)
    best = [int(signal) for signal in np.argsort(-store.psnr[:, 1, -1], kind="stable")]
    assert browser.evaluate(SHOWN) == [[signal, 1] for signal in best if store.psnr[signal, 1, -1] >= middle]
    count = browser.evaluate("document.querySelector('.count').innerText")
    assert browser.evaluate("document.querySelectorAll('.histogram rect.chosen').length") == 40
    assert count == f"{len(browser.evaluate(SHOWN))} of 96 INRs"
    browser.evaluate("document.querySelector('.filters').reset()")
    browser.wait_for(f"({SHOWN}).length === 48")
    ending = store.signal_ids[3][-2:]
    fill(browser, "[type=search]", ending)
    named = [[signal, 0] for signal, name in enumerate(store.signal_ids) if ending in name]
    assert 0 < len(named) < 48 and browser.evaluate(SHOWN) == named


def test_keys_move_between_inrs_and_open_and_close_one(browser, gallery, store):
    browser.open(gallery)
    browser.evaluate("document.querySelector('.tile').focus()")
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    assert browser.evaluate("document.activeElement.dataset.index") == "2"
    browser.press("Enter")
    browser.wait_for("document.querySelector('dialog').open")
    browser.press("ArrowRight")
    browser.wait_for("document.querySelector('dialog .facts').innerText.includes('3 (of 48')")
    facts = browser.evaluate("document.querySelector('dialog .facts').innerText")
    assert f"{store.loss[3, 0, -1]:.4g}" in facts and f"{store.out_of_band[3, 0, -1]:.4g}" in facts
    browser.press("Escape")
    browser.wait_for("!document.querySelector('dialog').open && document.activeElement.dataset.index === '3'")
    browser.press("End")
    browser.wait_for("document.activeElement.dataset.index === '47'")


def test_permuted_neurons_change_the_weights_and_not_the_picture(browser, gallery):
    browser.open(gallery)
    browser.evaluate("document.querySelector('.tile').click()")
    browser.wait_for("document.querySelector('dialog figcaption').innerText.startsWith('From')")
    picture = "document.querySelector('dialog canvas.large').toDataURL()"
    weights = "document.querySelector('dialog .tensors canvas').toDataURL()"
    before, before_weights = browser.evaluate(picture), browser.evaluate(weights)
    browser.evaluate(
        "[...document.querySelectorAll('dialog button')].find(b => b.innerText === 'Permute neurons').click()"
    )
    browser.wait_for(f"{weights} !== {json.dumps(before_weights)}")
    note = browser.wait_for("document.querySelector('dialog .note').innerText")
    change = float(note.rsplit(" ", 1)[1].rstrip("."))
    assert change < 1e-6 and "weights have another place" in note
    browser.evaluate("new Promise(resolve => setTimeout(resolve, 300))")
    after = browser.evaluate(picture)
    assert difference(browser, before, after) <= 1
    browser.press("Escape")


def test_all_of_the_weights_of_another_inr_give_its_picture(browser, gallery):
    browser.open(gallery)
    picture = "document.querySelector('dialog canvas.large').toDataURL()"
    drawn = "document.querySelector('dialog figcaption').innerText.startsWith('From')"

    def opened(index):
        browser.evaluate(f"document.querySelector('.tile[data-index=\"{index}\"]').click()")
        browser.wait_for(f"{drawn} && document.querySelector('dialog .facts').innerText.includes('{index} (of')")
        browser.evaluate("new Promise(resolve => setTimeout(resolve, 500))")
        return browser.evaluate(picture)

    sixth = opened(5)
    browser.press("Escape")
    own = opened(0)
    fill(browser, "dialog [type=number]", 5)
    fill(browser, "dialog .pair [type=range]", 0.5)
    browser.wait_for(f"{picture} !== {json.dumps(own)}")
    assert difference(browser, browser.evaluate(picture), sixth) > 10
    fill(browser, "dialog .pair [type=range]", 1)
    browser.wait_for(f"{picture} === {json.dumps(sixth)}")
    browser.press("Escape")


def difference(browser, one, other):
    """The largest difference of two pictures, 0 to 255."""
    return browser.evaluate(f"""(async () => {{
        const pixels = async address => {{
            const image = new Image();
            image.src = address;
            await image.decode();
            const canvas = new OffscreenCanvas(image.width, image.height);
            canvas.getContext('2d').drawImage(image, 0, 0);
            return canvas.getContext('2d').getImageData(0, 0, image.width, image.height).data;
        }};
        const [a, b] = [await pixels({json.dumps(one)}), await pixels({json.dumps(other)})];
        return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
    }})()""")


def test_names_are_text_whatever_they_hold(browser, serve, finished_small, tmp_path):
    path = tmp_path / "hostile.zarr"
    shutil.copytree(finished_small, path)
    attack = '<img src="x" onerror="window.attacked = 1">数字<script>window.attacked = 1</script>'
    info = open_store(path).info
    tables = {**info.manifest.tables, "title": attack, "citation": attack}
    set_attributes(path, label_names={"digit": [attack] * 10}, manifest=tables)  # and metadata are not gathered
    browser.open(serve(path))
    browser.wait_for(f"{DRAWN} > 0")
    browser.evaluate("document.querySelector('details').open = true")
    browser.evaluate("document.querySelector('.tile').click()")
    browser.wait_for("document.querySelector('dialog .facts').innerText.includes('数字')")
    seen = browser.evaluate("[...document.querySelectorAll('h1, td, .tile .label, dd')].map(e => e.textContent)")
    assert seen.count(attack) >= 5
    assert browser.evaluate("document.querySelectorAll('img, body script').length") == 0
    assert browser.evaluate("window.attacked") is None
    browser.press("Escape")


def test_only_what_is_in_view_is_read_and_drawn(browser, serve, built):
    path = built("digits", limit=1700, fit__steps=1, inr__hidden_features=4)
    browser.open(serve(path))
    browser.wait_for(f"{DRAWN} > 20")
    assert browser.evaluate("document.querySelectorAll('.tile').length") < 200
    requests = "performance.getEntriesByType('resource').filter(entry => entry.name.includes('/weights/c/')).length"
    before = browser.evaluate(requests)
    browser.evaluate("scrollTo(0, document.body.scrollHeight)")
    browser.wait_for("!!document.querySelector('.tile.drawn[data-index=\"1699\"]')")
    assert browser.evaluate("document.querySelectorAll('.tile').length") < 200
    assert 0 < browser.evaluate(requests) - before <= 2


class NoRanges(SimpleHTTPRequestHandler):
    """The server of `python -m http.server`, which sends whole files."""

    def log_message(self, format, *args):
        pass


class Elsewhere(PageHandler):
    """A server that lets other sites read it, and answers no questions before a request."""

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


@pytest.mark.parametrize("linked", [False, True])
def test_a_site_works_on_other_servers(browser, finished, store, tmp_path, linked):
    plain = partial(NoRanges, directory=str(tmp_path / "site"))
    files = {name: finished / name for name in store_files(store)}
    other = type("Other", (Elsewhere,), {"pages": {}, "files": files})
    with running(plain) as here, running(other) as there:
        write_site(store, tmp_path / "site", f"{there}store/" if linked else None)
        browser.open(here)
        browser.wait_for(f"{DRAWN} > 0")
        values = browser.evaluate("window.inrzoo.values(47, 1)")
    np.testing.assert_allclose(values, store.render(47, 1).numpy().ravel(), rtol=0, atol=1e-5)


@contextmanager
def running(handler):
    """The address of a server with this handler."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_ten_thousand_inrs_open_within_two_seconds(browser, serve, built):
    path = built("digits", seeds=6, fit__steps=1, inr__hidden_features=4)
    browser.open(serve(path))
    choose(browser, "seed", 0)
    assert len(browser.evaluate(SHOWN)) == 6 * 1797
    assert browser.evaluate("window.inrzoo.opened") < 2000


def test_a_store_that_has_lost_an_array_is_one_line_on_the_page(one_browser, serve, finished_small, tmp_path):
    path = tmp_path / "lost.zarr"
    shutil.copytree(finished_small, path)
    address = serve(path)
    shutil.rmtree(path / "psnr")
    set_attributes(path)  # metadata are no longer gathered
    one_browser.open(address)
    assert "psnr" in one_browser.evaluate("document.querySelector('.error').innerText")


def test_the_screenshot_of_the_documents_is_small(request):
    picture = (request.config.rootpath / "docs" / "gallery.png").read_bytes()
    assert len(picture) <= 200_000 and struct.unpack(">II", picture[16:24]) >= (800, 400)
