"""Clips of two dancers with music: the store, what goes into it, and what is read from it."""
