"""MWT: Gielisse & van Gemert 2025, "End-to-end implicit neural representations for classification";
formulas in docs/derivations/hypernetworks.md#end-to-end-classification.

Shape letters: B batch of signals, P parameters of one INR, K coordinates, D in_features, C channels, I numbers that
are adapted.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inrzoo.encoders.weight_transformer import WeightTransformer
from inrzoo.errors import InrzooError
from inrzoo.hypernets.learned_init import LearnedInit
from inrzoo.inrs import INR


class EndToEnd(LearnedInit):
    """A learned start with learned rates, and a transformer that classifies what a few steps have changed.

    Everything but the output layer is adapted; the classifier sees the offsets of the layers behind the first. Their
    INR is `{"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": 128, "hidden_layers": 4}`.

    Start, output layer and rates descend w ∇(cross-entropy) + ∇(error), the classifier ∇(cross-entropy), w being
    `task_weight`: a weighted sum of the losses would weigh the classifier's gradient too. Their code goes backward
    twice and multiplies in between; here the offsets, through which alone the classification reaches the rest, pass its
    gradient on times w, so that one pass of cross-entropy + error gives the same.

    Attributes:
        mixed_precision: run the classifier in bfloat16 in training mode. Inner steps stay in float32: bfloat16 knows a
            phase of 10 radians to 0.03.
    """

    def __init__(
        self,
        inr: INR,
        sizes: tuple[int, ...],
        *,
        num_classes: int,
        task_weight: float = 0.01,
        inner_steps: int = 6,
        inner_fraction: float = 1.0,
        learned_rates: tuple[float, float] = (0.1, 1.0),
        share_rates: bool = False,
        features: int = 128,
        num_layers: int = 10,
        head_features: int = 64,
        mlp_ratio: int = 1,
        modulation_scale: float = 500.0,
    ) -> None:
        """Build it; the defaults are the paper's and its code's.

        Args:
            inr: an INR with at least two hidden layers.
            sizes: grid of the signals; not needed here.
            num_classes: of the labels.
            task_weight: w_task: how much the classification counts for start, output layer and rates (their Fig. 4).
                With 0 it does not (their WT-sim).
            inner_steps, inner_fraction, learned_rates, share_rates: as for `LearnedInit`. The rates are this large
                because the loss is a mean over coordinates.
            features, num_layers, head_features, mlp_ratio, modulation_scale: see `WeightTransformer`.

        Raises:
            InrzooError: a number that is not allowed, or an INR with too few hidden layers.
        """
        if num_classes < 2 or task_weight < 0:
            raise InrzooError(
                f"num_classes = {num_classes}, task_weight = {task_weight} are not allowed; "
                "there must be at least 2 classes and a weight of at least 0"
            )
        super().__init__(
            inr,
            sizes,
            adapt="hidden",
            inner_steps=inner_steps,
            learned_rates=learned_rates,
            share_rates=share_rates,
            inner_fraction=inner_fraction,
        )
        self.task_weight = task_weight
        self.mixed_precision = False
        encoder = WeightTransformer(
            layout=inr.layout,
            features=features,
            num_layers=num_layers,
            head_features=head_features,
            mlp_ratio=mlp_ratio,
            modulation_scale=modulation_scale,
        )
        self.classifier = nn.Sequential(encoder, nn.Linear(features, num_classes))

    def classify(self, instances: Tensor) -> Tensor:
        """Class scores of offsets, (B, I) to (B, num_classes)."""
        offsets_BP = instances.new_zeros(len(instances), len(self.start))
        offsets_BP = offsets_BP.index_add(1, self.get_buffer("adapted"), instances)
        mixed = self.mixed_precision and self.training
        with torch.autocast(offsets_BP.device.type, torch.bfloat16, enabled=mixed):
            scores: Tensor = self.classifier(offsets_BP)
        return scores.float() if mixed else scores

    def losses(self, coords: Tensor, values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One batch: cross-entropies (B,), mean squared errors (B,), and class scores (B, num_classes).

        The sum of the first two is what training minimises. The reconstruction is judged on one more subset of
        `inner_fraction` of the coordinates.

        Args:
            coords, values: as in `forward`.
            labels: (B,), int64.
        """
        self.require_signals(coords, values)
        instances_BI = self.instances(coords, values)
        where, what = self.inner_subset(coords, values, self.inner_steps)
        errors_B = self.reconstruction_loss(self.weights(instances_BI), where, what)
        constant_BI = instances_BI.detach()
        # The difference is 0, its gradient is not.
        scores = self.classify(constant_BI + self.task_weight * (instances_BI - constant_BI))
        return cross_entropy(scores, labels, reduction="none"), errors_B, scores

    def meta_parameters(self) -> list[nn.Parameter]:
        """What makes the INR: the start (its output layer included) and the rates."""
        return [self.start] if self.rates is None else [self.start, self.rates]

    def parameter_groups(
        self, start_lr: float = 1e-4, rates_lr: float = 1e-2, classifier_lr: float = 1e-4
    ) -> list[dict[str, Any]]:
        """For an optimiser: start, rates and classifier, with step sizes of their own.

        Theirs is AdamW with weight decay 1e-4, and each group's gradient is clipped to norm 1 by itself.
        """
        groups = zip(self.meta_parameters(), (start_lr, rates_lr), strict=False)
        return [
            *({"params": [parameter], "lr": lr} for parameter, lr in groups),
            {"params": list(self.classifier.parameters()), "lr": classifier_lr},
        ]
