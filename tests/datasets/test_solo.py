"""Soloists: a couple's dancers alone on the stage, in a store of their own."""

from pathlib import Path

import pytest
import torch

from duet_rl.body.heading import facing_angle
from duet_rl.body.skeleton import UP
from duet_rl.body.stage import stage
from duet_rl.datasets.prepare import PrepareConfig
from duet_rl.datasets.solo import SoloConfig, as_soloist, solo_tasks
from duet_rl.datasets.split import SplitConfig, split_choreographies
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.run import RunConfig, prepare_solo
from tests.datasets.conftest import make_clip

LEVEL = [axis for axis in range(3) if axis != UP]


def couples(folder: Path) -> DuetStore:
    clips = [make_clip(name, frames=40, seed=seed) for seed, name in enumerate("abcd")]
    return DuetStore.create(folder, clips)


def test_a_soloist_begins_over_the_origin_and_faces_front() -> None:
    clip = make_clip(seed=3)
    turned = clip.duet.follower.turned(2.0).moved([1.0, 0.0, -2.0])
    assert facing_angle(turned.joints)[0].abs() > 0.5, "else there is nothing to turn"
    for dancer in ("leader", "follower"):
        alone = as_soloist(clip, dancer).duet.follower
        torch.testing.assert_close(alone.joints[0, 0, LEVEL], torch.zeros(2), atol=1e-5, rtol=0)
        assert facing_angle(alone.joints)[0].abs() < 1e-4


def test_a_soloist_dances_as_he_did_in_the_couple() -> None:
    clip = make_clip(seed=5)
    alone, before = as_soloist(clip, "leader").duet.follower, clip.duet.leader
    assert torch.equal(alone.rotations[:, 1:], before.rotations[:, 1:])

    def bones(joints: torch.Tensor) -> torch.Tensor:
        return (joints[:, 1:] - joints[:, :1]).norm(dim=-1)

    torch.testing.assert_close(bones(alone.joints), bones(before.joints))
    torch.testing.assert_close(alone.joints[..., UP], before.joints[..., UP])


def test_the_stage_stands_still_at_the_origin() -> None:
    there = stage(5)
    assert torch.equal(there.joints[0].expand_as(there.joints), there.joints)
    assert not there.joints[0, 0, LEVEL].any()
    assert there.joints[..., UP].min() > 0


def test_a_store_of_couples_becomes_one_of_soloists_in_the_same_splits(tmp_path: Path) -> None:
    given = couples(tmp_path / "couples")
    here = RunConfig(prepare=PrepareConfig(parallel=False))
    made = prepare_solo(here, given.path, tmp_path / "solo", progress=False)
    assert made.solo and not given.solo
    assert len(made.records()) == 2 * len(given.records())
    assert made.index.splits == given.index.splits
    again = made.clip("b_leader")
    assert again.solo and not again.hold.any()
    torch.testing.assert_close(again.music, given.clip("b").music)


def test_one_dancer_can_be_chosen(tmp_path: Path) -> None:
    given = couples(tmp_path / "couples")
    tasks = solo_tasks(given, SoloConfig(dancer="follower"))
    assert [task.name for task in tasks] == [f"{name}_follower" for name in "abcd"]


def test_soloists_have_no_dancers_to_be_taken_from(tmp_path: Path) -> None:
    store = DuetStore.create(tmp_path / "solo", [as_soloist(make_clip())])
    with pytest.raises(InputError, match="holds soloists"):
        list(solo_tasks(store))


def test_a_store_of_soloists_and_couples_is_neither(tmp_path: Path) -> None:
    clips = [as_soloist(make_clip("a")), make_clip("b")]
    store = DuetStore.create(tmp_path / "mixed", clips)
    with pytest.raises(InputError, match="mixes soloists and couples"):
        assert store.solo


def test_a_store_of_couples_takes_no_soloists_in(tmp_path: Path) -> None:
    given = couples(tmp_path / "couples")
    here = RunConfig(prepare=PrepareConfig(parallel=False))
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(InputError, match=r"a_leader is a soloist.*of a couple; choose another"):
        prepare_solo(here, given.path, given.path, progress=False)
    with pytest.raises(InputError, match="is a soloist"):
        given.append([as_soloist(make_clip("e"))])
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before
    assert DuetStore.open(given.path).hash == given.hash


def test_soloists_keep_the_splits_of_a_store_that_has_grown(tmp_path: Path) -> None:
    rest = [make_clip(f"later_{seed}", frames=40, seed=seed) for seed in range(6)]
    first = couples(tmp_path / "couples")
    grown = first.append(rest)
    names = {clip.name: clip.style for clip in rest} | dict.fromkeys("abcd", rest[0].style)
    drawn_at_once = split_choreographies(names, grown.index.split)
    assert drawn_at_once != grown.index.splits, "else there is nothing to keep"
    here = RunConfig(prepare=PrepareConfig(parallel=False))
    alone = prepare_solo(here, grown.path, tmp_path / "solo", progress=False)
    assert alone.index.splits == grown.index.splits


def test_soloists_of_two_stores_keep_the_splits_of_both(tmp_path: Path) -> None:
    here = RunConfig(prepare=PrepareConfig(parallel=False))
    one = couples(tmp_path / "one")
    more = [make_clip(name, frames=40, seed=seed) for seed, name in enumerate("efgh")]
    given = SplitConfig(given={"e": "test", "f": "test", "g": "test"}, test=0.2)
    two = DuetStore.create(tmp_path / "two", more, given)
    prepare_solo(here, one.path, tmp_path / "solo", progress=False)
    both = prepare_solo(here, two.path, tmp_path / "solo", progress=False)
    assert both.index.splits == {**one.index.splits, **two.index.splits}
