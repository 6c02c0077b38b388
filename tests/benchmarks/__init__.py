"""Tests of the programs in scripts/benchmarks that compute more than they time."""
