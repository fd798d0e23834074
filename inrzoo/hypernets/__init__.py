"""Hypernetworks: signals come in, weights of INRs go out; one file a hypernetwork.

A hypernetwork is an `nn.Module` made by `registry.make("hypernets", {"name": ..., ...}, inr=inr, sizes=sizes)`, and
`weights_BP = hypernet(coords, values_BKC)` are weights of `inr`, which evaluates them like any others:
`inr(weights_BP, coords)`.
"""

from inrzoo.hypernets.activation_maps import activation_maps
from inrzoo.hypernets.contract import Hypernet
from inrzoo.hypernets.init_file import write_init
from inrzoo.hypernets.optimisation import optimise_at_test_time

__all__ = ["Hypernet", "activation_maps", "optimise_at_test_time", "write_init"]
