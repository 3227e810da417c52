"""Container registries: a typed client of the Distribution specification, and a local one."""
