"""The signals of a manifest before any INR is fitted to them: read from their source, checked, and the INR of them.

Shape letters: D coordinate dimensions, C channels.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrzoo import manifest, registry
from inrzoo.errors import InrzooError
from inrzoo.manifest import Manifest
from inrzoo.observations import Observation

if TYPE_CHECKING:
    from inrzoo.sources import Signals


def read_source(settings: Manifest, path: Path | None) -> Signals:
    """Return the signals of a manifest in the order of the store, before decoding.

    Args:
        settings: the manifest.
        path: local files; the default of the source if None.

    Raises:
        InrzooError: the source is absent or has no signals.
    """
    signals: Signals = registry.make("sources", settings.source).read(path)
    if not len(signals):
        raise InrzooError(f"{settings.source['name']} found no signals in {path}")
    if settings.limit is not None:
        signals = signals.limit(settings.limit, settings.earlier_limits)
    return signals.by_split()


def require_observable(settings: Manifest, signals: Signals) -> None:
    """Raise InrzooError unless the source yields what the manifest's observation and values need."""
    name, values = settings.source["name"], settings.values
    if signals.dtype != values.dtype:
        raise InrzooError(f"values.dtype = {values.dtype} is not allowed; {name} yields {signals.dtype}")
    observation: Observation = registry.make("observations", settings.observation)
    if {*observation.arrays} != {*signals.arrays}:
        needed, has = (", ".join(sorted(names)) or "none" for names in (observation.arrays, signals.arrays))
        raise InrzooError(
            f"observation.name = {settings.observation['name']} does not go with {name}: it needs the arrays {needed}, "
            f"the source has {has}"
        )
    if observation.loss_name == "bce" and (values.range != (0.0, 1.0) or settings.fit.stop_psnr is not None):
        raise InrzooError('observation.loss = "bce" needs values.range = [0, 1] and no fit.stop_psnr')
    if signals.arrays and settings.antialias.used:
        raise InrzooError("antialias needs a grid; signals with points or views of their own have none")
    expected = observation.expected(signals.grid, signals.arrays, signals.channels)
    shapes = {array: spec.shape for array, spec in signals.arrays.items()}
    assert shapes == expected, f"{name} yields arrays of {shapes}; its observation expects {expected}"
    # What both tables say, such as a quantity or a background, is one fact.
    for key in settings.source.keys() & settings.observation.keys() - {"name"}:
        if settings.source[key] != settings.observation[key]:
            raise InrzooError(
                f"observation.{key} = {settings.observation[key]} is not allowed; source.{key} is "
                f"{settings.source[key]}, and both must be the same"
            )


def inr_of(settings: Manifest, signals: Signals) -> Any:
    """Make the INR that a manifest fits to its signals: D and C are those of its observation."""
    observation: Observation = registry.make("observations", settings.observation)
    num_axes, outputs = observation.num_axes(signals.grid, signals.arrays), signals.channels + observation.extra_outputs
    nyquist = None if signals.arrays else float(settings.coords.nyquist(tuple(signals.grid)).min())
    return manifest.make_inr(settings.inr, num_axes, outputs, nyquist)
