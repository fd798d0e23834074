"""One driver at a time on a store in a bucket: a lease that only conditional writes can take, keep and give back.

The lease is one object beside the store. Its holder renews it a few times in `LEASE_SECONDS`, each time with a new
number in it, by a write that fails unless the object is the one it wrote last (`If-Match`). Whoever wants it watches it
for that long *by its own clock*, and takes it only if it did not change meanwhile, by the same kind of write. So of two
that try, one fails; no clock is compared with another's; and a holder that slept longer than that finds out at its
next renewal. What it may write until then is the same bytes, and the store's root only if nobody else changed it
(`change_info`): see docs/reliability.md.
"""

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from inrzoo.errors import InrzooError
from inrzoo.store.objects import Changed, Location, ObjectError, ObjectPath

LEASE_SECONDS = 30.0
"""Time, in seconds, after which a lease that was not renewed is free."""
RENEWALS = 3
"""Number of renewals in `LEASE_SECONDS`."""

_held: dict[Location, "Lease"] = {}


class Lease:
    """The right to drive one store; see `hold`."""

    def __init__(self, path: ObjectPath) -> None:
        self.path, self.lost = path, False
        self._holder, self._renewals, self._tag = uuid.uuid4().hex, 0, ""
        self.stop = Event()

    def take(self) -> None:
        """Take the lease, at once where it is free or its holder is known to be dead.

        Raises:
            InrzooError: someone else holds it and renews it.
        """
        try:
            self._tag = self.path.create(self._content())
            return
        except Changed:
            current, tag = self.path.read_tagged()
        content = json.loads(current or b"{}")
        if content and not _is_dead(content):
            deadline = time.monotonic() + LEASE_SECONDS
            while time.monotonic() < deadline:
                time.sleep(LEASE_SECONDS / RENEWALS / 2)
                later, tag = self.path.read_tagged()
                if later != current and json.loads(later):
                    raise self._taken()
                current = later
                if not json.loads(current):
                    break
        try:
            self._tag = self.path.replace(self._content(), tag)
        except Changed:
            raise self._taken() from None

    def keep(self) -> None:
        """Renew the lease until `give_back`; for a thread. Sets `lost` if another process has taken the lease."""
        while not self.stop.wait(LEASE_SECONDS / RENEWALS):
            self._renewals += 1
            with suppress(ObjectError):  # the server is out of reach: try again
                try:
                    self._tag = self.path.replace(self._content(), self._tag)
                except (Changed, FileNotFoundError):
                    current, self._tag = self.path.read_tagged()
                    if (
                        json.loads(current).get("holder") != self._holder
                    ):  # else the answer to the last renewal was lost
                        self.lost = True
                        return

    def give_back(self) -> None:
        """Leave an empty lease, which anyone may take at once; `keep` must have ended."""
        with suppress(Changed, OSError):
            self.path.replace(b"{}", self._tag)

    def _content(self) -> bytes:
        return json.dumps({"holder": self._holder, "renewals": self._renewals, **_process()}).encode()

    def _taken(self) -> InrzooError:
        return InrzooError(f"another process is writing to {self.path.with_suffix('')}; wait for it or stop it")


@contextmanager
def hold(store: ObjectPath) -> Iterator[None]:
    """Hold a store's lease; contexts may be nested.

    Raises:
        InrzooError: another process holds it.
    """
    path = store.with_name(f"{store.name}.lease")
    if path in _held:
        yield
        return
    lease = Lease(path)
    lease.take()
    keeper = Thread(target=lease.keep, daemon=True)
    keeper.start()
    _held[path] = lease
    try:
        yield
    finally:
        del _held[path]
        lease.stop.set()
        keeper.join()
        lease.give_back()


def require(store: Location) -> None:
    """Raises InrzooError where this process held the store's lease and has lost it; a folder has none."""
    lease = _held.get(store.with_name(f"{store.name}.lease"))
    if lease is not None and lease.lost:
        raise InrzooError(f"another process has taken over {store}; this one was away for too long and stops")


def _process() -> dict[str, Any]:
    """Numbers that identify this process on this machine; empty if the system does not tell them."""
    try:
        started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return {"machine": f"{machine} {os.readlink('/proc/self/ns/pid')}", "process": [os.getpid(), started]}  # noqa: PTH115
    except OSError:
        return {}


def _is_dead(content: dict[str, Any]) -> bool:
    """Whether the holder ran on this machine and is gone; a number that another process has now does not count."""
    this = _process()
    if not this or content.get("machine") != this["machine"]:
        return False
    pid, started = content["process"]
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return True
    return bool(stat[0] == "Z" or stat[19] != started)
