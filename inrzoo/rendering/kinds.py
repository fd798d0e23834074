"""The kind of a store's signals, which decides how they are drawn and which files they become."""

from __future__ import annotations

from typing import Literal

from inrzoo.observations.points import Points
from inrzoo.observations.rays import Rays
from inrzoo.store import Store

Kind = Literal["image", "sound", "field", "voxels", "shape", "points", "views"]
"""`image`: numbers on a grid of two axes, 8-bit of one or three channels or uint16 of one. `sound`: a grid of one axis.
`voxels`: 8-bit numbers of one channel on a grid of three axes. `field`: any other grid. `shape`: distances or
occupancies at points in three dimensions. `points`: any other values at points. `views`: 8-bit colours along the rays
of posed views."""
PICTURES = (("uint8", 1), ("uint8", 3), ("uint16", 1))
"""Types of numbers and channels that a PNG holds as Pillow writes it."""


def kind_of(store: Store) -> Kind:
    """The kind of a store's signals."""
    axes, channels = store.info.num_axes, store.channels
    if isinstance(store.observation, Rays):
        return "views"
    if store.info.arrays:
        shape = isinstance(store.observation, Points) and store.observation.quantity != "values"
        return "shape" if shape and (axes, channels) == (3, 1) else "points"
    dtype = store.info.manifest.values.dtype
    if axes == 1:
        return "sound"
    if axes == 2 and (dtype, channels) in PICTURES:
        return "image"
    return "voxels" if (axes, channels, dtype) == (3, 1, "uint8") else "field"
