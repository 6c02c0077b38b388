"""Generating: a trained follower dances, and the dance is written, drawn and played."""
