"""Signals to weights: one file a hypernetwork. Those that begin with `_` are shared by several.

A hypernetwork is an `nn.Module` made by `registry.make("hypernets", {"name": ..., ...}, inr=inr, sizes=sizes)`, and
`weights_BP = hypernet(coords, values_BKC)` are weights of `inr`, which renders them as it renders all others:
`inr(weights_BP, coords)`.
"""

from inrzoo.hypernets._activations import activation_maps
from inrzoo.hypernets._contract import Hypernet
from inrzoo.hypernets._export import write_init
from inrzoo.hypernets._test_time_optimisation import optimise_at_test_time

__all__ = ["Hypernet", "activation_maps", "optimise_at_test_time", "write_init"]
