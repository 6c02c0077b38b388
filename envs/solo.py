"""SoloDanceEnv: one dancer, the music, one token of every stream a step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from duet_rl.config import merge
from duet_rl.datasets.clip import DuetClip
from duet_rl.datasets.solo import as_soloist
from duet_rl.datasets.split import Split
from duet_rl.datasets.store import DuetStore
from envs.duet import DuetDanceEnv
from envs.unfolding import Codec
from envs.vector import DuetDanceVectorEnv

SOLO_REWARDS: Mapping[str, Any] = {"weights": {"contact": 0.0, "tracking": 0.0}}
SOLO_DANCE: Mapping[str, Any] = {"leader": "none"}


class SoloDanceEnv(DuetDanceEnv):
    """Dance alone to a window of music, `SoloDance-v0`.

    As `DuetDanceEnv`, without a leader: the observation holds windows of the music and of one's
    own past tokens, and the reward terms are beat, foot and consistency. Of a store of couples
    the followers are the soloists.

    Example:
        gymnasium.make("envs:SoloDance-v0", data="runs/solo/data", codec="runs/solo/follower")

    Args:
        data: folder of a clip store, or clips.
        codec: folder that holds a codec, or a codec.
        split: `train`, `val` or `test` of the store.
        rewards: settings of `RewardMixConfig`; contact and tracking count only if they say so.
        dance: settings of `DanceConfig`.
        render_mode: `rgb_array` or None.
    """

    def __init__(
        self,
        data: str | Path | Sequence[DuetClip],
        codec: str | Path | Codec,
        split: Split = "train",
        rewards: Mapping[str, Any] | None = None,
        dance: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(
            soloists(data, split), codec, split, *solo_settings(rewards, dance), render_mode
        )


class SoloDanceVectorEnv(DuetDanceVectorEnv):
    """`num_envs` soloists as one batch; the arguments are those of `SoloDanceEnv`."""

    def __init__(
        self,
        num_envs: int,
        data: str | Path | Sequence[DuetClip],
        codec: str | Path | Codec,
        split: Split = "train",
        rewards: Mapping[str, Any] | None = None,
        dance: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        settings = solo_settings(rewards, dance)
        super().__init__(num_envs, soloists(data, split), codec, split, *settings, render_mode)


def soloists(data: str | Path | Sequence[DuetClip], split: Split) -> list[DuetClip]:
    """Return the clips of a split with each dancer alone."""
    clips = DuetStore.open(data).clips(split) if isinstance(data, str | Path) else data
    return [clip if clip.solo else as_soloist(clip) for clip in clips]


def solo_settings(
    rewards: Mapping[str, Any] | None, dance: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the settings of rewards and dance, those of a soloist where they are silent."""
    return merge(SOLO_REWARDS, rewards or {}), merge(SOLO_DANCE, dance or {})
