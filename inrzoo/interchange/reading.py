"""Decides how a folder of state dicts is read, from its convention and the user's settings, and records the sources.

A state dict holds only tensors. ω₀, the offset of the output, the grid and the value range define the function, and
conventions with other values share key names: the user must then choose, as inrzoo never guesses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inrzoo import manifest, registry
from inrzoo.choices import AxisOrder, Spacing
from inrzoo.errors import InrzooError
from inrzoo.interchange.state_dict_conventions import IMPORTABLE, SIZES, Convention, convention_called, conventions_of
from inrzoo.nearest import among
from inrzoo.typecheck import check_type

COORDS = ("spacing", "axis_order", "extent", "range")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The meaning of the tensors in a folder.

    Attributes:
        convention: convention of the key names.
        spec: the INR table.
        coords: the table `coords` of a manifest.
        value_range: lowest and highest value of a signal, on the scale of the INR's output.
        said_by: source of each setting and of the convention: `convention NAME`, `--inr`, `--coords`, …
    """

    convention: Convention
    spec: dict[str, Any]
    coords: dict[str, Any]
    value_range: tuple[float, float]
    said_by: dict[str, str]


def reading_of(
    shapes: Mapping[str, tuple[int, ...]],
    named: str | None,
    described: str | None,
    inr: Mapping[str, Any],
    coords: Mapping[str, Any],
) -> Reading:
    """Return the reading of tensors of these shapes.

    Args:
        shapes: shape of each tensor by key.
        named: the user's convention, or None.
        described: convention of an `inrzoo.json`, which has all settings, or None.
        inr: the user's fields of the SIREN, without sizes, which the tensors decide.
        coords: the user's `spacing`, `axis_order`, `extent` or `range`.

    Raises:
        InrzooError: the keys are of no convention or not of the user's, several conventions fit and differ, the value
            range is unknown, or a setting does not exist.
    """
    chosen = None if named is None else convention_called(named, IMPORTABLE)
    fitting = conventions_of(shapes)
    if chosen is not None and chosen not in fitting:
        raise InrzooError(f"its keys are those of {_names(fitting)}, not of {chosen.name}")
    if described is not None:
        if inr or coords:
            raise InrzooError("its inrzoo.json has all settings; leave --inr and --coords out")
        fitting, by = [each for each in fitting if each.name == described] or fitting[:1], "inrzoo.json"
    elif chosen is not None:
        fitting, by = [chosen], "--convention"
    else:
        by = "the names of the keys"
    _require_known("--inr", inr, [*_fields(fitting[0], shapes)])
    _require_known("--coords", coords, COORDS)
    readings = [_read(convention, shapes, by, inr, coords) for convention in fitting]
    meanings = [(each.spec, each.coords, each.value_range) for each in readings]
    if any(meaning != meanings[0] for meaning in meanings):
        choices = "; ".join(f"--convention {each.name}: {each.meaning}" for each in fitting)
        raise InrzooError(f"its keys fit several conventions that disagree, choose one of them ({choices})")
    if readings[0].value_range is None:
        raise InrzooError(
            f"{fitting[0].name} standardises each channel by its mean and deviation; pass the lowest and the highest "
            "value with --coords range=LOW,HIGH, for ImageNet's means and deviations range=-2.118,2.64"
        )
    return readings[0]


def _read(
    convention: Convention,
    shapes: Mapping[str, tuple[int, ...]],
    by: str,
    inr: Mapping[str, Any],
    coords: Mapping[str, Any],
) -> Reading:
    assumed = convention.inr_spec(shapes)
    spec = {**assumed, **inr}
    siren = registry.make("inrs", spec)  # checks the values
    spec |= {key: getattr(siren, key) for key in inr}
    assumed_grid = {"spacing": "end_points", "axis_order": convention.axis_order, "extent": 1.0}
    grid: dict[str, Any] = {**assumed_grid, "range": convention.value_range, **coords}
    check_type("--coords spacing", grid["spacing"], Spacing)
    check_type("--coords axis_order", grid["axis_order"], AxisOrder)
    grid["extent"] = check_type("--coords extent", grid["extent"], float)
    manifest.Coords(extent=grid["extent"])
    if grid["range"] is not None:
        low_high = grid["range"]
        low_high = list(low_high) if isinstance(low_high, tuple) else low_high
        grid["range"] = check_type("--coords range", low_high, tuple[float, float])
        manifest.Values(range=grid["range"])
    keys = ["omega_0", "bias_inside", "output_offset", "convention", *inr]
    said_by = {"convention": by, **{f"inr.{key}": f"convention {convention.name}" for key in keys}}
    said_by |= dict.fromkeys(
        (*(f"coords.{key}" for key in assumed_grid), "values.range"), f"convention {convention.name}"
    )
    said_by |= {f"inr.{key}": "--inr" for key in inr}
    said_by |= {"values.range" if key == "range" else f"coords.{key}": "--coords" for key in coords}
    return Reading(
        convention=convention,
        spec=spec,
        coords={key: grid[key] for key in assumed_grid},
        value_range=grid["range"],
        said_by=said_by,
    )


def _fields(convention: Convention, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    siren = registry.make("inrs", convention.inr_spec(shapes))
    return [key for key in vars(siren) if key not in SIZES]


def _require_known(option: str, settings: Mapping[str, Any], known: Any) -> None:
    for key in settings:
        if key not in known:
            raise InrzooError(f"{option} has no key {key!r}{among(key, known)}")


def _names(conventions: list[Convention]) -> str:
    return " or ".join(each.name for each in conventions)
