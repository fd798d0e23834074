"""One case of fuzzing: run the command line on something hostile, and look at everything it did."""

import io
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from watch import bounded, contents, watched

from inrzoo import cli
from inrzoo.errors import InrzooError

QUICK, SLOW = 8, 800
"""Cases of each target in the default suite and in the campaign."""
SMALL = {
    "source__num_validation": 600,
    "source__num_test": 600,
    "limit": 12,
    "seeds": 2,
    "fit__steps": 3,
    "fit__stop_psnr": 60.0,
    "inr__hidden_features": 4,
    "inr__omega_0": 30.0,
}
"""Settings of a store that all verbs can read; ω₀ is the one that state dicts can express."""


@dataclass
class Sandbox:
    """A folder for one case: `given/` is read, `made/` may be written, and beside them stands what nobody may touch."""

    home: Path
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.given, self.made, self.outside = (self.home / name for name in ("given", "made", "outside"))
        for folder in (self.given, self.made, self.outside):
            folder.mkdir(parents=True)
        (self.outside / "thesis.txt").write_text("years of work")

    def run(self, *words: object, writes: tuple[Path, ...] = ()) -> int:
        """Run `inrzoo WORDS` in `made/`; its exit code. Fails on anything but an answer or one clear line."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        before, place, argv = contents(self.outside), Path.cwd(), sys.argv
        untouched = None if self.given in writes else contents(self.given)
        os.chdir(self.made)
        sys.argv = ["inrzoo", *map(str, words)]
        try:
            with redirect_stdout(out), redirect_stderr(err), watched(self.made, *writes) as found, bounded():
                try:
                    cli.main()
                except SystemExit as end:
                    code = int(end.code or 0)
        finally:
            os.chdir(place)
            sys.argv = argv
        said = err.getvalue()
        assert found == [], (words, found)
        assert contents(self.outside) == before, words
        assert untouched is None or contents(self.given) == untouched, words
        assert code in (0, 1, 2), (words, code, said)
        assert all(letter.isprintable() or letter == "\n" for letter in out.getvalue() + said), repr(
            (out.getvalue(), said)
        )
        assert "Traceback" not in said, (words, said)
        assert code != 1 or words[0] == "verify", (words, said)
        if code == 2:
            clear_line(said.rstrip("\n").split("\n")[-1].removeprefix("inrzoo: "))
            assert sum(line.startswith("inrzoo: ") for line in said.split("\n")) == 1 and said.rstrip("\n").split("\n")[
                -1
            ].startswith("inrzoo: "), (words, said)
        self.counts[("finished", "found damage", "refused")[code]] += 1
        return code

    def call(self, work: Callable[[], Any], writes: tuple[Path, ...] = ()) -> Any:
        """The same for a function of the library: what it gives, or None where it raised an InrzooError."""
        before = contents(self.home)
        with watched(self.made, *writes) as found, bounded(), warnings.catch_warnings():
            try:
                result = work()
                self.counts["finished"] += 1
            except InrzooError as error:
                clear_line(str(error))
                self.counts["refused"] += 1
                result = None
        assert found == [], found
        if not writes:
            assert contents(self.home) == before
        return result


def judge(check: Callable[..., None], case: Any, sandbox: Sandbox, target: Any) -> None:
    """One case; whoever wants all failures at once puts something else here."""
    check(case, sandbox, target)


def clear_line(line: str) -> None:
    """One line that can be printed and read."""
    assert line.strip() and "Traceback" not in line, repr(line)


def fuzz(cases: st.SearchStrategy[Any], slow: int = SLOW, quick: int = QUICK) -> Callable[..., Any]:
    """Three tests of one check: some cases in the default suite, a quarter of the campaign's `slow` ones, and all.

    The check is called with a case, a `Sandbox` and the target's fixture.
    """

    def decorate(check: Callable[..., None]) -> Any:
        @pytest.mark.parametrize(
            "num_cases",
            [
                quick,
                pytest.param(max(quick + 1, slow // 4), marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
                pytest.param(slow, marks=[pytest.mark.exhaustive, pytest.mark.timeout(3600)]),
            ],
        )
        def test(num_cases: int, target: Any, record_property: Callable[[str, object], None]) -> None:
            counts: Counter[str] = Counter()

            # The same cases every time: whoever wants others changes the number.
            @settings(
                max_examples=num_cases,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate, Phase.shrink] if num_cases > quick else [Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(cases)
            def run(case: Any) -> None:
                home = Path(tempfile.mkdtemp(prefix="case-", dir=os.environ["INRZOO_FUZZ_HOME"]))
                counts["cases"] += 1
                try:
                    judge(check, case, Sandbox(home / "sandbox", counts), target)
                finally:
                    shutil.rmtree(home, ignore_errors=True)

            run()
            record_property("counts", dict(counts))
            print(f"\n{check.__name__}: {dict(counts)}")
            assert counts["cases"] >= num_cases

        test.__name__ = test.__qualname__ = f"test_{check.__name__}"
        test.__doc__ = check.__doc__
        test.__module__ = check.__module__
        return test

    return decorate
