"""Single state dicts on disk. Nothing in them is ever unpickled beyond plain tensors: `weights_only`, always.

Shape letters: P parameters of one INR.
"""

import io
import pickle
import re
import warnings
from collections import OrderedDict
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
"""A key that the Fashion-MNIST set of DWSNets keeps beside the tensors (neural-graphs preprocess_fmnist.py)."""


def write(path: Path, weights_P: NDArray[np.float32], layout: WeightLayout, convention: Convention) -> None:
    """Write one INR as `torch.save` of its state dict, keys in reading order."""
    parts = layout.split(weights_P)
    tensors = [torch.from_numpy(part) for part in parts.values()]
    keys = convention.keys(len(tensors) // 2)
    content = io.BytesIO()  # written here, because torch says of a full disk no more than that writing failed
    torch.save(OrderedDict(zip(keys, tensors, strict=True)), content)
    path.write_bytes(content.getbuffer())


def read(content: bytes, where: str) -> tuple[dict[str, Tensor], int | None]:
    """Tensors by key, and the label if the file holds one.

    Raises:
        InrzooError: not a state dict of dense float32 tensors, or one that holds anything but tensors.
    """
    try:
        with warnings.catch_warnings():  # of a pickle protocol that torch does not write: it reads it, or raises
            warnings.simplefilter("ignore")
            found: Any = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it asks for {asked[1]}" if asked else "it holds more than tensors"
        raise InrzooError(f"{where} is not a plain state dict and was not unpickled: {what}") from None
    except Exception as error:  # a damaged zip, a truncated pickle, a hostile size: torch names dozens of classes
        kind = type(error).__name__
        raise InrzooError(
            f"{where} cannot be read as a state dict ({kind}: {(str(error) or 'no reason').splitlines()[0]})"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InrzooError(f"{where} holds a {type(found).__name__}, not a state dict")
    label = found.pop(LABEL, None)
    if label is not None and not _is_code(label):
        raise InrzooError(f"{where} has the label {label!r}; a class code was expected")
    for key, tensor in found.items():
        if not isinstance(tensor, Tensor) or tensor.dtype != torch.float32 or tensor.layout != torch.strided:
            what = f"{tensor.dtype} {tensor.layout} tensor" if isinstance(tensor, Tensor) else type(tensor).__name__
            raise InrzooError(f"{where}: {key} is a {what}; expected a dense float32 tensor")
    # A tensor of a few bytes can call itself as large as it likes by a stride of 0.
    if sum(4 * tensor.numel() for tensor in found.values()) > len(content):
        raise InrzooError(f"{where} announces more numbers than it holds")
    return {key: tensor.detach() for key, tensor in found.items()}, None if label is None else int(label)


def shapes_of(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor by key."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def flat(
    tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]], layout: WeightLayout, convention: Convention
) -> NDArray[np.float32]:
    """The weight vector of a state dict, (P,).

    Raises:
        InrzooError: keys or shapes that are not `shapes`, named.
    """
    found = shapes_of(tensors)
    for key in [*shapes, *sorted(found.keys() - shapes.keys())]:
        if found.get(key) != shapes.get(key):
            ours, theirs = (list(each[key]) if key in each else "none" for each in (found, shapes))
            raise InrzooError(f"{key} has shape {ours}, in the first file {theirs}")
    keys = convention.keys(len(shapes) // 2)
    parts = {tensor.name: tensors[key].numpy() for tensor, key in zip(layout.tensors, keys, strict=True)}
    weights: NDArray[np.float32] = layout.join(parts)
    return weights


def _is_code(label: Any) -> bool:
    if isinstance(label, Tensor):
        return label.numel() == 1 and not label.is_floating_point()
    return isinstance(label, int) and not isinstance(label, bool)
