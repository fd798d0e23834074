"""Sizes of published encoders for a core, where the published ones are for GPUs."""

RELATIONAL = {
    "num_layers": 3, "num_heads": 4, "node_features": 32, "edge_features": 16, "attention_features": 32,
    "node_hidden": 64, "edge_hidden": 32, "num_frequencies": 32,
}  # fmt: skip
"""Fields of `relational_transformer`: 0.02 s an INR, where the authors' take 0.1 s."""
