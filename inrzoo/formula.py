"""The formula of an INR as plain data, from which a reader without inrzoo evaluates it in a few lines of numpy.

Shape letters: K coordinates, D in_features, C out_features, H hidden, M encoding frequencies.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any, Literal, Self

from inrzoo.errors import InrzooError
from inrzoo.typecheck import check_table, check_type

Activation = Literal["sine", "relu", "identity"]


@dataclass(frozen=True, kw_only=True)
class Modulation:
    """W ← W + U diag(G z) V and b ← b + S z, where z is the INR's own and all else is shared.

    Attributes:
        latent: z (M,), a tensor of the layout.
        shift: S (out, M), a tensor of the base; None without shifts.
        left, gain, right: U (out, R), G (R, M) and V (R, in), tensors of the base; None without low rank.
    """

    latent: str
    shift: str | None = None
    left: str | None = None
    gain: str | None = None
    right: str | None = None

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors that occur."""
        return tuple(name for name in (self.latent, self.shift, self.left, self.gain, self.right) if name is not None)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """h ← σ(a W h + c b).

    Attributes:
        weight, bias: tensors of the layout, or of the base that all INRs share, W (out, in) and b (out,).
        weight_factor, bias_factor: a and c.
        activation: σ: the sine (radians), max(0, ·), or nothing.
        modulation: how an INR changes W and b if they are shared; None if it does not.
    """

    weight: str
    bias: str
    weight_factor: float = 1.0
    bias_factor: float = 1.0
    activation: Activation = "identity"
    modulation: Modulation | None = None


@dataclass(frozen=True, kw_only=True)
class Filter:
    """g(x) = sin(ω x + φ), times exp(−γ/2 |x − μ|²) if it has an envelope.

    Attributes:
        omega, phi: tensors of the layout, ω (H, D) in radians per coordinate unit and φ (H,).
        mu, gamma: tensors of the envelope, μ (H, D) and γ (H,); None if there is none.
    """

    omega: str
    phi: str
    mu: str | None = None
    gamma: str | None = None


@dataclass(frozen=True, kw_only=True)
class Formula:
    """How the weights of an INR and a coordinate x become a value.

    Without filters h = x, or h = (cos F x, sin F x) with an encoding F; each layer maps h, one after the other. With
    filters g_0, …, as many as layers, h = g_0(x), and h is multiplied by g_{i+1}(x) after each layer i but the last.
    The value is h + offset after the last layer.

    Attributes:
        latex: the same in one sentence, formulas between dollar signs.
        layers: at least one.
        filters: none, or as many as layers.
        encoding: F, (M, D) in radians per coordinate unit; empty if x is not encoded.
        offset: added to every channel.

    Example:
        >>> formula = inrzoo.open_store("digits.zarr").formula
        >>> [layer.activation for layer in formula.layers], formula.layers[0].weight_factor
        (['sine', 'sine', 'identity'], 8.0)
        >>> print(formula.latex.split(", where")[0])
        $f(x) = W_{2} h_{2} + b_{2}$
    """

    latex: str
    layers: tuple[Layer, ...]
    filters: tuple[Filter, ...] = ()
    encoding: tuple[tuple[float, ...], ...] = ()
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Reject what cannot be evaluated.

        Raises:
            InrzooError: no layers, other than none or as many filters, half an envelope, ragged or infinite numbers.
        """
        layers, filters = len(self.layers), len(self.filters)
        numbers = [*(factor for layer in self.layers for factor in (layer.weight_factor, layer.bias_factor))]
        numbers += [self.offset, *(number for row in self.encoding for number in row)]
        wrong = {
            f"{layers} layers": layers < 1,
            f"{filters} filters of {layers} layers": filters not in (0, layers),
            "a part of a low rank": any(
                len({one.modulation.left is None, one.modulation.gain is None, one.modulation.right is None}) > 1
                for one in self.layers
                if one.modulation is not None
            ),
            "half an envelope": any((one.mu is None) != (one.gamma is None) for one in self.filters),
            "an encoding of filters": bool(self.encoding) and bool(self.filters),
            "an encoding with rows of several lengths": len({len(row) for row in self.encoding}) > 1,
            "a number that is not finite": not all(map(math.isfinite, numbers)),
        }
        for what, holds in wrong.items():
            if holds:
                raise InrzooError(f"formula: {what}")

    @property
    def tensors(self) -> Iterator[str]:
        """Names of the tensors of the layout that occur."""
        for layer in self.layers:
            yield from (layer.weight, layer.bias)
            yield from layer.modulation.tensors if layer.modulation is not None else ()
        for each in self.filters:
            yield from (name for name in (each.omega, each.phi, each.mu, each.gamma) if name is not None)

    def agrees_with(self, other: Formula | None) -> bool:
        """Whether another formula is the same function: all but the sentence, encodings up to rounding."""
        if other is None or [*map(len, self.encoding)] != [*map(len, other.encoding)]:
            return False
        pairs = zip(chain(*self.encoding), chain(*other.encoding), strict=True)
        close = all(math.isclose(one, another, rel_tol=1e-9, abs_tol=1e-12) for one, another in pairs)
        return close and replace(self, latex="", encoding=()) == replace(other, latex="", encoding=())

    def to_json(self) -> dict[str, Any]:
        """The formula as plain data, with every key; the youngest, `modulation`, only where there is one."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        for layer in plain["layers"]:
            if layer["modulation"] is None:
                del layer["modulation"]
        return plain

    @classmethod
    def from_json(cls, table: Any) -> Self:
        """Inverse of `to_json`. Raises InrzooError, in one line, if the data are malformed."""
        known = dict(check_type("formula", table, dict[str, Any]))
        for key, part in (("layers", Layer), ("filters", Filter)):
            parts = check_type(f"formula.{key}", known.get(key, []), list[Any])
            known[key] = [check_table(f"formula.{key}", _with_modulation(each), part) for each in parts]
        made: Self = check_table("formula", known, cls)
        return made


def _with_modulation(layer: Any) -> Any:
    """A layer's table with its modulation, if it has one, checked."""
    if not isinstance(layer, dict) or layer.get("modulation") is None:
        return layer
    return {**layer, "modulation": check_table("formula.layers.modulation", layer["modulation"], Modulation)}
