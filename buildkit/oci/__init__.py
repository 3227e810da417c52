"""Pure OCI: media types, descriptors, layers, images, archives. Knows no Docker daemon."""
