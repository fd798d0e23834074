"""A package of its own adds an INR, an encoder, a source, a transform and a task, and inrzoo is not touched."""

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from inrzoo import registry
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import Siren
from inrzoo.store import open_store
from inrzoo.store.checks import _made
from inrzoo.trust import trust

PLUGIN = Path(__file__).parent / "plugin"
PACKAGE = "inrzoo_plugin_example"
WORDS = {
    "inrs": f"{PACKAGE}.gaussian_mixture:GaussianMixture",
    "encoders": f"{PACKAGE}.moments:Moments",
    "decoders": f"{PACKAGE}.shrink:Shrink",
    "operations": f"{PACKAGE}.threshold:Threshold",
    "sources": f"{PACKAGE}.stripes:Stripes",
    "observations": f"{PACKAGE}.worst_point:WorstPoint",
    "transforms": f"{PACKAGE}.negative:Negative",
    "augmentations": f"{PACKAGE}.salt:Salt",
    "loggers": f"{PACKAGE}.comma_separated:CommaSeparated",
    "tasks": f"{PACKAGE}.label_regression:LabelRegression",
}
NAMES = {
    "inrs": "gaussian_mixture",
    "encoders": "moments",
    "decoders": "shrink",
    "operations": "threshold",
    "sources": "stripes",
    "observations": "worst_point",
    "transforms": "negative",
    "augmentations": "salt",
    "loggers": "comma_separated",
    "tasks": "label_regression",
}
CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "trusted", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget()
    yield
    forget()


def forget() -> None:
    """Forget the package's modules, and the INRs that were made of them, as in a new process."""
    _made.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package on the path, as a user's own folder is: not installed."""
    folder = tmp_path / "site"
    shutil.copytree(PLUGIN / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def installed(importable: Path) -> Path:
    """The package as pip installs it: its entry points stand in a `dist-info` folder beside it."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    info = importable / f"{PACKAGE}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return importable


def manifest(folder: Path, source: str, inr: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(
        f'seeds = 2\n[source]\nname = "{source}"\n[inr]\nname = "{inr}"\n'
        '[fit]\nsteps = 20\nlr = 0.01\nengine = "reference"\n'
    )
    return path


def one_line(err: str) -> str:
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    return lines[0]


def test_an_installed_package_is_built_verified_trained_and_listed(
    installed: Path, tmp_path: Path, inrzoo: CommandLine
) -> None:
    store, run = tmp_path / "stripes.zarr", tmp_path / "run"
    mine = manifest(tmp_path, NAMES["sources"], NAMES["inrs"])
    assert inrzoo("build", mine, "--out", store, "--in-process")[0] == 0
    assert open_store(store).info.inr["name"] == NAMES["inrs"]
    assert inrzoo("verify", store)[0] == 0
    words = ("--steps", 2, "--validate-every", 1, "--out", run)
    code, out, _ = inrzoo("train", "label-regression", store, "--encoder", "moments", *words)
    assert code == 0 and "2 steps" in out
    code, out, _ = inrzoo("evaluate", run, store)
    assert code == 0 and "squared error" in out
    augmented = ("--augment", "negative=0.5", "--batch-size", 8, *words[:-1], tmp_path / "augmented")
    assert inrzoo("train", "classify", store, *augmented)[0] == 0
    code, out, _ = inrzoo("list", "--json")
    listed = json.loads(out)
    assert code == 0 and all(name in listed[kind] for kind, name in NAMES.items())
    assert listed["inrs"]["gaussian_mixture"] == ["reference"]
    assert all(name in inrzoo("list")[1] for name in NAMES.values())


def test_an_observation_of_a_package_measures_and_judges_fits(
    installed: Path, tmp_path: Path, inrzoo: CommandLine
) -> None:
    store, words = tmp_path / "digits.zarr", ("--limit", 12, "--set", "fit.steps=20", "--in-process")
    named = ("--set", "observation.name=worst_point", "--set", "observation.tolerable=200")
    code, out, err = inrzoo("build", "digits", *words, *named, "--out", store)
    assert code == 0 and "worst    mean" in out, err
    opened = open_store(store)
    errors = (opened.render(slice(None), 0, -1).numpy() - opened.signal_table().values()) * 127.5
    np.testing.assert_allclose(opened.measures["worst"][:, 0, 0], np.abs(errors).max(axis=(1, 2)), rtol=1e-3)
    assert np.array_equal(opened.status[:, 0] == 3, opened.measures["worst"][:, 0, 0] > 200)
    assert inrzoo("verify", store)[0] == 0 and "worst_point" in inrzoo("list")[1]


def test_words_of_the_user_s_serve_without_an_installation(
    importable: Path, tmp_path: Path, inrzoo: CommandLine
) -> None:
    """On the command line and in a manifest; what is recorded is the class, and it opens for whoever trusts it."""
    store, run = tmp_path / "stripes.zarr", tmp_path / "run"
    mine = manifest(tmp_path, WORDS["sources"], "siren")
    build = ("build", mine, "--out", store, "--in-process")
    assert inrzoo(*build, "--inr", WORDS["inrs"])[0] == 0
    words = ("--steps", 2, "--validate-every", 1, "--out", run)
    assert inrzoo("train", WORDS["tasks"], store, "--encoder", WORDS["encoders"], *words)[0] == 0
    augmented = ("--augment", f"{WORDS['transforms']}=1.0", "--augment", f"{WORDS['transforms']} probability=0.5")
    classify = ("train", "classify", store, "--batch-size", 8, *words[:-1], tmp_path / "augmented", *augmented)
    assert inrzoo(*classify)[0] == 0
    tables = [{"name": WORDS["transforms"], "probability": value} for value in (1.0, 0.5)]
    assert read(tmp_path / "augmented").task["augment"] == tables
    task = read(run).task
    assert (task["name"], task["encoder"]["name"]) == (WORDS["tasks"], WORDS["encoders"])

    registry.trusted.clear()  # a new process
    forget()
    for command in (
        ("verify", store),
        ("preview", store),
        ("train", "classify", store, "--batch-size", 8),
        ("evaluate", run, store),
    ):
        code, _, err = inrzoo(*command)
        assert code == 2 and "install the package" in one_line(err) and "--trust " in err, command
    assert PACKAGE not in sys.modules
    trusting = [word for kind in WORDS for word in ("--trust", f"{kind}={WORDS[kind]}")]
    assert inrzoo(*trusting, "verify", store)[0] == 0
    assert inrzoo(*trusting, "evaluate", run, store)[0] == 0


def test_a_class_of_an_installed_package_is_recorded_by_its_registered_name(installed: Path, tmp_path: Path) -> None:
    for kind, word in WORDS.items():
        assert trust(kind, word) == NAMES[kind]
        assert registry.find(kind, word) is registry.find(kind, NAMES[kind])


def test_workers_are_told_what_the_user_trusts(importable: Path, tmp_path: Path, inrzoo: CommandLine) -> None:
    """A worker is another process: it gets the words with its store, never from the store."""
    from inrzoo.builder.execute import Worker

    store = tmp_path / "stripes.zarr"
    mine = manifest(tmp_path, WORDS["sources"], WORDS["inrs"])
    assert inrzoo("build", mine, "--out", store, "--in-process")[0] == 0
    words = [*registry.trusted]
    registry.trusted.clear()
    forget()
    with pytest.raises(InrzooError, match="install the package"):
        Worker(str(store), "cpu")._store.inr  # noqa: B018
    assert type(Worker(str(store), "cpu", 1, words)._store.inr).__name__ == "GaussianMixture"


def test_a_transform_of_a_package_is_made_by_name_and_does_what_it_says(installed: Path) -> None:
    inr = Siren(in_features=2, out_features=1, hidden_features=8)
    weights = torch.randn(3, inr.layout.num_params, generator=torch.Generator().manual_seed(0))
    coords = torch.rand(10, 2, generator=torch.Generator().manual_seed(1))
    negative = registry.make("transforms", {"name": "negative", "probability": 1.0}, inr=inr)
    torch.testing.assert_close(inr(negative(weights, torch.Generator()), coords), -inr(weights, coords))
    with pytest.raises(InrzooError, match=r"probability = 2\.0"):
        registry.make("transforms", {"name": "negative", "probability": 2.0}, inr=inr)


def test_an_augmentation_of_the_user_s_changes_the_signals_of_a_training(
    importable: Path, tmp_path: Path, inrzoo: CommandLine
) -> None:
    small = ("--hypernet", "learned_init", "--inr", "relu_mlp", "--batch", 4, "--steps", 2, "--validate-every", 1)
    salted = ("--augment", f"{WORDS['augmentations']}=0.5")
    runs = [tmp_path / name for name in ("plain", "salted")]
    for run, more in zip(runs, ((), salted), strict=True):
        code, _, err = inrzoo("train", "hypernetwork", "digits", *small, *more, "--out", run)
        assert code == 0, err
    plain, changed = (read(run) for run in runs)
    assert changed.task["augment"] == [{"name": WORDS["augmentations"], "share": 0.5}]
    assert any(not torch.equal(plain.module[key], changed.module[key]) for key in plain.module)


def test_a_logger_of_the_user_s_gets_each_step_of_a_continued_run_once(
    importable: Path, finished_small: Path, tmp_path: Path, inrzoo: CommandLine
) -> None:
    small = ("--encoder", "flat_mlp", "--batch-size", 4, "--validate-every", 2, "--out", tmp_path / "run")
    words = ("train", "classify", finished_small, *small, "--logger", f"{WORDS['loggers']}=rows.csv")
    code, _, err = inrzoo(*words, "--steps", 4)
    assert code == 0, err
    rows = (tmp_path / "run" / "rows.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["step", "2", "4", "finished"]
    code, _, err = inrzoo(*words[:-1], "os:path", "--out", tmp_path / "other")
    assert code == 2 and "is not a subclass of inrzoo.loggers.Logger" in one_line(err)
    assert not (tmp_path / "other").exists()


def test_a_decoder_and_an_operation_of_the_user_s_edit_signals(
    importable: Path, finished_small: Path, tmp_path: Path, inrzoo: CommandLine
) -> None:
    words = ("--decoder", WORDS["decoders"], "--operation", WORDS["operations"], "--set", "operation.threshold=0.25")
    small = ("--batch-size", 4, "--steps", 2, "--validate-every", 1, "--out", tmp_path / "run")
    code, _, err = inrzoo("train", "edit", finished_small, *words, *small)
    assert code == 0, err
    task = read(tmp_path / "run").task
    assert task["decoder"] == {"name": WORDS["decoders"]}
    assert task["operation"] == {"name": WORDS["operations"], "threshold": 0.25}
    assert inrzoo("evaluate", tmp_path / "run", finished_small)[0] == 0


def test_a_broken_package_is_one_line_and_hides_no_other(installed: Path, inrzoo: CommandLine) -> None:
    (installed / PACKAGE / "gaussian_mixture.py").write_text("raise RuntimeError('broken\\non two lines')\n")
    with pytest.raises(InrzooError, match="cannot be imported: RuntimeError: broken on two lines"):
        registry.find("inrs", "gaussian_mixture")
    code, out, _ = inrzoo("list")
    assert code == 0 and "broken" in out and "siren" in out


def test_no_package_takes_a_name_of_inrzoo_s_own_and_no_two_share_one(installed: Path) -> None:
    info = next(installed.glob("*.dist-info"))
    (info / "entry_points.txt").write_text(
        f"[inrzoo.inrs]\nsiren = {WORDS['inrs']}\ngaussian_mixture = {WORDS['inrs']}\n"
    )
    assert registry.find("inrs", "siren") is Siren
    other = installed / "other-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[inrzoo.inrs]\ngaussian_mixture = other:Net\n")
    with pytest.raises(InrzooError, match=r"registered twice, as inrzoo_plugin_example.*other:Net; uninstall one"):
        registry.find("inrs", "gaussian_mixture")


def test_contributing_counts_the_lines_of_the_example() -> None:
    rows = re.findall(r"\((tests/plugin/\S+\.py)\) \| (\d+) \|", (PLUGIN.parents[1] / "CONTRIBUTING.md").read_text())
    counted = {path: len((PLUGIN.parents[1] / path).read_text().splitlines()) for path, _ in rows}
    assert len(rows) == len(NAMES) and counted == {path: int(lines) for path, lines in rows}
