"""Searches for settings: trials of pretraining or RL on Ray Tune, judged on held-out dances."""
