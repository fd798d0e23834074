"""The command and the manifest on a card build the same dataset: what is written is read again unchanged."""

from pathlib import Path

import pytest

from inrzoo import manifest, registry
from inrzoo.errors import InrzooError
from inrzoo.hub.rebuild import to_toml

CASES = [
    (name, preset, inr)
    for name in manifest.names()
    for preset in manifest.presets(name) or [None]
    for inr in (None, *registry.names("inrs"))
]


@pytest.mark.parametrize("name, preset, inr", CASES, ids=str)
def test_a_manifest_written_as_toml_is_read_as_the_same_manifest(
    tmp_path: Path, name: str, preset: str | None, inr: str | None
) -> None:
    try:
        resolved = manifest.load(name, preset, {} if inr is None else {"inr.name": inr})
    except InrzooError:
        pytest.skip(f"{name}, {preset}: not for {inr}")
    (tmp_path / "manifest.toml").write_text(to_toml(resolved.to_json()), encoding="utf-8")
    again = manifest.load(str(tmp_path / "manifest.toml"))
    assert again.to_json() == resolved.to_json()
    assert manifest.fingerprint(again.to_json(), "0" * 64) == manifest.fingerprint(resolved.to_json(), "0" * 64)


@pytest.mark.parametrize(
    "text", ["a.b", 'a "quoted" key', "ключ", "new\nline", "tab\t", "\x7f", "#", "[x]", "back\\slash", "", "'''", '"""']
)
def test_any_text_is_a_key_and_a_value(text: str) -> None:
    import tomllib

    tables = {"top": {"inner": {text: text, "list": [text, 1, 1.5e-7, True]}}, "number": 3, text: {}}
    assert tomllib.loads(to_toml(tables)) == tables
