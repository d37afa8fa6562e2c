"""Programs for people, built on the client: `doctor`, `load`, and calls of any method."""
