"""What people wrote about a clip stays with it: stored, cut, mirrored, and told by version."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duet_rl.datasets.clip import DuetClip, from_arrays, mirrored, to_arrays
from duet_rl.datasets.clip_captions import ClipCaption, mirrored_text
from duet_rl.datasets.solo import soloists_of
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from tests.datasets.conftest import make_clip

TOLD = (
    ClipCaption("ein Mensch hüpft nach left, clockwise", 0, 40),
    ClipCaption("lifts the Right arm", 8, 24),
)
FACTS = {
    name: getattr(make_clip(), name)
    for name in ("choreography", "audio", "music_source", "style", "tempo", "source")
}


def told_clip(name: str = "take", seed: int = 0) -> DuetClip:
    return replace(make_clip(name, seed=seed), captions=TOLD)


def test_captions_come_back_from_a_store_and_change_its_hash(tmp_path: Path) -> None:
    told = [told_clip(f"t{i}", i) for i in range(3)]
    store = DuetStore.create(tmp_path / "told", told)
    assert all(clip.captions == TOLD for clip in store.clips())
    mute = DuetStore.create(tmp_path / "mute", [replace(clip, captions=()) for clip in told])
    assert not mute.clips()[0].captions and mute.hash != store.hash


def test_clips_without_captions_are_stored_as_they_always_were() -> None:
    assert set(to_arrays(make_clip())) == {
        *("music", "hold"),
        *(f"{who}_{what}" for who in ("leader", "follower") for what in ARRAYS),
    }


ARRAYS = ("root", "rotations", "offsets")


def test_a_cut_keeps_what_is_said_of_it() -> None:
    assert told_clip().slice(12, 20).captions == tuple(
        ClipCaption(text, 0, 8) for text, _, _ in TOLD
    )
    later = told_clip().slice(24, 40).captions
    assert later == (ClipCaption(TOLD[0].text, 0, 16),)
    assert told_clip().slice(4, 40).captions[1] == ClipCaption(TOLD[1].text, 4, 20)


def test_the_mirror_exchanges_the_sides_of_words_and_gives_them_back() -> None:
    clip = mirrored(told_clip())
    assert [text for text, _, _ in clip.captions] == [
        "ein Mensch hüpft nach right, counterclockwise",
        "lifts the Left arm",
    ]
    assert mirrored(clip).captions == TOLD
    assert mirrored_text("bright leftovers, RIGHT-handed") == "bright leftovers, LEFT-handed"


def test_captions_of_a_couple_are_those_of_the_follower() -> None:
    leader, follower = soloists_of([told_clip()])
    assert leader.captions == () and follower.captions == TOLD


@pytest.mark.parametrize("caption", [("", 0, 4), ("walks", 4, 4), ("walks", 0, 41)])
def test_captions_of_nothing_are_refused(caption: tuple[str, int, int]) -> None:
    with pytest.raises(InputError, match="take has 40 frames and a caption"):
        replace(make_clip(), captions=(ClipCaption(*caption),))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (json.dumps({"version": 2, "texts": 3}).encode(), "of version 2; this version reads 1"),
        (json.dumps({"version": 1, "captions": [["walks"]]}).encode(), "damaged"),
        (b"\xff\x00", "damaged"),
    ],
)
def test_captions_of_another_version_or_damaged_are_told(payload: bytes, why: str) -> None:
    arrays = to_arrays(told_clip()) | {"captions": np.frombuffer(payload, dtype=np.uint8)}
    with pytest.raises(InputError, match=why):
        from_arrays(arrays, name="take", **FACTS)
