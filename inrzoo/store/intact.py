"""Are the files of a store the ones that its root records, and is the root itself intact?"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from inrzoo.errors import InrzooError
from inrzoo.store.files import sha256, special_files
from inrzoo.store.info import StoreInfo
from inrzoo.store.names import is_metadata
from inrzoo.store.objects import Location
from inrzoo.store.recorded import damaged
from inrzoo.store.root import check_root, consolidated, own_files, visible_files

NO_FILE: Callable[[str], bool] = lambda name: False  # noqa: E731


def wrong_files(path: Location, info: StoreInfo, without: Callable[[str], bool] = NO_FILE) -> dict[str, str]:
    """Recorded files that are missing or have another sha256 than recorded.

    Args:
        info: what the store's root records.
        without: selects files that are not checked.

    Returns:
        Relative name -> what is wrong with the file, sorted by name.
    """
    # Metadata change while a store grows; their checksums are recorded anew when it is sealed.
    expected = {name for name in info.checksums if (info.complete or not is_metadata(name)) and not without(name)}
    present = sorted(expected & {*own_files(path, info)})
    wrong = dict.fromkeys(expected - {*present}, "is missing")

    def compare(name: str) -> str:
        recorded = info.checksums[name]
        try:
            actual = sha256(path / name)
        except FileNotFoundError:  # it was there when the files were listed
            return "is missing"
        return "" if actual == recorded else f"has sha256 {actual[:12]}…, recorded is {recorded[:12]}…"

    with ThreadPoolExecutor() as pool:
        wrong |= {name: problem for name, problem in zip(present, pool.map(compare, present), strict=True) if problem}
    return dict(sorted(wrong.items()))


def strays(path: Location, info: StoreInfo) -> list[str]:
    """Relative names of visible files that are not part of the store, and of links; sorted."""
    own = {*own_files(path, info)}
    if info.complete:
        own &= info.checksums.keys()
    return sorted({*visible_files(path), *special_files(path)} - own)


def wrong_root(path: Location, info: StoreInfo) -> str:
    """Compare the root of a store with its own digest and with the metadata that it repeats.

    Returns:
        The problem in a few words; an empty text if there is none.
    """
    content = (path / "zarr.json").read_bytes()
    problem = check_root(content)
    if problem or not info.complete:
        return problem
    recorded = [name for name in info.checksums if is_metadata(name)]
    repeated = json.loads(content).get("consolidated_metadata", {}).get("metadata")
    try:
        differs = repeated != consolidated(path, recorded)
    except (OSError, ValueError, KeyError, TypeError):
        differs = True
    return "repeats other metadata than those of its arrays" if differs else ""


def require_intact(path: Location, info: StoreInfo, without: Callable[[str], bool] = NO_FILE) -> None:
    """Refuse to go on with a store of which something is damaged: what is written next would hide it.

    Args:
        without: selects files that are about to be replaced and are not checked.

    Raises:
        InrzooError: names the first damaged file; nothing was changed.
    """
    if problem := check_root((path / "zarr.json").read_bytes()):
        raise damaged(str(path), f"zarr.json {problem}")
    for name, problem in wrong_files(path, info, without).items():
        raise InrzooError(
            f"{path} is damaged ({name} {problem}) and was left as it is; repair it with: inrzoo verify {path} --repair"
        )
