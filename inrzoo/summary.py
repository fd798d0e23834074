"""What `inrzoo info` says of a store: as plain data, and as text in groups.

Shape letters: N signals, S seeds, T snapshots.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from inrzoo.display import table_text
from inrzoo.errors import InrzooError
from inrzoo.store import Store
from inrzoo.store.description import shared
from inrzoo.store.files import file_sizes
from inrzoo.store.info import ROUNDING_MEASURES

MAX_WIDTH = 120
"""Maximum number of columns of the text."""
MAX_KEY = 24
"""Maximum number of columns of the names of rows."""
MAX_CLASSES = 20
"""Maximum number of classes whose quality is shown; of more those with the lowest means."""
MAX_FILES = 3
"""Maximum number of files that were left out that are named."""


def of_store(store: Store) -> dict[str, Any]:
    """Return the content of `inrzoo info` as plain data."""
    info, manifest, names = store.info, store.info.manifest, store.info.status_names
    done = store.status != names.index("pending")
    splits = np.bincount(store.split, minlength=len(info.split_names))
    return {
        "path": str(store.path),
        "dataset": info.dataset,
        "title": manifest.title,
        "preset": manifest.preset,
        "licence": manifest.licence,
        "complete": store.complete,
        "partial": store.partial,
        "num_signals": store.num_signals,
        "num_seeds": store.num_seeds,
        "snapshots": store.snapshots,
        "num_params": store.layout.num_params,
        "stored_weights": stored_weights(store),
        "inrs": {"done": int(done.sum()), "wanted": int(done.size)},
        "inr": info.inr,
        "formula": _formula(store),
        "layout": [f"{tensor.name} {'×'.join(map(str, tensor.shape))}" for tensor in store.layout.tensors],
        "grid": list(info.grid),
        "coords": dict(sorted(asdict(manifest.coords).items())),
        "value_range": list(store.value_range),
        "values": {key: value for key, value in asdict(manifest.values).items() if key != "range" and value},
        "observation": manifest.observation,
        "fit": manifest.fit,
        "splits": dict(zip(info.split_names, splits.tolist(), strict=True)),
        "labels": {column: len(info.label_names[column]) for column in info.label_columns},
        "signals_in_store": store.has_signals,
        "skipped": list(info.skipped),
        "status": dict(zip(names, np.bincount(store.status.ravel(), minlength=len(names)).tolist(), strict=True)),
        "psnr": [
            {"step": step, **_quantiles(store.psnr[:, :, index][done])} for index, step in enumerate(store.snapshots)
        ],
        "measures": {
            name: [{"step": step, **_quantiles(values[done][:, index])} for index, step in enumerate(store.snapshots)]
            for name, values in store.measures.items()
        },
        "out_of_band": [
            {"step": step, "mean": _mean(store.out_of_band[:, :, index][done])}
            for index, step in enumerate(store.snapshots)
        ],
        "lossless": [
            {"step": step, "share": _mean(np.where(np.isfinite(exact), exact == 1, np.nan))}
            for step, exact in zip(store.snapshots, np.moveaxis(store.exact[done], -1, 0), strict=True)
        ],
        "by_class": _by_class(store),
        "max_frequency": _mean(store.max_frequency[:, :, -1][done]),
        "init": manifest.init,
        **({"hypernetwork": info.fitter.task.get("hypernet")} if info.fitter else {}),
        "antialias": manifest.antialias or None,
        "num_bytes": sum(file_sizes(store.path).values()),
        "fingerprint": info.fingerprint,
        "environment": {"inrzoo": info.version, **info.environment},
    }


def stored_weights(store: Store) -> dict[str, Any]:
    """Return how a store keeps weights: their type and compression, and bytes of files for each INR and snapshot."""
    info, files = store.info, file_sizes(store.path) if store.cache is None else {}
    inrs = int((store.status != info.status_names.index("pending")).sum()) * len(store.snapshots)
    size = sum(num_bytes for name, num_bytes in files.items() if name.startswith("weights/"))
    return {
        "dtype": info.codec.dtype,
        "rounded_to": info.manifest.weights,
        "compression": "none" if info.weight_format is None else info.weight_format.compression,
        "bytes_per_inr": size // inrs if size and inrs else info.codec.row_bytes,
    }


def as_text(store: Store, width: int) -> str:
    """Format what `of_store` returns as text, in groups; what is absent is left out.

    Args:
        width: columns of the terminal.
    """
    content = of_store(store)
    groups = {
        "set": _set(store, content),
        "INRs": _inrs(store, content),
        "fit": _fit(content),
        "quality": _quality(store, content),
    }
    if content["by_class"]:
        title, rows = _class_rows(content["by_class"])
        groups[title] = rows
    groups["provenance"] = _provenance(store, content)
    known = {
        group: {key: words for key, value in rows.items() if (words := _words(value))} for group, rows in groups.items()
    }
    key_width = min(MAX_KEY, 2 + max(len(key) for rows in known.values() for key in rows))
    lines = []
    for group, rows in known.items():
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(overflow="fold", width=key_width)
        table.add_column(overflow="fold")
        for key, words in rows.items():
            table.add_row(Text(f"  {key}"), Text(words))
        lines += [group[:width], table_text(table, min(width, MAX_WIDTH))] if rows else []
    return "\n".join(lines)


def _set(store: Store, content: dict[str, Any]) -> dict[str, Any]:
    splits = {name: count for name, count in content["splits"].items() if count}
    held = "" if content["signals_in_store"] else "; the store does not hold them"
    skipped = content["skipped"]
    more = f", … ({len(skipped):,} files)" if len(skipped) > MAX_FILES else ""
    low, high = content["value_range"]
    return {
        "dataset": content["dataset"],
        "title": content["title"],
        "preset": content["preset"],
        "signals": f"{store.num_signals:,} ({_words(splits)}){held}",
        "labels": ", ".join(f"{column} ({number:,} classes)" for column, number in content["labels"].items()),
        "grid": " × ".join(map(str, content["grid"])),
        "coords": content["coords"],
        "values": f"from {low:g} to {high:g}, {_words(content['values'])}",
        "observation": content["observation"],
        "left out": ", ".join(skipped[:MAX_FILES]) + more,
        "licence": content["licence"],
    }


def _inrs(store: Store, content: dict[str, Any]) -> dict[str, Any]:
    done, total = content["inrs"]["done"], content["inrs"]["wanted"]
    count = f"{done:,} of {total:,} INRs" if done < total else f"{done:,} INRs"
    if store.partial:
        state = f"a part, {', '.join(store.partial)}: {count}"
    else:
        state = f"complete: {count}" if store.complete else f"being built: {count}; the same build command continues"
    steps = store.snapshots
    fields = {key: value for key, value in store.info.inr.items() if key != "name"}
    return {
        "state": state,
        "count": f"{store.num_signals:,} signals × {store.num_seeds:,} seed(s) × {len(steps):,} snapshot(s) "
        f"(steps {', '.join(map(str, steps))})",
        "stored as": _stored_as(content["stored_weights"]),
        "network": f"{content['inr'].get('name', 'unknown')}, {content['num_params']:,} parameters{shared(store)}",
        "fields": fields,
        "formula": (content["formula"] or {}).get("latex"),
        "layout": content["layout"],
    }


def _stored_as(kept: dict[str, Any]) -> str:
    """The type of the stored weights in words; empty for those of ordinary stores."""
    if (kept["rounded_to"], kept["compression"]) == ("float32", "none"):
        return ""
    before = f", rounded to {kept['rounded_to']} before" if kept["dtype"] != kept["rounded_to"] else ""
    packed = ", compressed" if kept["compression"] != "none" else ""
    return f"{kept['dtype']}{before}{packed}, {kept['bytes_per_inr']:,} bytes per INR; they are read as float32"


def _formula(store: Store) -> dict[str, Any] | None:
    """The formula as plain data; None if the INR has none, or is of a package that is not installed here."""
    try:
        formula = store.formula
    except InrzooError:
        return None
    return None if formula is None else formula.to_json()


def _fit(content: dict[str, Any]) -> dict[str, Any]:
    antialias = content["antialias"] or {}
    regularised = antialias.get("weight") or antialias.get("regulariser") == "projection"
    return {
        "settings": content["fit"],
        "start": content["init"],
        "hypernetwork": content.get("hypernetwork"),
        "anti-alias": antialias if regularised else None,
        "status": {name: count for name, count in content["status"].items() if count},
    }


def rounding_rows(store: Store) -> dict[str, str]:
    """What rounding the weights cost, over usable INRs at the last snapshot, in words; empty if nothing is known."""
    if store.info.rounding is None:
        return {}
    lost, beside = (store.measures[name][:, :, -1][store.usable] for name in ROUNDING_MEASURES)
    known = {
        "lost by rounding": (lost[np.isfinite(lost)], 0.95, np.max),
        "rounded beside fitted": (beside[np.isfinite(beside)], 0.05, np.min),
    }
    return {
        name: f"median {np.median(values):.3f}, {share:.0%} quantile {np.quantile(values, share):.3f}, "
        f"worst {worst(values):.3f} dB"
        for name, (values, share, worst) in known.items()
        if values.size
    }


def _quality(store: Store, content: dict[str, Any]) -> dict[str, Any]:
    rows = {"PSNR": _by_step(content["psnr"], " dB")}
    measures = {name: entries for name, entries in content["measures"].items() if name not in ROUNDING_MEASURES}
    rows |= {name: _by_step(entries, "") for name, entries in measures.items()} | rounding_rows(store)
    shares = {"lossless": ("lossless", "share"), "out of band": ("out_of_band", "mean")}
    for key, (name, figure) in shares.items():
        known = [entry for entry in content[name] if entry[figure] is not None]
        rows[key] = "; ".join(f"step {entry['step']}: {entry[figure]:.3g}" for entry in known)
    bound = content["max_frequency"]
    return {
        **rows,
        "frequencies": None if bound is None else f"at most {bound:.3g} radians per unit, mean over INRs and axes",
    }


def _by_step(entries: list[dict[str, Any]], unit: str) -> str:
    known = [{key: value for key, value in entry.items() if value is not None} for entry in entries]
    names = {"mean": "mean", "median": "median", "low": "5 % quantile"}
    return "; ".join(
        f"step {entry['step']}: {', '.join(f'{names[key]} {entry[key]:.2f}' for key in names if key in entry)}{unit}"
        for entry in known
        if len(entry) > 1
    )


def _by_class(store: Store) -> dict[str, Any] | None:
    """Quality of the usable INRs of each class, at the last snapshot; None if there are fewer than two classes.

    Of the observation's first measure, or else of the PSNR.
    """
    observed = {name: values for name, values in store.measures.items() if name not in ROUNDING_MEASURES}
    name, values = next(iter(observed.items()), ("psnr", store.psnr))
    last_NS: NDArray[np.float64] = values[:, :, -1].astype(np.float64)
    counted_NS = store.usable & np.isfinite(last_NS)
    column = store.info.label_columns[0]
    classes = []
    for code, label in enumerate(store.info.label_names[column]):
        of_class = last_NS[counted_NS & (store.labels[column] == code)[:, None]]
        if of_class.size:
            low = float(np.quantile(of_class, 0.05))
            classes.append({"name": label, "inrs": of_class.size, "mean": float(of_class.mean()), "low": low})
    return {"column": column, "measure": name, "classes": classes} if len(classes) > 1 else None


def _class_rows(table: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The title and the rows of the quality of each class; of many classes those with the lowest means."""
    name = "PSNR in dB" if table["measure"] == "psnr" else table["measure"]
    classes, title = table["classes"], f"{name} by {table['column']}"
    if len(classes) > MAX_CLASSES:
        title += f", the {MAX_CLASSES} lowest of {len(classes):,} classes"
        classes = sorted(classes, key=lambda one: one["mean"])[:MAX_CLASSES]
    count = max(len(f"{one['inrs']:,}") for one in classes)
    return title, {
        one["name"]: f"mean {one['mean']:6.2f}, 5 % quantile {one['low']:6.2f}, {one['inrs']:{count},} INRs"
        for one in classes
    }


def _provenance(store: Store, content: dict[str, Any]) -> dict[str, Any]:
    imported = store.info.imported
    return {
        "location": store.location,
        "size": decimal(content["num_bytes"]),
        "imported": ""
        if imported is None
        else f"{imported.num_files:,} files, {imported.format} of {imported.convention}",
        "generated by": "" if store.info.generated is None else str(store.info.generated),
        "gathered from": "" if store.info.gathered is None else str(store.info.gathered),
        "converted from": {} if store.info.converted is None else asdict(store.info.converted),
        "fingerprint": content["fingerprint"],
        "environment": content["environment"],
    }


def _words(value: Any) -> str:
    """A value as words; what is absent in tables and lists is left out."""
    return ", ".join(_parts(value)) if isinstance(value, dict | list) else "" if value is None else _word(value)


def _parts(value: dict[str, Any] | list[Any]) -> Iterator[str]:
    pairs = value.items() if isinstance(value, dict) else (("", each) for each in value)
    for key, each in pairs:
        if words := _words(each):
            yield f"{key} {words}" if key else words


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _quantiles(psnr: Any) -> dict[str, float | None]:
    if not psnr.size:
        return {"mean": None, "median": None, "low": None}
    figures = {"mean": psnr.mean(dtype=np.float64), "median": np.median(psnr), "low": np.quantile(psnr, 0.05)}
    return {name: float(figure) if math.isfinite(figure) else None for name, figure in figures.items()}


def _mean(column: Any) -> float | None:
    finite = column[np.isfinite(column)]
    return float(finite.mean(dtype=np.float64)) if finite.size else None
