"""Checkpoints of the original systems, brought into our format."""
