"""Whole stores, checkpoints and archives that tests damage, small enough to be read in milliseconds."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import SMALL
from tiny_store import tiny

from inrzoo.builder import build
from inrzoo.interchange import export_parquet, export_safetensors, export_state_dicts
from inrzoo.preview import preview
from inrzoo.store import open_store
from inrzoo.summary import of_store
from inrzoo.verify import verify


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Caches and temporary files of the whole session lie in one folder."""
    shared = Path("/dev/shm")  # a memory's files: thousands of small ones are forced to disk
    home = Path(tempfile.mkdtemp(dir=shared)) if shared.is_dir() else tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INRZOO_FUZZ_HOME", str(home))
        patch.setenv("INRZOO_CACHE", str(home / "cache"))
        patch.setenv("HF_HOME", str(home / "hf"))
        patch.setenv("MPLCONFIGDIR", str(home / "matplotlib"))
        yield home
    shutil.rmtree(home)


@pytest.fixture(scope="module", autouse=True)
def _nobody_answers() -> Iterator[None]:
    """Buckets cannot be reached. Of a module, because tests of other folders run later in the same process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.dont_write_bytecode", True)
        patch.setattr("inrzoo.store.objects.RETRIES", 0)  # nobody answers there, however often it is asked
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "GOOGLE_SKIP_SIGNATURE"):
            patch.setenv(name, "true")
        yield


@pytest.fixture(scope="session")
def whole_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete store that every reading verb has seen once, so that whatever is made once is made."""
    path = tmp_path_factory.mktemp("whole") / "tiny.zarr"
    build(tiny(**SMALL), path, in_process=True, quiet=True)
    of_store(open_store(path))
    assert verify(path).problems == []
    export_parquet(path, path.parent / "rows")
    export_safetensors(path, path.parent / "one.safetensors", "0")
    export_state_dicts(path, path.parent / "dicts", "nfn", "0")
    preview(open_store(path), path.parent / "a.png")
    return path
