"""From configuration to a plan: units of work, each with its verdict and reason."""
