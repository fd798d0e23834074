"""Where an extra is not installed, the command that needs it says in one line which one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXTRAS = ("obstore", "triton", "grpc", "h5py")
BLOCKER = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {EXTRAS}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["build", "digits", "--limit", "2", "--out", "s3://bucket/x.zarr"], "pip install 'inrzoo[s3]'"),
        pytest.param(["verify", "s3://bucket/x.zarr"], "pip install 'inrzoo[s3]'", marks=pytest.mark.slow),
        pytest.param(["info", "s3://bucket/x.zarr"], "pip install 'inrzoo[s3]'", marks=pytest.mark.slow),
        (["build", "digits", "--limit", "2", "--out", "x.zarr", "--engine", "triton"], "triton"),
        (["build", "weather", "--source", "hdf5.nc", "--out", "x.zarr"], "pip install 'inrzoo[fields]'"),
    ],
)
def test_the_hint_of_a_missing_extra(words: list[str], hint: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    (tmp_path / "hdf5.nc").write_bytes(b"\x89HDF\r\n\x1a\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-m", "inrzoo", *words],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and hint in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith("inrzoo: ")
