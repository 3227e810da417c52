"""Carry a plan out: batches in a ready set, within limits, each outcome recorded."""
