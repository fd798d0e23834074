"""Reports on trained networks: tables, figures, features and the cost of a run."""
