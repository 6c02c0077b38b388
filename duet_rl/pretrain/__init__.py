"""Pretraining: tokenizers and follower as Ray Train jobs."""
