"""Build, image, push and prove Go service meshes from one ``targets.toml``."""

import sys

__version__ = "0.1.0"

# Invoke switches byte code off for its whole process, which would compile this package
# anew at every start. Here, since this module alone is loaded before buildkit.tasks.
sys.dont_write_bytecode = False
