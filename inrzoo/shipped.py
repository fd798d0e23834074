"""The folder of the files that come with inrzoo."""

from pathlib import Path


def folder() -> Path:
    """Return the folder of the manifests: inside the installed package, or at the top of a source checkout."""
    package = Path(__file__).parent
    inside = package / "manifests"
    return inside if inside.is_dir() else package.parent / "manifests"
