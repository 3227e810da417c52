"""Reads a Go tree and drafts the targets.toml that builds it: readers, and what is made of them."""
