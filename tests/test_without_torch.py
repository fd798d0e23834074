"""Answers that need no tensors come without torch: in a process in which torch cannot be imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from blocking import answers

ANSWERS = [
    (["--help"], 0, "Datasets of implicit neural representations"),
    (["build", "--help"], 0, "--views"),
    (["--version"], 0, "inrzoo, version"),
    (["list"], 0, "siren"),
    (["list", "--json"], 0, '"reference"'),
    (["show", "siren"], 0, "omega_0 = 30.0"),
    (["show", "image_folder"], 0, "bit_depth = 8"),
    (["build", "no_such"], 2, "no dataset 'no_such'; there are: "),
    (["build", "digits", "--preset", "no_such"], 2, "no preset 'no_such'; there are: "),
    (["build", "digits", "--inr", "no_such"], 2, "no inrs called 'no_such'; there are: fourier_net"),
    (["build", "digits", "--engine", "no_such"], 2, "--engine no_such is not allowed; expected one of 'auto'"),
    (["build", "digits", "--set", "inr.omga_0=3"], 2, "siren has no field 'omga_0'"),
    (["build", "digits", "--set", "inr.omega_0=-3"], 2, "--set inr.omega_0=-3 is not allowed; it must be above 0"),
    (["build", "digits", "--views", "800,x"], 2, "--views 800,x is not allowed; expected 800,900"),
    (["build", "digits", "--seeds", "0"], 2, "--seeds 0 is not allowed"),
    (["build", "digits", "--anti-alias", "x"], 2, "--anti-alias x is not allowed"),
    (["build", "digits", "--tto", "3"], 2, "--tto 3 continues from the output of a hypernetwork"),
    (["info", "none.zarr"], 2, "no store at none.zarr"),
    (["verify", "none.zarr"], 2, "no store at none.zarr"),
    (["preview", "none.zarr"], 2, "no store at none.zarr"),
    (["render", "none.zarr", "--signal", "0", "--out", "a.png"], 2, "no store at none.zarr"),
    (["stats", "none.zarr"], 2, "no store at none.zarr"),
    (["merge", "none.zarr", "other.zarr", "--out", "new.zarr"], 2, "no store at none.zarr"),
    (["subset", "none.zarr", "--out", "new.zarr"], 2, "no store at none.zarr"),
    (["export", "none.zarr", "--format", "parquet", "--out", "x"], 2, "no store at none.zarr"),
    (["train", "no-such", "none.zarr"], 2, "No such command 'no-such'"),
    (["fly"], 2, "No such command 'fly'"),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Output and exit code of every command, all asked in one process."""
    return answers([words for words, _, _ in ANSWERS], {"torch"}, tmp_path_factory.mktemp("without_torch"))


@pytest.mark.parametrize("number", range(len(ANSWERS)), ids=[" ".join(words) for words, _, _ in ANSWERS])
def test_it_is_said_without_torch(number: int, said: list[str]) -> None:
    _, code, words = ANSWERS[number]
    answer = said[number]
    assert answer.splitlines()[-1] == f"= {code}" and words in answer, answer
    if code:
        assert len(answer.splitlines()) == 2 and answer.startswith("inrzoo: "), answer


HEAVY = (
    "torch",
    "zarr",
    "dask",
    "ray",
    "datasets",
    "huggingface_hub",
    "matplotlib",
    "PIL",
    "pyarrow",
    "sklearn",
    "xarray",
)
LIGHT = [
    (["--help"], ("numpy", "rich.console")),
    (["build", "--help"], ("numpy", "rich.console")),
    (["build", "digits", "--no-such-option"], ("numpy", "rich.console")),
    (["list"], ("rich.console",)),
    (["build", "no_such"], ()),
    (["info", "none.zarr"], ("rich.console",)),
]


@pytest.mark.parametrize(("words", "more"), LIGHT, ids=[" ".join(words) for words, _ in LIGHT])
def test_quick_answers_import_no_heavy_module(words: list[str], more: tuple[str, ...], tmp_path: Path) -> None:
    """Each in a process of its own, which must not load what takes tenths of seconds."""
    program = (
        "import sys; from inrzoo import cli; sys.argv = ['inrzoo', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        f"finally: print('loaded', *({{*{(*HEAVY, *more)}}} & sys.modules.keys()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "loaded", done.stdout + done.stderr


def test_torch_is_loaded_when_it_is_first_used() -> None:
    """And then nothing stands between: the module itself is in the globals."""
    program = (
        "import sys; from inrzoo.inrs import siren; before = 'torch' in sys.modules; inr = siren.Siren(in_features=2,"
        " out_features=1); siren.torch.float32; import torch; print(before, siren.torch is torch)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_the_processor_has_the_instructions_that_torch_says() -> None:
    import torch

    from inrzoo.fit import fused_cpu

    assert fused_cpu.capability() == torch.backends.cpu.get_cpu_capability()
