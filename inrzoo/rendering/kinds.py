"""The kind of a store's signals, which decides how they are drawn and which files they become."""

from __future__ import annotations

from typing import Literal

from inrzoo.observations.points import Points
from inrzoo.observations.rays import Rays
from inrzoo.store import Store

Kind = Literal["image", "sound", "field", "voxels", "shape", "points", "views"]
"""`image`: 8-bit numbers of one or three channels on a grid of two axes. `sound`: a grid of one axis. `voxels`: 8-bit
numbers of one channel on a grid of three axes. `field`: any other grid. `shape`: distances or occupancies at points in
three dimensions. `points`: any other values at points. `views`: 8-bit colours along the rays of posed views."""


def kind_of(store: Store) -> Kind:
    """The kind of a store's signals."""
    axes, channels = store.info.num_axes, store.channels
    if isinstance(store.observation, Rays):
        return "views"
    if store.info.arrays:
        shape = isinstance(store.observation, Points) and store.observation.quantity != "values"
        return "shape" if shape and (axes, channels) == (3, 1) else "points"
    eight_bits = store.info.manifest.values.dtype == "uint8"
    if axes == 1:
        return "sound"
    if axes == 2 and channels in (1, 3) and eight_bits:
        return "image"
    return "voxels" if axes == 3 and channels == 1 and eight_bits else "field"
