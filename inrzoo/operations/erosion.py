"""Erosion of grey values: the smallest value of a window."""

from dataclasses import dataclass

from inrzoo.operations import WindowOperation


@dataclass(frozen=True, kw_only=True)
class Erosion(WindowOperation):
    """Replace each value by the smallest in a cube of points around it, inside the grid. Bright strokes shrink.

    With the default on images it is `cv2.erode` with a kernel of 3 × 3 ones, which the papers on editing INRs take.
    """

    FILTER = "grey_erosion"  # an edge repeated adds no value that the window lacks: as if points outside did not exist
