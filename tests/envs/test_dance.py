"""DanceBatch: picks, what is seen, and how step and score relate."""

from typing import Any

import numpy as np
import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.spec import FRAMES_PER_TOKEN
from envs.dance import DanceBatch, open_dances
from envs.scene import Pick, Picker
from envs.spaces import NO_TOKEN
from tests.envs.dancers import FRAMES_A_BEAT, FiveStreamCodec

STEPS = 12
BACKWARD = {
    "weights": {"contact": 1.0, "foot": 1.0, "tracking": 1.0, "beat": 0, "consistency": 0},
    "foot": {"rest_seconds": None, "jump_seconds": None},  # else it remembers two seconds
}


def dances_at(settings: dict[str, Any], picks: list[Pick], **changes: Any) -> DanceBatch:
    dances = open_dances(**{**settings, "num_dances": len(picks), **changes})
    dances.restart([], picks)
    return dances


def random_tokens(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    columns = [torch.randint(classes, (count, STEPS), generator=generator) for classes in (5, 3)]
    return torch.stack(columns, dim=-1)


def rngs(seed: int, count: int) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, i]) for i in range(count)]


def test_windows_are_drawn_from_all_clips_that_are_long_enough(settings) -> None:
    picker, rng = Picker(settings["data"], STEPS), np.random.default_rng(0)
    starts = {clip: frames - STEPS * FRAMES_PER_TOKEN + 1 for clip, frames in ((0, 120), (2, 60))}
    expected = {Pick(clip, frame) for clip, count in starts.items() for frame in range(count)}
    assert {picker.draw(rng) for _ in range(2000)} == expected


def test_groups_follow_the_same_leader_and_other_groups_another(settings) -> None:
    grouped = {**settings, "dance": {**settings["dance"], "group_size": 4}}
    dances = open_dances(**grouped, num_dances=40)
    dances.restart(rngs(1, 40))
    groups = [dances.picks[start : start + 4] for start in range(0, 40, 4)]
    assert all(len(set(group)) == 1 for group in groups)
    assert len({group[0] for group in groups}) > 1


def test_the_true_followers_tokens_score_higher_than_any_other(settings) -> None:
    dances = dances_at(settings, [Pick(0, 3)] * 3, rewards=BACKWARD)
    true = torch.tensor([2, 0]).expand(1, STEPS, 2)
    tokens = torch.cat([true, random_tokens(2)])
    totals = dances.score(tokens).total(FRAMES_PER_TOKEN).mean(1)
    assert totals[0] > totals[1:].max()
    assert ((totals >= 0) & (totals <= 1)).all()


@pytest.mark.parametrize("context", [2, 5, 99])
def test_step_equals_score_where_nothing_looks_ahead(settings, context: int) -> None:
    picks, tokens = [Pick(0, 2), Pick(2, 1)], random_tokens(2)
    dance = {**settings["dance"], "step_context": context}
    dances = dances_at(settings, picks, dance=dance, rewards=BACKWARD)
    scored = dances.score(tokens)
    stepped = [dances.step(tokens[:, n].numpy()) for n in range(STEPS)]
    total = np.stack([result.reward for result in stepped], axis=1)
    np.testing.assert_allclose(total, scored.total(FRAMES_PER_TOKEN), atol=1e-5)
    for name, values in scored.tokens(FRAMES_PER_TOKEN).items():
        seen = np.stack([result.terms[name] for result in stepped], axis=1)
        np.testing.assert_allclose(seen, values, atol=1e-5)


def test_step_estimates_score_where_rewards_look_ahead(settings) -> None:
    """The beat of a step is not over yet, and its root has no next frame: the mean is close."""
    picks, tokens = [Pick(0, 2), Pick(2, 1)], random_tokens(2)
    dances = dances_at(settings, picks)
    scored = dances.score(tokens).total(FRAMES_PER_TOKEN)
    stepped = np.stack([dances.step(tokens[:, n].numpy()).reward for n in range(STEPS)], axis=1)
    assert abs(stepped.mean() - scored.mean().item()) < 0.1


def test_observations_show_the_window_around_now(settings) -> None:
    pick = Pick(0, 17)
    dances = dances_at(settings, [pick])
    music = settings["data"][0].music.numpy()
    for time in range(3):
        now = pick.frame + time * FRAMES_PER_TOKEN
        seen = dances.observe()
        expected = music[now - 3 * FRAMES_PER_TOKEN : now + 3 * FRAMES_PER_TOKEN]
        np.testing.assert_array_equal(seen["music"][0], expected)
        past = np.full((3, 2), NO_TOKEN)
        past[3 - time :] = (1, 2)
        np.testing.assert_array_equal(seen["tokens"][0], past)
        dances.step(np.array([[1, 2]]))


def test_observations_repeat_the_edge_beyond_the_clip(settings) -> None:
    clip = settings["data"][0]
    start = dances_at(settings, [Pick(0, 0)]).observe()["music"][0]
    np.testing.assert_array_equal(start[: 3 * FRAMES_PER_TOKEN], np.tile(clip.music[0], (12, 1)))
    last = clip.frames - STEPS * FRAMES_PER_TOKEN
    dances = dances_at(settings, [Pick(0, last)])
    for _ in range(STEPS):
        seen = dances.step(np.array([[0, 0]])).observation["music"][0]
    np.testing.assert_array_equal(seen[-8:], np.tile(clip.music[-1], (8, 1)))


def test_conditions_are_the_features_of_the_window_wherever_it_is_cut(settings) -> None:
    overlap = 7
    dances = dances_at(settings, [Pick(0, 3), Pick(0, 3 + overlap)])
    conditions = dances.conditions()
    for values in conditions.values():
        assert values.shape[:2] == (2, STEPS * FRAMES_PER_TOKEN)
        torch.testing.assert_close(values[0, overlap:], values[1, :-overlap])
    beats = conditions["music"][0, :, -1].nonzero().flatten()
    assert (beats.diff() == FRAMES_A_BEAT).all()


def test_a_follower_can_be_told_tokens_of_the_leader_and_what_comes_after_the_dance(
    settings,
) -> None:
    codec = FiveStreamCodec()
    view = {**settings["dance"], "leader": "tokens", "beyond": 4}
    picks = [Pick(0, 3), Pick(2, 10)]
    dances = open_dances(**{**settings, "codec": codec, "dance": view}, num_dances=2)
    dances.restart([], picks)
    told = dances.conditions()
    assert told["leader_tokens"].shape == (2, STEPS + 4, 4)
    assert told["music"].shape[1] == (STEPS + 4) * FRAMES_PER_TOKEN
    for row, pick in enumerate(picks):
        clip = settings["data"][pick.clip]
        leader = clip.duet.leader.slice(pick.frame, clip.frames)
        whole = leader.frames // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN
        batch = MotionBatch(leader.joints[None, :whole], leader.rotations[None, :whole])
        wanted = codec.leader_tokens(batch)[0][: STEPS + 4]
        assert torch.equal(told["leader_tokens"][row, : len(wanted)], wanted)
        heard = clip.music[pick.frame :][: (STEPS + 4) * FRAMES_PER_TOKEN]
        assert torch.equal(told["music"][row, : len(heard)], heard)
        assert (told["music"][row, len(heard) :] == clip.music[-1]).all()
    assert dances.observation_space.contains({k: v[0] for k, v in dances.observe().items()})
    assert dances.beginnings().shape == (2, 1, 5)


def test_a_codec_without_tokens_of_the_leader_is_told_so(settings) -> None:
    view = {**settings["dance"], "leader": "tokens"}
    dances = open_dances(**{**settings, "dance": view})
    with pytest.raises(InputError, match="SidestepCodec does not tell"):
        dances.restart([], [Pick(0, 0)])
        dances.conditions()


def test_scoring_leaves_a_running_dance_as_it_is(settings) -> None:
    tokens = random_tokens(1)
    alone, disturbed = (dances_at(settings, [Pick(0, 1)]) for _ in range(2))
    for n in range(STEPS):
        disturbed.score(random_tokens(1, seed=n))
        left, right = alone.step(tokens[:, n].numpy()), disturbed.step(tokens[:, n].numpy())
        np.testing.assert_array_equal(left.reward, right.reward)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dance": {"seconds": 60.0}}, "longest of 3 lasts 4.0 s"),
        ({"dance": {"second": 2.0}}, "unknown key 'second'"),
        ({"rewards": {"weights": {"hug": 1.0}}}, "unknown key 'weights.hug'"),
        ({"dance": {"group_size": 3}, "num_dances": 4}, "groups of 3"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, changes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_dances(**{**settings, **changes})


def test_a_dance_that_is_over_or_not_begun_wants_a_reset(settings) -> None:
    fresh = open_dances(**settings)
    with pytest.raises(InputError, match="call reset"):
        fresh.step(np.array([[0, 0]]))
    dances = dances_at(settings, [Pick(0, 0)])
    for n in range(STEPS):
        assert dances.step(np.array([[0, 0]])).truncated == (n == STEPS - 1)
    with pytest.raises(InputError, match="call reset"):
        dances.step(np.array([[0, 0]]))


def test_a_token_or_a_window_that_does_not_exist_is_refused(settings) -> None:
    dances = dances_at(settings, [Pick(0, 0)])
    with pytest.raises(InputError, match="placement holds tokens"):
        dances.step(np.array([[5, 0]]))
    for pick in (Pick(3, 0), Pick(1, 0), Pick(0, 99)):
        with pytest.raises(InputError, match="clip"):
            dances.restart([], [pick])
