"""Normal and Gamma draws of a random stream: the distributions, and which uniforms make them."""

import math

import numpy as np
import pytest
from scipy import stats

from inrzoo.seeding import Stream

KEY = ("init", "digits", 0, "digits/0000")
GOLDEN_NORMAL = [-1.1473729179333085, 1.8690369335068113, -1.4475091605895065]
GOLDEN_GAMMA = [0.5809024492594527, 5.431327953232198, 0.40935663253771]
GOLDEN_GAMMA_BOOSTED = [0.053309888691199236, 1.4762134715170863, 8.606787944767464e-05]


def test_normal_draws_are_normal():
    draws = Stream(*KEY).normal(200_000)
    assert draws.dtype == np.float64
    assert stats.kstest(draws, stats.norm.cdf).pvalue > 1e-3
    assert abs(draws.mean()) < 4 / math.sqrt(len(draws))
    assert draws.std() == pytest.approx(1, rel=0.01)
    assert stats.kurtosis(draws) == pytest.approx(0, abs=0.05)
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.01


def test_normal_draws_are_box_muller_of_the_uniforms():
    uniforms = Stream(*KEY).uniform(0, 1, 8).tolist()
    by_hand = [
        math.sqrt(-2 * math.log(1 - radius)) * math.cos(2 * math.pi * angle)
        for radius, angle in zip(uniforms[::2], uniforms[1::2], strict=True)
    ]
    assert Stream(*KEY).normal(4).tolist() == pytest.approx(by_hand, rel=1e-12)


def test_normal_draws_in_parts_are_the_same():
    stream = Stream(*KEY)
    parts = np.concatenate([stream.normal(count) for count in (1, 2, 0, 61)])
    assert np.array_equal(parts, Stream(*KEY).normal(64))


@pytest.mark.parametrize("shape", [0.1, 0.5, 1.0, 1.5, 2.0, 6.0, 300.0])
@pytest.mark.parametrize("rate", [1.0, 4.0])
def test_gamma_draws_are_gamma(shape, rate):
    draws = Stream(*KEY).gamma(shape, rate, 50_000)
    assert draws.dtype == np.float64
    assert (draws > 0).all()
    assert stats.kstest(draws, stats.gamma(shape, scale=1 / rate).cdf).pvalue > 1e-3
    deviation = math.sqrt(shape) / rate
    assert abs(draws.mean() - shape / rate) < 4 * deviation / math.sqrt(len(draws))
    assert draws.std() == pytest.approx(deviation, rel=0.05)
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.02


def gamma_by_hand(shape: float, count: int) -> list[float]:
    """Marsaglia & Tsang 2000 in words of one draw, fed as the docstring says: round by round, then the boost."""
    stream = Stream(*KEY)
    d = max(shape, 1 + shape * (shape < 1)) - 1 / 3
    found: dict[int, float] = {}
    while pending := [i for i in range(count) if i not in found]:
        normals, uniforms = stream.normal(len(pending)), stream.uniform(0, 1, len(pending))
        for i, x, u in zip(pending, normals.tolist(), uniforms.tolist(), strict=True):
            v = (1 + x / math.sqrt(9 * d)) ** 3
            if v > 0 and math.log(1 - u) < x * x / 2 + d - d * v + d * math.log(v):
                found[i] = d * v
    boost = (1 - stream.uniform(0, 1, count)) ** (1 / shape) if shape < 1 else np.ones(count)
    return [found[i] * boost[i] for i in range(count)]


@pytest.mark.parametrize("shape", [0.3, 2.0])
def test_gamma_draws_are_marsaglia_and_tsang_of_the_uniforms(shape):
    assert Stream(*KEY).gamma(shape, 1.0, 500).tolist() == pytest.approx(gamma_by_hand(shape, 500), rel=1e-9)


def test_the_rate_divides_and_nothing_else():
    np.testing.assert_allclose(Stream(*KEY).gamma(2.0, 5.0, 100) * 5, Stream(*KEY).gamma(2.0, 1.0, 100), rtol=1e-12)


def test_draws_depend_on_the_key():
    other = ("init", "digits", 1, "digits/0000")
    assert not np.isin(Stream(*KEY).normal(1000), Stream(*other).normal(1000)).any()
    assert not np.isin(Stream(*KEY).gamma(2, 1, 1000), Stream(*other).gamma(2, 1, 1000)).any()


def test_golden_values():
    """Published GaborNets can be fitted again only as long as these stay."""
    assert Stream(*KEY).normal(3).tolist() == pytest.approx(GOLDEN_NORMAL, rel=1e-12)
    assert Stream(*KEY).gamma(2.0, 1.0, 3).tolist() == pytest.approx(GOLDEN_GAMMA, rel=1e-12)
    assert Stream(*KEY).gamma(0.5, 1.0, 3).tolist() == pytest.approx(GOLDEN_GAMMA_BOOSTED, rel=1e-12)
