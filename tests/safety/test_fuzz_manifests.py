"""Manifests that somebody else wrote."""

from typing import Any

import pytest
from cases import Sandbox, fuzz
from hostile import toml_file
from hypothesis import strategies as st

from inrzoo import manifest

TEXTS = {name: (manifest.folder() / f"{name}.toml").read_text() for name in manifest.names()}


@pytest.fixture
def target() -> None:
    return None


@fuzz(st.data(), slow=2500)
def test_manifests(data: Any, sandbox: Sandbox, target: None) -> None:
    content = data.draw(toml_file(TEXTS[data.draw(st.sampled_from(sorted(TEXTS)))]))
    path = sandbox.given / "it.toml"
    path.write_bytes(content)
    loaded = sandbox.call(lambda: manifest.load(str(path)))
    for preset in sandbox.call(lambda: manifest.presets(str(path))) or ():
        sandbox.call(lambda preset=preset: manifest.load(str(path), preset))
    if loaded is not None:
        assert manifest.Manifest.from_json(loaded.to_json()).to_json() == loaded.to_json()
