"""The composition root: the only place that constructs clients and reads the environment."""
