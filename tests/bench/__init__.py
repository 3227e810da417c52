"""Measurements beside other tools; `invoke bench.images` runs them, the tests do not."""
