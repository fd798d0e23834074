"""How long the small pictures of INRs in Parquet files take, and how large they are beside the weights.

python benchmarks/thumbnails.py STORE…
"""

import sys
import time

import numpy as np

from inrzoo.rendering.thumbnails import thumbnails
from inrzoo.store import open_store

COUNT = 256
"""Maximum number of INRs of a store that are drawn."""


def main() -> None:
    """Print one line for each store."""
    for path in sys.argv[1:]:
        store = open_store(path)
        signals = np.arange(min(COUNT, store.num_signals))
        weights = store.weights[signals, 0, -1]
        thumbnails(store, signals[:2], weights[:2])  # imports
        begun = time.process_time()
        sizes = [len(png) for png in thumbnails(store, signals, weights) if png is not None]
        spent = time.process_time() - begun
        grid = " × ".join(map(str, store.info.grid))
        each = f"{1000 * spent / len(signals):.2f} ms of a core, {np.mean(sizes):.0f} bytes"
        print(f"{store.info.dataset}, {grid}, {store.layout.num_params:,} parameters: {each} an INR")


if __name__ == "__main__":
    main()
