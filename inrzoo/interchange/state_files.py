"""Reads and writes single state dicts, always with `weights_only`, so that only plain tensors are unpickled.

Shape letters: P parameters of one INR.
"""

import io
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.interchange.state_dict_conventions import Convention
from inrzoo.weights import WeightLayout

LABEL = "label"
"""Key of the label in the files of DWSNets' Fashion-MNIST set (neural-graphs preprocess_fmnist.py)."""


def write(path: Path, weights_P: NDArray[np.float32], layout: WeightLayout, convention: Convention) -> None:
    """Write one INR as `torch.save` of its state dict, keys in reading order."""
    parts = layout.split(weights_P)
    tensors = [torch.from_numpy(part) for part in parts.values()]
    keys = convention.keys(len(tensors) // 2)
    content = io.BytesIO()  # written below, because torch's error does not mention a full disk
    torch.save(OrderedDict(zip(keys, tensors, strict=True)), content)
    path.write_bytes(content.getbuffer())


def load(content: bytes, where: str) -> dict[str, Any]:
    """Return the table that `torch.save` wrote, of plain values and tensors alone.

    Raises:
        InrzooError: the content is damaged, no table with names, or would run code.
    """
    try:
        with warnings.catch_warnings():  # torch warns of pickle protocols that it reads or refuses
            warnings.simplefilter("ignore")
            state: Any = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it asks for {name[1]}" if name else "it holds more than tensors"
        raise InrzooError(f"{where} is not a plain state dict and was not unpickled: {reason}") from None
    except Exception as error:  # a damaged zip, a truncated pickle, a hostile size: torch names dozens of classes
        kind = type(error).__name__
        raise InrzooError(
            f"{where} cannot be read as a state dict ({kind}: {(str(error) or 'no reason').splitlines()[0]})"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise InrzooError(f"{where} holds a {type(state).__name__}, not a state dict")
    return state


def read(content: bytes, where: str) -> tuple[dict[str, Tensor], int | None]:
    """Return the tensors by key, and the label if the file has one.

    Raises:
        InrzooError: the content is not a state dict of dense float32 tensors.
    """
    state = load(content, where)
    label = state.pop(LABEL, None)
    if label is not None and not _is_code(label):
        raise InrzooError(f"{where} has the label {label!r}; a class code was expected")
    return dense_tensors(state, len(content), where), None if label is None else int(label)


def dense_tensors(state: Mapping[str, Any], size: int, where: str) -> dict[str, Tensor]:
    """Return the tensors of a table, by key.

    Args:
        state: the table.
        size: bytes of the file.
        where: the file, for the error.

    Raises:
        InrzooError: a value is not a dense float32 tensor, or the tensors declare more numbers than the file holds.
    """
    for key, tensor in state.items():
        if not isinstance(tensor, Tensor) or tensor.dtype != torch.float32 or tensor.layout != torch.strided:
            kind = f"{tensor.dtype} {tensor.layout} tensor" if isinstance(tensor, Tensor) else type(tensor).__name__
            raise InrzooError(f"{where}: {key} is a {kind}; expected a dense float32 tensor")
    # With a stride of 0, a tensor of a few bytes can declare any size.
    if sum(4 * tensor.numel() for tensor in state.values()) > size:
        raise InrzooError(f"{where} declares more numbers than it holds")
    return {key: tensor.detach() for key, tensor in state.items()}


def shapes_of(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor by key."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def flat(
    tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]], layout: WeightLayout, convention: Convention
) -> NDArray[np.float32]:
    """Return the weight vector of a state dict, (P,).

    Raises:
        InrzooError: keys or shapes differ from `shapes`; the message names the first.
    """
    actual = shapes_of(tensors)
    for key in [*shapes, *sorted(actual.keys() - shapes.keys())]:
        if actual.get(key) != shapes.get(key):
            ours, theirs = (list(each[key]) if key in each else "none" for each in (actual, shapes))
            raise InrzooError(f"{key} has shape {ours}, in the first file {theirs}")
    keys = convention.keys(len(shapes) // 2)
    parts = {tensor.name: tensors[key].numpy() for tensor, key in zip(layout.tensors, keys, strict=True)}
    weights: NDArray[np.float32] = layout.join(parts)
    return weights


def _is_code(label: Any) -> bool:
    if isinstance(label, Tensor):
        return label.numel() == 1 and not label.is_floating_point()
    return isinstance(label, int) and not isinstance(label, bool)
