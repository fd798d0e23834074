"""Reconstructs the command that built a store from the store's records."""

import shlex
from collections.abc import Mapping
from typing import Any

import tomli_w

from inrzoo import manifest
from inrzoo.errors import InrzooError
from inrzoo.store import Store
from inrzoo.store.recorded import RecordedManifest

PROSE = ("name", *(key for key in manifest.NOT_IN_FINGERPRINT if key not in ("seeds", "compress")))
"""Keys of a manifest that do not affect the INRs."""


def rebuild(store: Store) -> tuple[str, str]:
    """Return the command that builds a store.

    Returns:
        The command; and the content of the file `manifest.toml` that it reads, empty if the dataset comes with inrzoo.
        Both are empty for an imported, generated or gathered store.
    """
    if not store.info.from_source:
        return "", ""
    recorded = store.info.manifest
    if recorded.init_mode == "hypernet":
        return _rebuild_by_network(recorded)
    if store.info.base_layout is not None:
        return "inrzoo build manifest.toml --base STORE", to_toml(recorded.tables)
    words = ["inrzoo", "build", recorded.name]
    if recorded.name in manifest.names():
        try:
            base = manifest.load(recorded.name, recorded.preset)
            inr = recorded.inr["name"]
            if inr != base.inr["name"]:
                words += ["--inr", inr]
                base = manifest.load(recorded.name, recorded.preset, {"inr.name": inr})
            if recorded.preset:
                words += ["--preset", recorded.preset]
            base_tables, tables = manifest.without_defaults(base.to_json()), manifest.without_defaults(recorded.tables)
            return shlex.join(words + _options(base_tables, tables)), ""
        except InrzooError:  # the manifest or preset of this version of inrzoo differs from that of the store
            pass
    return "inrzoo build manifest.toml", to_toml(recorded.tables)


def _rebuild_by_network(recorded: RecordedManifest) -> tuple[str, str]:
    """Return the command for a store with a hypernetwork, which decides architecture, grid and value range."""
    plain = {key: value for key, value in recorded.tables.items() if key != "init"}
    plain["fit"] = {key: value for key, value in recorded.fit.items() if key != "steps"}
    words = ["inrzoo", "build", "manifest.toml", "--fitter", "STORE", "--tto", str(recorded.fit["steps"])]
    return shlex.join(words), to_toml(plain)


def to_toml(tables: Mapping[str, Any]) -> str:
    """Format nested tables as TOML, without keys that are None, which TOML lacks; they are defaults."""
    written = tomli_w.dumps(_without_none(tables), multiline_strings=False)
    return "".join(letter if letter.isprintable() or letter == "\n" else _escape(letter) for letter in written)


def _without_none(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in tables.items()
        if value is not None
    }


def _escape(letter: str) -> str:
    """Escape an unprintable character, which occurs only in quoted keys and strings, for TOML."""
    return "?" if "\ud800" <= letter <= "\udfff" else f"\\U{ord(letter):08x}"


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
            continue  # --init names the file
        elif name == "init.mode":
            words += ["--init", "WEIGHTS.safetensors" if ours == "file" else str(ours)]
        elif ours is None or isinstance(ours, Mapping):
            raise InrzooError(f"{name} = {ours} cannot be set on the command line")
        else:
            words += ["--set", f"{name}={_literal(ours)}"]
    return words


def _literal(value: Any) -> str:
    """Format a TOML value on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")
