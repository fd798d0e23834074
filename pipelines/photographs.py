"""Tables 3 and 4 of the few-shot paper: one table of methods on INRs of photographs."""

from collections.abc import Mapping, Sequence
from typing import Any

from few_shot import DOCUMENT, OUT, RECIPES, both, explained, ours
from script import SCALE, source

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.tasks import Comparison

WAYS = {"tiny": (2,), "small": (5, 10), "full": (5, 10)}[SCALE]
FEW_WAYS = {"way": 2} if SCALE == "tiny" else {}
METHODS: dict[str, dict[str, Any]] = {
    "zero-learning": {"encoder": {"name": "raw"}},
    "MLP": {"encoder": {"name": "flat_mlp"}},
    "transformer": {},
}


def write_table(
    title: str,
    dataset: str,
    local: str,
    data: str,
    settings: Mapping[str, Mapping[str, Any]],
    paper: Mapping[tuple[str, str], Sequence[float]],
    **fields: Any,
) -> None:
    """Fit the INRs of each complexity, train every method on them, and write the section.

    Args:
        title: of the section.
        dataset: name of the manifest.
        local: `INRZOO_…` names the local files by it.
        data: what the section says of its data.
        settings: of the builds, by complexity, which is a preset of the manifest.
        paper: the paper's numbers by complexity and method.
        fields: of the task.
    """
    columns = [f"{way}-way {shot}-shot" for way in WAYS for shot in (1, 5)]
    page = Comparison(DOCUMENT, title, columns, recipes=RECIPES)
    for complexity, changes in settings.items():
        store = OUT / f"{dataset}-{complexity}-fixed.zarr"
        wanted = manifest.load(dataset, complexity, {"init.mode": "fixed", **changes})
        build(wanted, store, source=source(local))
        found = {}
        for name, of_method in METHODS.items():
            changed = {**fields, **FEW_WAYS, "test_ways": WAYS, **of_method}
            run = f"{dataset}-{complexity}-{name}"
            found[name] = [{}, ours(store, run, **changed)] if name == "zero-learning" else both(store, run, **changed)
            page.add(f"{complexity}: {name}", found[name], paper.get((complexity, name), ())[: len(columns)])
        for better, worse in (("transformer", "MLP"), ("transformer", "zero-learning")):
            for column in (columns[0], columns[1]):
                page.check(
                    f"{complexity}: the {better} is above {'the MLP' if worse == 'MLP' else worse}",
                    found[better][-1][column],
                    found[worse][-1][column],
                )
    page.write(*explained(data))
