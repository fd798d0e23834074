"""The command line and Python snippets in processes of their own: the real client against the Hub of the tests.

`huggingface_hub` and `datasets` read their environment when they are imported, so it is set before a fork server
starts; its children have everything imported and can be killed.
"""

import contextlib
import io
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
PRELOAD = [
    "inrzoo.cli",
    "inrzoo.hub",
    "inrzoo.report",
    "inrzoo.refit",
    "inrzoo.preview",
    "datasets",
    "pandas",
    "sklearn.datasets",
    "matplotlib.pyplot",
    "client",
]


@dataclass(frozen=True)
class Done:
    """How a process ended: exit code (negative: the signal), and what it printed."""

    code: int | None
    out: str
    err: str


class Client:
    """Starts processes that use the Hub at `endpoint`."""

    def __init__(self, endpoint: str, home: Path) -> None:
        before = dict(os.environ)
        os.environ.update(
            HF_ENDPOINT=endpoint,
            HF_HOME=str(home),
            HF_HUB_DISABLE_XET="1",
            HF_HUB_DISABLE_TELEMETRY="1",
            HF_HUB_ETAG_TIMEOUT="5",
            HF_HUB_DOWNLOAD_TIMEOUT="5",
            OMP_NUM_THREADS="1",
        )
        os.environ.pop("HF_TOKEN", None)
        CONTEXT.set_forkserver_preload(PRELOAD)
        forkserver.ensure_running()
        os.environ.clear()
        os.environ.update(before)

    def start(self, *words: object, token: str | None = "hf_ada", cwd: Path | None = None) -> "Running":
        """Start `inrzoo WORDS`."""
        return Running(_command, [str(word) for word in words], token, cwd)

    def inrzoo(self, *words: object, **settings: Any) -> Done:
        """Run `inrzoo WORDS` to its end."""
        return self.start(*words, **settings).wait()

    def python(self, code: str, token: str | None = "hf_ada", cwd: Path | None = None) -> Done:
        """Run a snippet."""
        return Running(_snippet, code, token, cwd).wait()


class Running:
    """A process that was started."""

    def __init__(self, work: Callable[[Any], None], given: Any, token: str | None, cwd: Path | None) -> None:
        self._receive, send = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_main, args=(work, given, token, cwd, send))
        self.process.start()
        send.close()
        self.pid = int(self.process.pid or 0)

    def wait(self, seconds: float = 120) -> Done:
        """Wait for its end."""
        try:
            out, err = self._receive.recv() if self._receive.poll(seconds) else ("", "")
        except EOFError:  # it was killed
            out, err = "", ""
        self.process.join(10)
        code = self.process.exitcode
        assert code is not None, "the process did not end"
        self.process.close()
        return Done(code, out, err)


def _wait_little() -> None:
    """Pauses between attempts become short: a Hub of the tests is well again at once."""
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(seconds, 0.02))


def _main(work: Callable[[Any], None], given: Any, token: str | None, cwd: Path | None, send: Any) -> None:
    _wait_little()
    os.environ.pop("HF_TOKEN", None)
    if token is not None:
        os.environ["HF_TOKEN"] = token
    if cwd is not None:
        os.chdir(cwd)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            work(given)
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            code = 1
    send.send((out.getvalue(), err.getvalue()))
    send.close()
    sys.stdout.flush()
    os._exit(code)  # no exit handlers: a stream of Parquet that was not read to its end would abort there


def _command(words: list[str]) -> None:
    from inrzoo import cli

    sys.argv = ["inrzoo", *words]
    cli.main()


def _snippet(code: str) -> None:
    exec(compile(code, "snippet", "exec"), {"__name__": "__main__"})
