"""Tests of the condition encoders: what they see, and what they refuse."""

import pytest
import torch
from pydantic import ValidationError

from duet_rl.errors import InputError
from duet_rl.models.condition_feed import ConditionFeed
from duet_rl.models.conditions import ConditionConfig, ConditionEncoder, Conditions
from tests.models.small import LEADER, MUSIC, small_conditions, small_gpt, small_tokens

STEPS = 20


@pytest.fixture
def conditions() -> Conditions:
    return small_gpt().conditions


@pytest.mark.parametrize("ahead", [0, 1, 4, 6])
def test_a_step_sees_the_future_up_to_its_look_ahead_and_no_further(conditions, ahead):
    music = small_conditions()["music"]
    changed = music.clone()
    changed[:, 4 * 12 :] += 1  # from step 12 on
    before, after = (conditions["music"](x, ahead) for x in (music, changed))
    torch.testing.assert_close(before[:, : 12 - ahead], after[:, : 12 - ahead])
    assert not torch.allclose(before[:, 12 - ahead], after[:, 12 - ahead], atol=1e-4)


def test_a_step_sees_the_past_as_far_as_its_look_back(conditions):
    music = small_conditions()["music"]
    changed = music.clone()
    changed[:, : 4 * 5] += 1  # steps 0 to 4
    before, after = (conditions["music"](x, 6) for x in (music, changed))
    last = 4 + MUSIC.look_back
    assert not torch.allclose(before[:, last], after[:, last], atol=1e-4)
    torch.testing.assert_close(before[:, last + 1 :], after[:, last + 1 :])


def test_the_order_of_the_neighbours_matters(conditions):
    music = small_conditions()["music"]
    swapped = music.clone()
    swapped[:, 32:36], swapped[:, 36:40] = music[:, 36:40], music[:, 32:36]
    before, after = (conditions["music"](x, 6)[:, 10] for x in (music, swapped))
    assert not torch.allclose(before, after, atol=1e-4)


def test_a_cut_of_a_clip_is_encoded_like_the_clip(conditions):
    music = small_conditions(steps=40)["music"]
    whole = conditions["music"](music, 3)
    cut = conditions["music"](music[:, 4 * 10 : 4 * 30], 3)
    inside = slice(MUSIC.look_back, 20 - 3)
    torch.testing.assert_close(cut[:, inside], whole[:, 10:30][:, inside], atol=1e-5, rtol=1e-5)


def test_features_of_any_scale_look_alike_once_normalised(conditions):
    music = small_conditions()["music"]
    wanted = conditions["music"](music, 6)
    scale, shift = torch.tensor([600.0, 1e-3, 1, 20, 5]), torch.tensor([-300.0, 0, 7, 1, 2])
    conditions["music"].set_normalisation(shift, scale)
    torch.testing.assert_close(
        conditions["music"](music * scale + shift, 6), wanted, atol=1e-4, rtol=1e-4
    )


def test_a_feature_that_never_varies_does_no_harm(conditions):
    music = small_conditions()["music"]
    conditions["music"].set_normalisation(torch.ones(5), torch.zeros(5))
    assert conditions["music"](music, 6).isfinite().all()


def test_normalisation_is_stored_with_the_weights(conditions):
    conditions["music"].set_normalisation(torch.arange(5.0), torch.arange(1.0, 6))
    stored = conditions.state_dict()
    assert torch.equal(stored["encoders.music.mean"], torch.arange(5.0))
    assert torch.equal(stored["encoders.music.std"], torch.arange(1.0, 6))


@pytest.mark.parametrize("portion", [1, 3, 7, STEPS])
@pytest.mark.parametrize("look_ahead", [0, 2, None])
def test_portions_are_encoded_like_the_whole_clip(conditions, portion, look_ahead):
    clip = small_conditions(steps=STEPS)
    feed = ConditionFeed(conditions, look_ahead)
    feed.feed({"music": clip["music"]}, last=True)  # the song is known, the leader still dances
    got = []
    for start in range(0, STEPS, portion):
        leader = clip["leader"][:, start : start + portion]
        feed.feed({"leader": leader}, last=start + portion >= STEPS)
        if feed.ready:
            got.append(feed.take())
    wanted = conditions(clip, STEPS, conditions.resolve(look_ahead))
    torch.testing.assert_close(torch.cat(got, dim=1), wanted, atol=1e-5, rtol=1e-5)


def test_a_step_waits_for_the_future_that_it_looks_at(conditions):
    clip = small_conditions()
    feed = ConditionFeed(conditions, {"leader": 3})
    feed.feed({"music": clip["music"]}, last=True)
    ready = []
    for step in range(6):
        feed.feed({"leader": clip["leader"][:, step : step + 1]})
        ready.append(feed.ready)
    assert ready == [0, 0, 0, 1, 2, 3]


def test_the_look_ahead_is_given_for_all_or_by_name_and_kept_below_the_maximum(conditions):
    assert conditions.resolve(None) == {"music": 6, "leader": 3}
    assert conditions.resolve(5) == {"music": 5, "leader": 3}
    assert conditions.resolve({"leader": 0}) == {"music": 6, "leader": 0}
    with pytest.raises(InputError, match="-1"):
        conditions.resolve(-1)
    with pytest.raises(InputError, match="'video'"):
        conditions.resolve({"video": 1})


def test_the_drawn_look_aheads_are_the_choices_clipped_to_each_maximum(conditions):
    drawn = conditions.draw((0, 2, 4, 8), 400, torch.Generator().manual_seed(0))
    assert set(drawn["music"].tolist()) == {0, 2, 4, 6}
    assert set(drawn["leader"].tolist()) == {0, 2, 3}
    again = conditions.draw((0, 2, 4, 8), 400, torch.Generator().manual_seed(0))
    assert torch.equal(drawn["music"], again["music"])


def test_faults_of_conditions_are_named(conditions):
    clip = small_conditions()
    faults = {
        r"'leader' is missing": {"music": clip["music"]},
        r"unknown condition 'video'": clip | {"video": clip["music"]},
        r"\(batch, frames, 5\) is wanted": clip | {"music": clip["music"][..., :4]},
        r"79 frames do not divide": clip | {"music": clip["music"][:, :-1]},
        r"lasts 19 steps and 20": clip | {"music": clip["music"][:, :-4]},
        r"of 1 clips": clip | {"music": clip["music"][:1]},
        r"give floats": clip | {"music": clip["music"].long()},
        r"class 9 in stream 1 .* 0 to 8": clip
        | {"leader": torch.full((2, 20, 2), 9) // torch.tensor([2, 1])},
    }
    for message, fault in faults.items():
        with pytest.raises(InputError, match=message) as caught:
            conditions.check(fault, batch=2, steps=20)
        assert "\n" not in str(caught.value)


def test_conditions_that_are_not_finite_are_refused(conditions):
    clip = small_conditions()
    clip["music"][0, 3] = float("nan")
    with pytest.raises(InputError, match="'music' holds NaN"):
        ConditionFeed(conditions).feed(clip)


def test_a_normalisation_that_does_not_fit_is_refused(conditions):
    with pytest.raises(InputError, match="of tokens"):
        conditions["leader"].set_normalisation(torch.zeros(2), torch.ones(2))
    with pytest.raises(InputError, match=r"\(5,\) is wanted"):
        conditions["music"].set_normalisation(torch.zeros(4), torch.ones(4))
    with pytest.raises(InputError, match="finite"):
        conditions["music"].set_normalisation(torch.full((5,), torch.nan), torch.ones(5))


def test_a_condition_has_either_channels_or_classes():
    with pytest.raises(ValidationError, match="give channels"):
        ConditionConfig(name="music")
    with pytest.raises(ValidationError, match="give classes"):
        ConditionConfig(name="leader", kind="tokens", channels=3)


def test_two_conditions_need_two_names():
    with pytest.raises(InputError, match="its own name"):
        Conditions((MUSIC, MUSIC), width=8, heads=1, dropout=0.0)


def test_a_leader_made_of_tokens_is_told_apart_by_its_tokens():
    encoder = ConditionEncoder(LEADER, width=8, heads=1, dropout=0.0).eval()
    one, other = (encoder(small_tokens(classes=LEADER.classes, seed=s), 0) for s in (0, 1))
    assert not torch.allclose(one, other, atol=1e-3)
