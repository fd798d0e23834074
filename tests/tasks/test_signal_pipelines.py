"""The scripts of MWT's and the hypernetworks' tables run from end to end on pictures made here."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_ins import run_pipeline, write_idx

NUM_TRAIN, NUM_TEST = 8000, 1500
"""More than the 5,000 that the manifests take for validation."""


def pictures(size: int, channels: int) -> np.ndarray:
    """Ten, one for each class: a slope in a direction of its own."""
    row, col = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    angles = np.linspace(0, np.pi, 10, endpoint=False)
    slopes = np.stack([np.cos(angle) * row + np.sin(angle) * col for angle in angles])
    return np.repeat((127 + 80 * slopes).astype(np.uint8)[..., None], channels, axis=-1)


def write_mnist(folder: Path) -> Path:
    labels = {
        part: (np.arange(count) % 10).astype(np.uint8) for part, count in (("train", NUM_TRAIN), ("t10k", NUM_TEST))
    }
    return write_idx(folder, {part: (pictures(28, 1)[codes][..., 0], codes) for part, codes in labels.items()})


def write_cifar10(path: Path) -> Path:
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, picture in zip(names, pictures(32, 3), strict=True):
            content = io.BytesIO()
            Image.fromarray(picture).save(content, "PNG")
            for split, count in (("train", NUM_TRAIN // 10), ("test", NUM_TEST // 10)):
                for number in range(count):
                    archive.writestr(f"{split}/{name}/{number:04d}.png", content.getvalue())
    return path


def run_again(name: str, settings: dict) -> dict[Path, int]:
    """Run a script that has run: nothing is trained or fitted, and its page stays. Returns the files of the runs."""

    def found() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in settings["DOCUMENT"].parent.rglob("*.safetensors")}

    runs, page = found(), settings["DOCUMENT"].read_text()
    run_pipeline(name, **settings)
    assert found() == runs
    assert settings["DOCUMENT"].read_text() == page
    return runs


@pytest.mark.slow
def test_end_to_end_table(tmp_path):
    settings = {"OUT": tmp_path / "out", "DOCUMENT": tmp_path / "page.md", "DATASETS": "mnist,cifar10"}
    settings |= {"MNIST": write_mnist(tmp_path / "mnist"), "CIFAR10": write_cifar10(tmp_path / "cifar10.zip")}
    settings |= {"SEEDS": "2"}
    run_pipeline("end_to_end_table", **settings)
    page = settings["DOCUMENT"].read_text()
    assert page.startswith("## Classification through INRs\n")
    rows = ["mnist: MWT ", "mnist: MWT, w_task = 0 ", "mnist: same classifier, fitted SIRENs ", "cifar10: MWT "]
    rows += ["mnist: MWT, augmented ", "cifar10: MWT, augmented "]
    assert all(page.count(f"| {row}") == 1 for row in rows)
    assert "mnist: MWT is above MWT, w_task = 0: **" in page
    assert "cifar10: MWT, augmented is above MWT: **" in page and "2 seeds with the 95 % interval" in page
    assert (tmp_path / "end_to_end_curves.png").stat().st_size > 5000
    run_again("end_to_end_table", settings)


@pytest.mark.slow
def test_hypernetwork_tables(tmp_path):
    settings = {"OUT": tmp_path / "out", "DOCUMENT": tmp_path / "page.md"}
    settings["CIFAR10"] = write_cifar10(tmp_path / "cifar10.zip")
    for name in ("hypernetworks_table", "hypernetworks_figure_9", "hypernetworks_ablations", "hypernetworks_table_3"):
        run_pipeline(name, **settings)
    page = settings["DOCUMENT"].read_text()
    titles = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert titles[0] == "CIFAR-10 from a few weights"
    assert [title.split(":")[0] for title in titles[1:]] == [
        "GINR-IPC Figure 9",
        "TransINR Table 2",
        "GINR-IPC Table 6",
        "GINR-IPC Table 7",
        "GINR-IPC Table 3",
    ]
    assert "nan" not in page
    starts = ("Learned Init", "Learned Init, learned rates")
    methods = (*starts, "TransINR", "GINR-IPC", "GINR-IPC by gradient steps")
    assert all(f"{above} is above {start}: **" in page for above in ("TransINR", "GINR-IPC") for start in starts)
    assert (tmp_path / "hypernetworks_curves.png").stat().st_size > 1000
    assert all(f"{method}: test-time optimisation helps: **" in page for method in methods)
    assert all(f"matrix 2 is above matrix {layer}: **" in page for layer in (1, 3, 4, 5))
    first = page.split("## ")[1]
    run_pipeline("hypernetworks_table", **settings)
    assert settings["DOCUMENT"].read_text().split("## ")[1] == first


@pytest.mark.slow
def test_hypernetworks_photographs(tmp_path):
    settings = {"OUT": tmp_path / "out", "DOCUMENT": tmp_path / "page.md"}
    settings["PHOTOS_178"] = write_cifar10(tmp_path / "photographs.zip")
    run_pipeline("hypernetworks_photographs", **settings)
    page = settings["DOCUMENT"].read_text()
    assert page.startswith("## Photographs of 16×16 pixels\n") and "nan" not in page
    assert "* GINR-IPC is above TransINR: **" in page and "pictures of photographs," in page
    assert (tmp_path / "hypernetworks_curves_16.png").stat().st_size > 1000
    run_again("hypernetworks_photographs", settings)

    larger = settings | {"SIZE": "20", "METHODS": "GINR-IPC", "SEEDS": "1"}
    run_pipeline("hypernetworks_photographs", **larger)
    page = settings["DOCUMENT"].read_text()
    assert page.count("## Photographs of ") == 2 and "16 pictures of photographs, ReLU MLP 2/16/8×4/3" in page
    with pytest.raises(SystemExit, match=r"INRZOO_SIZE=18 is not allowed with INRZOO_SCALE=tiny; it may be 16 or 20"):
        run_pipeline("hypernetworks_photographs", **larger | {"SIZE": "18"})


def write_sounds(path: Path) -> Path:
    """Tones of 64 samples, each of a pitch of its own."""
    from small_datasets import sound, write_zip

    tones = [(20000 * np.sin(np.arange(64) * (number + 1) / 40)).astype(np.int16) for number in range(60)]
    splits = ["train" if number % 3 else "test" for number in range(60)]
    return write_zip(path, {f"{splits[i]}/tones/{i}.wav": sound(tone) for i, tone in enumerate(tones)})


@pytest.mark.slow
def test_hypernetworks_sounds(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "sources")
    settings = {"OUT": tmp_path / "out", "DOCUMENT": tmp_path / "page.md"}
    settings["SPEECH"] = write_sounds(tmp_path / "sounds.zip")
    run_pipeline("hypernetworks_sounds", **settings)
    page = settings["DOCUMENT"].read_text()
    assert page.startswith("## Sounds of one second\n") and "nan" not in page and "64 samples (sounds, 8 kHz)" in page
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")]
    start, stepped = "Learned Init, learned rates", "GINR-IPC by gradient steps"
    assert rows[1:] == ["GINR-IPC", "TransINR", "TransINR, one matrix", start, stepped]
    assert (tmp_path / "hypernetworks_curves_sounds.png").stat().st_size > 1000
    run_again("hypernetworks_sounds", settings)


def write_shapes(folder: Path) -> dict[str, Path]:
    """Twelve boxes of two classes as meshes, flat and high ones, and the same as voxels."""
    from small_shapes import box, saved

    voxels = np.zeros((24, 8, 8, 8), np.uint8)
    for number in range(24):
        width, kind = 2 + number // 2 % 4, number % 2
        content = saved(box(2, 0.1 * width, 1) if kind else box(0.1 * width, 2, 0.3))
        name = folder / "meshes" / ("flat", "high")[kind] / ("train", "test")[number >= 18] / f"{number}.off"
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(content)
        voxels[number, :width, : 8 if kind else 2, 3:5] = 1
    labels = np.arange(24) % 2
    np.savez(folder / "voxels.npz", voxels=voxels, labels=labels, classes=np.array(["flat", "high"]))
    return {"FURNITURE": folder / "meshes", "MODELNET10_SURFACES": folder / "voxels.npz"}


@pytest.mark.slow
def test_end_to_end_shapes(tmp_path, monkeypatch):
    pytest.importorskip("trimesh", reason="the extra shapes is not installed")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "sources")
    settings = {"OUT": tmp_path / "out", "DOCUMENT": tmp_path / "page.md", **write_shapes(tmp_path)}
    run_pipeline("end_to_end_shapes", **settings)
    page = settings["DOCUMENT"].read_text()
    assert "one seed, intervals over test signals" in page and "nan" not in page
    names = ["MWT", "PointNet"]
    names += [*(f"{name}, augmented" for name in names), "flat_mlp, fitted SIRENs", "same classifier, fitted SIRENs"]
    names += ["flat_mlp, fitted SIRENs, each from its own start"]
    datasets = ("furniture", "modelnet10_surfaces")
    for dataset, section in zip(datasets, page.split("## Shapes: ")[1:], strict=True):
        assert section.startswith(f"{dataset}\n") and all(section.count(f"| {name} ") == 1 for name in names)
        assert "* MWT is above flat_mlp + 10 points: **" in section
        assert "* MWT is above flat_mlp on INRs of different starts + 10 points: **" in section
    assert len(run_again("end_to_end_shapes", settings)) == 2 * 2 * len(names)  # the best and the last checkpoint


@pytest.mark.slow
def test_end_to_end_sweeps(tmp_path):
    settings = {"OUT": tmp_path / "out", "DOCUMENT": tmp_path / "page.md", "MNIST": write_mnist(tmp_path / "mnist")}
    run_pipeline("end_to_end_sweeps", **settings)
    page = settings["DOCUMENT"].read_text()
    assert page.startswith("## MNIST: w_task, k and s\n") and "nan" not in page
    first = "w_task = 0.01, k = 3, s = 0.5"
    others = ["w_task = 0", "w_task = 0.1", "w_task = 1", "k = 1", "k = 2", "k = 4", "s = 0.1", "s = 1"]
    assert [line[2:].split("  ")[0].split(" |")[0] for line in page.splitlines() if " | " in line][1:] == [
        first,
        *others,
    ]
    assert "is above" not in page  # one training each decides nothing
    assert len(run_again("end_to_end_sweeps", settings)) == 2 * 9

    run_pipeline("end_to_end_sweeps", **settings, SEEDS=2)
    page = settings["DOCUMENT"].read_text()
    assert all(page.count(f"* {first} is above {other}: **") == 2 for other in others)
