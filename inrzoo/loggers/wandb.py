"""Weights & Biases."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from inrzoo.errors import InrzooError
from inrzoo.extras import needed, require
from inrzoo.loggers import Logger, RunSettings, Status

WHAT = "the logger wandb"
"""The work that needs the extra, for its error."""
IDENTIFIER = "wandb.json"
"""File name, in the folder of a run, of its identifier at Weights & Biases, by which a later call continues."""


class Wandb(Logger):
    """Weights & Biases; a run that is continued is one run there.

    Args:
        project: name of the project.
        entity: user or team; the default one by default.
        mode: `online`, or `offline`, whose files `wandb sync` sends later; by default as WANDB_MODE says.

    Raises:
        InrzooError: the project has no name.
        MissingPackageError: the extra `wandb` is not installed.
    """

    def __init__(
        self, project: str = "inrzoo", entity: str | None = None, mode: Literal["online", "offline"] | None = None
    ) -> None:
        if not project:
            raise InrzooError(f"project = {project!r} is not allowed; it must be the name of a project")
        require("wandb", WHAT, "wandb")
        self._project, self._entity, self._mode = project, entity, mode
        self._run: Any = None

    def begin(self, run: RunSettings) -> None:
        """Begin a run, or continue the one that this run folder names."""
        with needed("wandb", WHAT):
            import wandb

        file = run.folder / IDENTIFIER
        if run.step and file.exists():
            identifier = str(json.loads(file.read_text(encoding="utf-8"))["id"])
        else:
            identifier = secrets.token_hex(4)
            file.write_text(json.dumps({"id": identifier}) + "\n", encoding="utf-8")
        self._run = wandb.init(
            project=self._project,
            entity=self._entity,
            mode=self._mode,
            id=identifier,
            resume="allow",
            name=run.folder.resolve().name,
            dir=str(run.folder),
            config={"data": run.data, **run.task},
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Log all numbers of a step."""
        self._run.log(dict(numbers), step=step)

    def picture(self, step: int, name: str, file: Path) -> None:
        """Log the picture as an image."""
        import wandb

        self._run.log({name: wandb.Image(str(file))}, step=step)

    def end(self, status: Status) -> None:
        """Finish the run; one that failed is shown as such."""
        if self._run is not None:
            self._run.finish(exit_code=int(status == "failed"))
