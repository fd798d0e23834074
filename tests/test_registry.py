"""Components by name: what the folder holds can be found and made, everything else is refused in one helpful line."""

import importlib
import json
import re
import shutil
import sys

import pytest
import torch

from inrzoo import manifest, reference, registry
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.store import open_store
from inrzoo.trust import trust

SHAPES = {"in_features": 2, "out_features": 1}


FIELDS = "hidden_features, hidden_layers, omega_0, convention, bias_inside, output_offset, omega_hidden, init_scale"


def one_line(call, *args, **kwargs) -> str:
    with pytest.raises(InrzooError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_names_are_the_files_of_the_folder():
    assert "siren" in registry.names("inrs")
    assert "digits" in registry.names("sources")
    for kind in ("inrs", "sources"):
        assert registry.names(kind) == sorted(registry.names(kind))
        assert not [name for name in registry.names(kind) if name.startswith("_")]


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_file_that_counts_as_a_component_has_one(kind):
    """A file beside the components is one of them by accident if it defines a class of its own name."""
    package, base = registry.KINDS[kind]
    base_class = getattr(importlib.import_module(package), base)
    assert all(issubclass(registry.find(kind, name), base_class) for name in registry.names(kind))


def test_find_returns_the_class_of_that_name():
    assert registry.find("inrs", "siren") is Siren
    assert registry.find("sources", "image_folder").__name__ == "ImageFolder"


def test_make_sets_fields_and_leaves_defaults():
    made = registry.make("inrs", {"name": "siren", "hidden_features": 8, "omega_0": 10}, **SHAPES)
    assert made == Siren(in_features=2, out_features=1, hidden_features=8, hidden_layers=1, omega_0=10.0)
    assert isinstance(made.omega_0, float)


@pytest.mark.parametrize("name", ["sirenn", "Siren", "__init__", "../inrs/siren", "", 3, ["siren"]])
def test_unknown_component(name):
    message = one_line(registry.make, "inrs", {"name": name}, **SHAPES)
    assert repr(name) in message
    assert f"there are: {', '.join(registry.names('inrs'))}" in message


def test_missing_name():
    assert "siren" in one_line(registry.make, "inrs", {"omega_0": 30.0}, **SHAPES)


def test_unknown_field():
    message = one_line(registry.make, "inrs", {"name": "siren", "w0": 10.0}, **SHAPES)
    assert message == f"siren has no field 'w0' (given 10.0); it has: {FIELDS}"


def test_runtime_fields_cannot_be_set():
    message = one_line(registry.make, "inrs", {"name": "siren", "in_features": 3}, **SHAPES)
    assert "in_features" in message.split(";")[0]
    assert "in_features" not in message.split(";")[1]


def test_missing_fields_are_named():
    assert one_line(registry.make, "inrs", {"name": "siren"}) == "siren needs in_features, out_features"


@pytest.mark.parametrize(
    "field, value, allowed",
    [
        ("hidden_features", 32.0, "a whole number"),
        ("hidden_features", True, "a whole number"),
        ("hidden_features", "32", "a whole number"),
        ("omega_0", "30", "a number"),
        ("omega_0", [30.0], "a number"),
    ],
)
def test_wrong_type(field, value, allowed):
    message = one_line(registry.make, "inrs", {"name": "siren", field: value}, **SHAPES)
    assert message == f"siren.{field} = {value!r} is not allowed; expected {allowed}"


@pytest.mark.parametrize(
    "field, value",
    [("hidden_features", 0), ("hidden_layers", -1), ("omega_0", 0.0), ("omega_0", float("inf")), ("omega_0", -30)],
)
def test_impossible_value(field, value):
    message = one_line(registry.make, "inrs", {"name": "siren", field: value}, **SHAPES)
    assert f"{field} = " in message
    assert "must be" in message


# Words of the user's, and words that a file says


@pytest.fixture(autouse=True)
def nobody_is_trusted(monkeypatch):
    monkeypatch.setattr(registry, "trusted", {})
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A module on the path that leaves a mark when it is imported; nobody has installed or named it."""
    folder, mark = tmp_path / "path", tmp_path / "imported"
    folder.mkdir()
    (folder / "stranger.py").write_text(
        f"from pathlib import Path\nfrom inrzoo.inrs.siren import Siren\nPath({str(mark)!r}).touch()\n"
        "class Net(Siren):\n    pass\n\nclass NoInr:\n    pass\n"
    )
    monkeypatch.syspath_prepend(folder)
    yield mark
    sys.modules.pop("stranger", None)


@pytest.mark.parametrize(
    "name", ["stranger:Net", "os:system", "stranger", "stranger.Net", "inrzoo.inrs.siren:Siren", ":", "a:b\nc"]
)
@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_string_that_was_not_trusted_is_never_imported(kind, name, stranger):
    message = one_line(registry.make, kind, {"name": name})
    assert repr(name) in message
    assert not stranger.exists()


@pytest.mark.parametrize("name", ["stranger:Net", "os:system"])
def test_a_store_names_only_what_is_installed(name, stranger, finished, tmp_path, inrzoo):
    store = shutil.copytree(finished, tmp_path / "foreign.zarr")
    root = json.loads((store / "zarr.json").read_text())
    for table in (root["attributes"]["inr"], root["attributes"]["manifest"]["inr"]):
        table["name"] = name
    root["attributes"]["manifest"]["source"]["name"] = name
    (store / "zarr.json").write_text(json.dumps(root))
    assert inrzoo("info", store)[0] == 0  # says what is recorded, and needs no INR for it
    for words in (["verify", store], ["preview", store], ["train", "classify", store]):
        code, out, err = inrzoo(*words)
        assert code == 2 and not out and len(err.strip().splitlines()) == 1, (words, err)
    assert not stranger.exists()
    with pytest.raises(InrzooError, match=f"'{name}' is not installed here"):
        open_store(store).inr  # noqa: B018
    assert not stranger.exists()


def test_a_manifest_is_trusted_only_by_whoever_says_so(stranger):
    overrides = {"inr.name": "stranger:Net", "limit": 10}
    assert "install the package" in one_line(manifest.load, "digits", overrides=overrides)
    assert not stranger.exists()
    loaded = manifest.load("digits", overrides=overrides, trusted=True)
    assert stranger.exists() and loaded.inr["name"] == "stranger:Net"


def test_trusting_is_for_one_class_of_one_kind(stranger):
    assert trust("inrs", "stranger:Net") == "stranger:Net"
    made = registry.make("inrs", {"name": "stranger:Net", "hidden_features": 8}, **SHAPES)
    assert type(made).__name__ == "Net" and registry.name_of("inrs", type(made)) == "stranger:Net"
    assert "stranger:NoInr" in one_line(registry.find, "inrs", "stranger:NoInr")
    assert "stranger:Net" in one_line(registry.find, "encoders", "stranger:Net")
    assert "stranger:Net" not in registry.names("inrs")


@pytest.mark.parametrize(
    "kind, word, reason",
    [
        ("inrs", "stranger:NoInr", r"is not a subclass of inrzoo\.inrs\.INR"),
        ("encoders", "stranger:Net", r"is not a subclass of inrzoo\.encoders\.Encoder"),
        ("inrs", "inrzoo.inrs:INR", "lacks init, layout, values, which every INR defines"),
        ("inrs", "stranger:Nett", "cannot be imported: AttributeError"),
        ("inrs", "nowhere.net:Net", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("inrs", "stranger", "expected KIND=package"),
        ("inrs", "../x:Net", "expected KIND=package"),
        ("inr", "stranger:Net", "KIND one of sources, observations, inrs, encoders"),
    ],
)
def test_what_cannot_be_trusted_is_one_line(kind, word, reason, stranger, inrzoo):
    assert re.search(reason, one_line(trust, kind, word))
    code, _, err = inrzoo("--trust", f"{kind}={word}", "list")
    assert code == 2 and re.search(reason, err) and len(err.strip().splitlines()) == 1


def test_a_class_of_inrzoo_is_recorded_by_its_file(stranger):
    assert trust("inrs", "inrzoo.inrs.siren:Siren") == "siren"


def test_transforms_are_components(stranger):
    siren = Siren(**SHAPES)
    assert {"rotate", "noise", "permute_neurons"} <= {*registry.names("transforms")}
    made = registry.make("transforms", {"name": "rotate", "degrees": 30}, inr=siren)
    assert (type(made).__name__, made.degrees, made.inr) == ("Rotate", 30.0, siren)
    assert registry.make("transforms", {"name": "dropout", "p": 0.5}, inr=siren).p == 0.5  # it has no field `inr`
    unknown = {"name": "rotate", "degree": 30}
    assert one_line(registry.make, "transforms", unknown, inr=siren, extent=1.0).endswith("has: degrees")


def test_a_constructor_goes_before_the_fields_of_a_base_class(tmp_path, monkeypatch):
    """Components share arguments as fields of a dataclass; who derives from one may still write a constructor."""
    (tmp_path / "derived_net.py").write_text(
        "from inrzoo.encoders.equivariant_mlp import EquivariantMlp\n"
        "class Narrow(EquivariantMlp):\n"
        "    def __init__(self, *, layout, width: int = 3, dropout: float | None = None) -> None:\n"
        "        super().__init__(layout=layout, hidden_features=width)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    trust("encoders", "derived_net:Narrow")
    layout = Siren(in_features=2, out_features=1, hidden_features=4).layout
    made = registry.make("encoders", {"name": "derived_net:Narrow", "width": 5}, layout=layout)
    assert made.hidden_features == 5 and made(torch.zeros(2, layout.num_params)).shape == (2, made.out_features)
    message = one_line(registry.make, "encoders", {"name": "derived_net:Narrow", "hidden_features": 5}, layout=layout)
    assert "width, dropout" in message
    cls = registry.find("encoders", "derived_net:Narrow")
    shown = {field.name: field.type for field in reference.fields(cls, ("layout",))}
    assert shown["width"] == "a whole number" and "nothing" in shown["dropout"]
