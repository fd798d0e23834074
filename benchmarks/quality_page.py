"""What scripts that measure share: the page that they write, and of fits to a PSNR the options."""

import argparse
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from inrzoo.bench import machine

RESULTS = Path(__file__).parent / "results"


def options(documentation: str | None) -> argparse.ArgumentParser:
    """A parser with the dataset, the PSNR and the folder of the results."""
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--preset")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--target-psnr", type=float, default=40.0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser


def origin() -> str:
    """The machine, the day and the command, in which folders of this machine are called by their last name."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])
    return f"{machine.in_a_line(machine.describe())}; {datetime.now(UTC):%Y-%m-%d}; `{command}`"


def write(lines: list[str], kind: str, dataset: str, out: Path) -> None:
    """Print a page, and write it as KIND_DATASET_MACHINE_DATE.md."""
    publish(lines, f"{kind}_{dataset}", out)


def publish(lines: list[str], name: str, out: Path | None) -> None:
    """Print a page, and write it as NAME_MACHINE_DATE.md unless there is no folder for it."""
    text = "\n".join(lines)
    print(text)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        file = f"{name}_{machine.slug(machine.describe())}_{datetime.now(UTC):%Y-%m-%d}.md"
        (out / file).write_text(text, encoding="utf-8")
