"""Kernels of the fused GPU engine. Of its files only `layout` can be imported without triton."""
