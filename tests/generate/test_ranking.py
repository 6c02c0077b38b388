"""Of several dances the best comes first, and no dance gains by holding nobody."""

from types import MappingProxyType

import torch

from duet_rl.audio.features import BEAT, MUSIC_DIMS
from duet_rl.generate.ranking import holds_agreed, ranked, rewards_of, table_of
from duet_rl.rewards.base import RewardMixConfig
from tests.couple import beats, stepping_couple

COUPLE = stepping_couple(4.0)
LEADER, FOLLOWER = COUPLE.leader, COUPLE.follower
MUSIC = torch.zeros(LEADER.frames, MUSIC_DIMS)
MUSIC[:, BEAT] = beats(4.0)[0].float()


def told_of(dances, meta=MappingProxyType({})):
    hold = holds_agreed(dances, LEADER)
    return ranked(dances, LEADER, MUSIC, rewards_of(meta), hold)


def sliding(metres_per_second: float):
    way = torch.arange(LEADER.frames) * metres_per_second / 30
    joints = FOLLOWER.joints + torch.stack([way, way * 0, way * 0], dim=-1)[:, None]
    return type(FOLLOWER)(joints, FOLLOWER.rotations, FOLLOWER.skeleton)


def test_the_dance_that_earns_most_comes_first():
    dances = [sliding(0.4), FOLLOWER, sliding(0.1), FOLLOWER]
    told = told_of(dances)
    totals = [one.scores["total"] for one in told]
    assert totals == sorted(totals, reverse=True) and totals[0] > totals[-1]
    assert told[0].motion is FOLLOWER and told[-1].motion is dances[0]
    assert {"total", "contact", "foot", "beat", "consistency", "held"} == set(told[0].scores)
    lines = table_of(told)
    assert len(lines) == 5 and lines[0].split()[:2] == ["dance", "total"]
    assert lines[1].split()[0] == "1"


def test_who_holds_nobody_is_asked_for_what_the_others_hold():
    away = FOLLOWER.moved((1.5, 0.0, 0.0))
    told = told_of([away, FOLLOWER, FOLLOWER])
    assert told[-1].motion is away and told[-1].scores["held"] == 0
    assert told[-1].scores["contact"] < told[0].scores["contact"] - 0.3
    assert holds_agreed([away, FOLLOWER, FOLLOWER], LEADER).any()
    assert not holds_agreed([away, away, FOLLOWER], LEADER).any()


def test_the_checkpoints_own_weights_decide():
    """One slides a little and the other is off the beat; who is better depends on what is asked."""
    late = stepping_couple(5.0).follower.slice(7, 7 + LEADER.frames)
    dances = [late, sliding(0.15)]
    weights = dict.fromkeys(("contact", "foot", "beat", "consistency", "tracking"), 0.0)
    for asked, first in (("foot", late), ("beat", dances[1])):
        stated = {"stage_config": {"rewards": {"weights": {**weights, asked: 1.0}}}}
        told = told_of(dances, stated)
        assert told[0].motion is first, asked
        assert set(told[0].scores) == {"total", asked, "held"}


def test_rewards_that_ask_for_a_true_partner_leave_the_usual_ones():
    weights = {"contact": 0, "foot": 0, "beat": 0, "consistency": 0, "tracking": 1}
    mix = rewards_of({"stage_config": {"rewards": {"weights": weights}}})
    usual = RewardMixConfig().weights
    assert (mix.weights.tracking, mix.weights.contact) == (0, usual.contact)
    assert rewards_of({"stage_config": {"steps": 3}}).weights == rewards_of({}).weights
