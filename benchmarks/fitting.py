"""How fast INRs are fitted here, for the record: `inrzoo bench` with everything, and a whole `inrzoo build`.

Command:  python benchmarks/fitting.py [rounds] [seconds]     Duration: about six minutes on four cores.
Writes benchmarks/results/fitting_<machine>_<date>.md and .json. Leave the machine alone meanwhile; the files say how
much CPU others used.
"""

import sys
import tempfile
from pathlib import Path

from inrzoo import bench, manifest
from inrzoo.bench import machine
from inrzoo.build import build

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else bench.ROUNDS
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else bench.SECONDS
    results = bench.run(rounds=rounds, seconds=seconds)
    print(bench.as_text(results))
    with tempfile.TemporaryDirectory() as folder:
        # Small INRs, many of them: what start-up and the store cost beside fitting.
        wanted = manifest.load("digits", overrides={"limit": 1024, "fit.steps": 1000, "fit.stop_psnr": None})
        report = build(wanted, Path(folder) / "digits.zarr", quiet=True)
    rate = report.num_inrs * wanted.fit.steps / report.seconds
    whole = (
        f"`inrzoo build digits`, {report.num_inrs} INRs on 8×8 pixels × {wanted.fit.steps} steps, {report.workers} "
        f"worker(s), start-up and store included: {report.seconds:.1f} s, {rate:,.0f} INR-steps/s."
    )
    print(whole)
    results["notes"].append(whole)
    path = RESULTS / f"fitting_{machine.slug(results['machine'])}_{results['date']}"
    command = " ".join(["python", "benchmarks/fitting.py", *sys.argv[1:]])
    for suffix in (".json", ".md"):
        bench.write(results, path.with_suffix(suffix), command)
    print(f"written: {path}.md and .json")


if __name__ == "__main__":
    main()
