"""Gymnasium environments of `duet_rl`; importing this package registers them."""

import gymnasium

DUET_DANCE = "DuetDance-v0"
SOLO_DANCE = "SoloDance-v0"

gymnasium.register(
    id=DUET_DANCE,
    entry_point="envs.duet:DuetDanceEnv",
    vector_entry_point="envs.vector:DuetDanceVectorEnv",
)
gymnasium.register(
    id=SOLO_DANCE,
    entry_point="envs.solo:SoloDanceEnv",
    vector_entry_point="envs.solo:SoloDanceVectorEnv",
)
