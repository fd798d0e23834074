"""One row for each INR: the columns of Parquet files, `datasets`, Ray Data and pandas, their order and their types.

Shape letters: B rows, P parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import Status
from inrzoo.extras import needed
from inrzoo.keywords import keywords_checked
from inrzoo.store.normalisation import Normalise, mean_and_std

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from inrzoo.store.reader import Store

Kind = Literal["image", "int64", "int32", "float32", "string", "class", "vector"]


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        kind: type of its values. `image`: the bytes of a PNG. `class`: int64 codes with names. `vector`: `length`
            float32 numbers.
        meaning: what it says, in a few words.
        names: names of the codes of a `class`.
        length: numbers of a `vector`.
    """

    name: str
    kind: Kind
    meaning: str
    names: tuple[str, ...] = ()
    length: int = 0


def columns(stores: Sequence[Store], image: bool = False) -> list[Column]:
    """The columns of stores whose labels and layout are the same, in their order, the weights last.

    Args:
        stores: at least one; measures that not all of them have are left out.
        image: whether a picture of the INR comes first.
    """
    first = stores[0]
    labels = zip(label_columns(first), first.labels, strict=True)
    measures = [name for name in first.info.measures if all(name in store.info.measures for store in stores)]
    return [
        *([Column("image", "image", "picture of the INR")] if image else []),
        Column("signal", "int64", "position of the signal on the signal axis of the store"),
        Column("signal_id", "string", "where the signal came from"),
        *(_label(stores, column, name) for column, name in labels),
        Column("split", "string", "split of the signal"),
        Column("seed", "int32", "which independent fit of the signal"),
        Column("step", "int32", "steps of the snapshot that was kept"),
        Column("psnr", "float32", "dB, at that snapshot"),
        *(Column(name, "float32", "measure of quality at that snapshot") for name in measures),
        Column("steps", "int32", "optimiser steps really taken"),
        Column("status", "string", "how the fit ended"),
        Column("weights", "vector", "the INR, one flat vector in the order of the layout", (), first.layout.num_params),
    ]


def label_columns(store: Store) -> list[str]:
    """Names of the label columns: the first one is `label`, the class; others keep theirs unless it is taken."""
    reserved = {"image", "weights", "signal", "signal_id", "seed", "step", "split", "psnr", "steps", "status", "label"}
    reserved |= {*store.info.measures}
    return ["label", *(f"label_{name}" if name in reserved else name for name in list(store.labels)[1:])]


def features(shown: Sequence[Column]) -> dict[str, dict[str, Any]]:
    """Columns in the format of `datasets.Features.to_dict`, as versions 3 and later read it.

    A list of a fixed length is a `Sequence`: version 3 knows no other name, later ones read it as a `List`.
    """
    described: dict[str, dict[str, Any]] = {}
    for column in shown:
        match column.kind:
            case "image":
                described[column.name] = {"_type": "Image"}
            case "class":
                described[column.name] = {"names": list(column.names), "_type": "ClassLabel"}
            case "vector":
                number = {"dtype": "float32", "_type": "Value"}
                described[column.name] = {"feature": number, "length": column.length, "_type": "Sequence"}
            case kind:
                described[column.name] = {"dtype": kind, "_type": "Value"}
    return described


def schema(shown: Sequence[Column]) -> pyarrow.Schema:
    """Columns as a schema of Arrow, without metadata."""
    with needed("hub", "rows of a store"):
        import pyarrow as pa

    kinds = {"int64": pa.int64(), "int32": pa.int32(), "float32": pa.float32(), "string": pa.string()}
    kinds |= {"class": pa.int64(), "image": pa.struct({"bytes": pa.binary(), "path": pa.string()})}
    vector = {column.name: pa.list_(pa.float32(), column.length) for column in shown if column.kind == "vector"}
    return pa.schema([pa.field(column.name, vector.get(column.name) or kinds[column.kind]) for column in shown])


def small_columns(
    store: Store,
    shown: Sequence[Column],
    signals_B: NDArray[np.int64],
    seeds_B: NDArray[np.int64],
    steps_B: NDArray[np.int64],
) -> dict[str, pyarrow.Array]:
    """All columns but images and weights, for INRs at some positions on the axes of a store.

    `split` and `status` are dictionaries of Arrow, whose cast to strings is that of `schema`.
    """
    import pyarrow as pa

    where = (signals_B, seeds_B, steps_B)
    values: dict[str, Any] = {
        "signal": signals_B,
        "signal_id": [store.signal_ids[signal] for signal in signals_B.tolist()],
        **{column: codes[signals_B] for column, codes in zip(label_columns(store), store.labels.values(), strict=True)},
        "split": _named(store.split[signals_B], store.info.split_names),
        "seed": seeds_B,
        "step": np.array(store.snapshots, dtype=np.int32)[steps_B],
        "psnr": store.psnr[where],
        **{name: values[where] for name, values in store.measures.items()},
        "steps": store.steps[where],
        "status": _named(store.status[where[:2]], store.info.status_names),
    }
    kinds = schema([column for column in shown if column.kind not in ("image", "vector")])
    return {
        field.name: values[field.name]
        if isinstance(values[field.name], pa.Array)
        else pa.array(values[field.name], type=field.type)
        for field in kinds
    }


def vectors(weights_BP: NDArray[np.float32]) -> pyarrow.FixedSizeListArray:
    """The column of weights over the memory of a matrix, without a copy."""
    import pyarrow as pa

    matrix = np.ascontiguousarray(weights_BP, dtype=np.float32)
    flat = pa.Array.from_buffers(pa.float32(), matrix.size, [None, pa.py_buffer(matrix)])
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])


def frame(
    shown: Sequence[Column], small: dict[str, pyarrow.Array], weights_BP: NDArray[np.float32] | None
) -> pandas.DataFrame:
    """Columns as a data frame: labels, splits and statuses are categorical, each row's weights an array.

    Args:
        small: as `small_columns` returns them.
        weights_BP: None leaves them out.
    """
    with needed("hub", "to_pandas"):
        import pandas

    made: dict[str, Any] = {}
    for column in shown:
        if column.kind == "class":
            codes = small[column.name].to_numpy(zero_copy_only=False)
            made[column.name] = pandas.Categorical.from_codes(codes, categories=pandas.Index(column.names))
        elif column.kind == "vector":
            made |= {} if weights_BP is None else {column.name: pandas.Series(list(weights_BP), dtype=object)}
        else:
            made[column.name] = small[column.name].to_pandas()
    return pandas.DataFrame(made)


@keywords_checked
def to_pandas(store: Store, *, normalise: Normalise = "none", weights: bool = True) -> pandas.DataFrame:
    """The finished INRs as a data frame, one row an INR and snapshot, by seed, then by signal, then by step.

    The columns are those of the Hub's Parquet files without `image`. Labels, splits and statuses are categorical;
    `weights` holds an array (P,) float32 in each row.

    Args:
        normalise: `none` for weights as they were fitted; `auto`, `per_parameter` or `per_tensor` by the statistics of
            all snapshots, as `inrzoo.load` does.
        weights: False leaves them out: then none are read.

    Raises:
        InrzooError: the normalisation is unknown, or the store has no statistics.

    Example:
        >>> frame = inrzoo.open_store("digits.zarr").to_pandas()
        >>> frame.shape, np.stack(frame.weights).shape
        ((96, 10), (96, 105))
        >>> worst = frame.sort_values("psnr").head(3)
        >>> by_label = frame.groupby("label", observed=True).psnr.mean()
    """
    shown = columns([store])
    finished_SN = store.status.T != Status.PENDING
    seeds, signals = np.nonzero(finished_SN)
    snapshots = len(store.snapshots)
    where = (
        np.repeat(signals, snapshots),
        np.repeat(seeds, snapshots),
        np.tile(np.arange(snapshots), len(signals)),
    )
    kind, mean_P, std_P = mean_and_std([store], [range(snapshots)], normalise)
    matrix_BP = store.weights.gather(*where) if weights else None
    if matrix_BP is not None and kind != "none":
        matrix_BP -= mean_P
        matrix_BP /= std_P
    return frame(shown, small_columns(store, shown, *where), matrix_BP)


def _label(stores: Sequence[Store], column: str, name: str) -> Column:
    """A label column, with names if its codes all have one of their own."""
    names = tuple(stores[0].info.label_names.get(name, ()))
    codes = [store.labels[name] for store in stores]
    known = all(not len(each) or (each.min() >= 0 and each.max() < len(names)) for each in codes)
    if known and len({*names}) == len(names) > 0:
        return Column(column, "class", "label of the signal", names)
    return Column(column, "int64", "label of the signal")


def _named(codes_B: NDArray[np.uint8], names: Sequence[str]) -> pyarrow.DictionaryArray:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes_B.astype(np.int32)), pa.array(list(names), type=pa.string()))
