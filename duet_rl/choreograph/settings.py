"""The settings of choreographing songs: how long it is learned, and when that is enough."""

from typing import Literal

from pydantic import Field

from duet_rl.config import Config
from duet_rl.generate.media import VideoConfig
from duet_rl.tokenizers.holding import AS_LEARNED, FIRMEST

FileKind = Literal["npz", "bvh", "glb", "usdc", "mp4", "html"]


class GuardConfig(Config):
    """What a fine-tuned follower may not lose, and for how long it may fail to get better.

    Rewards can be earned by shaking, by standing still, or by one dance for ever: so what the
    dances were before is the measure of what they may become.
    """

    every: int = Field(5, ge=1)  # iterations between two looks
    seeds: int = Field(4, ge=2)  # dances of the whole song at each look, always the same seeds
    # Looks in a row without a better dance, after which it ends; feet get better first, and beats
    # may take 15 iterations more.
    patience: int = Field(5, ge=1)
    least_gain: float = Field(0.002, ge=0)  # of the reward; less is what other seeds would give
    # Nats a token between the follower and what it was. Where three recordings made a follower
    # better it was 0.2 after 20 iterations; with more it is another dancer.
    most_kl: float = Field(0.5, gt=0)
    most_jerk: float = Field(1.25, gt=0)  # of what it was before
    least_diversity: float = Field(0.7, ge=0)  # between seeds, of what it was before
    most_frozen: float = Field(0.05, ge=0)  # share of the frames, above what it was before
    # Frames in which a hand of a leader's follower holds him, of what it was before: holds that are
    # due are unknown, so that no reward asks for them.
    least_held: float = Field(0.8, ge=0)


class ChoreographConfig(Config):
    """How songs are danced to; what is rewarded and how it is learned is in the section `rl`."""

    iterations: int = Field(60, ge=1)  # of fine-tuning a song, at most
    guard: GuardConfig = GuardConfig()
    seeds: int = Field(8, ge=2)  # dances that are measured before and after, of seeds of their own
    most_seconds: float | None = Field(None, gt=0)  # of a longer song; None: all of it
    # How firmly a leader's hands are held: 0 not at all, 1 as learned, 2 from twice as far
    hold: float = Field(AS_LEARNED, ge=0, le=FIRMEST)
    files: tuple[FileKind, ...] = ("npz", "bvh", "mp4", "html")  # of the dance
    video: VideoConfig = VideoConfig()  # of the .mp4
    keep_followers: bool = True  # leave each fine-tuned follower in the folder of its song
    shown_songs: int = Field(6, ge=0)  # that the report plays
    shown_seconds: float = Field(30.0, gt=0)  # of each of them
    parallel: bool = True  # songs as Ray actors, a processor each; False: one after the other here
    memory: float = Field(2.0, gt=0)  # GB that Ray sets aside for a song
