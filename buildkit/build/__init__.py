"""Builders of files: compiled Go, fetched binaries."""
