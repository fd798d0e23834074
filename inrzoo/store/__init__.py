"""The store: one zarr group of INRs. The only room that knows zarr.

`create` makes it whole, workers write `blocks`, `finalise` publishes them, `open_store` reads it at every stage.
"""

from inrzoo.store.blocks import Block, Partition, Quality, write_block
from inrzoo.store.create import Contents, create_store, stage_signals
from inrzoo.store.finalise import JoinedShard, complete, grow, join_shard, publish_seed, unpublish
from inrzoo.store.info import StoreInfo
from inrzoo.store.lock import only_writer
from inrzoo.store.names import label_arrays
from inrzoo.store.objects import Location, ObjectPath, location
from inrzoo.store.reader import Store, open_store

__all__ = [
    "Block",
    "Contents",
    "JoinedShard",
    "Location",
    "ObjectPath",
    "Partition",
    "Quality",
    "Store",
    "StoreInfo",
    "complete",
    "create_store",
    "grow",
    "join_shard",
    "label_arrays",
    "location",
    "only_writer",
    "open_store",
    "publish_seed",
    "stage_signals",
    "unpublish",
    "write_block",
]
