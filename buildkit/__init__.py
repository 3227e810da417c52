"""Build, image, push and prove Go service meshes from one ``targets.toml``."""

__version__ = "0.1.0"
