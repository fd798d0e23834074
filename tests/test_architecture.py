"""The imports of each room, read off the syntax tree, are those that the table of docs/architecture.md allows."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A room is a file or a folder of inrzoo/; "root" is inrzoo/__init__.py. All may import errors, extras and nearest.
BUILD = {
    "bases",
    "manifest",
    "registry",
    "trust",
    "sources",
    "inrs",
    "coords",
    "seeding",
    "fit",
    "store",
    "stats",
    "weights",
    "root",
    "checkpoint",
}
MAY_IMPORT = {
    "root": {"addresses", "store", "loaders", "api"},
    "addresses": {"store", "hub", "keywords"},
    "errors": set(),
    "extras": set(),
    "cache": set(),
    "choices": set(),
    "keywords": set(),
    "nearest": set(),
    "retry": set(),
    "shipped": set(),
    "display": set(),
    "lazy": set(),
    "array_namespace": set(),
    "typecheck": set(),
    "docstrings": set(),
    "reference": {"docstrings", "manifest", "registry", "typecheck"},
    "registry": {"typecheck"},
    "trust": {"registry"},
    "short_forms": {"registry"},
    "augmentations": {"registry", "short_forms"},
    "formula": {"typecheck"},
    "differences": set(),
    "manifest": {"registry", "trust", "typecheck", "differences", "coords", "shipped"},
    "bases": {"array_namespace"},
    "weights": {"array_namespace"},
    "weight_graph": {"weights"},
    "coords": set(),
    "seeding": set(),
    "volume_rendering": {"lazy"},
    "observations": {"coords", "typecheck", "lazy", "volume_rendering"},
    "targets": {"manifest", "registry", "observations"},
    "unfitted": {"manifest", "registry", "observations", "sources"},
    "sources": {"cache", "coords", "display", "observations", "seeding", "shipped"},
    "inrs": {"bases", "weights", "seeding", "lazy", "formula", "array_namespace"},
    "fit": {"cache", "inrs", "weights", "coords", "seeding", "lazy", "volume_rendering"},
    "bench": {"fit", "inrs", "coords", "seeding", "display"},
    "store": {
        "bases",
        "cache",
        "retry",
        "manifest",
        "weights",
        "registry",
        "coords",
        "typecheck",
        "keywords",
        "display",
        "lazy",
        "formula",
    },
    "stats": {"store", "weights"},
    "checkpoint": {"store", "typecheck"},
    "loaders": {"store", "weights", "registry", "seeding", "inrs", "fit", "keywords", "display", "addresses"}
    | {"differences", "manifest", "weight_graph", "short_forms"},
    "native": {"fit", "inrs"},
    "encoders": {"weights", "weight_graph", "native"},
    "decoders": {"encoders", "weights", "weight_graph"},
    "operations": set(),
    "loggers": set(),
    "tasks": {"loaders", "encoders", "hypernets", "fit", "inrs", "weights", "coords", "registry", "seeding", "store"}
    | {"addresses", "short_forms", "augmentations", "comparisons", "rendering", "decoders", "operations", "loggers"}
    | {"unfitted", "volume_rendering", "cache", "sources"}
    | {"manifest", "trust", "keywords", "checkpoint", "differences", "display", "docstrings", "typecheck"},
    "hypernets": {"inrs", "weights", "coords", "seeding", "fit", "encoders", "native", "volume_rendering"},
    "comparisons": {"fit", "inrs", "store", "targets", "observations"},
    "builder": BUILD | {"display", "retry", "comparisons", "hypernets", "unfitted"},
    "verify": BUILD | {"builder", "comparisons"},
    "rendering": {"store", "coords", "lazy"},
    "preview": {"store", "rendering", "display"},
    "refit": BUILD | {"builder"},
    "conversion": BUILD | {"builder"},
    "generation": BUILD | {"builder", "tasks"},
    "trials": BUILD | {"builder"},
    "tune": {"trials", "manifest"},
    "compare": {"store", "manifest", "differences"},
    "gather": {"root", "compare", "differences", "store", "stats", "manifest", "choices", "targets"},
    "summary": {"store", "display"},
    "interchange": {"root", "store", "stats", "weights", "registry", "inrs", "coords", "fit", "manifest", "typecheck"}
    | {"bases", "rendering"},
    "hub": {"cache", "retry", "store", "weights", "manifest", "stats", "verify", "preview", "rendering", "interchange"}
    | {"viewer"},
    "viewer": {"store", "rendering", "targets"},
    "report": {"builder", "display", "verify", "refit", "trials", "tune", "summary", "store"},
    "api": {"addresses", "builder", "checkpoint", "hub", "tasks", "manifest", "store", "keywords", "compare", "gather"}
    | {"conversion", "generation", "typecheck", "leaderboard", "loggers"},
    "leaderboard": {"tasks", "loaders", "encoders", "store", "registry", "manifest", "checkpoint", "keywords"}
    | {"addresses", "differences", "weights", "typecheck", "root", "hub", "decoders", "operations"},
    "__main__": {"cli"},
}
for room in (
    "store",
    "builder",
    "verify",
    "refit",
    "conversion",
    "trials",
    "interchange",
    "loaders",
    "tasks",
    "rendering",
):
    MAY_IMPORT[room] |= {"targets", "observations"}
MAY_IMPORT["preview"] |= {"observations"}
for room in (
    "manifest",
    "coords",
    "sources",
    "fit",
    "store",
    "builder",
    "conversion",
    "generation",
    "interchange",
    "rendering",
):
    MAY_IMPORT[room] |= {"choices"}
MAY_IMPORT["cli"] = MAY_IMPORT.keys() - {"__main__", "cli"}
ONLY_FOR_TYPES = {"store": {"inrs"}}
"""Further rooms that may stand under `if TYPE_CHECKING`."""

ONLY_IMPORTER = {
    "click": {"cli"},
    "dask": {"stats"},
    "datasets": {"sources", "loaders"},
    "diffusers": {"tasks"},
    "filelock": {"store"},
    "huggingface_hub": {"hub"},
    "matplotlib": {"preview", "tasks"},
    "obstore": {"store"},
    "pyarrow": {"interchange", "loaders", "store", "tasks"},
    "ray": {"builder", "loaders"},
    "skimage": {"rendering"},
    "tenacity": {"retry"},
    "tensorboard": {"loggers"},
    "torch_geometric": {"loaders"},
    "triton": {"fit"},
    "wandb": {"loggers"},
    "zarr": {"store"},
}
PIPELINES_MAY_IMPORT = {"inrzoo", "torch", "numpy"} | sys.stdlib_module_names
BAD_NAMES = {"utils", "common", "models", "nn", "datasets"}
MAX_LINES = 400


Sources = dict[str, str]
"""Texts of Python files by their path below the root."""


@cache
def parsed_imports(text: str) -> list[tuple[ast.Import | ast.ImportFrom, bool]]:
    """(statement, whether under TYPE_CHECKING) of every import in a text, those inside functions too."""
    nodes = list(ast.walk(ast.parse(text)))
    for_types = {
        id(inner)
        for node in nodes
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    return [(node, id(node) in for_types) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def imports(text: str, rooms: set[str]) -> Iterator[tuple[str, bool]]:
    """(dotted name, whether under TYPE_CHECKING) of every import in a text.

    `from inrzoo import x` is `inrzoo.x` if x is a room, else `inrzoo`: the package itself.
    """
    for node, for_types in parsed_imports(text):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif node.level:
            names = ["a relative import"]
        elif node.module == "inrzoo":
            names = [f"inrzoo.{alias.name}" if alias.name in rooms else "inrzoo" for alias in node.names]
        else:
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names if private(alias.name))]
        for name in names:
            yield name, for_types


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def read_sources() -> Sources:
    """The files that the rules are about."""
    paths = sorted(path for room in ("inrzoo", "pipelines") for path in (ROOT / room).rglob("*.py"))
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def violations(sources: Sources) -> list[str]:
    """Every breach of the house's rules in the files of inrzoo/ and pipelines/."""
    found = []
    rooms = {Path(where).parts[1].removesuffix(".py") for where in sources if where.startswith("inrzoo/")}
    scripts = {Path(where).stem for where in sources if where.startswith("pipelines/")}
    for where, text in sources.items():
        package, *parts = Path(where).with_suffix("").parts
        if package == "pipelines":
            for name, _ in imports(text, rooms):
                if name.split(".")[0] not in PIPELINES_MAY_IMPORT | scripts:
                    found.append(f"{where}: pipelines may not import {name}")
            continue
        room = "root" if parts[0] == "__init__" else parts[0]
        if BAD_NAMES & set(parts):
            found.append(f"{where}: say what it is for, not {', '.join(BAD_NAMES & set(parts))}")
        if len(text.splitlines()) > MAX_LINES:
            found.append(f"{where}: more than {MAX_LINES} lines")
        if room not in MAY_IMPORT:
            found.append(f"{where}: {room} is not in the table of rooms")
            continue
        for name, for_types in imports(text, rooms):
            top, *rest = name.split(".")
            if top == "inrzoo":
                target = rest[0] if rest else "root"
                for_types_alone = ONLY_FOR_TYPES.get(room, set()) if for_types else set()
                allowed = MAY_IMPORT[room] | {room, "errors", "extras", "nearest"} | for_types_alone
                if target not in allowed:
                    found.append(f"{where}: {room} may not import {target}")
                elif target != room and any(map(private, rest)):
                    found.append(f"{where}: {name} is private to {target}")
            elif room not in ONLY_IMPORTER.get(top, {room}):
                found.append(f"{where}: {room} may not import {top}")
            elif top in ("a relative import", "pipelines", "manifests", "tests"):
                found.append(f"{where}: nothing in inrzoo may import {top}")
    return found


def test_the_house_keeps_its_rules():
    sources = read_sources()
    assert len(sources) > 100 and violations(sources) == []


@pytest.mark.parametrize(
    "file, line, breach",
    [
        ("inrzoo/weights.py", "from inrzoo.store import Store", "weights may not import store"),
        ("inrzoo/weights.py", "def later():\n    import inrzoo.fit.loop", "weights may not import fit"),
        ("inrzoo/fit/loop.py", "from inrzoo import store as disk", "fit may not import store"),
        ("inrzoo/fit/loop.py", "from inrzoo import __version__", "fit may not import root"),
        ("inrzoo/store/reader.py", "from inrzoo.inrs import INR", "store may not import inrs"),
        ("inrzoo/store/blocks.py", "import dask.array as da", "store may not import dask"),
        ("inrzoo/stats.py", "import zarr", "stats may not import zarr"),
        ("inrzoo/verify.py", "from ray.util import queue", "verify may not import ray"),
        ("inrzoo/sources/digits.py", "from huggingface_hub import HfApi", "sources may not import huggingface_hub"),
        ("inrzoo/report.py", "from inrzoo import cli", "report may not import cli"),
        ("inrzoo/coords.py", "from . import seeding", "nothing in inrzoo may import a relative import"),
        ("inrzoo/verify.py", "import tests.conftest", "nothing in inrzoo may import tests"),
        ("inrzoo/hypernets/cavia.py", "from inrzoo.inrs._mlp import mlp_layout", "inrzoo.inrs._mlp is private to inrs"),
        (
            "inrzoo/refit.py",
            "from inrzoo.store.root import _change_root",
            "inrzoo.store.root._change_root is private to store",
        ),
        ("inrzoo/fit/utils.py", "", "say what it is for, not utils"),
        ("inrzoo/extra.py", "", "extra is not in the table of rooms"),
        ("inrzoo/errors.py", "\n" * 400, "more than 400 lines"),
        ("pipelines/table_1.py", "import zarr", "pipelines may not import zarr"),
    ],
)
def test_a_planted_violation_is_found(file, line, breach):
    sources = read_sources()
    planted = sources | {file: f"{sources.get(file, '')}\n{line}\n"}
    assert violations(planted) == [f"{file}: {breach}"]


def test_importing_inrzoo_loads_nothing_heavy():
    heavy = ["numpy", "torch", "zarr", "matplotlib", "ray", "dask", "datasets", "sklearn", "xarray"]
    program = f"import sys, inrzoo; print([name for name in {heavy} if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert output.stdout.strip() == "[]"


def test_importing_a_room_loads_no_other_rooms_tools():
    """A manifest is read without torch, a store without ray or dask."""
    for room, absent in [
        ("manifest", ["torch", "zarr", "ray", "dask"]),
        ("weights", ["torch"]),
        ("store", ["torch", "ray", "dask", "matplotlib", "datasets"]),
        ("fit", ["torch", "zarr", "ray", "dask"]),
        ("inrs", ["torch", "zarr"]),
        ("cli", ["torch", "zarr", "ray", "dask", "matplotlib", "datasets"]),
    ]:
        program = f"import sys, inrzoo.{room}; print([name for name in {absent} if name in sys.modules])"
        output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
        assert output.stdout.strip() == "[]", room


def prints(root: Path) -> list[str]:
    """Calls of `print` in the library; the command line prints, the rooms log."""
    return [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sorted((root / "inrzoo").rglob("*.py"))
        if path.relative_to(root).parts[1] != "cli"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def test_the_library_does_not_print(tmp_path):
    assert prints(ROOT) == []
    (tmp_path / "inrzoo").mkdir()
    (tmp_path / "inrzoo" / "loud.py").write_text("def f():\n    print('here')\n")
    assert prints(tmp_path) == ["inrzoo/loud.py:2"]


def look_ups(root: Path) -> list[str]:
    """Look-ups of a store's attributes by string, outside the file that spells their keys."""
    from dataclasses import fields

    from inrzoo.store.info import StoreInfo

    keys = {field.name for field in fields(StoreInfo) if "_" in field.name}  # of one word are too common
    found = []
    for path in sorted(path for room in ("inrzoo", "pipelines", "benchmarks") for path in (root / room).rglob("*.py")):
        where = str(path.relative_to(root))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if where != INFO else ():
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
            if isinstance(node, ast.Subscript):
                owner, key = node.value, node.slice
            elif called and node.args:
                owner, key = node.func.value, node.args[0]
            else:
                continue
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                continue
            whose = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            raw = key.value == "attributes" and where != ROOT_FILE
            if (
                raw
                or key.value in keys
                or whose in ("attributes", "attrs", "info")
                or ast.unparse(owner).endswith("manifest.tables")
            ):
                found.append(f"{where}:{node.lineno}: {ast.unparse(node)}")
    return found


INFO, ROOT_FILE = "inrzoo/store/info.py", "inrzoo/store/root.py"
"""Where the keys of a store's attributes are spelled, and where the file that holds them is changed."""


def test_what_a_store_records_is_read_by_field(tmp_path):
    assert look_ups(ROOT) == []
    lines = [
        'store.attributes["grid"]',
        'attributes.get("complete")',
        'group.attrs["checksums"]',
        'table["published_seeds"]',
        'store.info.manifest.tables["fit"]',
        'root["attributes"]',
    ]
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "planted.py").write_text("\n".join([*lines, "store.info.grid[0]", 'labels["grid"]']))
    assert look_ups(tmp_path) == [
        f"benchmarks/planted.py:{n}: {line}".replace('"', "'") for n, line in enumerate(lines, 1)
    ]
