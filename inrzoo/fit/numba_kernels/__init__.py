"""Kernels of the numba engine: Python that LLVM compiles. Only `places` can be imported where numba is not installed."""
