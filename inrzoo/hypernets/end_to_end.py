"""MWT: Gielisse & van Gemert 2025, "End-to-end implicit neural representations for classification".
Formulas: docs/derivations/hypernetworks.md#end-to-end-classification.

Shape letters: B batch of signals, P parameters of one INR, K coordinates, D in_features, C channels, I numbers that
are adapted.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inrzoo.encoders.weight_transformer import WeightTransformer
from inrzoo.errors import InrzooError
from inrzoo.hypernets.learned_init import Adapt, Algorithm, LearnedInit


@dataclass(kw_only=True, eq=False, repr=False)
class EndToEnd(LearnedInit):
    """A learned initialisation with learned rates, and a transformer that classifies the change by a few steps.

    All layers but the last are adapted; the classifier reads the offsets of the layers after the first. The paper's
    INR is `{"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": 128, "hidden_layers": 4}`.

    With w = `task_weight`, initialisation, output layer and rates follow w ∇(cross-entropy) + ∇(error), and the
    classifier follows ∇(cross-entropy); a weighted sum of the losses would scale the classifier's gradient too. The
    paper's code runs backward twice and multiplies in between. Here the offsets, through which the classification
    reaches everything else, multiply its gradient by w, so that one backward pass of cross-entropy + error suffices.
    The defaults are the paper's and its code's.

    Attributes:
        inr: an INR with at least two hidden layers.
        sizes: grid of the signals; not needed here.
        num_classes: of the labels.
        task_weight: w_task, the weight of the classification for initialisation, output layer and rates (their Fig. 4);
            0 is their WT-sim.
        learned_rates: as for `LearnedInit`. The rates are large, because the loss is a mean over coordinates.
        features, num_layers, head_features, mlp_ratio, modulation_scale: see `WeightTransformer`.
        mixed_precision: run the classifier in bfloat16 in training mode. Inner steps stay in float32, because bfloat16
            resolves a phase of 10 radians to 0.03.

    Raises:
        InrzooError: a number is not allowed, or the INR has too few hidden layers.
    """

    algorithm: Algorithm = field(default="maml", init=False)
    adapt: Adapt = field(default="hidden", init=False)
    inner_lr: float = field(default=0.01, init=False)
    second_order: bool = field(default=True, init=False)
    num_classes: int
    task_weight: float = 0.01
    inner_steps: int = 6
    learned_rates: tuple[float, float] = (0.1, 1.0)
    features: int = 128
    num_layers: int = 10
    head_features: int = 64
    mlp_ratio: int = 1
    modulation_scale: float = 500.0

    def __post_init__(self) -> None:
        """Draw the initialisation, the rates and the classifier."""
        if self.num_classes < 2 or self.task_weight < 0:
            raise InrzooError(
                f"num_classes = {self.num_classes}, task_weight = {self.task_weight} are not allowed; "
                "there must be at least 2 classes and a weight of at least 0"
            )
        super().__post_init__()
        self.mixed_precision = False
        encoder = WeightTransformer(
            layout=self.inr.layout,
            features=self.features,
            num_layers=self.num_layers,
            head_features=self.head_features,
            mlp_ratio=self.mlp_ratio,
            modulation_scale=self.modulation_scale,
        )
        self.classifier = nn.Sequential(encoder, nn.Linear(self.features, self.num_classes))

    def classify(self, instances: Tensor) -> Tensor:
        """Class scores of offsets, (B, I) to (B, num_classes)."""
        offsets_BP = instances.new_zeros(len(instances), len(self.start))
        offsets_BP = offsets_BP.index_add(1, self.get_buffer("adapted"), instances)
        mixed = self.mixed_precision and self.training
        with torch.autocast(offsets_BP.device.type, torch.bfloat16, enabled=mixed):
            scores: Tensor = self.classifier(offsets_BP)
        return scores.float() if mixed else scores

    def losses(self, coords: Tensor, values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cross-entropies (B,), mean errors (B,), and class scores (B, num_classes) of one batch.

        Training minimises the sum of the first two. The errors are those of one more subset of the coordinates, as
        large as that of an inner step.

        Args:
            coords, values: as in `forward`.
            labels: (B,), int64.
        """
        self.require_signals(coords, values)
        instances_BI = self.instances(coords, values)
        step_coords, step_values = self.inner_subset(coords, values, self.inner_steps)
        errors_B = self.reconstruction_loss(self.weights(instances_BI), step_coords, step_values)
        constant_BI = instances_BI.detach()
        # The difference is 0, its gradient is not.
        scores = self.classify(constant_BI + self.task_weight * (instances_BI - constant_BI))
        return cross_entropy(scores, labels, reduction="none"), errors_B, scores

    def meta_parameters(self) -> list[nn.Parameter]:
        """The parameters that make the INR: the initialisation, with its output layer, and the rates."""
        return [self.start] if self.rates is None else [self.start, self.rates]

    def parameter_groups(
        self, start_lr: float = 1e-4, rates_lr: float = 1e-2, classifier_lr: float = 1e-4
    ) -> list[dict[str, Any]]:
        """Groups for an optimiser: initialisation, rates and classifier, each with its learning rate.

        The paper uses AdamW with weight decay 1e-4 and clips the gradient of each group to norm 1.
        """
        groups = zip(self.meta_parameters(), (start_lr, rates_lr), strict=False)
        return [
            *({"params": [parameter], "lr": lr} for parameter, lr in groups),
            {"params": list(self.classifier.parameters()), "lr": classifier_lr},
        ]
