"""The user's configuration: ``targets.toml`` and its lock, decoded into frozen types."""
