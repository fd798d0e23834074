"""ReLU MLP on coordinates or on their sines and cosines.

Plain 2/64/64/64/1 is the ReLU network of the few-shot paper's Table 7. With an encoding it is the network of NeRF
(Mildenhall et al. 2020, arXiv 2003.08934, eq. 4), of Tancik et al. 2020, "Fourier features let networks learn high
frequency functions in low dimensional domains" (arXiv 2006.10739), and the FFNet of instance pattern composers.
Formulas: docs/derivations/relu_mlp.md#encodings.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, H hidden,
M encoding frequencies; leading dimensions (...) count INRs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from inrzoo.array_namespace import affine, array_namespace, as_type, double_precision, is_repeated, is_torch, relu
from inrzoo.errors import InrzooError
from inrzoo.formula import Formula, Layer
from inrzoo.inrs import Perceptron
from inrzoo.inrs._mlp import MultilayerPerceptron, broadcast_to_float64, draw_uniform, mlp_formula, move_input
from inrzoo.inrs._symmetries import draw_integers, lexicographic_order, multiply_neurons
from inrzoo.lazy import lazy
from inrzoo.seeding import Stream

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

Encoding = Literal["none", "positional", "log_spaced", "fourier"]


@dataclass(frozen=True, kw_only=True)
class ReluMlp(MultilayerPerceptron):
    """f(x) = W_L h + b_L with h ← max(0, W h + b) at every layer before the last, from h = x or h = γ(x).

    γ(x) = (cos F x, sin F x), all cosines before all sines, with the M frequencies in the rows of F:

    | encoding   | M                   | F                                                                 |
    |------------|---------------------|-------------------------------------------------------------------|
    | none       | 0                   | h = x                                                             |
    | positional | D · num_frequencies | 2^k π, k = 0, 1, …, of each coordinate: NeRF eq. 4                |
    | log_spaced | D · num_frequencies | π f, f log-spaced from 1 to σ, of each coordinate: FFNet's code   |
    | fourier    | num_frequencies     | 2π B, entries of B ~ N(0, σ²): Tancik et al., Sec. 6.1, Gaussian  |

    B is not a weight: the fields of the family decide it. Coordinates of Tancik et al. lie in [0, 1], ours in [-1, 1]:
    the same content needs half their σ.

    Initialisation: torch's default for `nn.Linear`, W and b ~ U(±1/√in), for every layer; the few-shot paper does not
    say. He's (std √(2/in), biases 0) keeps variance better in deep networks, but with biases of 0 all folds of a plain
    network pass through the origin. FFNet's code starts with biases of 0, normalises each row of W and adds 0.5 to the
    output. Here the hypernetwork that writes the weights does so.

    Attributes:
        hidden_features: H, neurons of a hidden layer.
        hidden_layers: linear layers between hidden layers, as for SIREN: 2/64/64/64/1 has two.
        encoding: encoding of the coordinates.
        num_frequencies: frequencies of each coordinate (positional, log_spaced) or in all (fourier).
        sigma: σ: the highest f (log_spaced) or the standard deviation of B in cycles per coordinate unit (fourier).
        encoding_seed: seed of B.
    """

    hidden_features: int = 64
    hidden_layers: int = 2
    encoding: Encoding = "none"
    num_frequencies: int = 10
    sigma: float = 10.0
    encoding_seed: int = 0

    def __post_init__(self) -> None:
        """Reject fields out of range and unknown encodings by an InrzooError."""
        super().__post_init__()
        encodings = get_args(Encoding)
        self.require("encoding", self.encoding in encodings, f"one of {', '.join(encodings)}")
        self.require("num_frequencies", self.num_frequencies >= 1, "at least 1")
        self.require("sigma", 0 < self.sigma < np.inf, "above 0")
        self.require("sigma", self.encoding != "log_spaced" or self.sigma > 1, "above 1 with encoding = 'log_spaced'")

    @property
    def num_inputs(self) -> int:
        """The coordinates or, with an encoding, its 2 M features: the axis "in" of the layout."""
        return self.in_features if self.encoding == "none" else 2 * len(self.frequencies)

    @cached_property
    def frequencies(self) -> NDArray[np.float64]:
        """F, radians per coordinate unit, shape (M, D)."""
        if self.encoding == "none":
            return np.zeros((0, self.in_features))
        if self.encoding == "fourier":
            stream = Stream("encoding", "relu_mlp", self.encoding_seed)
            normal = stream.normal(self.num_frequencies * self.in_features)
            cycles: NDArray[np.float64] = self.sigma * normal.reshape(-1, self.in_features)
            return 2 * np.pi * cycles
        octaves = np.arange(self.num_frequencies, dtype=np.float64)
        if self.encoding == "log_spaced":
            octaves *= np.log2(self.sigma) / max(self.num_frequencies - 1, 1)
        along_axes: NDArray[np.float64] = np.eye(self.in_features)[:, None, :] * np.pi * np.exp2(octaves)[:, None]
        return along_axes.reshape(-1, self.in_features)

    def init(self, stream: Stream) -> NDArray[np.float32]:
        """Draw initial weights, shape (P,); see the class for the distribution."""
        return draw_uniform(self.layout, stream, self.init_bounds())

    def init_bounds(self) -> dict[str, float]:
        """See `INR.init_bounds`: torch's default for `nn.Linear`."""
        bounds = {}
        for i in range(self.hidden_layers + 2):
            in_size = self.layout.axes["in"] if i == 0 else self.hidden_features
            bounds[f"weight_{i}"] = bounds[f"bias_{i}"] = 1 / np.sqrt(in_size)
        return bounds

    def values(self, weights_BP: Tensor, coords_BKD: Tensor) -> Tensor:
        """Return the values of B functions, shape (B, K, C)."""
        tensors = self.layout.split(weights_BP)
        # An expanded grid is encoded once.
        features = self.features(coords_BKD[:1] if is_repeated(coords_BKD) else coords_BKD)
        shape_BKF = (len(coords_BKD), *features.shape[1:])
        hidden_BHK: Tensor = array_namespace(features).broadcast_to(features, shape_BKF).mT
        for i in range(self.hidden_layers + 2):
            hidden_BHK = relu(hidden_BHK) if i > 0 else hidden_BHK
            hidden_BHK = affine(tensors[f"bias_{i}"][:, :, None], tensors[f"weight_{i}"], hidden_BHK)
        return hidden_BHK.mT

    def features(self, coords: Tensor) -> Tensor:
        """Map coordinates (..., K, D) to inputs of the first layer: (..., K, D), or (..., K, 2 M) with an encoding."""
        if self.encoding == "none":
            return coords
        # In float64: float32 sines of large angles differ from processor to processor.
        xp = array_namespace(coords)
        with double_precision(coords):
            angles = as_type(coords, xp.float64) @ self._frequencies_for(coords).T
            features: Tensor = as_type(xp.concat([xp.cos(angles), xp.sin(angles)], axis=-1), coords.dtype)
        return features

    def _frequencies_for(self, coords: Tensor) -> Any:
        """Return F in float64; copied to a device of torch once, as a CUDA graph cannot record a copy from the host."""
        if not is_torch(coords):
            return array_namespace(coords).asarray(self.frequencies)
        device = coords.device
        if device not in self._copies:
            self._copies[device] = torch.as_tensor(self.frequencies, dtype=torch.float64, device=device)
        return self._copies[device]

    @cached_property
    def _copies(self) -> dict[torch.device, Tensor]:
        return {}

    def formula(self) -> Formula:
        """See `INR.formula`."""
        hidden = [
            Layer(weight=f"weight_{i}", bias=f"bias_{i}", activation="relu") for i in range(self.hidden_layers + 1)
        ]
        encoding = None if self.encoding == "none" else self.frequencies
        return mlp_formula(hidden, r"h_{i+1} = \max(0, W_i h_i + b_i)", encoding=encoding)

    def kernel(self) -> Perceptron:
        """See `INR.kernel`."""
        ones = (1.0,) * (self.hidden_layers + 1)
        return Perceptron(
            activation="relu",
            weight_factors=ones,
            bias_factors=ones,
            num_inputs=self.num_inputs,
            hidden_features=self.hidden_features,
            num_hidden=len(ones),
            out_features=self.out_features,
            output_offset=0.0,
            inputs=self.features,
        )

    def scale_neurons(self, weights: Tensor, scales: Mapping[str, Tensor]) -> Tensor:
        """Return weights of the same function with max(0, a) written as max(0, c a) / c in some neurons.

        Args:
            weights: (..., P).
            scales: neuron axis -> c > 0 of each of its neurons, (H,) or (..., H).

        Returns:
            (..., P).
        """
        outgoing = {axis: 1 / scale for axis, scale in scales.items()}
        return multiply_neurons(self.layout, weights, incoming=scales, outgoing=outgoing)

    def random_member(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """See `INR.random_member`: order, and scales from 1/4 to 4, of every neuron."""
        powers = draw_integers(self.layout, weights, -8, 8, generator)
        scales = {axis: torch.exp2(power.to(weights.dtype) / 4) for axis, power in powers.items()}
        return super().random_member(self.scale_neurons(weights, scales), generator)

    def canonicalise(self, weights: Tensor) -> Tensor:
        """Return one member of each orbit of permutations and positive scales of neurons.

        Layer by layer, each neuron is scaled so that its row and bias together have norm 1 (unless both are 0), then
        neurons are sorted by the entries of the row, then the bias. In the output layer only columns are exchanged and
        scaled. Neurons that are never active, or active for the same coordinates, have further symmetries, which are
        not removed (Grigsby et al. 2023, "Hidden symmetries of ReLU networks").

        Args:
            weights: (..., P).

        Returns:
            (..., P), computed in float64, in the dtype of `weights`.
        """
        exact = weights.double()
        for i in range(self.hidden_layers + 1):
            axis = f"hidden_{i}"
            tensors = self.layout.split(exact)
            rows = torch.cat([tensors[f"weight_{i}"], tensors[f"bias_{i}"][..., None]], dim=-1)
            norms = rows.norm(dim=-1)
            norms = torch.where(norms > 0, norms, 1.0)
            exact = self.scale_neurons(exact, {axis: 1 / norms})
            exact = self.layout.permute_each(exact, {axis: lexicographic_order(rows / norms[..., None])})
        return exact.to(weights.dtype)

    def transform_coords(self, weights: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        """Return the weights of f(g⁻¹(x)), g(x) = A x + t, exactly.

        See docs/derivations/augmentation.md#moving-the-signal and docs/derivations/relu_mlp.md#moving-an-encoded-input.
        Without an encoding A is any invertible matrix. With one, γ(g⁻¹(x)) must be linear in γ(x): it is for every
        shift, by the addition theorems, and for A that maps the frequencies onto each other up to sign.

        Args:
            weights: (..., P).
            matrix: A, (D, D) or (..., D, D).
            shift: t, (D,) or (..., D).

        Returns:
            (..., P).

        Raises:
            InrzooError: A does not map the frequencies of the encoding onto each other.
        """
        if self.encoding == "none":
            return move_input(self.layout, weights, matrix, shift)
        exact, inverse, exact_shift = broadcast_to_float64(weights, matrix, shift)
        frequencies_MD = torch.as_tensor(self.frequencies, device=weights.device)
        # Row j of F A⁻¹ has to be s F_p, s = ±1, for one p: then signs[j, p] = s and matches[j, p] = 1.
        moved = frequencies_MD @ inverse
        size = torch.linalg.vector_norm(frequencies_MD, dim=-1)
        same, opposite = (
            torch.linalg.vector_norm(moved[..., :, None, :] - sign * frequencies_MD, dim=-1) <= 1e-6 * size
            for sign in (1, -1)
        )
        signs, matches = same.double() - opposite.double(), same.double() + opposite.double()
        if not bool((matches.sum(-1) == 1).all()):
            allowed = "point reflection" if self.encoding == "fourier" else "exchanging and reflecting axes"
            raise InrzooError(
                f"encoding = {self.encoding!r} can be moved exactly only by shifts and {allowed}, not by this matrix; "
                "with encoding = 'none' every matrix is exact"
            )
        # F A⁻¹ (x − t) = s a + d with a = F_p x:
        # cos(s a + d) = cos d cos a − s sin d sin a and sin(s a + d) = sin d cos a + s cos d sin a.
        phases = -(moved @ exact_shift[..., None]).transpose(-1, -2)
        tensors = self.layout.split(exact)
        cosines, sines = tensors["weight_0"].chunk(2, dim=-1)
        new_cosines = (cosines * phases.cos() + sines * phases.sin()) @ matches
        new_sines = (sines * phases.cos() - cosines * phases.sin()) @ signs
        tensors["weight_0"] = torch.cat([new_cosines, new_sines], dim=-1)
        result: Tensor = self.layout.join(tensors)
        return result.to(weights.dtype)
