"""Whose files a folder has: found by content, asked about where several fit; damaged and hostile files are one line."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from foreign_writers import Functa, nef_folder, shape_folder, zoo_folder

from inrzoo.errors import InrzooError
from inrzoo.interchange import import_inrs

RANGE = {"range": (-1.0, 1.0)}
NEFS = {"split_points": (3, 5), "coords": RANGE, "grid": (4, 4)}


def refused(source: Path, tmp_path: Path, message: str, **given: object) -> None:
    """The import fails with one line that matches, and leaves nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InrzooError, match=message) as error:
        import_inrs(source, tmp_path / "bad.zarr", **given)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_several_sets_is_asked_about(tmp_path: Path, inrzoo) -> None:
    home = tmp_path / "set"
    nef_folder(home)
    zoo_folder(home, [1, 2])
    shape_folder(home, True)
    words = ("import", home, "--out", tmp_path / "a.zarr")
    code, _, err = inrzoo(*words)
    assert code == 2 and err.count("\n") == 1 and not (tmp_path / "a.zarr").exists()
    assert "fit-a-nef (nefs_0-4.hdf5): --convention fit_a_nef" in err
    assert "Implicit-Zoo's checkpoints (ckpts): --convention implicit_zoo" in err
    assert "inr2vec (train/0.h5): --convention inr2vec_udf or inr2vec_sdf or inr2vec_occupancy" in err
    assert inrzoo(*words, "--convention", "implicit_zoo", "--grid", "5x5")[0] == 0


@pytest.mark.parametrize(
    "given, message",
    [
        ({"convention": "fit_anef"}, "no convention 'fit_anef'.*fit_a_nef"),
        ({"convention": "nfn"}, "holds fit-a-nef, no set of --convention nfn"),
        ({"base": Path("a.npz")}, "--base is not for .*, which holds fit-a-nef"),
        ({"root": "/data"}, "--root is not for"),
        ({"split_points": None}, "pass the first validation and the first test number with --split-points"),
        ({"coords": {}}, "pass the lowest and the highest with --coords range=LOW,HIGH"),
        ({"grid": None}, "pass --grid 28x28"),
        ({"per_seed": 0}, "--per-seed 0 is not allowed; expected at least 1"),
        ({"inr_settings": {"omega": 3}}, "--inr has no key 'omega'"),
    ],
)
def test_options_that_do_not_fit_are_one_line(tmp_path: Path, given: dict, message: str) -> None:
    nef_folder(tmp_path / "set")
    refused(tmp_path / "set", tmp_path, message, **{**NEFS, **given})


def test_files_and_folders_that_hold_no_set(tmp_path: Path) -> None:
    refused(tmp_path / "gone", tmp_path, "no folder or file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path, "has neither .* nor files like nefs_0-1000.hdf5.*--pattern")
    np.savez(tmp_path / "objects.npz", a=np.array([{"a": 1}], dtype=object))
    refused(tmp_path / "objects.npz", tmp_path, "is no file of functa's modulations .a .npz or a file of torch")
    nef_folder(tmp_path / "set")
    refused(tmp_path / "set" / "nefs_0-4.hdf5", tmp_path, "is one file of fit-a-nef; name the folder")


def test_without_nef_json_omega_is_asked_for(tmp_path: Path) -> None:
    nef_folder(tmp_path / "set")
    (tmp_path / "set" / "nef.json").unlink()
    refused(tmp_path / "set", tmp_path, "pass --inr omega_0=", **NEFS)
    import_inrs(tmp_path / "set", tmp_path / "a.zarr", inr_settings={"omega_0": 8.0}, **NEFS)


# --- fit-a-nef's files, changed --------------------------------------------------------------------------------


def edited(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        with h5py.File(path, "r+") as f:
            change(f)

    return edit


def replaced(name: str, **made: object) -> Callable[[Path], None]:
    def change(f: h5py.File) -> None:
        del f[name]
        f.create_dataset(name, **made)

    return edited(change)


def config_of(change: Callable[[list], object]) -> Callable[[Path], None]:
    def edit(f: h5py.File) -> None:
        config = json.loads(f["param_config"][0])
        changed = change(config)
        f["param_config"][0] = json.dumps(config) if changed is None else changed

    return edited(edit)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-400]), "cannot be read as HDF5|is absent"),
        (lambda path: path.write_bytes(path.read_bytes()[:9]), "cannot be read as HDF5"),
        (lambda path: path.write_bytes(b""), "cannot be read as HDF5"),
        (lambda path: path.rename(path.with_name("more.hdf5")), "is not named like nefs_0-1000.hdf5"),
        (lambda path: path.rename(path.with_name("nefs_4-9.hdf5")), "its name and param_config say .5, "),
        (lambda path: path.rename(path.with_name("nefs_2-4.hdf5")), "both have field 2"),
        (lambda path: path.rename(path.with_name("nefs_999999999997-999999999999.hdf5")), "the maximum is"),
        (edited(lambda f: f.__delitem__("params")), "params is absent"),
        (edited(lambda f: f.__delitem__("labels")), "some files .* have labels and others have none"),
        (replaced("labels", data=[-1, 0]), "labels are not 2 class codes"),
        (replaced("labels", data=[0.5, 0.0]), "labels holds float64; expected integers"),
        (replaced("params", shape=(2, 10**12), dtype="f4", chunks=(1, 1000)), "more than the file can hold"),
        (replaced("params", data=np.zeros((2, 37))), "params holds float64; expected float32"),
        (replaced("param_config", data=["a", "b"]), "expected one string"),
        (replaced("param_config", data=[3]), "expected one string"),
        (config_of(lambda config: "{"), "is not valid JSON"),
        (config_of(lambda config: config.append(["a", [0]])), "expected pairs of a name and a shape"),
        (config_of(lambda config: json.dumps(config[:-1])), "its name and param_config say"),
        (config_of(lambda config: config[0].__setitem__(0, "b")), "has other tensors than"),
    ],
)
def test_damaged_files_of_fit_a_nef_are_one_line(tmp_path: Path, damage, message: str) -> None:
    nef_folder(tmp_path / "set")
    damage(tmp_path / "set" / "nefs_4-6.hdf5")
    refused(tmp_path / "set", tmp_path, message, **NEFS)


def test_numbers_that_lie_in_another_file_are_not_read(tmp_path: Path) -> None:
    """A link, raw data elsewhere or a virtual array could name any file of this machine."""
    home = tmp_path / "set"
    nef_folder(home, counts=(4,))
    victim = home / "nefs_0-4.hdf5"
    shutil.copy(victim, tmp_path / "other.hdf5")
    with h5py.File(victim, "r") as f:
        shape, original = f["params"].shape, victim.read_bytes()
    (tmp_path / "secret").write_bytes(bytes(4 * shape[0] * shape[1]))
    virtual = h5py.VirtualLayout(shape, "f4")
    virtual[:] = h5py.VirtualSource(tmp_path / "other.hdf5", "params", shape)
    for make, message in (
        (lambda f: f.__setitem__("params", h5py.ExternalLink(tmp_path / "other.hdf5", "params")), "params is a link"),
        (lambda f: f.__setitem__("params", h5py.SoftLink("/labels")), "params is a link"),
        (lambda f: f.create_dataset("params", shape, "f4", external=str(tmp_path / "secret")), "outside of this file"),
        (lambda f: f.create_virtual_dataset("params", virtual), "outside of this file"),
        (lambda f: f.create_group("params"), "params is a group"),
    ):
        victim.write_bytes(original)
        with h5py.File(victim, "r+") as f:
            del f["params"]
            make(f)
        refused(home, tmp_path, message, **NEFS)


def test_fields_that_inrzoo_has_not_are_named(tmp_path: Path) -> None:
    nef_folder(tmp_path / "set", counts=(3,))
    path = tmp_path / "set" / "nefs_0-3.hdf5"
    for names, message in (
        (["encoding.coefficients.kernel"], "its fields are RFFNet"),
        (["filters_0.gamma"], "its fields are GaborNet"),
        (["conv_0.kernel"], "its tensors are of no model of fit-a-nef"),
    ):
        config_of(lambda config, names=names: json.dumps([[names[0], [37]]]))(path)
        refused(tmp_path / "set", tmp_path, message, **NEFS)
    config_of(lambda config: json.dumps([["Dense_0.bias", [37]]]))(path)
    refused(tmp_path / "set", tmp_path, "its tensors are not those of a MLP|nef.json says 'SIREN'", **NEFS)


# --- the others, changed ---------------------------------------------------------------------------------------


class Planted:
    """Whoever unpickles this makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_pickle_runs_nothing(tmp_path: Path, protocol: int) -> None:
    modulations, base, _ = Functa(depth=3, scale=False).write(tmp_path)
    mark = tmp_path / "executed"
    content = pickle.loads(modulations.read_bytes())
    for planted in (Planted(mark), {"train": Planted(mark)}, {**content, "more": [Planted(mark)]}):
        modulations.write_bytes(pickle.dumps(planted, protocol))
        refused(modulations, tmp_path, r"was not unpickled: it asks for (posix|nt|os)\.system", base=base)
    modulations.write_bytes(pickle.dumps(content, protocol))
    import_inrs(modulations, tmp_path / "a.zarr", base=base)
    assert not mark.exists()


def nested(count: int) -> object:
    """A table that unfolds to 2^count tables."""
    value: object = 1.0
    for _ in range(count):
        value = [value, value]
    return {"train": value}


@pytest.mark.parametrize(
    "content, message",
    [
        (lambda good: pickle.dumps([1, 2], 2), "holds a list; expected a table"),
        (lambda good: pickle.dumps({"train": {"modulation": 3}}), "train has no array `modulation`"),
        (lambda good: pickle.dumps({"train": {"modulation": np.zeros((2, 5), int)}}), "train has no array"),
        (lambda good: pickle.dumps({"train": {"modulation": np.array([{}], object)}}), "was not unpickled: an array"),
        (lambda good: pickle.dumps({"a": 1}), "has no modulations"),
        (lambda good: pickle.dumps({"a": {1, 2}}), "it has the opcode"),
        (lambda good: pickle.dumps(nested(60)), "nested too deep"),
        (lambda good: pickle.dumps(nested(19)), "nested too deep"),
        (lambda good: good[: len(good) // 2], "cannot be read as a table|was not unpickled"),
        (lambda good: b"\x80\x04.", "cannot be read as a table"),
        (lambda good: good.replace(b"modulation", b"modulatiom"), "train has no array `modulation`"),
    ],
)
def test_damaged_modulations_are_one_line(tmp_path: Path, content, message: str) -> None:
    modulations, base, _ = Functa(depth=3, scale=False).write(tmp_path)
    modulations.write_bytes(content(modulations.read_bytes()))
    refused(modulations, tmp_path, message, base=base)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda ckpt: ckpt["config"]["model"].update(type="modulated_siren"), "has a modulated_siren; expected"),
        (lambda ckpt: ckpt["config"]["model"].pop("w0"), "has no number model.w0"),
        (lambda ckpt: ckpt["config"]["model"].update(modulate_scale=True), "its modulations are 12 numbers"),
        (lambda ckpt: ckpt.pop("config"), "has no tables params and config"),
        (
            lambda ckpt: ckpt["params"].pop("latent_modulated_siren/modulated_siren_layer_1/linear"),
            "or not all of them",
        ),
        (
            lambda ckpt: ckpt["params"]["latent_modulated_siren/modulated_siren_layer_1/linear"].update(
                w=np.zeros((6, 7))
            ),
            "no SIREN with equally wide hidden layers",
        ),
    ],
)
def test_a_base_that_does_not_fit_is_one_line(tmp_path: Path, change, message: str) -> None:
    modulations, base, _ = Functa(depth=3, scale=False).write(tmp_path)
    content = pickle.loads(base.read_bytes())
    change(content)
    base.write_bytes(pickle.dumps(content))
    refused(modulations, tmp_path, message, base=base)
    base.unlink()
    refused(modulations, tmp_path, "no file .*, which --base names", base=base)


def edit_checkpoint(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def edit(home: Path) -> None:
        path = home / "ckpts" / "02" / "000001_0000042.ckpt"
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, path)

    return edit


@pytest.mark.parametrize(
    "damage, message",
    [
        (
            edit_checkpoint(lambda c: c["params"].pop("seq.1.bias")),
            r"02/000001_0000042.ckpt: seq.1.bias has shape none",
        ),
        (edit_checkpoint(lambda c: c.pop("params")), "has no state dict `params`"),
        (edit_checkpoint(lambda c: c.update(image_idx=7)), "has image 7 inside"),
        (edit_checkpoint(lambda c: c["params"].update({"seq.1.bias": c["params"]["seq.1.bias"].double()})), "float64"),
        (lambda home: shutil.rmtree(home / "ckpts" / "02"), "has no checkpoint of image 1, which its JSON lists"),
        (lambda home: (home / "0_2.json").write_text("[1]"), "is not a table of a PSNR for each image"),
        (lambda home: (home / "0_9.json").write_text("{}"), "several lists of PSNRs"),
        (lambda home: (home / "ckpts" / "02" / "x.ckpt").write_bytes(b""), "is not named like"),
        (lambda home: shutil.copytree(home / "ckpts" / "02", home / "ckpts" / "03"), "has label 03, another file"),
        (
            lambda home: torch.save({"params": Planted(home / "boom")}, home / "ckpts" / "02" / "000001_0000042.ckpt"),
            "was not unpickled",
        ),
    ],
)
def test_damaged_checkpoints_are_one_line(tmp_path: Path, damage, message: str) -> None:
    zoo_folder(tmp_path / "run", [1, 2])
    damage(tmp_path / "run")
    refused(tmp_path / "run", tmp_path, message, grid=(5, 5))


@pytest.mark.parametrize(
    "damage, message",
    [
        (edited(lambda f: f.__delitem__("class_id")), "class_id is absent"),
        (replaced("class_id", data=[1, 2]), "class_id is no class code"),
        (replaced("params", data=np.zeros(7, np.float32)), r"params has shape \[7\], in the first file"),
        (edited(lambda f: f.move("params", "params_complete")), "two INRs a file: split them first"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "cannot be read as HDF5|absent"),
    ],
)
def test_damaged_shapes_are_one_line(tmp_path: Path, damage, message: str) -> None:
    shape_folder(tmp_path / "set", True)
    damage(tmp_path / "set" / "val" / "1.h5")
    refused(tmp_path / "set", tmp_path, message, grid=(4, 4, 4))


def test_a_number_of_weights_that_no_siren_has(tmp_path: Path) -> None:
    shape_folder(tmp_path / "set", True)
    for path in (tmp_path / "set").rglob("*.h5"):
        replaced("params", data=np.zeros(43, np.float32))(path)
    refused(tmp_path / "set", tmp_path, "43 numbers, as no SIREN with 3 coordinates and one value has", grid=(4, 4, 4))
