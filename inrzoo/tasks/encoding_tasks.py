"""Tasks on weights whose checkpoints hold an encoder and what reads its features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from torch import Tensor, nn

from inrzoo.loaders import WeightDataset
from inrzoo.tasks.contract import Device
from inrzoo.tasks.training.state import load_module, part_of
from inrzoo.tasks.weight_tasks import WeightNetwork, WeightTask


class EncodingModule(nn.Module):
    """What a task trains: an encoder of weights, and what reads its features."""

    def __init__(self, task: WeightTask, dataset: WeightDataset) -> None:
        super().__init__()
        self.weights = WeightNetwork(task, dataset)


Module_co = TypeVar("Module_co", bound=EncodingModule, covariant=True)


class EncodingTask(WeightTask, Generic[Module_co]):
    """A task whose checkpoints hold an `EncodingModule`."""

    @abstractmethod
    def network(self, dataset: WeightDataset) -> Module_co:
        """The untrained module for the INRs of a dataset."""

    def restored(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> Module_co:
        """The trained module, from its state in a checkpoint."""
        network = self.network(dataset).to(device).eval()
        load_module(network, state)
        return network

    def trained(self, dataset: WeightDataset, state: Mapping[str, Tensor], device: Device) -> WeightNetwork:
        """See `WeightTask.trained`."""
        return self.restored(dataset, state, device).weights

    def encoder_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `WeightTask.encoder_state`."""
        return part_of(state, "weights.")
