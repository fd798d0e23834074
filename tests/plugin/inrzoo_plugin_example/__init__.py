"""A plug-in of inrzoo: one component of each kind; CONTRIBUTING.md walks through it."""
