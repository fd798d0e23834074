"""Manifests: what ships loads, what is wrong is refused in one line, the fingerprint covers what decides the bytes."""

import dataclasses
import json

import pytest

from inrzoo import manifest
from inrzoo.errors import InrzooError

TOML = """
title = "Test digits"
default_preset = "small"
seeds = 2
[source]
name = "digits"
num_test = 100
[inr]
name = "siren"
omega_0 = 10.0
[fit]
steps = 50
[presets.small.inr]
hidden_features = 8
[presets.large]
seeds = 3
[presets.large.inr]
hidden_features = 64
[presets.large.fit]
steps = 500
"""
SHA = "0" * 64


@pytest.fixture
def write(tmp_path):
    def to_file(text: str) -> str:
        path = tmp_path / "test_digits.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return to_file


FILLED = {"name": "siren", "hidden_layers": 1, "bias_inside": True, "output_offset": 0.0, "convention": "sitzmann"}
FILLED |= {"omega_hidden": None, "init_scale": 1.0}
"""Fields of a SIREN that a manifest leaves at their defaults."""


def error_of(dataset: str, *args, **kwargs) -> str:
    with pytest.raises(InrzooError) as caught:
        manifest.load(dataset, *args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def resolved(**changes) -> dict:
    overrides = {key.replace("__", "."): value for key, value in changes.items()}
    return manifest.load("digits", overrides=overrides).to_json()


@pytest.mark.parametrize("dataset, preset", [(name, p) for name in manifest.names() for p in manifest.presets(name)])
def test_every_shipped_manifest_resolves(dataset, preset):
    loaded = manifest.load(dataset, preset)
    tables = json.loads(json.dumps(loaded.to_json()))
    assert (tables["name"], tables["preset"]) == (dataset, preset)
    assert tables["title"]
    assert tables["citation"]
    assert manifest.Manifest.from_json(tables).to_json() == tables


def test_every_shipped_manifest_has_a_default():
    assert "digits" in manifest.names()
    for dataset in manifest.names():
        assert manifest.load(dataset).preset in (manifest.presets(dataset) or [None])[:1]


def test_preset_then_overrides(write):
    path = write(TOML)
    default, large = manifest.load(path), manifest.load(path, "large")
    assert manifest.presets(path) == ["small", "large"]
    assert (default.name, default.preset, default.seeds, default.fit.steps) == ("test_digits", "small", 2, 50)
    assert default.inr == {**FILLED, "omega_0": 10.0, "hidden_features": 8}
    assert (large.preset, large.seeds, large.fit.steps) == ("large", 3, 500)
    assert large.inr == {**FILLED, "omega_0": 10.0, "hidden_features": 64}
    over = manifest.load(path, "large", {"seeds": 7, "inr.hidden_features": 16, "coords.axis_order": "x_y"})
    assert (over.seeds, over.fit.steps, over.coords.axis_order) == (7, 500, "x_y")
    assert over.inr == {**FILLED, "omega_0": 10.0, "hidden_features": 16}
    assert manifest.load(path, "large") == large


def test_defaults_are_filled_in(write):
    tables = manifest.load(write(TOML)).to_json()
    given = {"name": "siren", "hidden_features": 8, "hidden_layers": 1, "omega_0": 10.0}
    filled_in = {"convention": "sitzmann", "bias_inside": True, "output_offset": 0.0}
    filled_in |= {"omega_hidden": None, "init_scale": 1.0}
    assert tables["inr"] == {**given, **filled_in}
    assert tables["source"]["num_test"] == 100
    assert {"num_validation", "split_seed"} < tables["source"].keys()
    assert tables["fit"]["lr"] == 5e-4
    limits = {"dtype": "uint8", "scale": "dtype", "limits": None, "symmetric": False, "unit": ""}
    assert tables["values"] == {"range": [-1.0, 1.0], **limits}
    assert tables["observation"] == {"name": "grid", "measures": []}


@pytest.mark.parametrize(
    "key, value, allowed",
    [
        ("seeds", 0, "at least 1"),
        ("seeds", 1.5, "a whole number"),
        ("seeds", True, "a whole number"),
        ("limit", -5, "at least 1"),
        ("limit", "all", "a whole number or nothing"),
        ("redistributable", 1, "true or false"),
        ("coords.spacing", "corners", "one of 'end_points', 'pixel_centres'"),
        ("coords.axis_order", "col_row", "one of 'row_col', 'x_y'"),
        ("values.range", [1.0, -1.0], "low below high"),
        ("values.range", [0.0], "a list of 2 values"),
        ("init.mode", "zeros", "one of 'random'"),
        ("fit.steps", 0, "at least 1"),
        ("fit.steps", "1000", "a whole number"),
        ("fit.lr", 0, "above 0"),
        ("fit.lr", -1e-3, "above 0"),
        ("fit.lr", float("nan"), "above 0"),
        ("fit.lr", float("inf"), "above 0"),
        ("fit.stop_psnr", float("inf"), "finite"),
        ("fit.views", [10, 60], "beyond 50"),
        ("fit.views", [20, 10], "ascending"),
        ("fit.views", [10, 10], "ascending"),
        ("fit.views", [0, 10], "ascending step counts from 1"),
        ("fit.views", 10, "a list of a whole number"),
        ("fit.engine", "magic", "one of 'auto', 'triton', 'cuda_graph', 'fused', 'reference', 'numba'"),
        ("inr.omega_0", 0.0, "above 0"),
        ("inr.omega_0", "30", "a number"),
        ("inr.in_features", 2, "hidden_features, hidden_layers, omega_0"),
        ("source.num_test", [100], "a whole number"),
        ("source.folder", "x", "num_validation, num_test"),
        ("sedes", 3, "seeds"),
        ("fit.step", 3, "steps"),
        ("fti", {"steps": 3}, "fit"),
        ("fit", 3, "a table"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(write, key, value, allowed):
    message = error_of(write(TOML), overrides={key: value})
    assert message.startswith("test_digits.toml: ")
    assert key.split(".")[-1] in message
    assert str(value).strip("[]") in message
    assert allowed in message


@pytest.mark.parametrize("kind, name, exists", [("source", "digitz", "digits"), ("inr", "sirenn", "siren")])
def test_unknown_component(write, kind, name, exists):
    message = error_of(write(TOML), overrides={f"{kind}.name": name})
    assert message.startswith(f"test_digits.toml: no {kind}s called {name!r} (did you mean {exists!r}?); there are: ")
    assert exists in message.split("there are: ")[1].split(", ")


def test_lists_in_messages_stand_as_they_were_written(write):
    message = error_of(write(TOML.replace("[presets.small.inr]", "views = [20, 10]\n[presets.small.inr]")))
    assert message == "test_digits.toml: fit.views = [20, 10] is not allowed; it must be ascending step counts from 1"


def test_unknown_dataset_and_preset(write):
    assert "no dataset 'digitz' (did you mean 'digits'?); there are: " in error_of("digitz")
    assert ", ".join(manifest.names()) in error_of("digitz")
    assert error_of(write(TOML), "big") == "test_digits.toml: no preset 'big'; there are: small, large"


@pytest.mark.parametrize("text", ["seeds = ", "\n[source", "a = 1\na = 2"])
def test_malformed_toml(write, text):
    assert "test_digits.toml is not valid TOML: " in error_of(write(text))


@pytest.mark.parametrize("table", ["source", "inr"])
def test_missing_table(write, table):
    text = {"inr": '[source]\nname = "digits"\n', "source": '[inr]\nname = "siren"\n'}[table]
    assert error_of(write(text)) == f"test_digits.toml: missing key {table}"


def test_views_decide_the_snapshots_and_switch_the_stop_off():
    fit = manifest.Fit(steps=100, stop_psnr=40.0)
    assert (fit.snapshots, fit.effective_stop_psnr) == ((100,), 40.0)
    viewed = dataclasses.replace(fit, views=(50, 80))
    assert (viewed.snapshots, viewed.effective_stop_psnr) == ((50, 80), None)
    assert dataclasses.replace(viewed, stop_views=True).effective_stop_psnr == 40.0


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 9},
        {"title": "Other"},
        {"licence": "MIT"},
        {"citation": "Nobody"},
        {"bibtex": "@misc{a, title = {A}}"},
        {"redistributable": False},
    ],
)
def test_fingerprint_ignores_seeds_and_prose(change):
    assert resolved(**change) != resolved()
    assert manifest.fingerprint(resolved(**change), SHA) == manifest.fingerprint(resolved(), SHA)
    assert manifest.differences(resolved(), resolved(**change)) == []


DECIDING = {
    "name": "other",
    "source.num_validation": 10,
    "source.split_seed": 1,
    "inr.hidden_features": 16,
    "inr.hidden_layers": 2,
    "inr.omega_0": 30.0,
    "coords.spacing": "pixel_centres",
    "coords.axis_order": "x_y",
    "values.range": [0.0, 1.0],
    "fit.steps": 999,
    "fit.lr": 1e-3,
    "fit.stop_psnr": 30.0,
    "fit.views": [100, 200],
    "fit.stop_views": True,
}


@pytest.mark.parametrize("key", DECIDING)
def test_fingerprint_changes_with_every_deciding_key(key):
    changed = resolved(**{key: DECIDING[key]})
    assert manifest.fingerprint(changed, SHA) != manifest.fingerprint(resolved(), SHA)
    (line,) = manifest.differences(resolved(), changed)
    assert line.startswith(f"{key}: ")
    assert line.endswith(f" → {DECIDING[key]}")


def test_fingerprint_changes_with_the_signals():
    assert manifest.fingerprint(resolved(), "1" * 64) != manifest.fingerprint(resolved(), SHA)


def test_fingerprint_does_not_depend_on_the_order_of_keys():
    backwards = dict(reversed(resolved().items()))
    assert manifest.fingerprint(backwards, SHA) == manifest.fingerprint(resolved(), SHA)


def test_differences_name_exactly_the_changed_keys():
    changed = resolved(**{"seeds": 5, "fit.steps": 7, "inr.omega_0": 30.0})
    lines = manifest.differences(resolved(), changed)
    assert lines == ["fit.steps: 1000 → 7", "inr.omega_0: 8.0 → 30.0"]
    assert manifest.differences(resolved(), resolved()) == []
