"""Native code for networks on cores, beside that of `fit` for INRs: gradients, curvature, attention, products."""
