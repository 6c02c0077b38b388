"""What people wrote is told to the windows that it is about, which then end where it does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from duet_rl.config import validate
from duet_rl.datasets.clip_captions import ClipCaption
from duet_rl.datasets.solo import as_soloist
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.generate.prompts import read_prompts
from duet_rl.models.streams import STOPS
from duet_rl.models.text import TextConfig
from duet_rl.pretrain.follower import FollowerConfig, FollowerPlan
from duet_rl.pretrain.multistream import MultiStreamStage
from duet_rl.pretrain.own_captions import draw_own, steps_of
from duet_rl.pretrain.text_windows import generators_of
from tests.datasets.conftest import make_clip
from tests.generate.text_dancer import small_readable_codec
from tests.pretrain.conftest import SPLIT

WORDS = TextConfig(buckets=4096, width=16, layers=1, heads=2)
WHOLE, PART = "ambles like a penguin", "shrugs and sighs"
FRAMES = {"clip0": 40, "clip1": 40, "clip2": 96, "clip3": 96, "clip4": 40, "clip5": 16}


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codec")
    small_readable_codec("start").save(folder, {})
    return folder


@pytest.fixture(scope="module")
def soloists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Silent dancers, each with words about all of the dance and about its second half."""
    folder = tmp_path_factory.mktemp("told")
    clips = []
    for index, (name, frames) in enumerate(FRAMES.items()):
        told = (ClipCaption(WHOLE, 0, frames), ClipCaption(PART, frames // 2, frames))
        clip = as_soloist(make_clip(name, frames, index))
        clips.append(replace(clip, captions=told, music_source="none"))
    return DuetStore.create(folder / "store", clips, SPLIT).path


def stage_of(data: Path, codec: Path, **changes: object) -> MultiStreamStage:
    settings = {
        "batch_size": 16,
        "window_tokens": 25,
        "shortest_tokens": 4,
        "leader": "none",
        "music": False,
        "text": WORDS.model_dump(),
        "rollouts": 0,
        "gpt": {"width": 16, "layers": 1, "heads": 2, "stop": True, "dropout": 0.0},
    }
    plan = FollowerPlan(validate(FollowerConfig, {**settings, **changes}), data, codec, codec)
    plan.require_fit()
    stage = plan.open()
    assert isinstance(stage, MultiStreamStage)
    return stage


def told_and_lengths(stage: MultiStreamStage, steps: int = 6) -> list[tuple[str, int]]:
    """Return of many windows which of the captions they are told, and how long they last."""
    known = {text: _words(text) for text in (WHOLE, PART, "")}
    found = []
    for step in range(steps):
        tokens, _, read = stage.batch(step, 0, 1)
        lengths = (tokens[..., -1] != STOPS).sum(1).tolist()
        for row, length in zip(read, lengths, strict=True):
            alike = [text for text, words in known.items() if set(row.tolist()) - {0} == words]
            found.append((alike[0] if alike else "facts", length))
    return found


def _words(text: str) -> set[int]:
    rows: Tensor = read_prompts([text], WORDS)
    return set(rows.flatten().tolist()) - {0}


def test_a_caption_of_about_the_same_frames_is_told_and_of_others_is_not() -> None:
    told = (ClipCaption(WHOLE, 0, 80), ClipCaption(PART, 40, 80))

    def drawn(frame: int, room: int, ends: bool, share: float = 1.0) -> set[str | None]:
        found = draw_own(
            [told] * 40,
            torch.full((40,), frame),
            torch.full((40,), room),
            generators_of(0, 0, 0, 40),
            share,
            ends,
        )
        return {None if one is None else one.text for one in found}

    assert drawn(0, 20, True) == {WHOLE} and drawn(40, 10, True) == {PART}
    assert drawn(0, 8, True) == {None}  # shows less than half of it
    assert drawn(40, 40, True) == {PART} and drawn(40, 40, False) == {None}  # goes on for long
    assert drawn(0, 20, True, 0.5) == {WHOLE, None} and drawn(0, 20, True, 0.0) == {None}


def test_a_window_ends_with_its_caption() -> None:
    assert steps_of(ClipCaption(PART, 0, 41), 0, 30) == 11
    assert steps_of(ClipCaption(PART, 0, 41), 8, 30) == 9
    assert steps_of(ClipCaption(PART, 0, 400), 0, 30) == 30


def test_windows_are_told_what_people_wrote_and_end_where_it_does(
    soloists: Path, codec: Path
) -> None:
    found = told_and_lengths(stage_of(soloists, codec, captions="own"))
    told = {text for text, _ in found}
    assert told == {WHOLE, PART}  # of every window there is something to say
    lasts = {text: {length for said, length in found if said == text} for text in (WHOLE, PART)}
    assert {24, 10, 4} <= lasts[WHOLE]  # the lengths of the clips: short ones are learned from, too
    assert {12, 5} <= lasts[PART] and max(lasts[PART]) <= 12


def test_both_tells_some_windows_what_they_show(soloists: Path, codec: Path) -> None:
    counts = {
        source: sum(text == "facts" for text, _ in told_and_lengths(stage, 4))
        for source, stage in (
            ("facts", stage_of(soloists, codec, captions="facts")),
            ("both", stage_of(soloists, codec, own_share=0.5)),
            ("own", stage_of(soloists, codec, own_share=1.0)),
        )
    }
    assert counts["own"] == 0 < counts["both"] < counts["facts"] == 64


def test_what_is_told_depends_on_the_step_and_the_window_alone(soloists: Path, codec: Path) -> None:
    stage = stage_of(soloists, codec)
    tokens, _, text = stage.batch(3, 0, 1)
    halves = [stage.batch(3, rank, 2) for rank in range(2)]
    for whole, column in ((tokens, 0), (text, 2)):
        assert torch.equal(torch.cat([half[column] for half in halves]), whole)


def test_what_nobody_wrote_cannot_be_told(codec: Path, tmp_path: Path) -> None:
    clips = [as_soloist(make_clip(f"clip{i}", 120, i)) for i in range(6)]
    mute = DuetStore.create(tmp_path / "mute", clips, SPLIT).path
    with pytest.raises(InputError, match=r"nothing is written .* follower.captions=facts"):
        stage_of(mute, codec, captions="own")


def test_music_that_is_none_is_not_learned_from(soloists: Path, codec: Path) -> None:
    with pytest.raises(InputError, match=r"has no music to hear; set follower.music=false"):
        stage_of(soloists, codec, music=True)
