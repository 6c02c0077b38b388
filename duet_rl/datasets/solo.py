"""Soloists out of couples: a store of either dancer, or of both, alone with the music."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from duet_rl.body.motion import Duet, Motion
from duet_rl.body.stage import put_on_stage, stage
from duet_rl.config import Config
from duet_rl.datasets.clip import DANCERS, DuetClip
from duet_rl.datasets.prepare import PrepareTask, fingerprint
from duet_rl.datasets.store import DuetStore


class SoloConfig(Config):
    """Which dancers of a couple become soloists."""

    dancer: Literal["leader", "follower", "both"] = "both"


def as_soloist(clip: DuetClip, dancer: str = "follower", name: str | None = None) -> DuetClip:
    """Return a couple's clip with one of them alone, who begins on the stage and faces +Z.

    Args:
        clip: a couple's.
        dancer: `leader` or `follower`.
        name: of the new clip; None keeps the old one.
    """
    motion: Motion = getattr(clip.duet, dancer)
    captions = clip.captions if dancer == "follower" else ()  # of whom they tell
    named = replace(clip, name=name or clip.name, captions=captions)
    return solo_clip(put_on_stage(motion), named, f"{clip.source}, {dancer}")


def soloists_of(clips: Sequence[DuetClip]) -> list[DuetClip]:
    """Return everyone who dances in clips as a soloist; those who are alone stay as they are."""
    return [
        alone
        for clip in clips
        for alone in (
            [clip]
            if clip.solo
            else [as_soloist(clip, one, f"{clip.name}_{one}") for one in DANCERS]
        )
    ]


def solo_clip(motion: Motion, like: DuetClip, source: str) -> DuetClip:
    """Return a clip of a dancer alone on the stage, with the music and the facts of another."""
    return replace(
        like,
        duet=Duet(stage(motion.frames, motion.fps), motion),
        hold=torch.zeros_like(like.hold),
        source=source,
        solo=True,
    )


def solo_tasks(store: DuetStore, config: SoloConfig = SoloConfig()) -> Iterator[PrepareTask]:
    """Yield what makes a soloist of each couple of a store, or two of it.

    Both keep the choreography, so that no dance lies in two splits.
    """
    store.require_couples("a store of soloists")
    dancers = DANCERS if config.dancer == "both" else (config.dancer,)
    for record in store.records():
        for one in dancers:
            name = f"{record.name}_{one}"
            yield PrepareTask(
                name,
                fingerprint(SoloConfig(), record.sha256, one),
                partial(_take, store.path.absolute(), record.name, one, name),
            )


def _take(store: Path, clip: str, dancer: str, name: str, scratch: Path) -> DuetClip:
    return as_soloist(DuetStore.open(store).clip(clip), dancer, name)
