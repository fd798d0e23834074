"""Finds out by their content whose files a folder or a file has, and asks where several kinds fit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inrzoo.errors import InrzooError
from inrzoo.interchange import described_folder, fit_a_nef, functa, implicit_zoo, inr2vec, state_dict_set
from inrzoo.interchange.arena_settings import CONVENTION as FIT_A_NEF
from inrzoo.interchange.hdf5 import is_hdf5
from inrzoo.interchange.incoming import IncomingSet, Options
from inrzoo.interchange.naming import SPLITS_SUFFIX
from inrzoo.interchange.state_dict_conventions import IMPLICIT_ZOO, IMPORTABLE
from inrzoo.nearest import among

PICKLES = tuple(b"\x80" + bytes([version]) for version in range(2, 6))
"""How pickles of protocols 2 to 5 begin."""
ZIP = b"PK\x03\x04"
WORDS = {
    "inr": "--inr KEY=VALUE",
    "coords": "--coords",
    "split_points": "--split-points",
    "root": "--root",
    "base": "--base",
    "description": "--inr FILE.toml",
    "pattern": "--pattern",
    "splits": "--splits",
    "per_seed": "--per-seed",
}
"""How the command line calls the fields of `Options`."""


@dataclass(frozen=True)
class Kind:
    """A kind of set that can be imported.

    Attributes:
        title: what an error calls it.
        conventions: values of `--convention` that name it.
        options: fields of `Options` that it takes, besides `convention`.
        find: returns what shows that a folder or file is of this kind, or None.
        read: lists and describes it.
    """

    title: str
    conventions: tuple[str, ...]
    options: frozenset[str]
    find: Callable[[Path], str | None]
    read: Callable[[Path, Options], IncomingSet]


def _first(folder: Path, *patterns: str) -> str | None:
    """Return the first file that matches, relative to the folder."""
    if not folder.is_dir():
        return None
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            return str(path.relative_to(folder))
    return None


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        return stream.read(8)


def _fit_a_nef(path: Path) -> str | None:
    if path.is_file():
        return path.name if is_hdf5(path) and path.suffix == ".hdf5" else None
    files = fit_a_nef.files_of(path)
    return files[0].name if files else None


def _implicit_zoo(path: Path) -> str | None:
    found = [str(home.relative_to(path) / implicit_zoo.CHECKPOINTS) for home in implicit_zoo.parts_of(path).values()]
    return found[0] if found else None


def _inr2vec(path: Path) -> str | None:
    listed = inr2vec.files_of(path)
    return str(next(iter(listed.values()))[0].relative_to(path)) if listed else None


def _functa(path: Path) -> str | None:
    return path.name if _head(path)[:2] in PICKLES else None


KINDS = (
    Kind(
        "state dicts",
        tuple(IMPORTABLE),
        frozenset({"inr", "coords", "split_points", "root"}),
        lambda path: _first(path, f"*{SPLITS_SUFFIX[1:]}", "*_*s/net*.pth"),
        state_dict_set.read_folder,
    ),
    Kind(
        "fit-a-nef",
        (FIT_A_NEF,),
        frozenset({"inr", "coords", "split_points", "per_seed"}),
        _fit_a_nef,
        fit_a_nef.read_folder,
    ),
    Kind(
        "Implicit-Zoo's checkpoints",
        (IMPLICIT_ZOO.name,),
        frozenset({"inr", "coords", "split_points"}),
        _implicit_zoo,
        implicit_zoo.read_folder,
    ),
    Kind("inr2vec", tuple(inr2vec.CONVENTIONS), frozenset({"inr", "coords"}), _inr2vec, inr2vec.read_folder),
    Kind("functa", (functa.CONVENTION,), frozenset({"inr", "coords", "base"}), _functa, functa.read_file),
)
DESCRIBED = Kind(
    "described files",
    (),
    frozenset({"inr", "coords", "description", "pattern", "splits", "root"}),
    lambda path: None,
    described_folder.read_folder,
)


def read_set(source: Path, options: Options) -> IncomingSet:
    """Recognise a set, list it and describe it.

    Args:
        source: a folder, or functa's file of modulations.
        options: what the user says.

    Raises:
        InrzooError: no kind fits, or several do; an option is not for this kind; or files of it are wrong.
    """
    if not source.exists():
        raise InrzooError(f"no folder or file {source}")
    names = [name for kind in KINDS for name in kind.conventions]
    if options.convention is not None and options.convention not in names:
        raise InrzooError(f"no convention {options.convention!r}{among(options.convention, dict.fromkeys(names))}")
    kind = _kind(source, options)
    for name, words in WORDS.items():
        if getattr(options, name) not in (None, {}) and name not in kind.options:
            raise InrzooError(f"{words} is not for {source}, which holds {kind.title}; leave it out")
    return kind.read(source, options)


def _kind(source: Path, options: Options) -> Kind:
    if options.pattern is not None or options.description is not None or options.splits is not None:
        if options.convention is not None:
            raise InrzooError(
                "--convention names the layout of a public set, --pattern your own; leave one of them out"
            )
        return DESCRIBED
    found = [(kind, evidence) for kind in KINDS if (evidence := kind.find(source)) is not None]
    if options.convention is not None:
        chosen = [pair for pair in found if options.convention in pair[0].conventions]
        if not chosen and found:
            kinds = " and ".join(kind.title for kind, _ in found)
            raise InrzooError(f"{source} holds {kinds}, no set of --convention {options.convention}")
        found = chosen
    if len(found) > 1:
        choices = "; ".join(
            f"{kind.title} ({evidence}): --convention {' or '.join(kind.conventions)}" for kind, evidence in found
        )
        if options.convention is not None:
            raise InrzooError(f"{source} holds several sets of --convention {options.convention}, keep one ({choices})")
        raise InrzooError(f"{source} holds several sets, choose one of them ({choices})")
    if found:
        return found[0][0]
    if source.is_dir():
        raise InrzooError(
            f"{source} has neither a *{SPLITS_SUFFIX[1:]} nor folders like randinit_smaller_3s/net17.pth, nor files "
            "like nefs_0-1000.hdf5, ckpts/03/000017_0000042.ckpt or train/0.h5; name the folder that has them, "
            'or describe your own with --inr FILE.toml and --pattern "{label}/{id}.pth"'
        )
    head = _head(source)
    what = "a .npz or a file of torch" if head[:4] == ZIP else "HDF5" if is_hdf5(source) else f"it begins with {head!r}"
    raise InrzooError(f"{source} is no file of functa's modulations ({what}); other sets are folders: name the folder")
