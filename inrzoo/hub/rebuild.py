"""The command that builds a store again, from what the store records."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from inrzoo import manifest
from inrzoo.errors import InrzooError
from inrzoo.store import Store

PROSE = ("name", "title", "licence", "citation", "redistributable", "preset", "source.url", "source.hashes")
"""Keys of a manifest that do not decide what is built."""


def rebuild(store: Store) -> tuple[str, str]:
    """How to build a store again.

    Returns:
        The command; and the content of the file `manifest.toml` that it reads, empty where the dataset comes with
        inrzoo. Both empty for a store that was imported: it was not built.
    """
    if "imported" in store.attributes:
        return "", ""
    recorded = store.attributes["manifest"]
    if recorded.get("init", {}).get("mode") == "hypernet":
        return _rebuild_by_network(recorded)
    words = ["inrzoo", "build", recorded["name"]]
    if recorded["name"] in manifest.names():
        try:
            base = manifest.load(recorded["name"], recorded["preset"]).to_json()
            inr = recorded["inr"]["name"]
            if inr != base["inr"]["name"]:
                words += ["--inr", inr]
                base = manifest.load(recorded["name"], recorded["preset"], {"inr.name": inr}).to_json()
            if recorded["preset"]:
                words += ["--preset", recorded["preset"]]
            return shlex.join(words + _options(base, recorded)), ""
        except InrzooError:  # another version of inrzoo: its manifest or its presets are not those of the store
            pass
    return "inrzoo build manifest.toml", to_toml(recorded)


def _rebuild_by_network(recorded: Mapping[str, Any]) -> tuple[str, str]:
    """The hypernetwork is in the store itself, and decides architecture, grid and value range."""
    plain = {key: value for key, value in recorded.items() if key != "init"}
    plain["fit"] = {key: value for key, value in recorded["fit"].items() if key != "steps"}
    words = ["inrzoo", "build", "manifest.toml", "--fitter", "STORE", "--tto", str(recorded["fit"]["steps"])]
    return shlex.join(words), to_toml(plain)


def to_toml(tables: Mapping[str, Any], prefix: str = "") -> str:
    """Nested tables as TOML. Keys that are None are left out: TOML has no word for them, and they are defaults."""
    plain = {key: value for key, value in tables.items() if not isinstance(value, Mapping) and value is not None}
    lines = [f"{key} = {_literal(value)}" for key, value in plain.items() if f"{prefix}{key}" != "preset"]
    for key, value in tables.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{prefix}{_key(key)}]", to_toml(value, f"{prefix}{_key(key)}.")]
    return "\n".join(lines)


def _options(base: Mapping[str, Any], recorded: Mapping[str, Any], prefix: str = "") -> list[str]:
    words = []
    for key in sorted({*base, *recorded}):
        name, ours = f"{prefix}{key}", recorded.get(key)
        if name in PROSE or base.get(key) == ours:
            continue
        if isinstance(ours, Mapping) and isinstance(base.get(key), Mapping):
            words += _options(base[key], ours, f"{name}.")
        elif name in ("seeds", "limit"):
            words += [f"--{key}", str(ours)]
        elif name == "fit.stop_psnr" and ours is None:
            words += ["--stop-psnr", "0"]
        elif name == "init.sha256":
            continue  # of the file that --init names
        elif name == "init.mode":
            words += ["--init", "WEIGHTS.safetensors" if ours == "file" else str(ours)]
        elif ours is None:
            raise InrzooError(f"{name} cannot be unset on the command line")
        else:
            words += ["--set", f"{name}={_literal(ours)}"]
    return words


def _literal(value: Any) -> str:
    """A TOML value; strings and numbers are written as in JSON."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)
