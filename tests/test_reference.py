"""`inrzoo show` explains everything that has a name."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from inrzoo import manifest, reference, registry
from inrzoo.docstrings import descriptions
from inrzoo.errors import InrzooError

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("kind", reference.COMPONENTS)
def test_every_component_is_shown_with_every_field(kind: str) -> None:
    for name in registry.names(reference.COMPONENTS[kind]):
        text = reference.show(kind, name)
        assert max(map(len, text.splitlines())) <= 80, name
        assert text.startswith(f"{kind} {name}: ") and len(text.split(": ", 1)[1].split("\n")[0]) > 10
        cls = registry.find(reference.COMPONENTS[kind], name)
        for parameter in inspect.signature(cls).parameters:
            assert descriptions(cls)[parameter], f"{name}.{parameter} is not described"
            runtime = parameter in reference.RUNTIME_PARAMETERS.get(kind, ())
            line = f"\n  {parameter}{': ' if runtime else ' '}"
            assert line in text, f"{name}.{parameter}"
            below = text.split(line, 1)[1].splitlines()
            assert runtime or (below[1].startswith("      ") and below[1].strip()), f"{name}.{parameter}"


def test_a_field_stands_with_its_default_its_type_and_its_sentence() -> None:
    text = reference.show("image_folder")
    assert "\n  exif = \"ignore\"  (one of 'ignore', 'apply')\n      `\"apply\"` turns and mirrors an image as" in text
    assert "\n  size = none  (a whole number or nothing)\n      rows and columns of the signals;" in text
    assert "\n  repo  (required, a string)\n      `user/name` on the Hub." in reference.show("hub_images")
    splits = reference.show("hub_images").split("\n  splits = ")[1]
    assert splits.startswith('{ train = "train", test = "test" }')


def test_a_description_that_names_another_component_is_looked_up_there() -> None:
    """`end_to_end.learned_rates` is described "as for `LearnedInit`. The rates are large, because …" """
    learned = descriptions(registry.find("hypernets", "learned_init"))["learned_rates"]
    shown = " ".join(reference.show("hypernet", "end_to_end").split())
    assert f"{learned} The rates are large" in shown
    assert "as for `LearnedInit`" not in shown


def test_datasets_presets_and_recipes_show_their_settings() -> None:
    for name in manifest.names():
        text = reference.show("dataset", name)
        assert all(f"\npreset {preset}" in text for preset in manifest.presets(name))
        assert f"inrzoo show source {manifest.load(name).source['name']}" in text
    assert "\npreset standard, the default:\n" in reference.show("photos_178")
    assert '\n  fit.schedule = "cosine"\n' in reference.show("photos_178")
    assert "\nmnist:\n  coords.axis_order" in reference.show("preset", "dws")
    for name, purpose in manifest.recipes().items():
        assert reference.show(name).startswith(f"recipe {name}: {purpose.split()[0]}")
        assert "\nsiren:\n  fit.steps" in reference.show("recipe", name)


def test_a_manifest_of_the_user_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('title = "Mine"\n[source]\nname = "digits"\n[inr]\nname = "siren"\nomega_0 = 7.0\n')
    assert "\n  inr.omega_0 = 7.0\n" in reference.show(str(file))


def test_a_name_of_several_things_asks_which(inrzoo: CommandLine) -> None:
    code, out, err = inrzoo("show", "digits")
    assert (code, out) == (2, "")
    assert err.endswith("say which: inrzoo show source digits, inrzoo show dataset digits\n")
    for kind in ("source", "dataset"):
        code, out, _ = inrzoo("show", kind, "digits")
        assert code == 0 and out.startswith(f"{kind} digits: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("siern",), "nothing is called 'siern' (did you mean 'siren'?)"),
        (("inr", "siern"), "no inrs called 'siern' (did you mean 'siren'?)"),
        (("inrs", "siren"), "show inrs siren is not allowed; expected [KIND] NAME, KIND one of source, "),
        (("preset", "none"), "no dataset has a preset 'none'; there are: "),
        (("recipe", "none"), "no recipe 'none'; there are: fast, lossless, photographs"),
        (("dataset", "nowhere"), "no dataset 'nowhere'; there are: "),
        (("a", "b", "c"), "show a b c is not allowed; expected [KIND] NAME"),
        (("nowhere.toml",), "no dataset 'nowhere.toml'"),
    ],
)
def test_names_of_nothing_are_one_line(words: tuple[str, ...], said: str, inrzoo: CommandLine) -> None:
    code, out, err = inrzoo("show", *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err


def test_a_class_that_the_user_trusts_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Mine:
        """A source of mine.

        Attributes:
            many: how many.
        """

        many: int = 3

    monkeypatch.setattr(registry, "trusted", {("sources", "mine:Mine"): Mine})
    expected = "source mine:Mine: A source of mine.\n\n  many = 3  (a whole number)\n      how many."
    assert reference.show("mine:Mine") == reference.show("source", "mine:Mine") == expected
    with pytest.raises(InrzooError, match="not installed here"):
        reference.show("source", "other:Mine")
