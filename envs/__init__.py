"""Gymnasium environments of `duet_rl`; importing this package registers them."""

import gymnasium

DUET_DANCE = "DuetDance-v0"

gymnasium.register(
    id=DUET_DANCE,
    entry_point="envs.duet:DuetDanceEnv",
    vector_entry_point="envs.vector:DuetDanceVectorEnv",
)
