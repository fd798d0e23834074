"""A user's own description of state dicts, in TOML: the INR, the names of its tensors, grid and values.

```toml
grid = [28, 28]

[inr]                          # all fields that differ from the defaults, as in a manifest, and the sizes
name = "siren"
in_features = 2
out_features = 1
hidden_features = 32
hidden_layers = 1

[tensors]                      # ours = theirs; {i} counts the layers
"weight_{i}" = "layers.{i}.weight"
"bias_{i}" = "layers.{i}.bias"

[files]                        # may be left out
inside = "model"               # the tensors lie in this table of a file
transposed = true              # matrices are (in, out), as JAX's
ignored = ["epoch"]            # what else lies there

[coords]                       # as in a manifest; may be left out
axis_order = "x_y"

[values]
range = [0.0, 1.0]
```

Shape letters: P parameters of one INR.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.interchange.incoming import Meaning, Options, meaning_of, require_known
from inrzoo.typecheck import check_table, check_type

TABLES = ("inr", "tensors", "files", "coords", "values", "grid")
COORDS = {"spacing": "end_points", "axis_order": "row_col", "extent": 1.0}
"""Coordinates that a description leaves open, as in a manifest."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """How tensors lie in a file.

    Attributes:
        inside: key of the table that has them; empty if the file is that table.
        transposed: whether matrices are (in, out).
        ignored: keys beside those of the tensors.
    """

    inside: str = ""
    transposed: bool = False
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Description:
    """A description that was checked.

    Attributes:
        path: the TOML.
        inr: the INR.
        meaning: what the tensors mean.
        keys: key in a file of each tensor of the INR's layout.
        files: how they lie in a file.
        grid: size of the signals' grid; empty if it is not said.
    """

    path: Path
    inr: INR
    meaning: Meaning
    keys: dict[str, str]
    files: Files
    grid: list[int]

    def vector(self, arrays: Mapping[str, NDArray[Any]], where: str) -> NDArray[np.float32]:
        """Return the weight vector, (P,), of the arrays in one file.

        Raises:
            InrzooError: an array is missing, too many, or has another shape or type than the description says.
        """
        said = f"{where} does not fit {self.path}"
        extra = sorted(arrays.keys() - {*self.keys.values()} - {*self.files.ignored})
        if extra:
            raise InrzooError(
                f"{said}: it has {extra[0]}, which [tensors] does not name; add it there or to files.ignored"
            )
        parts = {}
        for tensor in self.inr.layout.tensors:
            key = self.keys[tensor.name]
            if key not in arrays:
                raise InrzooError(
                    f"{said}: it lacks {key}, which is {tensor.name}; it has {', '.join(sorted(arrays)[:4])}"
                )
            array = arrays[key]
            array = array.T if self.files.transposed else array
            if array.shape != tensor.shape or array.dtype != np.float32:
                expected = f"float32 of shape {[*(tensor.shape[::-1] if self.files.transposed else tensor.shape)]}"
                raise InrzooError(
                    f"{said}: {key} is {arrays[key].dtype} of shape {[*arrays[key].shape]}, not {expected}"
                )
            parts[tensor.name] = array
        weights_P: NDArray[np.float32] = self.inr.layout.join(parts)
        return weights_P


def read(path: Path, options: Options) -> Description:
    """Read and check a description.

    Raises:
        InrzooError: the file is absent, no TOML, or says something impossible; the message names the key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InrzooError(f"{path}, which --inr names, cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InrzooError(f"{path} is not valid TOML: {' '.join(str(error).split())}") from None
    try:
        return _checked(path, tables, options)
    except InrzooError as error:
        raise InrzooError(f"{path}: {error}") from None


def _checked(path: Path, tables: dict[str, Any], options: Options) -> Description:
    require_known("a description", tables, TABLES)
    for key in ("inr", "values"):
        if key not in tables:
            raise InrzooError(f"it lacks the table [{key}]")
    spec = check_type("inr", tables["inr"], dict[str, Any])
    coords, values = (check_type(key, tables.get(key, {}), dict[str, Any]) for key in ("coords", "values"))
    require_known("coords", coords, COORDS)
    require_known("values", values, ("range",))
    value_range = check_type("values.range", values.get("range"), tuple[float, float])
    for key in ("name", "in_features", "out_features"):
        if key not in spec:
            raise InrzooError(f"[inr] lacks {key}")
    meaning = meaning_of(
        spec, {**COORDS, **coords}, value_range, by=path.name, recognised_by=path.name, options=options
    )
    inr: INR = registry.make("inrs", meaning.spec)
    require_known(
        "files", check_type("files", tables.get("files", {}), dict[str, Any]), ("inside", "transposed", "ignored")
    )
    return Description(
        path=path,
        inr=inr,
        meaning=meaning,
        keys=_keys(inr, check_type("tensors", tables.get("tensors", {}), dict[str, str])),
        files=check_table("files", tables.get("files", {}), Files),
        grid=check_type("grid", tables.get("grid", []), list[int]),
    )


def _keys(inr: INR, named: dict[str, str]) -> dict[str, str]:
    """Return the key of each tensor: that of its own name, else of the name with {i} for the number at its end."""
    keys, used = {}, set()
    for tensor in inr.layout.tensors:
        number = re.search(r"\d+$", tensor.name)
        general = f"{tensor.name[: number.start()]}{{i}}" if number else tensor.name
        if tensor.name in named:
            keys[tensor.name] = named[tensor.name]
            used.add(tensor.name)
        elif general in named:
            keys[tensor.name] = named[general].replace("{i}", number[0] if number else "")
            used.add(general)
        else:
            raise InrzooError(f'[tensors] does not name {tensor.name}; add "{general}" = "…" or {tensor.name} = "…"')
    if unused := sorted(named.keys() - used):
        names = ", ".join(tensor.name for tensor in inr.layout.tensors)
        raise InrzooError(f"[tensors] names {unused[0]}, which this INR has not; it has {names}")
    if len({*keys.values()}) < len(keys):
        twice = next(key for key in keys.values() if list(keys.values()).count(key) > 1)
        raise InrzooError(f"[tensors] gives the key {twice} to several tensors")
    return keys
