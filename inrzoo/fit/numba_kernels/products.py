"""The matrix products of a layer. A block of the result stays in registers while the inner dimension runs; sums run in
one fixed order, so a result does not depend on what else is computed.

Matrices are row-major stretches of an array, told by the place where they begin. Numbers of columns are multiples of
`LANES`, numbers of rows multiples of 8.
"""

from typing import Any

import numpy as np
from numba import njit

from inrzoo.fit.numba_kernels.places import LANES
from inrzoo.fit.numba_kernels.vector import every, fma, load, spread, store, sums

PAIR = 2 * LANES


@njit(error_model="numpy")
def product(
    rows: int, source: Any, left: int, inner: int, work: Any, right: int, columns: int, bias: int, result: int
) -> None:
    """result (rows, columns) = left (rows, inner), in `source`, times right (inner, columns), plus bias (columns)."""
    paired = columns // PAIR * PAIR
    for column in range(0, paired, PAIR):
        bias_0, bias_1 = load(work, bias + column), load(work, bias + column + LANES)
        for row in range(0, rows, 4):
            a00 = a10 = a20 = a30 = bias_0
            a01 = a11 = a21 = a31 = bias_1
            at = left + row * inner
            b = right + column
            for k in range(at, at + inner):
                b0, b1 = load(work, b), load(work, b + LANES)
                b += columns
                x = spread(source, k)
                a00, a01 = fma(x, b0, a00), fma(x, b1, a01)
                x = spread(source, k + inner)
                a10, a11 = fma(x, b0, a10), fma(x, b1, a11)
                x = spread(source, k + 2 * inner)
                a20, a21 = fma(x, b0, a20), fma(x, b1, a21)
                x = spread(source, k + 3 * inner)
                a30, a31 = fma(x, b0, a30), fma(x, b1, a31)
            to = result + row * columns + column
            store(work, to, a00), store(work, to + LANES, a01)
            to += columns
            store(work, to, a10), store(work, to + LANES, a11)
            to += columns
            store(work, to, a20), store(work, to + LANES, a21)
            to += columns
            store(work, to, a30), store(work, to + LANES, a31)
    for column in range(paired, columns, LANES):
        for row in range(0, rows, 4):
            a0 = a1 = a2 = a3 = load(work, bias + column)
            at = left + row * inner
            b = right + column
            for k in range(at, at + inner):
                b0 = load(work, b)
                b += columns
                a0 = fma(spread(source, k), b0, a0)
                a1 = fma(spread(source, k + inner), b0, a1)
                a2 = fma(spread(source, k + 2 * inner), b0, a2)
                a3 = fma(spread(source, k + 3 * inner), b0, a3)
            to = result + row * columns + column
            store(work, to, a0)
            store(work, to + columns, a1)
            store(work, to + 2 * columns, a2)
            store(work, to + 3 * columns, a3)


@njit(error_model="numpy")
def add_transposed_product(
    rows: int, source: Any, left: int, inner: int, work: Any, right: int, columns: int, total: int
) -> None:
    """total (inner, columns) += left (rows, inner), in `source`, transposed, times right (rows, columns).

    The gradient of a layer's weights.
    """
    paired, fours = columns // PAIR * PAIR, inner // 4 * 4
    for column in range(0, paired, PAIR):
        for k in range(0, fours, 4):
            to = total + k * columns + column
            a00, a01 = load(work, to), load(work, to + LANES)
            a10, a11 = load(work, to + columns), load(work, to + columns + LANES)
            a20, a21 = load(work, to + 2 * columns), load(work, to + 2 * columns + LANES)
            a30, a31 = load(work, to + 3 * columns), load(work, to + 3 * columns + LANES)
            at, b = left + k, right + column
            for _ in range(rows):
                b0, b1 = load(work, b), load(work, b + LANES)
                x = spread(source, at)
                a00, a01 = fma(x, b0, a00), fma(x, b1, a01)
                x = spread(source, at + 1)
                a10, a11 = fma(x, b0, a10), fma(x, b1, a11)
                x = spread(source, at + 2)
                a20, a21 = fma(x, b0, a20), fma(x, b1, a21)
                x = spread(source, at + 3)
                a30, a31 = fma(x, b0, a30), fma(x, b1, a31)
                at += inner
                b += columns
            store(work, to, a00), store(work, to + LANES, a01)
            to += columns
            store(work, to, a10), store(work, to + LANES, a11)
            to += columns
            store(work, to, a20), store(work, to + LANES, a21)
            to += columns
            store(work, to, a30), store(work, to + LANES, a31)
    for column in range(0, columns, LANES):
        for k in range(fours if column < paired else 0, inner):
            # Four sums of every fourth row: one alone would wait for itself.
            a0 = a1 = a2 = a3 = every(np.float32(0))
            at, b = left + k, right + column
            for _ in range(0, rows, 4):
                a0 = fma(spread(source, at), load(work, b), a0)
                a1 = fma(spread(source, at + inner), load(work, b + columns), a1)
                a2 = fma(spread(source, at + 2 * inner), load(work, b + 2 * columns), a2)
                a3 = fma(spread(source, at + 3 * inner), load(work, b + 3 * columns), a3)
                at += 4 * inner
                b += 4 * columns
            to = total + k * columns + column
            store(work, to, load(work, to) + ((a0 + a1) + (a2 + a3)))


@njit(error_model="numpy")
def add_rows(rows: int, columns: int, work: Any, matrix: int, total: int) -> None:
    """total (columns) += the sum of the rows of a matrix: the gradient of a bias."""
    for column in range(0, columns, LANES):
        a0 = a1 = a2 = a3 = every(np.float32(0))
        at = matrix + column
        for _ in range(0, rows, 4):
            a0 += load(work, at)
            a1 += load(work, at + columns)
            a2 += load(work, at + 2 * columns)
            a3 += load(work, at + 3 * columns)
            at += 4 * columns
        store(work, total + column, load(work, total + column) + ((a0 + a1) + (a2 + a3)))


@njit(error_model="numpy")
def multiply(count: int, work: Any, left: int, right: int, result: int) -> None:
    """result = left times right, number by number."""
    for i in range(0, count, LANES):
        store(work, result + i, load(work, left + i) * load(work, right + i))


@njit(error_model="numpy")
def transpose(work: Any, square: int, side: int, result: int, factor: Any) -> None:
    """result = factor times a (side, side) matrix, transposed."""
    for row in range(side):
        for column in range(side):
            work[result + column * side + row] = factor * work[square + row * side + column]


@njit(error_model="numpy")
def dots(rows: int, work: Any, left: int, columns: int, right: int, offset: Any, result: int) -> None:
    """result (rows) = left (rows, columns) times right (columns), plus `offset`: one channel of the values."""
    for row in range(0, rows, 8):
        a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = every(np.float32(0))
        at = left + row * columns
        for column in range(0, columns, LANES):
            b = load(work, right + column)
            x = at + column
            a0 = fma(load(work, x), b, a0)
            a1 = fma(load(work, x + columns), b, a1)
            a2 = fma(load(work, x + 2 * columns), b, a2)
            a3 = fma(load(work, x + 3 * columns), b, a3)
            a4 = fma(load(work, x + 4 * columns), b, a4)
            a5 = fma(load(work, x + 5 * columns), b, a5)
            a6 = fma(load(work, x + 6 * columns), b, a6)
            a7 = fma(load(work, x + 7 * columns), b, a7)
        store(work, result + row, sums(a0, a1, a2, a3, a4, a5, a6, a7) + every(offset))
