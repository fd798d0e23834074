"""Kernels of the numba engine: Python that LLVM compiles. `places` alone can be imported without numba."""
