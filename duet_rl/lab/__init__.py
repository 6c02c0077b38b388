"""Experiments that compare ways to learn on one task, seed by seed."""
