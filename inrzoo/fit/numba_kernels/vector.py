"""Eight floats at a time, as a type of numba's.

LLVM does not find the blocked products of `products.py` in scalar loops, and what it does find depends on the
processor and on the version. Here every operation is a vector instruction of LLVM's with the rounding of IEEE 754, in
the order in which it is written; so the bits are the same on every processor, whatever instructions it has.

A `Vector` exists in compiled code alone. Arrays are one-dimensional, contiguous float32; places count floats.
"""

import inspect
import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing import signature
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, models, register_model

from inrzoo.fit.numba_kernels.places import LANES

Vector = Any
FLOATS = ir.VectorType(ir.FloatType(), LANES)
INTEGERS = ir.VectorType(ir.IntType(32), LANES)
ARRAY = types.Array(types.float32, 1, "C")


class VectorType(types.Type):
    """What numba calls it."""

    def __init__(self) -> None:
        super().__init__(name="inrzoo.Vector")


vector = VectorType()


@register_model(VectorType)
class VectorModel(models.PrimitiveModel):
    """How LLVM holds it: in one register, or in as many as it takes."""

    def __init__(self, manager: Any, frontend_type: Any) -> None:
        super().__init__(manager, frontend_type, FLOATS)


def _operation(returns: Any, *takes: Any) -> Any:
    """Makes an intrinsic out of a function (builder, *values) -> value."""

    def make(emit: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            arrays = [
                context.make_array(kind)(context, builder, value).data if kind == ARRAY else value
                for kind, value in zip(takes, values, strict=True)
            ]
            return emit(builder, *arrays)

        def typer(context: Any, *given: Any) -> Any:
            return signature(returns, *takes), codegen

        typer.__name__ = emit.__name__
        names = ["context", *(f"x{i}" for i in range(len(takes)))]  # numba folds what comes as *given into a tuple
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        typer.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
        return intrinsic(typer)

    return make


for _operator, _instruction in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    infer_global(_operator)(type("VectorOperator", (ConcreteTemplate,), {"cases": [signature(vector, vector, vector)]}))

    def _lower(context: Any, builder: Any, signature: Any, values: Any, instruction: str = _instruction) -> Any:
        return getattr(builder, instruction)(*values)

    lower_builtin(_operator, vector, vector)(_lower)


def _constant(value: float) -> Any:
    return ir.Constant(FLOATS, [float(np.float32(value))] * LANES)


def _integer(value: int) -> Any:
    return ir.Constant(INTEGERS, [value] * LANES)


def _splat(builder: Any, scalar: Any) -> Any:
    first = builder.insert_element(ir.Constant(FLOATS, ir.Undefined), scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(first, first, ir.Constant(INTEGERS, [0] * LANES))


def _call(builder: Any, name: str, *values: Any) -> Any:
    kind = ir.FunctionType(FLOATS, [FLOATS] * len(values))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), values)


@_operation(vector, ARRAY, types.intp)
def load(builder: Any, floats: Any, place: Any) -> Any:
    """The `LANES` floats from `place` on."""
    address = builder.bitcast(builder.gep(floats, [place]), FLOATS.as_pointer())
    return builder.load(address, align=4)


@_operation(types.void, ARRAY, types.intp, vector)
def store(builder: Any, floats: Any, place: Any, value: Any) -> Any:
    """Write `LANES` floats to `place` and on."""
    address = builder.bitcast(builder.gep(floats, [place]), FLOATS.as_pointer())
    builder.store(value, address, align=4)
    return ir.Constant(ir.IntType(8).as_pointer(), None)


@_operation(vector, ARRAY, types.intp)
def spread(builder: Any, floats: Any, place: Any) -> Any:
    """The one float at `place`, in every lane."""
    return _splat(builder, builder.load(builder.gep(floats, [place]), align=4))


@_operation(vector, types.float32)
def every(builder: Any, value: Any) -> Any:
    """A number in every lane."""
    return _splat(builder, value)


@_operation(vector, vector, vector, vector)
def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a · b + c, rounded once; where the processor has no such instruction, by the C library."""
    return _call(builder, "fma", a, b, c)


@_operation(vector, vector)
def square_root(builder: Any, x: Any) -> Any:
    """√x."""
    return _call(builder, "sqrt", x)


@_operation(vector, vector, vector)
def where_positive(builder: Any, x: Any, value: Any) -> Any:
    """`value` where x > 0, else 0."""
    return builder.select(builder.fcmp_ordered(">", x, _constant(0)), value, _constant(0))


@_operation(vector, vector, types.float32, types.float32)
def clamp(builder: Any, x: Any, low: Any, high: Any) -> Any:
    """x, but no lower than `low` and no higher than `high`."""
    low, high = _splat(builder, low), _splat(builder, high)
    raised = builder.select(builder.fcmp_ordered("<", x, low), low, x)
    return builder.select(builder.fcmp_ordered(">", raised, high), high, raised)


@_operation(vector, vector, vector)
def negate_where_odd(builder: Any, x: Any, shifted: Any) -> Any:
    """x, with the other sign where the integer that `shifted` has in its lowest bits is odd."""
    odd = builder.shl(builder.bitcast(shifted, INTEGERS), _integer(31))
    return builder.bitcast(builder.xor(builder.bitcast(x, INTEGERS), odd), FLOATS)


@_operation(vector, vector)
def power_of_two(builder: Any, shifted: Any) -> Any:
    """2ᵏ for the integer k that was shifted by 1.5·2²³."""
    exponent = builder.add(builder.bitcast(shifted, INTEGERS), _integer(127 - 0x4B400000))
    return builder.bitcast(builder.shl(exponent, _integer(23)), FLOATS)


@_operation(vector, *[vector] * LANES)
def sums(builder: Any, *rows: Any) -> Any:
    """Lane i is the sum of rows[i]: neighbours are added, then pairs of neighbours, then fours."""
    masks = [ir.Constant(INTEGERS, list(range(first, 2 * LANES, 2))) for first in (0, 1)]
    while len(rows) > 1:
        rows = tuple(
            builder.fadd(*(builder.shuffle_vector(a, b, mask) for mask in masks))
            for a, b in zip(rows[::2], rows[1::2], strict=True)
        )
    return rows[0]


def _polynomial(*coefficients: float) -> Any:
    """Makes an intrinsic: the polynomial with these coefficients, highest power first, by Horner's rule."""

    @_operation(vector, vector)
    def polynomial(builder: Any, x: Any) -> Any:
        total = _constant(coefficients[0])
        for coefficient in coefficients[1:]:
            total = _call(builder, "fma", total, x, _constant(coefficient))
        return total

    return polynomial


# Minimax on [-1/2, 1/2]: sin(πr)/r and cos(πr) as polynomials in r²; Taylor of 2ᶠ.
sine_over_r = _polynomial(7.765941047e-02, -5.982921605e-01, 2.550077660e00, -5.167710090e00, 3.141592640e00)
cosine = _polynomial(-2.462789779e-02, 2.350747612e-01, -1.335240022e00, 4.058711418e00, -4.934802197e00, 1.0)
power = _polynomial(
    1.525273e-5, 1.540353e-4, 1.333355815e-3, 9.618129108e-3, 5.550410866e-2, 2.402265070e-1, 6.931471806e-1, 1.0
)
ROUND = np.float32(1.5 * 2**23)
LOG2_E = np.float32(1.44269504)


@njit(forceinline=True)
def sine_cosine(x: Vector) -> tuple[Vector, Vector]:
    """sin(πx) and cos(πx) together, error below 3e-7.

    Adding and subtracting 1.5·2²³ rounds x to the nearest integer exactly; what is left, r in [-1/2, 1/2], goes through
    two polynomials; both results change sign where that integer is odd.
    """
    shifted = x + every(ROUND)
    r = x - (shifted - every(ROUND))
    q = r * r
    return negate_where_odd(sine_over_r(q) * r, shifted), negate_where_odd(cosine(q), shifted)


@njit(forceinline=True)
def exponential(x: Vector) -> Vector:
    """eˣ; below e⁻⁸⁷ it is e⁻⁸⁷.

    2ᵏ goes into the exponent bits, 2ᶠ with f in [-1/2, 1/2] is a polynomial (error 1e-8).
    """
    t = clamp(x, np.float32(-87), np.float32(88)) * every(LOG2_E)
    shifted = t + every(ROUND)
    return power(t - (shifted - every(ROUND))) * power_of_two(shifted)
