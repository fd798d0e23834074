"""One process at a time writes to a store; its lock ends with it and changes no other file."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inrzoo.errors import InrzooError
from inrzoo.store.lock import file_lock, is_locked, only_writer

HOLDER = """
import sys, time
from pathlib import Path
from inrzoo.store.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def lock_of(store: Path) -> Path:
    return store.with_name(f".{store.name}.lock")


def test_a_killed_writer_locks_nobody_out(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    with subprocess.Popen([sys.executable, "-c", HOLDER, store], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        assert is_locked(lock_of(store))
        started = time.monotonic()
        with pytest.raises(InrzooError, match="another process is writing to"), only_writer(store):
            pass
        assert time.monotonic() - started < 5
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert lock_of(store).exists() and not is_locked(lock_of(store))
    with only_writer(store):
        pass
    assert [*tmp_path.iterdir()] == []


def test_a_file_at_the_place_of_the_lock_keeps_its_content_while_it_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("years of work")
    with file_lock(path):
        assert is_locked(path)
    assert path.read_text() == "years of work"


def test_a_link_is_not_locked_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "thesis.txt")
    with pytest.raises(OSError, match="symbolic links"), file_lock(tmp_path / "link"):
        pass
    assert not (tmp_path / "thesis.txt").exists()


def test_who_opened_the_lock_before_its_holder_removed_it_gets_a_new_one(tmp_path: Path) -> None:
    """Two writers never hold locks on two files of one name."""
    store = tmp_path / "a.zarr"
    for _ in range(3):
        with only_writer(store):
            holding = lock_of(store).stat().st_ino
            with pytest.raises(InrzooError), only_writer(store):
                pass
            assert lock_of(store).stat().st_ino == holding
        assert not lock_of(store).exists()
