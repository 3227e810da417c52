"""Images: templates, Dockerfiles, bases, and the engine that drives a Docker daemon."""
