"""Decides how a folder of state dicts is read, from its convention and the user's settings, and records the sources.

A state dict holds only tensors. ω₀, the offset of the output, the grid and the value range define the function, and
conventions with other values share key names: the user must then choose, as inrzoo never guesses.
"""

from collections.abc import Mapping

from inrzoo.errors import InrzooError
from inrzoo.interchange.incoming import Meaning, Options, meaning_of
from inrzoo.interchange.state_dict_conventions import IMPORTABLE, Convention, convention_called, conventions_of


def reading_of(
    shapes: Mapping[str, tuple[int, ...]], described: str | None, options: Options
) -> tuple[Convention, Meaning]:
    """Return the convention of tensors of these shapes, and what they mean.

    Args:
        shapes: shape of each tensor by key.
        described: convention of an `inrzoo.json`, which has all settings, or None.
        options: the user's convention and settings; sizes are decided by the tensors.

    Raises:
        InrzooError: the keys are of no convention or not of the user's, several conventions fit and differ, the value
            range is unknown, or a setting does not exist.
    """
    chosen = None if options.convention is None else convention_called(options.convention, IMPORTABLE)
    fitting = conventions_of(shapes)
    if chosen is not None and chosen not in fitting:
        raise InrzooError(f"its keys are those of {_names(fitting)}, not of {chosen.name}")
    if described is not None:
        if options.inr or options.coords:
            raise InrzooError("its inrzoo.json has all settings; leave --inr and --coords out")
        fitting, by = [each for each in fitting if each.name == described] or fitting[:1], "inrzoo.json"
    elif chosen is not None:
        fitting, by = [chosen], "--convention"
    else:
        by = "the names of the keys"
    readings = [_read(convention, shapes, by, options) for convention in fitting]
    meanings = [(each.spec, each.coords, each.value_range) for each in readings]
    if any(meaning != meanings[0] for meaning in meanings):
        choices = "; ".join(f"--convention {each.name}: {each.meaning}" for each in fitting)
        raise InrzooError(f"its keys fit several conventions that disagree, choose one of them ({choices})")
    if readings[0].value_range is None:
        raise InrzooError(
            f"{fitting[0].name} standardises each of three channels by its mean and deviation, and these INRs have "
            f"{readings[0].spec['out_features']}; pass the lowest and the highest value with --coords range=LOW,HIGH"
        )
    return fitting[0], readings[0]


def _read(convention: Convention, shapes: Mapping[str, tuple[int, ...]], by: str, options: Options) -> Meaning:
    spec = convention.inr_spec(shapes)
    grid = {"spacing": "end_points", "axis_order": convention.axis_order, "extent": 1.0}
    standardised = convention.standardised
    if standardised is not None and len(standardised.mean) != spec["out_features"]:
        standardised = None
    value_range = convention.value_range if standardised is None else standardised.value_range
    said = f"convention {convention.name}"
    return meaning_of(spec, grid, value_range, by=said, recognised_by=by, options=options, standardised=standardised)


def _names(conventions: list[Convention]) -> str:
    return " or ".join(each.name for each in conventions)
