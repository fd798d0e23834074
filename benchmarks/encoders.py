"""The cost of encoders: time and memory of a training step of 128 INRs, each in a process of its own, on one thread.

Command:  python benchmarks/encoders.py [DOCUMENT]     Duration: 10 minutes on one core.
Needs:    nothing but inrzoo.
SIREN 2/32/32/1. Milliseconds of processor time an INR, forwards and backwards, of the faster of two steps; GiB are the
peak of the process behind what it held before. Writes the section "What a training step costs" of docs/contrastive.md.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from inrzoo.tasks import write_section
from inrzoo.tasks.reporting.tables import table

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
PAGE = Path(__file__).parents[1] / "docs" / "contrastive.md"
parser.add_argument("document", type=Path, nargs="?", default=PAGE, help="the page whose section is written")
parser.add_argument("--batch", type=int, default=128, help="INRs of a step")
options = parser.parse_args()
HALF = {"num_layers": 3, "num_heads": 4, "node_features": 32, "edge_features": 16, "attention_features": 32}
HALF |= {"node_hidden": 64, "edge_hidden": 32, "num_frequencies": 32}
NFN = {"hidden_features": 64, "num_frequencies": 32, "out_features": 256}
NFT = {"hidden_features": 32, "num_layers": 2, "feedforward_factor": 2, "num_frequencies": 16}
NFT |= {"num_latents": 8, "latent_features": 64, "out_features": 256}
ENCODERS = {
    "flat_mlp": {"tensors": "all", "hidden_features": 256, "out_features": 128},
    "deep_sets": {},
    "neuron_transformer": {"sort_neighbours": True},
    "message_passing": {},
    "equivariant_mlp": {"hidden_features": 24, "num_layers": 3},
    "equivariant_mlp, defaults": {},
    "scale_gmn": {},
    "neural_graph": {},
    "neural_graph, 64 probes": {"num_probes": 64},
    "dws": {},
    "dws, deep sets and means": {"set_layer": "ds", "reduction": "mean"},
    "nfn, hnp, 64 features": NFN,
    "nfn, np, 64 features": {**NFN, "group": "np"},
    "nfn": {},
    "nft, 2 blocks of 32 features": NFT,
    "nft": {},
    "relational_transformer, half as wide, 3 layers": HALF,
    "relational_transformer": {},
    "relational_transformer, 64 probes": {"num_probes": 64},
}
FEW = ("nfn", "nft", "relational_transformer, 64 probes")
"""Published sizes for GPUs, measured in steps of 16: a step of 128 takes up to a minute."""
STEP = """
import json, resource, sys, time, torch
from inrzoo import registry
from inrzoo.encoders import Domain
from inrzoo.inrs.siren import Siren
torch.set_num_threads(1)
name, arguments, batch = json.loads(sys.argv[1])
inr = Siren(in_features=2, out_features=1)
given = {"layout": inr.layout, "inr": inr, "domain": Domain(extent=1.0)}
encoder = registry.make("encoders", {"name": name, **arguments}, **given)
weights = torch.randn(batch, inr.layout.num_params)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = []
for _ in range(2):
    begun = time.process_time()
    encoder(weights).square().sum().backward()
    seconds.append(time.process_time() - begun)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([sum(p.numel() for p in encoder.parameters()), min(seconds), (peak - before) / 2**20]))
"""

rows = []
for title, arguments in ENCODERS.items():
    batch = min(16, options.batch) if title in FEW else options.batch
    given = json.dumps([title.split(",")[0], arguments, batch])
    ran = subprocess.run([sys.executable, "-c", STEP, given], capture_output=True, text=True, check=True)
    parameters, seconds, gib = json.loads(ran.stdout)
    rows.append([title, f"{parameters:,}", f"{1000 * seconds / batch:.2f}", f"{gib:.2f}"])
    print(rows[-1], flush=True)
words = f"A step of {options.batch} INRs, SIREN 2/32/32/1, one thread; `benchmarks/encoders.py`."
words += f" {', '.join(f'`{title}`' for title in FEW)}: a step of 16."
lines = table(["", "parameters", "ms an INR", "GiB"], rows)
write_section(options.document, "What a training step costs", [words, "", *lines])
