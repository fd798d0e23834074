"""Transforms of a task by name: as text, as tables, and what is said of those that cannot be."""

import pytest

import inrzoo as front_door
from inrzoo import registry
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.loaders.transforms import make_transforms
from inrzoo.short_forms import short_table
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.training.options import make_task

SIREN = Siren(in_features=2, out_features=1)
NETWORK = {"encoder": "flat_mlp", "batch_size": 8, "steps": 1, "validate_every": 1, "warmup": 0}


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("rotate=15", {"name": "rotate", "degrees": 15}),
        ("noise=0.05", {"name": "noise", "std": 0.05}),
        ("scale=0.5", {"name": "scale", "low": 0.5, "high": 1.5}),
        ("permute-neurons", {"name": "permute_neurons"}),
        ("intensity gain=0.2 offset=0.1", {"name": "intensity", "gain": 0.2, "offset": 0.1}),
        ("flip=0.25 axis=0", {"name": "flip", "probability": 0.25, "axis": 0}),
    ],
)
def test_a_text_is_a_table(text, table):
    for words in (text, [text], (text,), [table]):
        assert make_task("classify", {"augment": words}, {}).augment == (table,)


def test_none_is_no_transform_and_nothing_is_the_default():
    assert make_task("classify", {"augment": ("none",)}, {}).augment == ()
    assert make_task("classify", {"augment": None}, {}) == Classify()
    assert [table["name"] for table in Classify().augment] == ["scale", "rotate", "translate", "noise", "dropout"]


@pytest.mark.parametrize("name", registry.names("transforms"))
def test_every_transform_with_fields_has_a_short_form(name):
    """NAME=VALUE makes the same transform as NAME, if VALUE is the default."""
    default = registry.make("transforms", {"name": name}, inr=SIREN)
    if name == "permute_neurons":
        with pytest.raises(
            InrzooError, match="permute_neurons=1 is not allowed: it has no fields; write permute_neurons"
        ):
            short_table(name, 1)
    elif name == "scale":
        assert registry.make("transforms", short_table(name, 0.2), inr=SIREN) == default
    else:
        (field,) = short_table(name, None).keys() - {"name"}
        assert registry.make("transforms", short_table(name, getattr(default, field)), inr=SIREN) == default


def test_transforms_keep_their_order_and_those_of_normalised_weights_come_last():
    task = make_task("classify", {"augment": ["noise", "translate", "rotate", "dropout", "scale"]}, {})
    as_fitted, normalised = make_transforms(task.augment, SIREN)
    names = [[type(transform).__name__ for transform in part.transforms] for part in (as_fitted, normalised)]
    assert names == [["Translate", "Rotate", "Scale"], ["Noise", "Dropout"]]


def test_command_line_and_python_record_the_same_tables(finished, tmp_path, inrzoo):
    words = [word for key, value in NETWORK.items() for word in (f"--{key.replace('_', '-')}", value)]
    chosen = ["--augment", "rotate=15", "--augment", "noise std=0.1"]
    code, _, err = inrzoo("train", "classify", finished, *words, *chosen, "--out", tmp_path / "line")
    assert code == 0, err
    tables = [{"name": "rotate", "degrees": 15}, {"name": "noise", "std": 0.1}]
    front_door.train("classify", finished, out=tmp_path / "python", quiet=True, augment=tables, **NETWORK)
    recorded = [read(tmp_path / name).task["augment"] for name in ("line", "python")]
    assert recorded == [tables, tables]
    help_text = " ".join(inrzoo("train", "classify", "--help")[1].split())
    assert "--augment NAME[=VALUE]" in help_text and "[default: scale,rotate,translate,noise,dropout]" in help_text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "rotat=15",
            "--augment 'rotat=15': no transforms called 'rotat' (did you mean 'rotate'?); there are: dropout, flip",
        ),
        ("rotate=x", "augment rotate: rotate.degrees = 'x' is not allowed; expected a number"),
        ("rotate=400", "augment rotate: degrees = 400.0 is not allowed; it must be from 0 to 180"),
        ("rotate angle=3", "augment rotate: rotate has no field 'angle' (given 3); it has: degrees"),
        (
            "rotate degrees",
            "--augment 'rotate degrees' is not allowed; expected NAME, NAME=VALUE or 'NAME FIELD=VALUE ...'",
        ),
        ("", "--augment '' is not allowed; expected NAME"),
        ("scale=1.5", "augment scale: low = -0.5 is not allowed; it must be above 0"),
        ("no.such:Class", "cannot be imported"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(text, says, finished, tmp_path, inrzoo):
    words = ("--batch-size", 8, "--augment", text, "--out", tmp_path / "run")
    code, _, err = inrzoo("train", "classify", finished, *words)
    assert code == 2 and says in err and err.count("\n") == 1, err
    assert not (tmp_path / "run" / "last.safetensors").exists()
