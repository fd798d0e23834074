"""What one process of `accelerate` reads from a store, as JSON: `python accelerated.py STORE`.

The environment says which process of how many, as that of `torchrun` does.
"""

import json
import sys

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from torch.utils.data import DataLoader

import inrzoo
from inrzoo.errors import InrzooError
from inrzoo.loaders import Episodes, Pairs, WeightBatch, WeightStream


def numbers(batches):
    """(signal, seed) of every INR, after a look at the batches."""
    found = []
    for batch in batches:
        assert isinstance(batch, WeightBatch)
        # The first three weights of these stores' INRs are signal, seed and step.
        assert batch["weights"][:, :2].tolist() == torch.stack([batch.signal, batch.seed], 1).tolist()
        assert torch.equal(batch["label"], batch["signal"] % 3) and torch.equal(batch.label, batch.labels["class"])
        found += zip(batch.signal.tolist(), batch.seed.tolist(), strict=True)
    return found


def stream_of(path, **options):
    return inrzoo.load(path, normalise="none", streaming=True, shuffle=True, batch_size=8, **options)


def accelerator_of(**options):
    return Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(**options))


def main(path):
    uneven, read = accelerator_of(even_batches=False), {}
    dataset = inrzoo.load(path, normalise="none")
    read["map-style"] = numbers(uneven.prepare(DataLoader(dataset, batch_size=8, shuffle=True)))
    stream = stream_of(path)
    read["stream, not prepared"] = numbers(batch.to(uneven.device) for batch in stream)
    # Left-over INRs are padded by repetitions, so that processes get equally many; an even number needs no padding.
    for name, workers in (("stream", 0), ("stream, worker", 1)):
        loader = DataLoader(stream_of(path, split="train"), batch_size=None, num_workers=workers)
        read[name] = numbers(uneven.prepare(loader))
    read["stream of all ranks"] = numbers(
        uneven.prepare(DataLoader(stream_of(path, split="train", rank=0, world=1), batch_size=None))
    )
    sharded = accelerator_of(dispatch_batches=False)
    read["stream, sharded"] = numbers(sharded.prepare(DataLoader(stream_of(path, split="train", seeds=[0, 1]))))
    gathered = []
    for batch in uneven.prepare(DataLoader(stream, batch_size=None)):
        kept = uneven.gather_for_metrics(dict(batch))
        gathered += zip(kept["signal"].tolist(), kept["seed"].tolist(), strict=True)
    read["gathered"] = gathered
    pairs = WeightStream(Pairs(inrzoo.load(path, normalise="none", split="train")), batch_size=6)
    read["pairs"] = numbers(pair.first for pair in uneven.prepare(DataLoader(pairs, batch_size=None)))
    episodes = Episodes(dataset, ways=2, shots=1, queries=2, num_episodes=4)
    try:
        read["episodes"] = len(list(uneven.prepare(DataLoader(episodes, batch_size=None))))
    except InrzooError as error:
        read["episodes"] = str(error)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return read


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
