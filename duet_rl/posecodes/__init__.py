"""Pose codes: what a dancer or a couple does, as words that a person can read and change."""
