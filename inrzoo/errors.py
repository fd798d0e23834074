"""The one error that is meant for the user, and the request to stop."""

from types import FrameType


class InrzooError(Exception):
    """Something the user can put right. The command line prints it as one line and exits with code 2.

    Says what was wrong, where the value came from, and what would have worked.
    """


class Terminated(KeyboardInterrupt):
    """SIGTERM: Slurm, Kubernetes and spot machines send it before they take a machine away. Treated as Ctrl-C is."""


def terminate(number: int, frame: FrameType | None) -> None:
    """Raise Terminated; a signal handler."""
    raise Terminated
