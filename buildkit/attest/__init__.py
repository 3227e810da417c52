"""What is said about a release and proven: SBOMs, provenance, signatures."""
