"""Hypernetworks whose weights are a few gradient steps from a learned start."""
