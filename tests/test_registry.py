"""Components by name: what the folder holds can be found and made, everything else is refused in one helpful line."""

import pytest

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren

SHAPES = {"in_features": 2, "out_features": 1}


FIELDS = "hidden_features, hidden_layers, omega_0, convention, bias_inside, output_offset"


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
