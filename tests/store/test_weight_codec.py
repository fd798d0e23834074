"""Rounded weights: how far they move, that any arithmetic reads them alike, and that encoding them again is exact."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inrzoo.store.weight_codec import STEPS, WeightCodec
from inrzoo.weights import WeightLayout, WeightTensor

LAYOUT = WeightLayout((WeightTensor("weight", (3, 2), ("hidden", "in")), WeightTensor("bias", (3,), ("hidden",))))
TYPES = ("float32", "float16", "bfloat16", "int16", "int8")
SCALED = ("int16", "int8")
SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "int16": 2.0**-125, "int8": 2.0**-140}
"""The smallest number above 0 of each floating type, or nearly the smallest scale: numbers below have its steps."""
WIDEST = {"int16": 2.0, "int8": 1 + 2.0**-14}
"""By how much a scale is rounded up."""
WEIGHTS = arrays(np.float32, (4, LAYOUT.num_params), elements=st.floats(-3e4, 3e4, width=32))


def codec(dtype: str) -> WeightCodec:
    return WeightCodec(dtype, LAYOUT)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS)
def test_decoded_weights_encode_to_the_same_row(dtype: str, weights: np.ndarray) -> None:
    rows = codec(dtype).encode(weights)
    kept = codec(dtype).decode(rows)
    assert rows.dtype == codec(dtype).array_dtype and rows.shape == (4, codec(dtype).width)
    assert kept.dtype == np.float32 and kept.shape == weights.shape
    assert codec(dtype).encode(kept).tobytes() == rows.tobytes()
    np.testing.assert_array_equal(codec(dtype).round(weights), kept)


@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS)
def test_rounding_knows_no_sign(dtype: str, weights: np.ndarray) -> None:
    np.testing.assert_array_equal(codec(dtype).round(-weights), -codec(dtype).round(weights))


@pytest.mark.parametrize("dtype", SCALED)
@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS)
def test_a_whole_number_is_at_most_half_a_step_of_its_tensor_away(dtype: str, weights: np.ndarray) -> None:
    rows, steps = codec(dtype).encode(weights), STEPS[dtype]
    scales = rows[:, LAYOUT.num_params :].copy().view("<f4").astype(np.float64)
    kept, sizes = codec(dtype).decode(rows), [tensor.size for tensor in LAYOUT.tensors]
    step = np.repeat(scales, sizes, axis=1)
    # A quotient of float32 is rounded, which can take a number between two steps to either; and the smallest underflow.
    assert (np.abs(kept.astype(np.float64) - weights) <= step * (0.5 + steps * 2.0**-24) + SMALLEST[dtype]).all()
    largest = np.stack([np.abs(part).max(1) for part in np.split(weights, np.cumsum(sizes)[:-1], axis=1)], axis=1)
    assert (scales <= largest / steps * WIDEST[dtype] + SMALLEST[dtype]).all(), "no step is wider than the tensor needs"


@pytest.mark.parametrize("dtype", SCALED)
@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS)
def test_a_whole_number_times_its_scale_is_exact(dtype: str, weights: np.ndarray) -> None:
    rows = codec(dtype).encode(weights)
    scales = rows[:, LAYOUT.num_params :].copy().view("<f4").astype(np.float64)
    exact = rows[:, : LAYOUT.num_params] * np.repeat(scales, [tensor.size for tensor in LAYOUT.tensors], axis=1)
    np.testing.assert_array_equal(codec(dtype).decode(rows).astype(np.float64), exact)


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 11), ("bfloat16", 8)])
@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS)
def test_a_float_of_fewer_bits_is_the_nearest_one_with_ties_to_even(dtype: str, bits: int, weights: np.ndarray) -> None:
    """By the definition of such floats, number by number, in float64."""

    def nearest(number: float) -> float:
        exponent = math.frexp(number)[1]
        step = max(math.ldexp(1.0, exponent - bits), SMALLEST[dtype])
        return round(number / step) * step  # round() takes ties to even

    expected = [[nearest(float(number)) for number in row] for row in weights]
    np.testing.assert_array_equal(codec(dtype).round(weights).astype(np.float64), expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_pending_inrs_are_nan_as_are_rows_of_the_fill_value(dtype: str) -> None:
    pending = np.full((2, LAYOUT.num_params), np.nan, np.float32)
    assert np.isnan(codec(dtype).round(pending)).all()
    absent = np.full((2, codec(dtype).width), codec(dtype).fill, codec(dtype).array_dtype)
    assert np.isnan(codec(dtype).decode(absent)).all()


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_a_scaled_tensor_with_a_number_that_is_not_finite_is_nan_and_its_neighbour_is_not(number: float) -> None:
    weights = np.ones((1, LAYOUT.num_params), np.float32)
    weights[0, 1] = number
    for dtype in SCALED:
        kept = LAYOUT.split(codec(dtype).round(weights))
        assert np.isnan(kept["weight"]).all() and np.abs(kept["bias"] - 1).max() < 0.5 / STEPS[dtype]


def test_zeros_stay_zeros_in_every_type() -> None:
    zeros = np.zeros((1, LAYOUT.num_params), np.float32)
    for dtype in TYPES:
        np.testing.assert_array_equal(codec(dtype).round(zeros), zeros)


@pytest.mark.parametrize("dtype", SCALED)
def test_numbers_below_every_scale_become_zeros_that_encode_to_the_same_row(dtype: str) -> None:
    tiny = np.float32(2.0**-149) * np.arange(LAYOUT.num_params, dtype=np.float32)[None] * 60
    rows = codec(dtype).encode(tiny)
    assert codec(dtype).encode(codec(dtype).decode(rows)).tobytes() == rows.tobytes()
