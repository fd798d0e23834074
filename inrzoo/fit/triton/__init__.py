"""Kernels of the fused GPU engine. Importing `kernel`, `perceptron`, `filters` or `arithmetic` needs triton; `layout` does not."""
