"""From the numbers of a signal to the values that an INR is fitted to, and back."""

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrzoo.errors import InrzooError
from inrzoo.manifest import Coords, Values
from inrzoo.observations.grid import Grid
from inrzoo.targets import SignalTable, limits_of, to_numbers, to_values

IDS = ["a", "b", "c"]


def sounds() -> np.ndarray:
    """Three signals of very different loudness, (3, 50, 1)."""
    waves = np.sin(np.arange(150).reshape(3, 50) / 3) * np.array([[30000.0], [800.0], [7.0]])
    return np.rint(waves).astype(np.int16)[:, :, None]


@pytest.mark.parametrize("scale", ["dtype", "dataset", "signal"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_numbers_come_back_from_their_values(scale: str, symmetric: bool) -> None:
    settings = Values(dtype="int16", scale=scale, symmetric=symmetric and scale != "dtype")  # type: ignore[arg-type]
    limits = limits_of(sounds(), settings, IDS)
    values = to_values(sounds(), settings, limits)
    assert values.dtype == np.float32 and np.abs(values).max() <= 1
    own = np.tile([[-32768.0, 32768.0]], (3, 1)) if limits is None else limits
    assert np.array_equal(to_numbers(values, settings, own), sounds())


def test_each_scale_takes_its_extremes_where_it_says() -> None:
    signals, training = sounds(), np.array([False, True, True])
    assert limits_of(signals, Values(dtype="int16"), IDS) is None
    by_signal = limits_of(signals, Values(dtype="int16", scale="signal"), IDS)
    assert np.array_equal(by_signal, np.stack([signals.min(axis=(1, 2)), signals.max(axis=(1, 2))], axis=1))
    by_set = limits_of(signals, Values(dtype="int16", scale="dataset"), IDS, training)
    assert (by_set == [signals[1:].min(), signals[1:].max()]).all()
    given_limits = Values(dtype="int16", scale="dataset", limits=(-5.0, 7.0))
    assert (limits_of(signals, given_limits, IDS) == [-5.0, 7.0]).all()


def test_silence_stays_at_0_on_a_symmetric_scale() -> None:
    """Otherwise the padding of a sound would be a tone of its own."""
    signals = np.array([[[-3], [0], [9]], [[0], [0], [1]]], dtype=np.int16)
    settings = Values(dtype="int16", scale="signal", symmetric=True)
    values = to_values(signals, settings, limits_of(signals, settings, IDS[:2]))
    assert (values[signals == 0] == 0).all() and np.array_equal(np.abs(values).max(axis=(1, 2)), [1, 1])


@given(st.integers(-32768, 32767), st.floats(-1000, 1000), st.floats(0.001, 1000))
def test_a_number_outside_its_type_is_clipped_and_not_wrapped(number: int, low: float, width: float) -> None:
    settings = Values(dtype="int16", range=(low, low + width))
    values = np.array([[[low - width], [low + 2 * width], [np.nan]]])
    assert to_numbers(values, settings, np.array([[-32768.0, 32768.0]])).ravel().tolist() == [-32768, 32767, -32768]
    exact = to_values(np.full((1, 1, 1), number, np.int16), settings)
    assert abs(exact.item() - (low + width * (number + 32768) / 65536)) <= 1e-6 * (abs(low) + width)


def test_signals_without_a_scale_are_refused() -> None:
    settings = Values(dtype="int16", scale="signal", symmetric=True)
    silent = sounds()
    silent[1] = 0
    with pytest.raises(InrzooError, match=r"^signal b is constant"):
        limits_of(silent, settings, IDS)
    broken = sounds().astype(np.float32)
    broken[2, 7] = np.nan
    with pytest.raises(InrzooError, match=r"^signal c holds numbers that are not finite"):
        limits_of(broken, Values(dtype="float32", scale="dataset"), IDS)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"dtype": "float32"}, "values.dtype = 'float32' is not allowed"),
        ({"limits": (0.0, 1.0)}, r"values.limits = \[0.0, 1.0\] is not allowed"),
        ({"scale": "dataset", "limits": (1.0, 1.0)}, r"values.limits = \[1.0, 1.0\] is not allowed"),
        ({"symmetric": True}, "values.symmetric = True is not allowed"),
        ({"scale": "dataset", "limits": (0.0, 1.0), "symmetric": True}, "values.symmetric = True is not allowed"),
    ],
)
def test_scales_that_contradict_themselves_are_one_line(changes: dict, line: str) -> None:
    with pytest.raises(InrzooError, match=line):
        Values(**changes)


def table(**changes: object) -> SignalTable:
    made = SignalTable(
        arrays={"signals": np.arange(96, dtype=np.uint8).reshape(3, 32, 1)},
        grid=(32,),
        scale=Values(),
        coords=Coords(),
        observation=Grid(),
    )
    return dataclasses.replace(made, **changes)


def test_a_digest_covers_all_that_the_numbers_mean() -> None:
    first = table()
    plain = hashlib.sha256(b"a\nb\nc" + bytes(range(96))).hexdigest()
    assert first.digest(IDS) == plain  # that of the first stores
    as_int16 = first.arrays["signals"].reshape(3, 32).view(np.int16).reshape(3, 16, 1)
    points = np.linspace(-1, 1, 96, dtype=np.float16).reshape(3, 32, 1)
    limits = np.array([[0.0, 9.0]] * 3)
    others = [
        table(arrays={"signals": as_int16}, scale=Values(dtype="int16")),
        table(arrays={"signals": as_int16}, scale=Values(dtype="int16", scale="signal"), limits_N2=limits),
        table(arrays={"signals": as_int16}, scale=Values(dtype="int16", scale="signal"), limits_N2=limits + 1),
        table(arrays={**first.arrays, "points": points}),
        table(arrays={**first.arrays, "points": -points}),
        table(arrays={**first.arrays, "held_out_points": points}),
        table(valid_N2=np.array([[0, 32]] * 3)),
    ]
    digests = [other.digest(IDS) for other in others] + [first.digest(IDS), first.digest(["a", "b", "d"])]
    assert len({*digests}) == len(digests)


def test_padding_is_where_the_valid_range_ends() -> None:
    valid = table(valid_N2=np.array([[0, 32], [4, 30], [31, 32]])).targets().valid_BK
    assert valid is not None and valid.sum(axis=1).tolist() == [32, 26, 1] and valid[1, 4] and not valid[1, 30]
