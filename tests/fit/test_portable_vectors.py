"""Without AVX2, as on Arm, the kernel is made of the compiler's own vectors, and computes the same numbers."""

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from test_fused_arithmetic import COMPILERS, PINNED, fitted_bits, pinned_problem

from inrzoo.errors import InrzooError
from inrzoo.fit import compiled, fused_cpu
from inrzoo.fit.fused_layout import header
from inrzoo.inrs import INR
from inrzoo.inrs.siren import Siren

EMULATOR = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")

needs_avx2 = pytest.mark.skipif(
    fused_cpu.capability() not in ("AVX2", "AVX512"), reason="compares with the bits of AVX2, which is not here"
)
needs_ziglang = pytest.mark.skipif("ziglang" not in COMPILERS, reason="ziglang is not installed")


@needs_avx2
@pytest.mark.parametrize(
    "inr", [PINNED[0], pytest.param(PINNED[4], marks=pytest.mark.slow)], ids=lambda inr: type(inr).__name__
)
def test_the_compilers_vectors_give_the_same_bits(inr: INR, monkeypatch: pytest.MonkeyPatch) -> None:
    bits = fitted_bits(inr)
    monkeypatch.setattr(fused_cpu, "INSTRUCTIONS", {fused_cpu.capability(): ()})
    assert fitted_bits(inr) == bits


def test_arm_is_served_and_says_so_in_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    siren = Siren(in_features=2, out_features=1)
    monkeypatch.setattr(fused_cpu, "compiler", lambda: ("g++",))
    try:
        for machine, instructions in (("aarch64", "aarch64"), ("riscv64", None)):
            monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
            monkeypatch.setattr(Path, "read_text", lambda *_, **__: "processor : 0\n")
            fused_cpu.capability.cache_clear()
            if instructions is None:
                with pytest.raises(InrzooError, match="an x86-64 processor with AVX2 or a 64-bit Arm processor"):
                    fused_cpu.library(siren)
            else:
                assert fused_cpu.unavailable(siren) is None
                assert fused_cpu.environment()["instruction_set"] == instructions
    finally:
        fused_cpu.capability.cache_clear()


def for_arm(inr: INR, source: Path, folder: Path, *options: str) -> Path:
    """Compile a source for 64-bit Arm processors with ziglang."""
    kernel = inr.kernel()
    assert kernel is not None
    (folder / "layout.h").write_text(header(kernel))
    made = folder / source.with_suffix(".arm").name
    flags = (*fused_cpu.FLAGS, *compiled.NO_LIBRARIES, f"-I{folder}", f"-I{fused_cpu.SOURCES}", "-g0")
    command = [*compiled.ZIG, "-target", "aarch64-linux-gnu", *flags, *options, str(source), "-o", str(made)]
    environment = {
        **os.environ,
        "ZIG_GLOBAL_CACHE_DIR": str(folder / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(folder / "zig"),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made


@needs_ziglang
@pytest.mark.slow
@pytest.mark.parametrize("inr", PINNED, ids=lambda inr: type(inr).__name__)
def test_every_multiply_add_on_arm_is_one_of_four_numbers(inr: INR, tmp_path: Path) -> None:
    made = for_arm(inr, fused_cpu.SOURCES / "engine.cpp", tmp_path, "-fPIC", "-S")
    text = made.read_text(errors="replace")
    assert len(re.findall(r"\bfmla\s+v\d+\.4s", text)) > 100
    assert not re.search(r"\bfmn?(add|sub)\s", text), "one number at a time"
    assert {name for name in re.findall(r"\bbl?\s+([a-z]\w*)", text) if not name.startswith("_")} <= {"memset"}


@needs_avx2
@needs_ziglang
@pytest.mark.slow
@pytest.mark.skipif(EMULATOR is None, reason="there is no emulator of Arm processors (qemu-user)")
@pytest.mark.parametrize("inr", PINNED, ids=lambda inr: type(inr).__name__)
def test_arm_gives_the_same_bits(inr: INR, tmp_path: Path) -> None:
    program = for_arm(inr, Path(__file__).with_name("arm_driver.cpp"), tmp_path, "-static")
    problem = pinned_problem(inr)
    job = fused_cpu._Job(inr, problem.starts_BP, problem.coords, problem.targets_BKC, problem.snapshots)
    sizes = (job.num_inrs, job.num_coords, job.num_params, job.num_snapshots, job.grid_run, job.axis)
    content = struct.pack("<6i", *sizes) + struct.pack("<d", problem.lr)
    content += b"".join(array.tobytes() for array in job._arrays[:4])
    done = subprocess.run([str(EMULATOR), str(program)], input=content, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == fitted_bits(inr)
