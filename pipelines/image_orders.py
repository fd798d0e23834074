"""Write down in which order a copy holds the images of a dataset, so that every copy can be brought to it.

Command:  python pipelines/image_orders.py
Needs:    the dataset INRZOO_DATASET (mnist), fetched unless INRZOO_MNIST, INRZOO_CIFAR10, ... names its files.
Hardware: any.
Duration: seconds (mnist), half a minute (cifar10).
Expected: INRZOO_OUT/NAME.npz (out/orders), to be copied into manifests/orders/; a manifest takes it by source.order.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from script import begin, source

from inrzoo import manifest, registry
from inrzoo.sources import Signals
from inrzoo.sources.image_order import write_order

begin(__doc__)

DATASET = os.environ.get("INRZOO_DATASET", "mnist")
OUT = Path(os.environ.get("INRZOO_OUT", "out/orders"))


def images(signals: Signals, part: str) -> Iterator[tuple[int, bytes]]:
    """Yield class code and pixels of the images of a part, whose name begins their ids."""
    codes = next(iter(signals.labels.values()))
    rows = [row for row, each in enumerate(signals.ids) if each.startswith(f"{part}/")]
    for row, arrays in signals.tables(rows):
        yield int(codes[row]), arrays["signals"].tobytes()


signals = registry.make("sources", manifest.load(DATASET).source).read(source(DATASET))
OUT.mkdir(parents=True, exist_ok=True)
parts = dict.fromkeys(each.split("/")[0] for each in signals.ids)
write_order(OUT / f"{DATASET}.npz", {part: images(signals, part) for part in parts})
print(OUT / f"{DATASET}.npz")
