"""Scenes with cameras: the files that name pictures and say where cameras are, and the pictures."""

import sys
from pathlib import Path
from typing import Any

import pytest
from cases import Sandbox, fuzz
from hostile import damaged, json_file
from hypothesis import strategies as st
from test_fuzz_archives import read, zipped

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))
from small_views import nerf_files, srn_files

NERF, SRN = nerf_files("b", (3, 1, 1)), srn_files("b", 4)
GOOD = {"nerf": nerf_files("a", (3, 1, 1)), "srn": srn_files("a", 4)}


@pytest.fixture
def target() -> None:
    return None


def read_views(data: Any, sandbox: Sandbox, files: dict[str, bytes]) -> None:
    path = sandbox.given / "views.zip"
    path.write_bytes(zipped(files))
    sandbox.call(lambda: read({"name": "posed_views", "skip_unreadable": data.draw(st.booleans())}, path))


@fuzz(st.data(), slow=1500, quick=20)
def test_transforms(data: Any, sandbox: Sandbox, target: None) -> None:
    name = data.draw(st.sampled_from([name for name in NERF if name.endswith(".json")]))
    read_views(data, sandbox, GOOD["nerf"] | NERF | {name: data.draw(json_file(NERF[name]))})


@fuzz(st.data(), slow=800)
def test_intrinsics_poses_and_pictures(data: Any, sandbox: Sandbox, target: None) -> None:
    name = data.draw(st.sampled_from(sorted(SRN)))
    read_views(data, sandbox, GOOD["srn"] | SRN | {name: data.draw(damaged(SRN[name]))})
