"""Build a small store, read it back, verify it, draw it. Everything works, or this fails.

Command:  python pipelines/smoke.py
Needs:    nothing but inrzoo.
Duration: about half a minute on two cores. Expected: mean PSNR above 40 dB, no problem found, a picture.
"""

import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

import torch

import inrzoo
from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.preview import preview
from inrzoo.verify import verify

ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()

SIGNALS = 200
SEEDS = 2

folder = Path(tempfile.mkdtemp(prefix="inrzoo-smoke-"))
digits = manifest.load("digits", overrides={"limit": SIGNALS, "seeds": SEEDS})
report = build(digits, folder / "digits.zarr", workers=2)
print(f"{report.num_inrs} INRs in {report.seconds:.1f} s, mean PSNR {report.psnr_mean:.2f} dB")
assert report.num_inrs == SIGNALS * SEEDS and report.diverged == 0 and report.psnr_mean > 40

store = inrzoo.open_store(report.path)
values = store.render(signal=[0, 1], seed=1)
signals = torch.from_numpy(store.signals(slice(0, 2))) / 255 * 2 - 1
error = (values - signals).square().mean().item()
print(f"rendered {tuple(values.shape)}, mean squared error {error:.2e}")
assert error < 4 * 10**-3.9

findings = verify(store.path)
print(f"verified {findings.num_files} files, {findings.num_inrs} INRs: {findings.problems or 'nothing found'}")
assert not findings.problems

drawn = preview(store, folder / "digits.png")
print(f"drew {drawn} INRs into {folder / 'digits.png'}")
