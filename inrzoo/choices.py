"""Values of settings and of records that several rooms spell alike, each declared once."""

from enum import IntEnum
from typing import Literal

Spacing = Literal["end_points", "pixel_centres"]
"""Places of the points of a grid; see `inrzoo.coords.grid`."""
AxisOrder = Literal["row_col", "x_y"]
"""Order of the coordinates of a grid."""
ValueType = Literal["uint8", "uint16", "int16", "float16", "float32"]
"""Types of the numbers of a signal."""
ValueScale = Literal["dtype", "dataset", "signal"]
"""Sets of numbers whose smallest and largest ones are mapped to the ends of a value range; see `inrzoo.scale`."""
WeightType = Literal["float32", "float16", "bfloat16", "int16", "int8"]
"""Types of the numbers in which a store keeps weights; all but float32 round them."""
Regulariser = Literal["hinge", "linf", "axis_linf", "smooth_max", "l1", "l0_surrogate", "projection"]
"""Bounds of a filter network's frequencies; see `inrzoo.fit.antialias`."""
EngineName = Literal["auto", "triton", "cuda_graph", "fused", "reference", "numba"]
"""Engines that a manifest can name; `auto` stands for the first one that serves. `numba` is one of earlier versions."""
INR_BY_INR = ("fused", "triton")
"""Engines that fit each INR by itself, so that its bits do not depend on its neighbours in a block."""
Products = Literal["auto", "ieee", "bf16x3", "tf32"]
"""Precisions of an engine's matrix products."""

ScheduleKind = Literal["constant", "cosine"]
"""Courses of the learning rate of a fit; see `inrzoo.fit.schedule`."""


class Status(IntEnum):
    """The end of a fit, as the column `status` of a store codes it."""

    PENDING = 0
    OK = 1
    EARLY_STOP = 2
    DIVERGED = 3

    @property
    def label(self) -> str:
        """The name that a store records for this code."""
        return self.name.lower().replace("_", " ")


STATUS_NAMES = tuple(status.label for status in Status)
"""Names of the codes in the column `status`, in their order."""
USABLE_STATUS = (Status.OK.label, Status.EARLY_STOP.label)
"""Status of the INRs that statistics are computed from and that are selected by default."""
