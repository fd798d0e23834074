"""How long the small pictures of INRs in Parquet files take, and how large they are beside the weights.

Command:  python benchmarks/thumbnails.py [STORE…]     Duration: seconds.
Needs:    stores; without any, four are built from the sources that need no files, a few steps each.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.rendering.thumbnails import thumbnails
from inrzoo.store import open_store

COUNT = 256
"""Maximum number of INRs of a store that are drawn."""
BUILT = ("digits", "tones", "solids", "balls")


def measure(path: Path) -> str:
    """Draw the first INRs of a store. Returns one line."""
    store = open_store(path)
    signals = np.arange(min(COUNT, store.num_signals))
    weights = store.weights[signals, 0, -1]
    thumbnails(store, signals[:2], weights[:2])  # imports
    begun = time.process_time()
    sizes = [len(png) for png in thumbnails(store, signals, weights) if png is not None]
    spent = time.process_time() - begun
    grid = " × ".join(map(str, store.info.grid))
    each = f"{1000 * spent / len(signals):.2f} ms of a core, {np.mean(sizes or [0]):.0f} bytes"
    return f"{store.info.dataset}, {grid}, {store.layout.num_params:,} parameters: {each} an INR"


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*", type=Path, metavar="STORE")
    stores = parser.parse_args().stores
    with tempfile.TemporaryDirectory() as home:
        for name in BUILT if not stores else ():
            loaded = manifest.load(name, None, {"limit": 12, "fit.steps": 50, "fit.engine": "reference"})
            build(loaded, Path(home) / f"{name}.zarr", in_process=True, quiet=True)
            stores.append(Path(home) / f"{name}.zarr")
        for path in stores:
            print(measure(path))


if __name__ == "__main__":
    main()
