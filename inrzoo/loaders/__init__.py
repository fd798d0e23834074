"""Weights out of a store and into training: what is drawn, how it is batched, and how it is augmented."""
