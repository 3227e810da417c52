"""Checking a release, an image or a file against what was said of it; changes nothing."""
