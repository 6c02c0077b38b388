"""Live hands are held as `generate` holds them, and otherwise when the dial is turned."""

from typing import Any

import pytest
import torch
from torch import Tensor

from duet_rl.audio.features import MUSIC_DIMS
from duet_rl.body.contact import hold_due, palms
from duet_rl.body.skeleton import default_skeleton
from duet_rl.errors import InputError
from duet_rl.live.follower import LiveFollower
from duet_rl.live.hall import Hall
from duet_rl.live.protocol import pose_message
from duet_rl.live.settings import LiveConfig
from duet_rl.tokenizers.tokenizer import DecodingConfig
from tests.live.clients import client, with_server, word
from tests.live.conftest import make_follower, opposite
from tests.live.test_follower import FREE, dance, whole

APART = 0.22  # m between the roots; their palms are some 4 cm farther
EXACT = 1e-5  # m
NEAR = 0.2  # m between palms that hold each other
FRAMES, FREE_UNTIL, HELD_UNTIL = 84, 28, 56  # of a dance; between the two the dial is turned up


@pytest.fixture(scope="module")
def outstretched() -> Tensor:
    """(FRAMES, 55, 3), a leader whose arms are stretched out."""
    return default_skeleton().rest_joints().expand(FRAMES, 55, 3).clone()


@pytest.fixture(scope="module")
def silence() -> Tensor:
    return torch.zeros(FRAMES, MUSIC_DIMS)


def share(joints: Tensor, leader: Tensor) -> float:
    """Return in how many of the frames somebody is held."""
    held = hold_due(leader[: len(joints)], joints, threshold=NEAR)
    return float(held.flatten(1).any(1).float().mean())


def test_frame_by_frame_hands_are_held_as_by_the_whole_clip(
    outstretched: Tensor, silence: Tensor
) -> None:
    follower = opposite(APART)
    live = LiveFollower(follower, LiveConfig(hold=0.5, step=FREE))
    danced = dance(live, outstretched, silence, 3)
    wanted = whole(follower.holding(0.5), outstretched, silence, 0, seed=0)
    torch.testing.assert_close(danced, wanted, atol=EXACT, rtol=0)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("as_learned", [DecodingConfig(), DecodingConfig(holding=None)])
def test_the_dial_takes_hands_and_lets_them_go_without_a_leap(
    outstretched: Tensor, silence: Tensor, causal: bool, as_learned: DecodingConfig
) -> None:
    live = LiveFollower(opposite(APART, as_learned, causal), LiveConfig(delay=1))
    parts = []
    for start, hold in ((0, None), (FREE_UNTIL, 2.0), (HELD_UNTIL, 1.0)):
        if hold is not None:
            live.set_dials(hold=hold)
        cut = slice(start, start + FREE_UNTIL)
        parts.append(live.step(outstretched[cut], silence[cut]).joints)
    danced = torch.cat([*parts, live.finish().joints])
    free, held, again = (slice(0, 26), slice(36, 54), slice(74, FRAMES))
    assert share(danced[free], outstretched) == 0
    assert share(danced[held], outstretched) == 1
    assert share(danced[again], outstretched) == 0
    moved = palms(danced).diff(dim=0).norm(dim=-1).max()
    assert moved < 0.1  # m; all the way is 0.2


def test_arms_that_cannot_be_bent_are_refused_in_a_line(leader: Tensor) -> None:
    stiff = make_follower(decoding=DecodingConfig(joints="positions", planting=None, holding=None))
    with pytest.raises(InputError, match="positions of joints"):
        LiveFollower(stiff, LiveConfig(hold=2.0))
    live = LiveFollower(stiff)
    assert not live.bends_arms
    with pytest.raises(InputError, match="positions of joints"):
        live.set_dials(hold=0.0)
    live.set_dials(hold=1.0)

    async def talk(hall: Hall, place: str) -> None:
        async with client(place, hold=0.5) as refused:
            said = await word(refused, "error")
            assert said["fatal"] and "positions of joints" in said["message"]
        async with client(place) as dancer:
            await dancer.send('{"type": "dials", "hold": 2}')
            said = await word(dancer, "error")
            assert not said["fatal"] and "positions of joints" in said["message"]
            assert (await word(dancer, "stats"))["hold"] is None

    with_server(stiff, talk)


def test_clients_and_watchers_turn_the_dial(outstretched: Tensor) -> None:
    async def talk(hall: Hall, place: str) -> None:
        async with client(place, role="watcher") as watcher, client(place, hold=0.5) as dancer:
            await word(dancer, "welcome")
            await dancer.send(pose_message(0.0, outstretched[0]))
            assert (await told(watcher))["hold"] == 0.5
            for wrong in ("2.1", "-1", "NaN", '"firm"'):
                await watcher.send(f'{{"type": "dials", "hold": {wrong}}}')
                assert "hold" in (await word(watcher, "error"))["message"]
            await watcher.send('{"type": "dials", "hold": 0}')
            while (await told(watcher))["hold"] != 0:
                pass
            async with client(place) as another:
                await word(another, "welcome")
                assert (await word(another, "stats"))["hold"] == 1

    async def told(watcher: Any) -> dict[str, Any]:
        while (stats := await word(watcher, "stats"))["couple"] is None:
            pass
        return stats

    with_server(opposite(APART), talk)
