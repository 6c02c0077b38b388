"""The Duolando follower gives the numbers of the original: logits, gradients, dances, RL loss."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from duet_rl.compat.gpt import STREAMS, from_original, gpt_keys, original_shapes
from duet_rl.models.duolando import LEADER_STREAMS, DuolandoGPT, DuolandoGPTConfig
from duet_rl.models.window_sampling import Choose, greedy, sample
from duet_rl.rl.losses import DuolandoLossConfig, Experience, Verdict, duolando
from tests.golden.files import GOLDEN, needs

FILE = GOLDEN / "duolando" / "gpt.npz"
RL_FILE = GOLDEN / "duolando" / "rl_loss.npz"
RELATIVE = 1e-4  # max |a - b| / max |b|
GRADIENTS = 1e-3  # of a norm, per parameter
NOISE = 1e-4  # gradients that are zero but for rounding
CLEAR = 1e-4  # a smaller gap between logits does not decide a token
AFTER_STEP = "loss_after_one_adam_step_lr"  # what follows is the rate
EPSILON = 1e-8  # of Adam in that step

pytestmark = needs(FILE, RL_FILE)
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def golden() -> Arrays:
    return dict(np.load(FILE, allow_pickle=False))


@pytest.fixture(scope="module")
def rl() -> Arrays:
    return dict(np.load(RL_FILE, allow_pickle=False))


@pytest.fixture
def model(golden: Arrays) -> DuolandoGPT:
    config = config_of(golden)
    state = {k.removeprefix("sd/"): torch.from_numpy(v) for k, v in golden.items() if "sd/" in k}
    assert {k: tuple(v.shape) for k, v in state.items()} == original_shapes(config)
    gpt = DuolandoGPT(config).eval()
    gpt.load_state_dict(from_original(state, config))
    return gpt


def config_of(golden: Arrays) -> DuolandoGPTConfig:
    return DuolandoGPTConfig(
        classes=(int(golden["cfg_vocab"]),) * len(STREAMS),
        width=int(golden["cfg_n_embd"]),
        heads=int(golden["cfg_heads"]),
        base_layers=int(golden["cfg_base_layers"]),
        head_layers=int(golden["cfg_head_layers"]),
        condition_layers=int(golden["cfg_condition_layers"]),
        block=int(golden["cfg_block"]),
        look_forward=int(golden["cfg_look_forward"]),
        frames_per_token=int(golden["cfg_music_rate"]),
        music_channels=golden["in/cond/music"].shape[-1],
    )


def streams(arrays: Arrays, prefix: str, count: int = len(STREAMS)) -> Tensor:
    return torch.stack([torch.from_numpy(arrays[f"{prefix}/{k}"]) for k in STREAMS[:count]], -1)


def inputs(golden: Arrays) -> tuple[Tensor, Tensor, Tensor]:
    music = torch.from_numpy(golden["in/cond/music"])
    return streams(golden, "in/tokens"), music, streams(golden, "in/cond", LEADER_STREAMS)


def assert_close(found: Tensor, wanted: np.ndarray) -> None:
    error = np.abs(found.detach().numpy() - wanted).max()
    assert error < RELATIVE * np.abs(wanted).max()


def supervised(logits: tuple[Tensor, ...], targets: Tensor) -> list[Tensor]:
    return [
        nn.functional.cross_entropy(x.flatten(0, 1), targets[..., i].flatten())
        for i, x in enumerate(logits)
    ]


def reinforced(logits: tuple[Tensor, ...], targets: Tensor, rl: Arrays) -> Tensor:
    chosen = [
        x.log_softmax(-1).gather(-1, targets[..., i, None])[..., 0] for i, x in enumerate(logits)
    ]
    log_probs = torch.stack(chosen, dim=-1)
    zeros = torch.zeros_like(log_probs)
    experience = Experience(streams(rl, "in/rewards"), zeros, 1)
    config = DuolandoLossConfig(alpha=float(rl["in/alpha"]))
    return duolando(Verdict(log_probs, zeros, zeros, zeros), experience, config).total


def gradients(model: DuolandoGPT) -> Iterator[tuple[str, Tensor | None]]:
    """Yield the gradient of every original parameter: ours, cut where ours joins theirs."""
    parameters = dict(model.named_parameters())
    for name, sources in gpt_keys(model.config).items():
        gradient = parameters[name].grad
        for i, source in enumerate(sources):
            yield source, None if gradient is None else gradient.chunk(len(sources))[i]


def check_gradients(model: DuolandoGPT, arrays: Arrays) -> None:
    seen = {}
    for name, gradient in gradients(model):
        seen[name] = 0.0 if gradient is None else float(gradient.norm())
        if name.endswith("attn.key.bias"):  # adds the same to all scores: its gradient is zero
            assert seen[name] < NOISE, name
        else:
            assert seen[name] == pytest.approx(float(arrays[f"grad_norm/{name}"]), GRADIENTS), name
    assert set(seen) == {k.removeprefix("grad_norm/") for k in arrays if "grad_norm/" in k}
    for group in (k.removeprefix("grad_group/") for k in arrays if "grad_group/" in k):
        norm = np.linalg.norm([v for k, v in seen.items() if k.split(".")[0] == group])
        assert norm == pytest.approx(float(arrays[f"grad_group/{group}"]), GRADIENTS), group


def test_the_mixers_and_the_logits_are_the_originals(model: DuolandoGPT, golden: Arrays) -> None:
    tokens, music, leader = inputs(golden)
    names = ["music", *(f"leader_{stream}" for stream in STREAMS[:LEADER_STREAMS])]
    for name, mixed in zip(names, model.mixed(music, leader), strict=True):
        assert_close(mixed, golden[f"out/{name}_trans"])
    for stream, logits in zip(STREAMS, model.predict(tokens, music, leader), strict=True):
        assert_close(logits, golden[f"out/logits/{stream}"])


def test_what_leaves_the_base_is_the_originals(model: DuolandoGPT, golden: Arrays) -> None:
    caught = []
    model.base[-1].register_forward_hook(lambda layer, args, out: caught.append(out))
    model.predict(*inputs(golden))
    assert_close(caught[0], golden["out/base_feat"])


def test_a_window_that_is_not_full_has_the_originals_logits(
    model: DuolandoGPT, golden: Arrays
) -> None:
    tokens, music, leader = inputs(golden)
    (short,) = {key.split("/")[0] for key in golden if key.startswith("short")}
    steps = golden[f"{short}/logits/{STREAMS[0]}"].shape[1]
    seen = steps + model.config.look_forward
    cut = (tokens[:, :steps], music[:, : seen * model.config.frames_per_token], leader[:, :seen])
    for stream, logits in zip(STREAMS, model.predict(*cut), strict=True):
        assert_close(logits, golden[f"{short}/logits/{stream}"])


def test_the_forward_pass_of_the_project_says_the_same_one_step_later(
    model: DuolandoGPT, golden: Arrays
) -> None:
    tokens, music, leader = inputs(golden)
    rate = model.config.frames_per_token
    first = torch.zeros(len(music), rate, music.shape[-1])  # frames of the first step: unseen
    whole = torch.cat([tokens, streams(golden, "in/target")[:, -1:]], dim=1)
    told = {"music": torch.cat([first, music], dim=1), "leader_tokens": leader}
    for stream, logits in zip(STREAMS, model(whole, told).logits, strict=True):
        assert not logits[:, 0].any()
        assert_close(logits[:, 1:], golden[f"out/logits/{stream}"])


def test_supervised_loss_and_gradients_are_the_originals(
    model: DuolandoGPT, golden: Arrays
) -> None:
    losses = supervised(model.predict(*inputs(golden)), streams(golden, "in/target"))
    for stream, loss in zip(STREAMS, losses, strict=True):
        assert loss.item() == pytest.approx(float(golden[f"out/loss_part/{stream}"]), RELATIVE)
    total = torch.stack(losses).sum()
    assert total.item() == pytest.approx(float(golden["out/loss"]), RELATIVE)
    total.backward()
    check_gradients(model, golden)
    whole = dict(gradients(model))
    for name in (k.removeprefix("grad/") for k in golden if k.startswith("grad/")):
        if name in whole:
            found = whole[name]
            assert found is not None
            wanted = golden[f"grad/{name}"]
            error = np.abs(found.reshape(wanted.shape).numpy() - wanted).max()
            assert error < GRADIENTS * np.abs(wanted).max(), name


def test_the_right_hand_of_the_follower_has_the_left_hands_table(
    model: DuolandoGPT, golden: Arrays
) -> None:
    tokens, music, leader = inputs(golden)
    own = DuolandoGPT(model.config.model_copy(update={"own_right_hand_table": True})).eval()
    own.load_state_dict(model.state_dict())
    first = STREAMS[0]
    with pytest.raises(AssertionError):
        assert_close(own.predict(tokens, music, leader)[0], golden[f"out/logits/{first}"])


def by_index(model: DuolandoGPT, golden: Arrays, k: int) -> Choose:
    indices = torch.from_numpy(golden[f"samplek{k}_choice_index"])

    def choose(step: int, stream: int, logits: Tensor) -> Tensor:
        ranked = logits.topk(k, dim=-1).indices
        return ranked.gather(-1, indices[step, stream][:, None])[:, 0]

    return choose


class Doubt:
    """Chooses as `choose` does and counts the steps until rounding might have chosen otherwise.

    That is where two of the `k + 1` largest logits are nearly equal.
    """

    def __init__(self, choose: Choose, k: int) -> None:
        self.choose, self.k, self.steps = choose, k, 0
        self._sure = True

    def __call__(self, step: int, stream: int, logits: Tensor) -> Tensor:
        ranked = logits.topk(min(self.k + 1, logits.shape[-1]), dim=-1).values
        self._sure &= bool((-ranked.diff(dim=-1) > CLEAR).all())
        if self._sure and stream == len(STREAMS) - 1:
            self.steps = step + 1
        return self.choose(step, stream, logits)


def dances(golden: Arrays) -> dict[str, tuple[int | None, int | None]]:
    """Return the prefix of each stored dance with its `k` (None: greedy) and its window shift."""
    found = {}
    for key in golden:
        name, _, stream = key.rpartition("/")
        match = re.fullmatch(r"sample(?:/|k(\d+)_)shift_(none|\d+)", name)
        if match and stream == STREAMS[0]:
            k, shift = match.groups()
            found[name] = (k and int(k), None if shift == "none" else int(shift))
    return found


def test_dances_are_the_originals_token_by_token(model: DuolandoGPT, golden: Arrays) -> None:
    start = streams(golden, "sample/start")
    music = torch.from_numpy(golden["sample/cond/music"])
    leader = streams(golden, "sample/cond", LEADER_STREAMS)
    wanted = dances(golden)
    assert {k is None for k, _ in wanted.values()} == {True, False}
    for name, (k, shift) in wanted.items():
        doubt = Doubt(greedy if k is None else by_index(model, golden, k), 1 if k is None else k)
        found = sample(model, start, music, leader, doubt, shift)
        assert doubt.steps > 0, f"{name}: the first token hangs on rounding"
        sure = 1 + doubt.steps
        assert found[:, :sure].equal(streams(golden, name)[:, :sure]), name


def test_the_indices_of_the_stored_seed_are_torchs(golden: Arrays) -> None:
    for k in {k for k, _ in dances(golden).values() if k is not None}:
        indices = golden[f"samplek{k}_choice_index"]
        steps, count, batch = indices.shape
        torch.manual_seed(int(golden[f"samplek{k}_torch_seed"]))
        drawn = [[torch.randint(k, (batch,)) for _ in range(count)] for _ in range(steps)]
        assert np.array_equal(torch.stack([torch.stack(row) for row in drawn]), indices)


def test_the_rl_loss_its_gradients_and_one_step_are_the_originals(
    model: DuolandoGPT, golden: Arrays, rl: Arrays
) -> None:
    targets = streams(golden, "in/target")
    logits = model.predict(*inputs(golden))
    for stream, each in zip(STREAMS, logits, strict=True):
        assert_close(each, rl[f"out/logits/{stream}"])
    supervise = torch.stack(supervised(logits, targets)).sum()
    assert supervise.item() == pytest.approx(float(rl["supervise_loss"]), RELATIVE)
    loss = reinforced(logits, targets, rl)
    assert loss.item() == pytest.approx(float(rl["out/loss"]), RELATIVE)
    loss.backward()
    check_gradients(model, rl)
    (key,) = (name for name in rl if name.startswith(AFTER_STEP))
    rate = float(key.removeprefix(AFTER_STEP))
    torch.optim.Adam(model.parameters(), lr=rate, eps=EPSILON).step()
    after = reinforced(model.predict(*inputs(golden)), targets, rl)
    assert after.item() == pytest.approx(float(rl[key]), RELATIVE)
