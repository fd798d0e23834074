"""A diffusion model over vectors that stand for functions, and the autoencoder whose codes it may run on.

Shape letters: B items, P numbers of one, F numbers of a code, K coordinates, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, mse_loss

from inrzoo.encoders import Encoder
from inrzoo.tasks.generative.denoiser import Denoiser, ResidualMlp
from inrzoo.tasks.generative.diffusion import denoising_pairs, sample
from inrzoo.tasks.generative.subjects import Subject

Space = Literal["code", "weights"]
FIRST_GAIN = 0.1
"""Factor of the random weights of a new decoder's last layer: all codes begin near the start."""
CODES_AT_ONCE = 4
"""Times at which each code of a batch is denoised in a step: codes are short, and reading weights is not."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of the networks.

    Attributes:
        code_features: F.
        hidden_features: of encoder's end, decoder and denoiser.
        num_blocks: residual blocks of the decoder and of the denoiser.
        num_classes: number of classes.
    """

    code_features: int
    hidden_features: int
    num_blocks: int
    num_classes: int


class Sampler(nn.Module):
    """Makes vectors (B, P) from noise and classes: what remains of a generative model after its training.

    With `space = "code"` the diffusion runs on codes, and a decoder makes start + std ⊙ network(code) of them; else on
    (vector − mean) / std.

    Args:
        num_params: P.
        space: where the diffusion runs.
        sizes: of the networks.

    Attributes:
        features: numbers of the noise.
        mean, std, start: (P,) each.
        init: (P,), where all INRs that were learned started; where they did not, `start`, which samples have in common.
    """

    mean: Tensor
    std: Tensor
    start: Tensor
    init: Tensor

    def __init__(self, num_params: int, space: Space, sizes: Sizes) -> None:
        super().__init__()
        self.features = sizes.code_features if space == "code" else num_params
        hidden, blocks = sizes.hidden_features, sizes.num_blocks
        self.denoiser = Denoiser(self.features, sizes.num_classes, hidden, blocks)
        self.decoder = ResidualMlp(self.features, num_params, hidden, blocks, FIRST_GAIN) if space == "code" else None
        for name, value in (("mean", 0.0), ("std", 1.0), ("start", 0.0), ("init", 0.0)):
            self.register_buffer(name, torch.full((num_params,), value))

    def decode(self, code: Tensor) -> Tensor:
        """Vectors (B, P) of codes (B, F)."""
        if self.decoder is None:
            return self.mean + self.std * code
        vectors: Tensor = self.start + self.std * self.decoder(code)
        return vectors

    def forward(self, noise: Tensor, label: Tensor, steps: int, guidance: float = 1.0) -> Tensor:
        """Vectors (B, P): a function of these arguments.

        Args:
            noise: standard normal, (B, `features`).
            label: classes (B,), int64.
            steps: evaluations of the denoiser.
            guidance: w of classifier-free guidance, v(unknown) + w (v(class) − v(unknown)): Ho & Salimans 2022 (arXiv
                2207.12598), eq. 6, where it is 1 + w. 1 is none.
        """
        unknown = torch.full_like(label, self.denoiser.unknown_class)

        def predict(noisy: Tensor, time: Tensor) -> Tensor:
            predicted: Tensor = self.denoiser(noisy, time, label)
            if guidance == 1:
                return predicted
            without = self.denoiser(noisy, time, unknown)
            guided: Tensor = without + guidance * (predicted - without)
            return guided

        return self.decode(sample(predict, noise, steps))


class GenerativeModel(nn.Module):
    """A sampler, and the encoder of the codes that it is trained on.

    Codes are layer-normalised: their scale is then known to the diffusion while the encoder still learns.

    Args:
        sampler: with `decoder` if there is an encoder.
        encoder: reads vectors; None where the diffusion runs on the vectors themselves.
        code_noise: standard deviation of the noise on codes that the decoder learns to read.
    """

    def __init__(self, sampler: Sampler, encoder: Encoder | None, code_noise: float) -> None:
        super().__init__()
        self.sampler, self.encoder, self._code_noise = sampler, encoder, code_noise
        self.to_code = None if encoder is None else nn.Linear(encoder.out_features, sampler.features)

    def encode(self, vectors: Tensor) -> Tensor:
        """Codes (B, F) of vectors (B, P)."""
        normalised = (vectors - self.sampler.mean) / self.sampler.std
        if self.encoder is None or self.to_code is None:
            return normalised
        features = self.encoder(normalised if self.encoder.normalised else vectors)
        return layer_norm(self.to_code(features), (self.sampler.features,))

    def losses(
        self, vectors: Tensor, label: Tensor, subject: Subject, points: Tensor | None, unknown_share: float
    ) -> tuple[Tensor, Tensor]:
        """The loss of the diffusion, and the mean squared error of reconstructed functions, 0 without codes.

        Gradients of the first do not reach the encoder: codes are what reconstructs best, not what is denoised best.

        Args:
            vectors: (B, P).
            label: (B,).
            subject: evaluates the functions.
            points: numbers of the points where functions are compared; None for all.
            unknown_share: share of the classes that are hidden from the denoiser.
        """
        code = self.encode(vectors)
        reconstruction = torch.zeros((), device=vectors.device)
        repeats = 1
        if self.encoder is not None:
            noisy = code + self._code_noise * torch.randn_like(code)
            with torch.no_grad():
                target_BKC = subject.values(vectors, points)
            reconstruction = mse_loss(subject.values(self.sampler.decode(noisy), points), target_BKC)
            repeats = CODES_AT_ONCE
        clean, known = code.detach().repeat(repeats, 1), label.repeat(repeats)
        hidden = torch.rand(len(known), device=known.device) < unknown_share
        known = torch.where(hidden, self.sampler.denoiser.unknown_class, known)
        noisy, time, target = denoising_pairs(clean)
        return mse_loss(self.sampler.denoiser(noisy, time, known), target), reconstruction
