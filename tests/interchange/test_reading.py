"""A folder whose key names fit several conventions is asked about; the store says what was answered, and by whom."""

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inrzoo.errors import InrzooError
from inrzoo.interchange import import_state_dicts
from inrzoo.manifest import Coords
from inrzoo.preview import preview
from inrzoo.store import open_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three SIRENs of 2/4/4/1 with the key names of DWSNets, which Implicit-Zoo's files have as well."""
    home, paths = tmp_path / "set", []
    for number in range(3):
        generator = torch.Generator().manual_seed(number)
        shapes = {"seq.0": (4, 2), "seq.1": (4, 4), "seq.2": (1, 4)}
        state = OrderedDict(
            (f"{key}.{kind}", torch.rand(shape if kind == "weight" else shape[:1], generator=generator) - 0.5)
            for key, shape in shapes.items()
            for kind in ("weight", "bias")
        )
        path = home / f"set_png_training_0_{number}" / "checkpoints" / "model_final.pth"
        path.parent.mkdir(parents=True)
        torch.save(state, path)
        paths.append(str(path.relative_to(home)))
    (home / "a_splits.json").write_text(json.dumps({"train": {"path": paths, "label": ["0"] * 3}}))
    return home


def test_a_folder_that_fits_two_conventions_is_asked_about(folder: Path, tmp_path: Path, inrzoo) -> None:
    code, out, err = inrzoo("import", folder, "--out", tmp_path / "a.zarr", "--grid", "8x8")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "--convention dws: output + 0.5, values in [0.0, 1.0], coordinates (x, y)" in err
    assert "--convention implicit_zoo: output + 0, standardised values, coordinates (x, y)" in err
    assert not (tmp_path / "a.zarr").exists()


def test_the_convention_answers(folder: Path, tmp_path: Path, inrzoo) -> None:
    words = ("import", folder, "--grid", "8x8", "--convention")
    assert inrzoo(*words, "dws", "--out", tmp_path / "dws.zarr")[0] == 0
    assert inrzoo(*words, "implicit_zoo", "--coords", "range=-2,3", "--out", tmp_path / "zoo.zarr")[0] == 0
    dws, zoo = open_store(tmp_path / "dws.zarr"), open_store(tmp_path / "zoo.zarr")
    assert (dws.inr.output_offset, dws.value_range) == (0.5, (0.0, 1.0))
    assert (zoo.inr.output_offset, zoo.value_range) == (0.0, (-2.0, 3.0))
    torch.testing.assert_close(dws.render(0), zoo.render(0) + 0.5)
    assert dws.info.imported.said_by["convention"] == "--convention"
    assert dws.info.imported.said_by["inr.output_offset"] == "convention dws"
    assert zoo.info.imported.said_by["values.range"] == "--coords"


def test_settings_answer_as_well_and_are_recorded(folder: Path, tmp_path: Path, inrzoo) -> None:
    """Where the user says all in which the conventions differ, there is nothing left to ask."""
    said = ["--inr", "omega_0=20", "--inr", "output_offset=0.25", "--coords", "range=-1,1"]
    more = ["--coords", "spacing=pixel_centres", "--coords", "axis_order=row_col"]
    code, _, err = inrzoo("import", folder, "--out", tmp_path / "a.zarr", "--grid", "8x8", *said, *more)
    assert code == 0, err
    store = open_store(tmp_path / "a.zarr")
    assert (store.inr.omega_0, store.inr.output_offset, store.value_range) == (20.0, 0.25, (-1.0, 1.0))
    assert store.info.manifest.coords == Coords(spacing="pixel_centres", axis_order="row_col")
    assert np.isclose(store.coords()[0, 0], -1 + 1 / 8)
    by = store.info.imported.said_by
    assert by["inr.omega_0"] == by["inr.output_offset"] == "--inr"
    assert by["values.range"] == by["coords.spacing"] == by["coords.axis_order"] == "--coords"
    assert by["inr.bias_inside"] == "convention dws" and by["convention"] == "the names of the keys"


def test_the_defaults_of_an_unambiguous_folder_are_recorded(exported, tmp_path: Path) -> None:
    folder = exported("nfn", 0)
    by = open_store(import_state_dicts(folder, tmp_path / "a.zarr")).info.imported.said_by
    assert by["convention"] == "inrzoo.json"
    (folder / "inrzoo.json").unlink()
    store = open_store(import_state_dicts(folder, tmp_path / "b.zarr", grid=(8, 8)))
    assert store.info.imported.said_by["convention"] == "the names of the keys"
    assert store.info.imported.said_by["values.range"] == "convention nfn"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--convention", "implicit_zoo"], "pass the lowest and the highest value with --coords range=LOW,HIGH"),
        (["--convention", "dws", "--inr", "hidden_features=9"], "--inr has no key 'hidden_features'; there are: "),
        (
            ["--convention", "dws", "--inr", "omega=9"],
            "--inr has no key 'omega' (did you mean 'omega_0'?); there are: ",
        ),
        (["--convention", "dws", "--inr", "omega_0=fast"], "omega_0 = 'fast' is not allowed"),
        (["--convention", "dws", "--inr", "omega_0"], "--inr omega_0 is not allowed; expected KEY=VALUE"),
        (["--convention", "dws", "--inr", "omega_0=1", "--inr", "omega_0=2"], "--inr omega_0 occurs twice"),
        (
            ["--convention", "dws", "--coords", "order=x_y"],
            "--coords has no key 'order' (did you mean 'axis_order'?); there are: spacing, axis_order",
        ),
        (["--convention", "dws", "--coords", "spacing=wide"], "--coords spacing = 'wide' is not allowed"),
        (["--convention", "dws", "--coords", "range=1,0"], "values.range = [1.0, 0.0] is not allowed"),
        (["--convention", "dws", "--coords", "range=1"], "--coords range = 1 is not allowed"),
        (["--convention", "scalegmn"], "no convention 'scalegmn'; there are: dws, nfn, sitzmann, implicit_zoo"),
    ],
)
def test_answers_that_are_none_are_one_line(folder: Path, tmp_path: Path, inrzoo, words, said) -> None:
    code, out, err = inrzoo("import", folder, "--out", tmp_path / "a.zarr", "--grid", "8x8", *words)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1
    assert not (tmp_path / "a.zarr").exists()


def test_an_inrzoo_json_leaves_nothing_to_say(exported, tmp_path: Path) -> None:
    with pytest.raises(InrzooError, match=r"inrzoo.json has all settings; leave --inr and --coords out"):
        import_state_dicts(exported("nfn", 0), tmp_path / "a.zarr", inr_settings={"omega_0": 20.0})


def test_a_preview_of_an_import_without_images_draws_its_inrs(exported, tmp_path: Path, inrzoo) -> None:
    """Their PSNR is unknown, their status is not."""
    made = import_state_dicts(exported("nfn", 0), tmp_path / "a.zarr")
    assert np.isnan(open_store(made).psnr).all()
    code, out, err = inrzoo("preview", made, "--out", tmp_path / "a.png", "--count", 3)
    assert (code, out) == (0, f"{tmp_path / 'a.png'}: 3 INRs\n"), err
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20
    assert preview(open_store(made), tmp_path / "b.png", num_signals=1) == 1
