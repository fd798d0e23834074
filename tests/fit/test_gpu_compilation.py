"""The GPU kernels compile for sm_80 and sm_90, which needs no GPU, and take what `layout` says they take."""

import importlib.util
import itertools
import os
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from test_fused_cpu import SHAPES

from inrzoo.fit.fused_gpu import H100_SHARED_MEMORY
from inrzoo.fit.triton.layout import MAX_NUMBERS_PER_THREAD, layout
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") == "1",
    reason="triton is not installed, or interprets",
)

A100, H100 = 80, 90
SHARED_MEMORY = {A100: 166912, H100: H100_SHARED_MEMORY}

W1 = Siren(**SHAPES)
W2 = Siren(**SHAPES, hidden_features=64, hidden_layers=3)
W3 = Siren(in_features=2, out_features=3)
W4 = FourierNet(**SHAPES)
COMMON = {"W1": W1, "W2": W2, "W3": W3, "W4": W4, "gabor": GaborNet(**SHAPES), "relu": ReluMlp(**SHAPES)}
EDGES = {
    "relu, encoded": ReluMlp(**SHAPES, encoding="positional"),
    "relu, widest input": ReluMlp(**SHAPES, encoding="fourier", num_frequencies=63),
    "relu, 32, widest input": ReluMlp(**SHAPES, encoding="fourier", num_frequencies=63, hidden_features=32),
    "siren, no hidden map": Siren(in_features=1, out_features=1, hidden_layers=0),
    "siren, many channels": Siren(in_features=2, out_features=40, hidden_features=64),
    "siren, many channels, no hidden map": Siren(in_features=2, out_features=40, hidden_features=64, hidden_layers=0),
    "siren, deep": Siren(**SHAPES, hidden_layers=8),
    "siren, 64 and deep": Siren(**SHAPES, hidden_features=64, hidden_layers=4),
    "siren, narrow and deep": Siren(**SHAPES, hidden_features=16, hidden_layers=8),
    "siren, wide": Siren(**SHAPES, hidden_features=128),
    "fourier, wide": FourierNet(**SHAPES, hidden_features=128, num_filters=2),
    "fourier, deep": FourierNet(**SHAPES, hidden_features=32, num_filters=5),
    "fourier, one filter": FourierNet(**SHAPES, num_filters=1),
    "gabor, deep": GaborNet(**SHAPES, num_filters=6),
    "fourier, 64 and deep": FourierNet(**SHAPES, hidden_features=64, num_filters=5),
    "gabor, 64": GaborNet(**SHAPES, hidden_features=64),
}


class Report(NamedTuple):
    """What the compiler says of a kernel; `local_memory` is what each thread has spilled, both in bytes."""

    registers: int
    local_memory: int
    shared_memory: int
    ptx: str


OPTIONAL = ("point_weights", "keys", "own_scales", "factors", "decays", "num_drawn", "evaluate_every", "max_norm")
"""Arguments of the kernel that are None for fits that do not need them."""

INTEGERS = ("num_coords", "num_drawn", "num_snapshots", "evaluate_every")
NUMBERS = ("share", "num_values", "stop_loss", "max_norm")
UNALIGNED = ("targets", "point_weights", "keys")


def compiled(inr: INR, products: str, architecture: int, folder: Path, everything: bool = False) -> Report:
    """Compile as a launch would: arguments of these types, pointers but some on 16 bytes, the same options.

    Args:
        everything: whether the fit has subsets, coordinates of each INR, weights of points, bce, decay and clipping.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from inrzoo.fit.triton.kernel import fit as kernel

    plan = layout(inr)
    constants: dict[str, Any] = plan.constants | plan.precisions(products) | {"BCE": everything, "OWN_ROWS": everything}
    types = dict.fromkeys(kernel.arg_names, "*fp32") | {"snapshots": "*i32", "steps": "*i32", "keys": "*i64"}
    types |= dict.fromkeys(INTEGERS, "i32") | dict.fromkeys(NUMBERS, "fp32")
    if not everything:
        constants |= dict.fromkeys(OPTIONAL)
    types |= dict.fromkeys(constants, "constexpr")
    aligned = {
        (i,): [["tt.divisibility", 16]]
        for i, name in enumerate(kernel.arg_names)
        if types[name].startswith("*") and name not in UNALIGNED
    }
    source = ASTSource(
        kernel, types, constexprs={(kernel.arg_names.index(key),): value for key, value in constants.items()},
        attrs=aligned,
    )  # fmt: skip
    binary = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=plan.options)
    path = folder / "kernel.cubin"
    path.write_bytes(binary.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    usage = subprocess.run([tool, "--dump-resource-usage", path], capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    assert found is not None, usage
    return Report(int(found[1]), int(found[2]), binary.metadata.shared, binary.asm["ptx"])


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


def check(inr: INR, products: str, architecture: int, folder: Path, everything: bool = False) -> None:
    plan = layout(inr)
    report = compiled(inr, products, architecture, folder, everything)
    print(f"sm_{architecture} {products}: {report[:3]} of {plan.shared_memory}, {plan.numbers_per_thread}")
    assert report.shared_memory <= plan.shared_memory
    assert report.registers <= 255
    if products != "ieee":  # without matrix units products are unrolled, and spill at the compiler's pleasure
        assert report.local_memory <= 4 * MAX_NUMBERS_PER_THREAD * 2


@pytest.mark.parametrize("name", COMMON)
def test_common_inrs_fit_on_both_gpus(name: str) -> None:
    assert layout(COMMON[name]).refusal(SHARED_MEMORY[H100]) is None
    assert layout(COMMON[name]).refusal(SHARED_MEMORY[A100]) is None


def variants(count: int, shift: int = 0) -> list[object]:
    """Every INR with all products on both GPUs in the exhaustive suite, and some in the slow one.

    Args:
        count: number of INRs that the slow suite compiles once each, with products and GPUs in turn.
        shift: what the turn begins with.
    """
    ways = list(itertools.product(["bf16x3", "tf32", "ieee"], [A100, H100]))
    return [
        pytest.param(
            name,
            *way,
            marks=pytest.mark.slow if number < count and at == (number + shift) % len(ways) else pytest.mark.exhaustive,
        )
        for number, name in enumerate([*COMMON, *EDGES])
        for at, way in enumerate(ways)
    ]


@pytest.mark.parametrize(("name", "products", "architecture"), variants(len(COMMON)))
def test_every_variant_compiles_within_what_is_stated(
    name: str, products: str, architecture: int, tmp_path: Path
) -> None:
    inr = (COMMON | EDGES)[name]
    assert layout(inr).refusal(SHARED_MEMORY[H100]) is None
    check(inr, products, architecture, tmp_path)


@pytest.mark.parametrize(("name", "products", "architecture"), variants(2, shift=1))
def test_with_everything_that_is_optional_too(name: str, products: str, architecture: int, tmp_path: Path) -> None:
    """Subsets, own coordinates, weights of points, cross entropy, decay and clipping take no more of the chip."""
    check((COMMON | EDGES)[name], products, architecture, tmp_path, everything=True)


def test_loads_see_what_other_warps_wrote(tmp_path: Path) -> None:
    """No load goes past the coherent cache, and a barrier stands on either side of the loop that is Adam's."""
    ptx = compiled(W1, "bf16x3", H100, tmp_path).ptx
    assert "ld.global.nc" not in ptx
    square_root = ptx.index("sqrt.rn")
    loop = ptx.rindex("$L__BB", 0, square_root)
    before, behind = ptx[:loop], ptx[ptx.index(" bra ", square_root) :]
    assert before.rindex("bar.sync") > before.rindex("st.global"), "between the gradients' writes and Adam's reads"
    assert behind.index("bar.sync") < behind.index(" bra ", 5), "between Adam's writes and the next step's reads"
