"""Dilation of grey values: the largest value of a window."""

from dataclasses import dataclass

from inrzoo.operations import WindowOperation


@dataclass(frozen=True, kw_only=True)
class Dilation(WindowOperation):
    """Replace each value by the largest in a cube of points around it, inside the grid. Bright strokes grow.

    With the default on images it is `cv2.dilate` with a kernel of 3 × 3 ones, which the papers on editing INRs take.
    """

    FILTER = "grey_dilation"  # an edge repeated adds no value that the window lacks: as if points outside did not exist
