"""Pages ask dances beside a leader for the holds that most of them keep, as those of generate."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from duet_rl.body.motion import Motion
from duet_rl.choreograph.files import hold_of, stretches_of, write_dances
from duet_rl.choreograph.page import PAGE
from duet_rl.choreograph.run import choreograph
from duet_rl.choreograph.songs import song_clip
from duet_rl.generate.follower import generate, load_follower
from duet_rl.generate.ranking import holds_agreed
from tests.choreograph.world import QUICK, RL
from tests.couple import stepping_couple

PAGES = QUICK.model_copy(update={"files": ("npz", "html")})


def contact_in(page: Path) -> list[str]:
    """Return the contact scores of each follower on a page, as they are packed there."""
    return re.findall(r'"contact": "([^"]+)"', page.read_text())


def at_random(seed: int, frames: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(frames, 2, 4, generator=generator) < 0.5


@pytest.mark.parametrize(
    "hold", [at_random(0), at_random(1), at_random(2) | True, at_random(3) & False]
)
def test_stretches_tell_holds_as_they_are(hold: torch.Tensor) -> None:
    told = stretches_of(hold)
    assert torch.equal(hold_of(told, len(hold)), hold)
    assert torch.equal(hold_of(told, 7), hold[:7]), "a page may show the beginning"


def test_the_pages_ask_for_what_most_dances_of_generate_keep(
    song: Path, partner: Path, tmp_path: Path
) -> None:
    leader = stepping_couple(2.0).leader
    follower = load_follower(partner)
    heard = song_clip(song, "tango", follower, leader).music
    wanted = holds_agreed(generate(follower, leader, heard, 0, samples=3), leader)
    found = choreograph([song], partner, tmp_path, PAGES, RL, leader=leader, progress=False)
    (result,) = found.songs
    assert result.holds is not None
    assert torch.equal(hold_of(result.holds, leader.frames), wanted)
    (song_page,) = contact_in(tmp_path / "tango" / "dance.html")
    assert contact_in(tmp_path / PAGE) == [song_page], "the report shows the same"


def test_a_page_asks_for_the_holds_of_its_clip(song: Path, partner: Path, tmp_path: Path) -> None:
    couple = stepping_couple(2.0)
    clip = song_clip(song, "tango", load_follower(partner), couple.leader)
    apart: Motion = couple.follower.moved((2.0, 0.0, 0.0))
    always = torch.ones(clip.frames, 2, 4, dtype=torch.bool)
    pages = {}
    for name, hold in (("none", clip.hold), ("all", always)):
        (tmp_path / name).mkdir()
        write_dances(tmp_path / name, replace(clip, hold=hold), {"before": apart}, PAGES)
        (pages[name],) = contact_in(tmp_path / name / "dance.html")
    assert pages["none"] != pages["all"]
