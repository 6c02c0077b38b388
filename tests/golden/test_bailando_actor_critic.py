"""The actor and the critic of Bailando learn as the original's do, batch by batch."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from duet_rl.body.skeleton import NUM_SMPL_JOINTS
from duet_rl.compat.bailando_gpt import STREAMS
from duet_rl.compat.bailando_vqvae import solo_codec
from duet_rl.models.bailando import BailandoGPT
from duet_rl.models.window_sampling import sample
from duet_rl.rewards.bailando import FRAMES_PER_TOKEN, token_reward
from duet_rl.rl.losses import BailandoLossConfig, Experience, Loss, Verdict, bailando
from duet_rl.rl.losses.actor_critic import td_errors
from duet_rl.rl.windows import WindowSizes, counted_actions, cut_windows, replay_windows
from tests.golden.bailando import (
    Arrays,
    assert_close,
    by_original_name,
    frames_of,
    halves,
    model_of,
    read,
    state_of,
)
from tests.golden.bailando_codec import POSE, ROOT, raw_decode, states
from tests.golden.files import GOLDEN, needs

GPT_FILE, FILE = (GOLDEN / "bailando" / f"{x}.npz" for x in ("cross_cond_gpt2", "actor_critic"))
VALUES = 5e-4  # of what the all-positive critic says, in float32
CURVE, FINAL = 3e-4, 1e-5  # what the golden set says that its numbers are reproduced to
SEED, DRAWS, CHUNK = 42, 3, 32  # the order of the original's batches (spec bailando, section 5)
TURN = 5  # batches for the actor, then as many for the critic
BETAS = (0.5, 0.999)

pytestmark = needs(FILE, GPT_FILE, POSE, ROOT)


class Windows(NamedTuple):
    """Windows of dances, their music frame by frame, the beats, and the actions that count."""

    tokens: Tensor
    music: Tensor
    beats: Tensor
    counted: Tensor


class Learned(NamedTuple):
    """One batch, before the step that it leads to."""

    loss: Loss
    verdict: Verdict
    rewards: Tensor  # of the actions
    td: Tensor


@cache
def golden() -> Arrays:
    return read(FILE)


@cache
def settings() -> BailandoLossConfig:
    """The original's loss."""
    return BailandoLossConfig(
        gamma=float(golden()["cfg_gamma"]),
        shared=True,
        kl_weight=0.0,
        value_weight=1.0,
        alternate=TURN,
        entropy_bonus=float(golden()["cfg_alpha"]),
    )


@pytest.fixture
def model() -> BailandoGPT:
    gpt = read(GPT_FILE)
    model = model_of(state_of(gpt) | state_of(golden()), int(gpt["cfg_head"]))
    frozen = ("tables.", "positions", "embed_music.", "base.")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(frozen))
    return model


@cache
def decoded(rows: tuple[tuple[int, ...], ...]) -> Tensor:
    """The pose of a window of both halves' tokens as the reward sees it: the root moves on."""
    tokens = torch.tensor(rows).mT[None]
    codec = solo_codec(states(POSE, ROOT))
    pose = raw_decode(codec.pose, tokens).unflatten(-1, (NUM_SMPL_JOINTS, 3))
    with torch.no_grad():
        pose[:, :, 0] = codec.translation.velocity(codec.pose.codes(tokens)) / codec.config.fps
    return pose[0]


def rewards_of(windows: Windows) -> Tensor:
    """What each action earns, judged in the decoded window without its ends."""
    inner = windows.tokens[:, 1:-1].mT.tolist()
    poses = torch.stack([decoded(tuple(map(tuple, row))) for row in inner])
    beats = windows.beats[:, FRAMES_PER_TOKEN:-FRAMES_PER_TOKEN] > 0
    return token_reward(poses, beats, "released", float(golden()["cfg_rate"]))


def stored(batch: str, rate: int) -> Windows:
    arrays = {k.removeprefix(f"{batch}/"): v for k, v in golden().items() if k.startswith(batch)}
    mask = torch.from_numpy(arrays["mask_seq"]).bool()
    music = frames_of(arrays["music_seq"], rate)
    unseen = torch.zeros_like(music[:, :rate])
    return Windows(
        halves(arrays, "pose_seq_{}"),
        torch.cat([unseen, music], dim=1),
        torch.from_numpy(arrays["beat_seq"]),
        F.pad(mask, (0, 1)),
    )


def learned(model: BailandoGPT, windows: Windows, update: int) -> Learned:
    output = model(windows.tokens, {"music": windows.music})
    logs = torch.stack([x.log_softmax(-1) for x in output.logits], dim=2)[:, 1:]
    chosen = logs.gather(-1, windows.tokens[:, 1:, :, None])[..., 0]
    verdict = Verdict(
        chosen, -(logs.exp() * logs).sum(-1), torch.zeros_like(chosen), output.values[:, 1:]
    )
    actions = rewards_of(windows)
    rewards = F.pad(actions, (0, 1))[..., None].expand_as(chosen)
    experience = Experience(rewards, chosen.detach(), 1, windows.counted, update)
    bonus = settings().entropy_bonus * verdict.entropy.sum(-1, keepdim=True)[:, :-1]
    td = (td_errors(rewards, verdict.values, settings()) + bonus)[..., 0]
    return Learned(bailando(verdict, experience, settings()), verdict, actions, td)


def check_batch(model: BailandoGPT, found: Learned, batch: str, whole: bool) -> None:
    """Compare a batch, and after `loss.backward()` its gradients, with the stored ones.

    Where the actor is not yet where the original's was, `whole` is False: the critic alone then.
    """
    arrays = {k.removeprefix(f"{batch}/"): v for k, v in golden().items() if k.startswith(batch)}
    assert_close(found.rewards, arrays["rewards"], 0.0)
    assert_close(found.verdict.values.sum(-1), arrays["values"], VALUES)
    assert_close(found.td.flatten(), arrays["td_error"], VALUES)
    assert_close(found.loss.total, arrays["loss"], VALUES)
    if whole:
        said = found.verdict.at(slice(-1))
        assert_close(-said.log_probs.sum(-1).flatten(), arrays["neg_logp"])
        assert_close(said.entropy.sum(-1).flatten(), arrays["entropy"])
    own = by_original_name(model, {name: p.grad for name, p in model.named_parameters()})
    gradients = dict(own)
    names = [name.removeprefix("grad/") for name in arrays if name.startswith("grad/")]
    assert names
    for name in names:
        gradient = gradients[name]
        assert gradient is not None
        wanted = torch.from_numpy(arrays[f"grad/{name}"])
        size = float(wanted.abs().max())
        assert_close(gradient.reshape(wanted.shape) / size, wanted / size, 1e-3)


def check_after(model: BailandoGPT, batch: str, begins: str = "") -> None:
    own = dict(by_original_name(model, dict(model.named_parameters())))
    prefix = f"{batch}/param_after/{begins}"
    names = [name for name in golden() if name.startswith(prefix)]
    assert names
    for name in names:
        tensor = own[name.removeprefix(f"{batch}/param_after/")]
        assert tensor is not None
        assert_close(tensor.reshape(golden()[name].shape), golden()[name])


def optimiser_of(model: BailandoGPT) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=float(golden()["cfg_lr"]), betas=BETAS)


def test_a_batch_of_the_actor_is_the_originals(model: BailandoGPT) -> None:
    assert golden()["b0/is_actor_step"]
    windows, optimiser = stored("b0", model.config.frames_per_token), optimiser_of(model)
    logits = model(windows.tokens, {"music": windows.music}).logits
    some = len(golden()["b0/logits_up"])
    for stream, each in zip(STREAMS, logits, strict=True):
        assert_close(each[:some, 1:-1], golden()[f"b0/logits_{stream}"])
    inner = windows.tokens[:, 1:-1].mT.tolist()
    poses = torch.stack([decoded(tuple(map(tuple, row))) for row in inner])
    sample_of_them = golden()["b0/pose_sample"]
    assert_close(poses[: len(sample_of_them)].flatten(2), sample_of_them)
    found = learned(model, windows, 0)
    found.loss.total.backward()
    check_batch(model, found, "b0", whole=True)
    optimiser.step()
    check_after(model, "b0")


def test_a_batch_of_the_critic_is_the_originals(model: BailandoGPT) -> None:
    assert not golden()["b5/is_actor_step"]
    windows, optimiser = stored("b5", model.config.frames_per_token), optimiser_of(model)
    found = learned(model, windows, TURN)
    found.loss.total.backward()
    check_batch(model, found, "b5", whole=False)
    moved = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert moved == {"critic"}
    optimiser.step()
    check_after(model, "b5", "critic_net")


def pieces() -> list[int]:
    return [i for i in range(len(golden())) if f"music75_{i}" in golden()]


def rolled_out(model: BailandoGPT) -> list[tuple[Tensor, Tensor]]:
    """The greedy dance to each piece and the music of its tokens, frame by frame."""
    found, rate = [], model.config.frames_per_token
    for i in pieces():
        rows = torch.from_numpy(golden()[f"music75_{i}"])
        music = frames_of(torch.cat([rows, rows[-1:]])[None], rate)
        start = halves(golden(), f"rollout_{{}}_{i}")[None, :1]
        found.append((sample(model, start, music[:, rate:]), music))
    return found


def windows_of(model: BailandoGPT, dances: list[tuple[Tensor, Tensor]]) -> Windows:
    """All windows, piece by piece and start by start."""
    sizes = WindowSizes(model.config.block, 0, model.config.frames_per_token)
    parts = []
    for i, (tokens, music) in zip(pieces(), dances, strict=True):
        cut = replay_windows(tokens, torch.zeros(tokens.shape), None, music, sizes)
        count, frames = len(cut.tokens), FRAMES_PER_TOKEN * (sizes.block + 1)
        heard = torch.from_numpy(golden()[f"beats60_{i}"])
        missing = FRAMES_PER_TOKEN * tokens.shape[1] - len(heard)
        beats = torch.cat([heard, heard[-1:].expand(max(missing, 0))])[None, :, None]
        parts.append(
            Windows(
                torch.cat([cut.tokens[:, :1], cut.targets], dim=1),
                F.pad(cut.music, (0, 0, sizes.music_rate, 0)),
                cut_windows(beats, 0, frames, count, FRAMES_PER_TOKEN)[..., 0],
                counted_actions(count, sizes.block),
            )
        )
    return Windows(*(torch.cat(column) for column in zip(*parts, strict=True)))


def order_of(epoch: int, count: int) -> Tensor:
    """The windows that an epoch draws, with replacement."""
    torch.manual_seed(SEED)
    seeds = [int(torch.empty((), dtype=torch.int64).random_()) for _ in range(DRAWS * (epoch + 1))]
    generator = torch.Generator().manual_seed(seeds[-1])
    sizes = [CHUNK] * (count // CHUNK) + [count % CHUNK] * bool(count % CHUNK)
    return torch.cat([torch.randint(count, (size,), generator=generator) for size in sizes])


def row_of(found: Learned, counted: Tensor, actor: bool) -> list[float]:
    said, mask = found.verdict.at(slice(-1)), counted[:, :-1]
    surprise = -said.log_probs.sum(-1)
    numbers = [
        found.loss.total,
        found.rewards[mask].mean(),
        found.td.square().mean(),
        surprise[mask].mean() if actor else surprise.mean(),
        said.entropy.sum(-1).mean(),
    ]
    return [float(number.detach()) for number in numbers]


def test_the_first_dances_and_windows_are_the_originals(model: BailandoGPT) -> None:
    dances = rolled_out(model)
    for i, (tokens, _) in zip(pieces(), dances, strict=True):
        assert tokens[0].equal(halves(golden(), f"rollout_{{}}_{i}"))
    windows = windows_of(model, dances)
    assert len(windows.tokens) == int(golden()["n_windows"])
    masks = windows.counted[:, :-1].float().numpy()
    assert np.array_equal(masks[0], golden()["mask_first"])
    assert np.array_equal(masks[1], golden()["mask_other"])


@pytest.mark.slow
@pytest.mark.parametrize("keeps_zero", [False, True])
def test_two_epochs_are_the_originals(model: BailandoGPT, keeps_zero: bool) -> None:
    """Zero gradients let Adam move the idle network on; the project drops them."""
    ending = "_zero_grad_keeps_zero" * keeps_zero
    size, base = int(golden()["cfg_bs"]), model.base.state_dict()
    base = {name: tensor.clone() for name, tensor in base.items()}
    optimiser, curve = optimiser_of(model), []
    for epoch in range(int(golden()["cfg_epoch"])):
        windows = windows_of(model, rolled_out(model))
        order = order_of(epoch, len(windows.tokens))
        for update, picks in enumerate(order.split(size)):
            batch = Windows(*(column[picks] for column in windows))
            if epoch == 0 and update == 0:
                if not batch.tokens.equal(halves(golden(), "b0/pose_seq_{}")):
                    pytest.skip("this set has another order of batches")
            optimiser.zero_grad(set_to_none=not keeps_zero)
            found = learned(model, batch, update)
            found.loss.total.backward()
            optimiser.step()
            actor = update // TURN % 2 == 0
            row = row_of(found, batch.counted, actor)
            curve.append([epoch + 1, update, actor, *row])
            if epoch == 0 and update == TURN:
                check_batch(model, found, "b5", whole=True)
                check_after(model, "b5", "critic_net" if keeps_zero else "")
    columns = golden()["curve_columns"].tolist()
    assert columns[:3] == ["epoch", "batch", "is_actor"]
    wanted = golden()[f"curve{ending}"]
    np.testing.assert_allclose(np.array(curve), wanted, rtol=CURVE, atol=CURVE)
    own = dict(by_original_name(model, dict(model.named_parameters())))
    for name in (name for name in golden() if name.startswith(f"final{ending}/")):
        tensor = own[name.removeprefix(f"final{ending}/")]
        assert tensor is not None
        wanted = golden()[name]
        assert np.abs(tensor.detach().numpy() - wanted).max() < FINAL * np.abs(wanted).max()
    after = model.base.state_dict()
    assert golden()["base_unchanged"] and all(torch.equal(after[k], v) for k, v in base.items())
