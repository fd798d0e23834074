"""Hypernetworks whose weights are read off tokens of a transformer: patches of signals come in, tokens go out."""
