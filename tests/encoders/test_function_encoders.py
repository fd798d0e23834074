"""Encoders that read the function: where they evaluate an INR, and what they read there.

Shape letters: B INRs, K points.
"""

import math

import numpy as np
import pytest
import torch

from inrzoo import registry
from inrzoo.coords import grid
from inrzoo.encoders import Domain
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream

EXTENT, POINTS = 33.0, 512


class Tone:
    """A function of time with three weights, sin(frequency · t + phase) · amplitude: a family without symmetries."""

    in_features, out_features = 1, 1

    def __call__(self, weights_B3, coords_K1):
        frequency, phase, amplitude = weights_B3[:, :, None].unbind(1)
        return (amplitude * torch.sin(frequency * coords_K1.T + phase))[..., None]


def domain(*sizes: int) -> Domain:
    return Domain(extent=EXTENT, sizes=sizes, coords=torch.from_numpy(grid(sizes, extent=EXTENT)))


def made(name: str, inr, place: Domain, **arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layout = Siren(in_features=1, out_features=1).layout
        return registry.make("encoders", {"name": name, **arguments}, layout=layout, inr=inr, domain=place).eval()


def test_the_spectrogram_of_a_tone_stands_at_its_frequency_and_not_at_its_phase():
    encoder = made("rendered_conv_net", Tone(), domain(POINTS), window=64, hop=16, num_blocks=2)
    radians_per_sample = 2 * EXTENT / (POINTS - 1)
    frequency = 2 * math.pi * 5 / 64 / radians_per_sample  # 5 periods a window
    tones = torch.tensor([[frequency, 0.0, 1.0], [frequency, 1.3, 1.0], [2 * frequency, 0.0, 1.0]])
    first, shifted, octave = encoder.picture(tones)[:, 0, :, 3:-3].unbind()
    assert first.shape == (33, POINTS // 16 + 1 - 6)
    assert (first.argmax(0) == 5).all() and (octave.argmax(0) == 10).all()
    torch.testing.assert_close(first[4:7], shifted[4:7], rtol=0, atol=1e-3)


def test_silence_is_finite():
    encoder = made("rendered_conv_net", Tone(), domain(POINTS), window=64, hop=16, num_blocks=2)
    assert encoder(torch.zeros(1, 3)).isfinite().all()


def test_an_image_is_rendered_on_the_grid_of_the_store():
    inr = Siren(in_features=2, out_features=3, hidden_features=8)
    place = domain(16, 12)
    encoder = made("rendered_conv_net", inr, place)
    weights = torch.from_numpy(inr.init(Stream("test", "", 0)))[None]
    picture = encoder.picture(weights)
    assert picture.shape == (1, 3, 16, 12)
    torch.testing.assert_close(picture[0, :, 5, 7], inr(weights, place.coords)[0, 5 * 12 + 7])


@pytest.mark.parametrize("place", [Domain(extent=2.0), Domain(extent=2.0, sizes=(5, 6, 7), coords=torch.zeros(210, 3))])
def test_a_volume_is_rendered_on_the_cube_of_the_extent(place):
    inr = Siren(in_features=3, out_features=1, hidden_features=8)
    encoder = made("rendered_conv_net", inr, place, resolution=8)
    weights = torch.from_numpy(inr.init(Stream("test", "", 0)))[None]
    volume = encoder.picture(weights)
    assert volume.shape == (1, 1, 8, 8, 8)
    corner = inr(weights, torch.tensor([[-2.0, 2.0, -2.0]]))
    torch.testing.assert_close(volume[0, 0, 0, 7, 0], corner[0, 0, 0])
    assert encoder(weights).shape == (1, encoder.out_features)


def test_probes_begin_evenly_in_the_cube_and_never_leave_it():
    inr = Siren(in_features=2, out_features=1, hidden_features=8)
    encoder = made("function_probe", inr, Domain(extent=3.0), num_probes=64)
    counts = np.histogram2d(*encoder.coords.detach().numpy().T, bins=4, range=[[-3, 3]] * 2)[0]
    assert counts.sum() == 64 and counts.min() == counts.max() == 4
    with torch.no_grad():
        encoder.probes.mul_(10)
    assert encoder.coords.abs().max() == 3.0


def test_probes_move_only_if_they_are_learned():
    inr = Siren(in_features=2, out_features=1, hidden_features=8)
    for learned in (True, False):
        encoder = made("function_probe", inr, Domain(extent=1.0), learned=learned)
        names = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
        assert ("probes" in names) == learned


def test_probes_read_what_the_inr_says_at_their_coordinates():
    inr = Siren(in_features=2, out_features=2, hidden_features=8)
    encoder = made("function_probe", inr, Domain(extent=1.0), num_probes=8)
    weights = torch.from_numpy(inr.init(Stream("test", "", 0)))[None]
    expected = encoder.network(inr(weights, encoder.coords).reshape(1, 16))
    torch.testing.assert_close(encoder(weights), expected)


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("function_probe", {"num_probes": 1}, "num_probes = 1 is not allowed; it must be at least 2"),
        ("function_probe", {"dropout": 1.0}, "below 1"),
        ("rendered_conv_net", {"window": 1000}, "from 2 to 512, the points that are rendered"),
        ("rendered_conv_net", {"hidden_features": 12}, "a multiple of 8"),
        ("rendered_conv_net", {"num_blocks": 8}, "num_blocks = 8 is not allowed; it must be from 1 to "),
    ],
)
def test_impossible_arguments_are_refused_in_one_line(name, arguments, message):
    with pytest.raises(InrzooError, match=message) as caught:
        made(name, Tone(), domain(POINTS), **arguments)
    assert "\n" not in str(caught.value)


def test_functions_of_four_coordinates_cannot_be_rendered():
    inr = Siren(in_features=4, out_features=1)
    with pytest.raises(InrzooError, match="1 to 3 coordinates; this INR has 4"):
        made("rendered_conv_net", inr, Domain(extent=1.0))
