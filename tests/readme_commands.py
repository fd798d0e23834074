"""Run what the README shows, as a user would: every `bash` and `python` block, in order, in one folder.

Command:  python tests/readme_commands.py README.md FOLDER

Blocks that need data sets or a network are fenced as `text` there and not run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

FENCE = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of the blocks that are meant to run."""
    return FENCE.findall(text)


def main(readme: Path, folder: Path) -> None:
    """Run them all; stop at the first that fails."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    runnable = blocks(readme.read_text())
    assert runnable, f"{readme} shows nothing to run"
    for language, content in runnable:
        print(f"--- {language}\n{content}", flush=True)
        shell = ["bash", "-euo", "pipefail", "-c"] if language == "bash" else [sys.executable, "-c"]
        subprocess.run([*shell, content], cwd=folder, env=environment, check=True)
    print(f"{len(runnable)} blocks of {readme} ran")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
