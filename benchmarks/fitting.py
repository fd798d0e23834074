"""How fast INRs are fitted here: our engines beside what a user would write instead, and a whole `inrzoo build`.

Command:  python benchmarks/fitting.py [rounds] [seconds]     Duration: about six minutes on four cores.
Needs:    a C++ compiler; jax is compared with if it is installed (pip install jax).
Writes benchmarks/results/fitting_<machine>_<date>.md and .json. Leave the machine alone meanwhile; the files say how
much CPU others used.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from fitting_peers import peers

from inrzoo import bench, manifest
from inrzoo.bench import machine
from inrzoo.builder import build
from inrzoo.errors import InrzooError

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", type=int, nargs="?", default=bench.ROUNDS, help="samples of each method")
    parser.add_argument(
        "seconds", type=float, nargs="?", default=bench.SECONDS, help="how long a sample lasts at least"
    )
    parser.add_argument("--workload", action="append", default=[], help="W1, W2, W3 or W4; all by default")
    parser.add_argument("--method", action="append", default=[], help="by default all that work here")
    parser.add_argument("--steps", type=int, default=1000, help="of the fits of the whole build")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    times = {"rounds": options.rounds, "seconds": options.seconds}
    try:
        results = bench.run(options.workload, options.method, **times, peers=peers())
    except InrzooError as error:
        parser.error(str(error))
    print(bench.as_text(results))
    with tempfile.TemporaryDirectory() as folder:
        # Small INRs, many of them: what start-up and the store cost beside fitting.
        wanted = manifest.load("digits", overrides={"limit": 1024, "fit.steps": options.steps, "fit.stop_psnr": None})
        report = build(wanted, Path(folder) / "digits.zarr", quiet=True)
    rate = report.num_inrs * wanted.fit.steps / report.seconds
    whole = (
        f"`inrzoo build digits`, {report.num_inrs} INRs on 8×8 pixels × {wanted.fit.steps} steps, {report.workers} "
        f"worker(s), start-up and store included: {report.seconds:.1f} s, {rate:,.0f} INR-steps/s."
    )
    print(whole)
    results["notes"].append(whole)
    path = options.out / f"fitting_{machine.slug(results['machine'])}_{results['date']}"
    command = " ".join(["python", "benchmarks/fitting.py", *sys.argv[1:]])
    for suffix in (".json", ".md"):
        bench.write(results, path.with_suffix(suffix), command)
    print(f"written: {path}.md and .json")


if __name__ == "__main__":
    main()
