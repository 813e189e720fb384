"""The step graph: what depends on what, content keys, the store, running side by side."""
