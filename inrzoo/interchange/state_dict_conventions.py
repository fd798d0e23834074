"""The conventions of public readers of state dicts: key names, ω₀, offset, grid, value range.

A state dict contains none of these but the key names; the readers' code does. From the public repositories:

| convention | keys | ω₀ | output | coordinates | values | where |
|---|---|---|---|---|---|---|
| `dws` | `seq.I.weight` | 30, times the bias too | + 0.5 | end points, (x, y) | [0, 1] | AvivNavon/DWSNets nn/inr.py, experiments/utils.py; mkofinas/neural-graphs nn/inr.py |
| `implicit_zoo` | as dws | as dws | + 0 | as dws | standardised by ImageNet's means and deviations | Implicit-Zoo src/model_zoo/siren.py, experiments/generate_cifar_dataset_siren.py |
| `nfn` | `net.I.linear.weight`, last `net.I.weight` | as dws | + 0 | end points, (row, col) | [-1, 1] | AllanYangZhou/nfn experiments/siren_utils.py, data_utils.py; mkofinas/neural-graphs experiments/data_nfn.py |
| `sitzmann` | `net.net.I.0.weight` | as dws | + 0 | end points, (row, col) | [-1, 1] | vsitzmann/siren modules.py (SingleBVPNet, FCBlock), dataio.py |

Keys are in the order weight 0, bias 0, weight 1, …: nfn and neural-graphs read them by position.
"""  # noqa: E501

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.interchange.incoming import Standardised
from inrzoo.nearest import among
from inrzoo.store import Store

OMEGA_0 = 30.0
SIZES = ("in_features", "out_features", "hidden_features", "hidden_layers")
"""Fields of a SIREN that follow from the shapes of the tensors."""
FREE = (*SIZES, "convention")
"""Fields without assumptions of readers; `convention` only decides the init, except `mwt`, which is refused."""


@dataclass(frozen=True)
class Convention:
    """The rules by which one family of readers evaluates a state dict.

    Attributes:
        name: name of the convention.
        hidden, last: keys of a sine layer and of the last linear layer, without `.weight`.
        init: the SIREN's `convention` that is recorded for datasets without one.
        output_offset: constant that the reader adds to the last layer.
        axis_order, value_range: see `inrzoo.coords.grid`, `inrzoo.manifest.Values`; None if channels' ranges differ.
        standardised: how the channels of images were standardised, or None.
        dimensions: allowed numbers of coordinates of the reader's grids; any if empty.
        square: whether the reader's image grids have as many rows as columns.
    """

    name: str
    hidden: str
    last: str
    init: str
    output_offset: float
    axis_order: str
    value_range: tuple[float, float] | None
    dimensions: tuple[int, ...]
    square: bool
    standardised: Standardised | None = None

    @property
    def meaning(self) -> str:
        """The assumptions of the convention in words."""
        low_high = "standardised values" if self.value_range is None else f"values in {list(self.value_range)}"
        return f"output + {self.output_offset:g}, {low_high}, coordinates ({self.axis_order.replace('_', ', ')})"

    def keys(self, num_layers: int) -> list[str]:
        """Return the keys of a state dict in the order of `Siren.layout`."""
        stems = [*(self.hidden.format(i) for i in range(num_layers - 1)), self.last.format(num_layers - 1)]
        return [f"{stem}.{kind}" for stem in stems for kind in ("weight", "bias")]

    def inr_spec(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return the INR table for tensors of these shapes, by key.

        Raises:
            InrzooError: the shapes are not those of a SIREN with equally wide hidden layers.
        """
        num_layers = len(shapes) // 2
        chain = [shapes[key] for key in self.keys(num_layers)]
        sizes = [chain[0][1] if len(chain[0]) == 2 else 0, *(bias[0] for bias in chain[1::2] if len(bias) == 1)]
        expected = [shape for i in range(len(sizes) - 1) for shape in ((sizes[i + 1], sizes[i]), (sizes[i + 1],))]
        if chain != expected or len({*sizes[1:-1]}) != 1:
            listed = ", ".join(f"{key} {list(shapes[key])}" for key in self.keys(num_layers))
            raise InrzooError(f"its tensors are not those of a SIREN with equally wide hidden layers: {listed}")
        return {
            "name": "siren",
            "in_features": sizes[0],
            "out_features": sizes[-1],
            "hidden_features": sizes[1],
            "hidden_layers": num_layers - 2,
            "omega_0": OMEGA_0,
            "convention": self.init,
            "bias_inside": True,
            "output_offset": self.output_offset,
        }

    def differences(
        self, inr: Any, coords: Mapping[str, Any], value_range: Iterable[float], grid: Sequence[int]
    ) -> list[str]:
        """Return the settings that such a reader would misinterpret, as `key: ours → theirs`.

        Args:
            inr: the SIREN.
            coords: `spacing`, `axis_order` and `extent`.
            value_range: range of the fitted values.
            grid: sizes of the signals' grid.
        """
        theirs = {field.name: field.default for field in dataclasses.fields(inr) if field.name not in FREE}
        theirs |= {"omega_0": OMEGA_0, "bias_inside": True, "output_offset": self.output_offset}
        pairs = {f"inr.{key}": (getattr(inr, key), value) for key, value in theirs.items()}
        if inr.convention == "mwt":  # ω₀ in the first layer alone
            pairs["inr.convention"] = ("mwt", "sitzmann or dws")
        pairs["coords.spacing"] = (coords["spacing"], "end_points")
        pairs["coords.extent"] = (coords["extent"], 1.0)
        if inr.in_features > 1:
            pairs["coords.axis_order"] = (coords["axis_order"], self.axis_order)
        pairs["values.range"] = (list(map(float, value_range)), list(self.value_range or ()))
        lines = [f"{key}: {ours} → {value}" for key, (ours, value) in pairs.items() if ours != value]
        if self.dimensions and len(grid) not in self.dimensions:
            lines.append(f"grid: {grid} → {' or '.join(f'{count} axes' for count in self.dimensions)}")
        elif self.square and len({*grid}) > 1:
            lines.append(f"grid: {grid} → as many rows as columns")
        return lines


CONVENTIONS = {
    each.name: each
    for each in (
        Convention("dws", "seq.{}", "seq.{}", "dws", 0.5, "x_y", (0.0, 1.0), (1, 2), True),
        Convention("nfn", "net.{}.linear", "net.{}", "sitzmann", 0.0, "row_col", (-1.0, 1.0), (2,), True),
        Convention("sitzmann", "net.net.{}.0", "net.net.{}.0", "sitzmann", 0.0, "row_col", (-1.0, 1.0), (), False),
    )
}


IMAGENET = Standardised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet's channels (Implicit-Zoo experiments/cifar_generate_configs/main.yaml)."""
IMPLICIT_ZOO = Convention("implicit_zoo", "seq.{}", "seq.{}", "dws", 0.0, "x_y", None, (2,), False, IMAGENET)
IMPORTABLE = {**CONVENTIONS, IMPLICIT_ZOO.name: IMPLICIT_ZOO}
"""Conventions of folders that can be read; those in `CONVENTIONS` can also be written."""


def convention_called(name: str, known: Mapping[str, Convention] = CONVENTIONS) -> Convention:
    """Return a convention by its name.

    Args:
        name: the name.
        known: `CONVENTIONS` for writing, `IMPORTABLE` for reading.

    Raises:
        InrzooError: the name is unknown.
    """
    if name not in known:
        raise InrzooError(f"no convention {name!r}{among(name, known)}")
    return known[name]


def conventions_of(keys: Iterable[str]) -> list[Convention]:
    """Return the conventions with these key names; `dws` and `implicit_zoo` share theirs.

    Raises:
        InrzooError: no convention has these key names.
    """
    names = set(keys)
    fitting = [each for each in IMPORTABLE.values() if names == {*each.keys(len(names) // 2)}]
    if len(names) >= 4 and fitting:
        return fitting
    shapes = "; ".join(f"{each.name} {', '.join(each.keys(2))}" for each in CONVENTIONS.values())
    shown = ", ".join(sorted(re.sub(r"[^\w.\-]", "?", key)[:60] for key in names)[:6])
    raise InrzooError(f"its keys are of no convention: {shown or 'none'}; known, for two layers: {shapes}")


def require_expressible(store: Store, convention: Convention) -> None:
    """Refuse a store whose INRs such a reader would evaluate as other functions.

    Raises:
        InrzooError: settings differ; the message names their keys.
    """
    info = store.info
    name = info.inr["name"]
    if name != "siren":
        raise InrzooError(f"{store.path} holds INRs of the kind {name}; {convention.name} readers know only siren")
    lines = convention.differences(
        registry.make("inrs", info.inr),
        dataclasses.asdict(info.manifest.coords),
        store.value_range,
        info.grid,
    )
    if lines:
        raise InrzooError(
            f"{store.path} cannot be exported as {convention.name}, its readers would evaluate other functions "
            f"({'; '.join(lines)}); build a store with those settings"
        )
