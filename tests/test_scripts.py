"""Every script of benchmarks/ and pipelines/ says what it needs when asked for help, and runs at its smallest size.

A new script has to appear in `TINY`, or in `ELSEWHERE` with the file of the slow test that runs it small.
"""

import ast
import contextlib
import io
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrzoo.sources._splits import seeded_order

ROOT = Path(__file__).parents[1]
SCRIPTS = {path.stem: path for folder in ("benchmarks", "pipelines") for path in (ROOT / folder).glob("*.py")}
FEW_SHOT_ELSEWHERE = ("few_shot_table_3", "few_shot_table_4", "few_shot_one_shot_runs")
FEW_SHOT = sorted(name for name in SCRIPTS if name.startswith("few_shot_") and name not in FEW_SHOT_ELSEWHERE)
TINY: dict[str, str] = {
    "antialiasing": "1 1 --shorten 500 --picture {out}/picture.png",
    "build_speed": "{data}/omniglot --signals 40 --steps 10",
    "editing_table": "",
    "encoders": "{out}/page.md --batch 2",
    "fitting_to_psnr": "--dataset digits --target-psnr 12 --signals 4 --loop-signals 1 --rounds 1 --out {out}",
    "findings": "",
    "fitting": "1 0.01 --workload W1 --method naive --method reference-1-thread --steps 5 --out {out}",
    "frequency_table": "",
    "gpu": "--device cpu --out {out}",
    "hypernetworks_stores": "",
    "hypernetworks_views": "",
    "image_orders": "",
    "leaderboard": "",
    "leaderboard_published": "",
    "learning_curves": "",
    "loading": "{out}/loading 1024 --rounds 1 --out {out}",
    "quality": "",
    "read_speed": "1024",
    "smoke": "",
    "thumbnails": "",
    "training": "mwt-28 relational trans_inr --side 9 --batch 1 --rounds 1 --out {out}",
    "tuning": "--dataset digits --target-psnr 12 --budget 0.1 --settings 2 --limit 60 --out {out}",
    "waiting": "2",
    **dict.fromkeys(FEW_SHOT, ""),
}
"""Script -> its smallest command line; {data} is `pictures`, {out} an empty folder."""
ELSEWHERE = {
    "attack": "cluster/test_attack.py",
    "faults": "cluster/test_faults.py",
    "scaling": "cluster/test_measurements.py",
    "ten_million": "cluster/test_measurements.py",
    **dict.fromkeys(FEW_SHOT_ELSEWHERE, "tasks/test_pipelines.py"),
    "original_samples": "builder/test_observations.py",
    "smaller_stores": "test_conversion.py",
    "streaming": "tasks/test_signal_arrays.py",
    "recipes_table": "tasks/test_recipes_pipeline.py",
    "contrastive_table_2": "tasks/test_contrastive_pipelines.py",
    "contrastive_ablations": "tasks/test_contrastive_pipelines.py",
    "contrastive_figure_3": "tasks/test_contrastive_pipelines.py",
    "contrastive_supervised": "tasks/test_contrastive_pipelines.py",
    "end_to_end_table": "tasks/test_signal_pipelines.py",
    "end_to_end_shapes": "tasks/test_signal_pipelines.py",
    "end_to_end_sweeps": "tasks/test_signal_pipelines.py",
    "hypernetworks_photographs": "tasks/test_signal_pipelines.py",
    "hypernetworks_sounds": "tasks/test_signal_pipelines.py",
    "hypernetworks_table": "tasks/test_signal_pipelines.py",
    "hypernetworks_table_3": "tasks/test_signal_pipelines.py",
    "hypernetworks_figure_9": "tasks/test_signal_pipelines.py",
    "hypernetworks_ablations": "tasks/test_signal_pipelines.py",
    "newcomer": "install/test_newcomer.py",
    "release": "install/test_release.py",
}


def imported_by_others() -> set[str]:
    """Scripts that another one imports: parts of that one."""
    trees = [(name, ast.parse(path.read_text(encoding="utf-8"))) for name, path in SCRIPTS.items()]
    return {
        imported
        for name, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for imported in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if imported in SCRIPTS and imported != name
    }


def does_something(path: Path) -> bool:
    """Whether a file does more than define: it runs as a script."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passive = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.AugAssign)
    return any(
        not isinstance(node, passive) and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in tree.body
    )


def test_every_script_has_a_smallest_size() -> None:
    parts = imported_by_others()
    assert TINY.keys() | ELSEWHERE.keys() == {
        name for name, path in SCRIPTS.items() if name not in parts and does_something(path)
    }
    for name, file in ELSEWHERE.items():
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"{name}" in text and ("mark.slow" in text or "mark.exhaustive" in text)


@pytest.mark.parametrize("name", sorted(name for name, path in SCRIPTS.items() if does_something(path)))
def test_help_is_what_the_file_says_of_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = SCRIPTS[name]
    monkeypatch.setattr(sys, "argv", [path.name, "--help"])
    monkeypatch.syspath_prepend(str(path.parent))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name="__main__")
    about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False)
    assert end.value.code == 0 and about is not None
    assert about.strip() in said.getvalue()
    assert f"python {path.relative_to(ROOT)}" in about and "\nNeeds: " in about


def png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of stand-ins: Omniglot of 3 alphabets of 8 or 20 characters, MNIST and CIFAR-10 of some hundred slopes."""
    sys.path.insert(0, str(ROOT / "tests" / "tasks"))
    from test_signal_pipelines import write_cifar10, write_mnist

    folder = tmp_path_factory.mktemp("pictures")
    write_mnist(folder / "mnist")
    (folder / "cifar10").mkdir()
    write_cifar10(folder / "cifar10" / "cifar10_images.zip")
    (folder / "omniglot").mkdir()
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "omniglot" / "images_background.zip", "w") as archive:
        *_, test = seeded_order(
            3, 0
        )  # an alphabet a split, as the manifest draws them: 20-way episodes are of this one
        for alphabet in range(3):
            for character in range(20 if alphabet == test else 8):
                strokes = rng.random((7, 7)) < 0.3
                for drawer in range(1, 21):
                    ink = np.kron(np.roll(strokes, rng.integers(-1, 2, 2), (0, 1)), np.ones((15, 15), bool))
                    number = f"{20 * alphabet + character:04d}_{drawer:02d}"
                    place = f"images_background/Alphabet_{alphabet}/character{character + 1:02d}/{number}.png"
                    archive.writestr(place, png(np.where(ink, 0, 255).astype(np.uint8)))
    return folder


def run_tiny(name: str, pictures: Path, out: Path) -> None:
    environment = {
        **os.environ,
        "INRZOO_SCALE": "tiny",
        "INRZOO_COMPLEXITY": "low",
        "INRZOO_DATA": str(pictures),
        "INRZOO_MNIST": str(pictures / "mnist"),
        "INRZOO_FASHION_MNIST": str(pictures / "mnist"),
        "INRZOO_CIFAR10": str(pictures / "cifar10" / "cifar10_images.zip"),
        "INRZOO_OMNIGLOT": str(pictures / "omniglot"),
        "INRZOO_OUT": str(out),
        "INRZOO_DOCUMENT": str(out / "page.md"),
    }
    words = TINY[name].format(data=pictures, out=out).split()
    command = [sys.executable, str(SCRIPTS[name]), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=600)
    assert done.returncode == 0, f"{name}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    assert (done.stdout + done.stderr).strip()  # tables are logged, and a script shows its log on standard error


def test_findings_are_those_of_the_pages(tmp_path: Path) -> None:
    run_tiny("findings", tmp_path, tmp_path)
    found, page = (path.read_text(encoding="utf-8") for path in (tmp_path / "page.md", ROOT / "docs" / "findings.md"))
    assert found == page, "run: python pipelines/findings.py"
    assert page.count("| not held |") > 5


def test_published_encoders_stand_beside_the_rows_of_the_board(tmp_path: Path) -> None:
    run_tiny("leaderboard_published", tmp_path, tmp_path)
    section = (tmp_path / "page.md").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    assert section in page, "run: python pipelines/leaderboard_published.py"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.exhaustive if name in ("loading", "quality", "smoke") else pytest.mark.slow
        )
        for name in sorted(TINY.keys() - {*FEW_SHOT})
    ],
)
def test_a_script_runs_at_its_smallest_size(name: str, pictures: Path, tmp_path: Path) -> None:
    run_tiny(name, pictures, tmp_path)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["few_shot_table_2", "few_shot_figure_4"], id="two", marks=pytest.mark.slow),
        pytest.param(FEW_SHOT, id="all", marks=pytest.mark.exhaustive),
    ],
)
def test_the_few_shot_scripts_run_one_after_the_other(names: list[str], pictures: Path, tmp_path: Path) -> None:
    """They share stores and runs, as in use."""
    for name in names:
        run_tiny(name, pictures, tmp_path)
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert page.count("Scale `tiny`") == len(names) and "nan" not in page
