"""What fit-a-nef's settings say of its fields: `nef.json` the model and ω₀, `cfg.json` the set that was fitted.

Values from samuelepapa/fit-a-nef dataset/image_dataset/utils.py and samuelepapa/neural-field-arena
neural_dataset/classification_neural_datasets.py; see docs/derivations/published_sets.md#fit-a-nef.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.interchange import flax_tensors, sidecar
from inrzoo.interchange.flax_tensors import ParamConfig
from inrzoo.interchange.incoming import Meaning, Options, Standardised, meaning_of
from inrzoo.interchange.sidecar import Sidecar

CONVENTION = "fit_a_nef"


@dataclass(frozen=True)
class Published:
    """What a name of a dataset in `cfg.json` means.

    Attributes:
        standardised: of its channels (dataset/image_dataset/utils.py); None for shapes.
        grid: size of an image; empty if it depends on further settings.
        count: signals of one seed; None if that depends on further settings.
        split_points: first validation and first test signal (neural_dataset/classification_neural_datasets.py).
    """

    standardised: Standardised | None
    grid: tuple[int, ...] = ()
    count: int | None = None
    split_points: tuple[int, int] | None = None


DATASETS = {
    "MNIST": Published(Standardised((0.13066047,), (0.30810782,)), (28, 28), 70000, (55000, 60000)),
    "CIFAR10": Published(
        Standardised((0.49186882, 0.48265392, 0.44717726), (0.24697122, 0.24338895, 0.2615926)),
        (32, 32),
        60000,
        (45000, 50000),
    ),
    "MicroImageNet": Published(
        Standardised(
            (0.4643375754356384, 0.4339415729045868, 0.38213176727294923),
            (0.18949764454628706, 0.18707174788855566, 0.21445986703967326),
        ),
        split_points=(45000, 50000),
    ),
    "ShapeNet": Published(None, split_points=(27840, 31320)),
}
"""The sets of the arena."""


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Read a file of settings; an empty table if there is none.

    Raises:
        InrzooError: it is damaged or no table.
    """
    path = folder / name
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InrzooError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(table, dict):
        raise InrzooError(f"{path} holds a {type(table).__name__}; expected a table of settings")
    return table


def dataset_name(cfg: dict[str, Any]) -> str:
    """Return the name of the fitted set in `cfg.json`; empty if it has none."""
    dataset = cfg.get("dataset")
    return str(dataset.get("name", "")) if isinstance(dataset, dict) else ""


def meaning_of_fields(
    folder: Path,
    model: str,
    config: ParamConfig,
    published: Published | None,
    described: Sidecar | None,
    options: Options,
) -> Meaning:
    """Decide what the tensors of a folder mean.

    Raises:
        InrzooError: ω₀ or the range of values is not known, or settings contradict the tensors.
    """
    named = "nef.json" if (folder / "nef.json").is_file() else "nef_cfg.json"
    nef = read_json(folder, named)
    if nef and nef.get("name") != model:
        raise InrzooError(f"its tensors are those of a {model}, {named} says {str(nef.get('name'))[:40]!r}")
    params = nef.get("params")
    omega_0 = params.get("omega_0") if isinstance(params, dict) else None
    said = {"inr.omega_0": named}
    if model == "SIREN" and omega_0 is None:
        if described is not None:
            omega_0, said = described.inr.get("omega_0"), {"inr.omega_0": sidecar.NAME}
        else:
            omega_0 = options.inr.get("omega_0")
        if omega_0 is None:
            raise InrzooError("no nef.json beside it says the SIRENs' omega_0; pass --inr omega_0=…")
    spec = flax_tensors.spec_of(model, config, omega_0)
    standardised = published.standardised if published else None
    if standardised is not None and len(standardised.mean) != spec["out_features"]:
        standardised = None
    value_range = standardised.value_range if standardised else (0.0, 1.0) if published else None
    by = f"convention {CONVENTION}"
    if published is not None:
        said["values.range"] = "cfg.json"
    if described is not None:
        if options.inr or options.coords:
            raise InrzooError("its inrzoo.json has all settings; leave --inr and --coords out")
        low, high = described.value_range or [0.0, 1.0]
        value_range, standardised, said["values.range"] = (low, high), None, sidecar.NAME
    axis_order = "x_y" if spec["in_features"] == 2 else "row_col"
    grid = {"spacing": "end_points", "axis_order": axis_order, "extent": 1.0}
    meaning = meaning_of(
        spec,
        grid,
        value_range,
        by=by,
        recognised_by="--convention" if options.convention else "the arrays params and param_config",
        options=options,
        standardised=standardised,
        said=said if model == "SIREN" else {key: who for key, who in said.items() if key != "inr.omega_0"},
    )
    if meaning.value_range is None:
        raise InrzooError(
            "no cfg.json beside it names a set of the arena, so the range of the values is not known; pass the lowest "
            "and the highest with --coords range=LOW,HIGH"
        )
    return meaning if described is None else _agreed(meaning, described)


def _agreed(meaning: Meaning, described: Sidecar) -> Meaning:
    """Take the INR of `inrzoo.json`, which must be the same function of the same tensors."""
    ours: INR = registry.make("inrs", meaning.spec)
    theirs: INR = registry.make("inrs", described.inr)
    if ours.layout != theirs.layout or ours.formula() != theirs.formula():
        raise InrzooError(f"its fields are {ours}, {sidecar.NAME} says {theirs}")
    return replace(meaning, spec={"name": described.inr["name"], **asdict(theirs)})
