"""Roles exchanged: he who led stands as the follower, twice exchanged is as before."""

from dataclasses import replace

import pytest
import torch

from duet_rl.datasets.clip import DuetClip, align
from duet_rl.datasets.clip_captions import ClipCaption
from duet_rl.datasets.roles import part_facts, part_in, swapped
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.generate.inputs import require_same_part
from duet_rl.run import RunConfig, prepare_swap
from tests.couple import stepping_couple


@pytest.fixture(scope="module")
def clip() -> DuetClip:
    couple = stepping_couple(0.8)
    hold = torch.zeros(24, 2, 4, dtype=torch.bool)
    hold[4:, 0, 1] = True  # his left palm in the leader's right one
    facts = {"audio": None, "music_source": "none", "style": "unknown", "tempo": 0.0}
    music = torch.zeros(24, 54)
    return align(couple, music, hold, name="c", choreography="c", source="test", **facts)


def test_he_who_led_stands_as_the_follower_and_is_held_where_he_held(clip):
    other = swapped(clip)
    assert torch.equal(other.duet.follower.joints, clip.duet.leader.joints)
    assert torch.equal(other.duet.leader.joints, clip.duet.follower.joints)
    assert other.hold[4:, 1, 0].all() and not other.hold[:, 0, 1].any()
    assert "roles exchanged" in other.source
    again = swapped(other)
    assert torch.equal(again.duet.follower.joints, clip.duet.follower.joints)
    assert torch.equal(again.hold[..., :2], clip.hold[..., :2])


def test_what_was_written_of_the_follower_is_not_told_of_the_leader(clip):
    told = replace(clip, captions=(ClipCaption("she turns", 0, clip.frames),))
    assert swapped(told).captions == ()


def test_a_store_exchanged_says_so_and_twice_is_the_first(clip, tmp_path):
    others = [replace(clip, name=f"c{i}", choreography=f"c{i}") for i in range(3)]
    store = DuetStore.create(tmp_path / "a", others, SplitConfig(val=0, test=0.34), {"by": "hand"})
    config = RunConfig.model_validate({"prepare": {"parallel": False}})
    turned = prepare_swap(config, tmp_path / "a", tmp_path / "b", False)
    back = prepare_swap(config, tmp_path / "b", tmp_path / "c", False)
    assert (store.swapped, turned.swapped, back.swapped) == (False, True, False)
    assert turned.index.splits == store.index.splits == back.index.splits
    assert part_in(part_facts(turned)) == "leader" and part_in(part_facts(store)) == "follower"
    assert turned.index.made_with["by"] == "hand"
    require_same_part("x", "leader", turned)
    with pytest.raises(InputError, match="asks for the follower's"):
        require_same_part("x", "leader", store)
    with pytest.raises(InputError, match="prepare swap"):
        require_same_part("x", "follower", turned)
