"""Original VQ-VAEs as our tokenizers: nothing is lost on the way, and nothing fits by accident."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from duet_rl.compat.vqvae import original_state, placement_tokenizer, pose_tokenizer
from duet_rl.config import load_preset, validate
from duet_rl.errors import InputError
from duet_rl.tokenizers.pose import PoseTokenizer
from duet_rl.tokenizers.tokenizer import DuetCodecConfig
from duet_rl.tokenizers.vqvae import PartVQVAE
from tests.compat.originals import VQ_STORED, small_states

State = dict[str, Tensor]
FULL_POSE, FULL_TRANSLATION = 116_538_007, 17_327_619  # parameters (spec 9)
LAYER = "decoders.0.level_blocks.0.model.1.0.model.0.model.3.bias"


@pytest.fixture(scope="module")
def states() -> list[State]:
    return small_states(depth=2)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_come_back_as_they_were(states, prefix):
    for state, read in zip(states, (pose_tokenizer, placement_tokenizer), strict=False):
        tokenizer = read({f"{prefix}{name}": value for name, value in state.items()}, VQ_STORED)
        back = original_state(tokenizer)
        assert back.keys() == state.keys()
        assert all(torch.equal(back[name], state[name]) for name in state)


def test_sizes_come_from_the_tensors_and_the_rest_from_the_config(states):
    stored = {"a": [{"l_mu": 0.9}], "b": {"c": {"commit": 0.5, "dilation_growth_rate": 2}}}
    for part in (
        pose_tokenizer(states[0], stored).config.pose.upper,
        placement_tokenizer(states[1], stored).config.placement.vqvae,
    ):
        assert (part.width, part.code_width, part.codes, part.depth) == (6, 4, 8, 2)
        assert (part.decay, part.commit, part.dilation_growth) == (0.9, 0.5, 2)
    unsaid = pose_tokenizer(states[0]).config.pose.hand
    assert (unsaid.decay, unsaid.commit, unsaid.dilation_growth) == (0.99, 0.02, 3)


def test_training_goes_on_from_the_codes(states):
    tokenizer = placement_tokenizer(states[1], VQ_STORED).train()
    level = tokenizer.vqvae.quantizer.levels[0]
    assert tokenizer.vqvae.initialised
    assert torch.equal(level.ema_sum, level.codebook)
    assert torch.equal(level.ema_count, torch.ones(8))
    before = level.codebook.clone()
    out = tokenizer.vqvae(torch.randn(4, 3, 64), {})
    assert torch.equal(level.codebook, before)  # a fresh one would have filled itself
    tokenizer.vqvae.quantizer.update(out.statistics)
    used = out.statistics[0].counts > 0
    away = (level.codebook - before).norm(dim=-1) / before.norm(dim=-1)
    assert used.any() and away[used].max() < 0.5


def missing(state: State) -> str:
    del state[next(name for name in state if name.endswith(LAYER))]
    return rf"missing: \S*{LAYER}"


def extra(state: State) -> str:
    state["something.else"] = torch.zeros(3)
    return r"extra: something\.else"


def misshapen(state: State) -> str:
    name = next(name for name in state if name.endswith(LAYER))
    state[name] = torch.zeros(7)
    return rf"other shape: \S*{LAYER} \(7,\), wanted \(6,\)"


def not_finite(state: State) -> str:
    name = next(name for name in state if name.endswith(LAYER))
    state[name] = torch.full_like(state[name], float("nan"))
    return rf"not finite: \S*{LAYER}"


def no_codebook(state: State) -> str:
    del state[next(name for name in state if name.endswith(".k"))]
    return r"missing: \S*bottleneck\.level_blocks\.0\.k"


def no_tensor(state: State) -> str:
    state[next(iter(state))] = "a word"  # type: ignore[assignment]
    return "no tensors: "


@pytest.mark.parametrize("spoil", [missing, extra, misshapen, not_finite, no_codebook, no_tensor])
@pytest.mark.parametrize("which", [0, 1], ids=["pose", "translation"])
def test_what_does_not_fit_is_listed(states, spoil: Callable[[State], str], which: int):
    state = dict(states[which])
    message = spoil(state)
    read = (pose_tokenizer, placement_tokenizer)[which]
    with pytest.raises(InputError, match=message):
        read(state, VQ_STORED)


def test_many_faults_are_counted(states):
    with pytest.raises(InputError, match=r"missing: .* and \d+ more; extra: .* and \d+ more"):
        pose_tokenizer(states[1], VQ_STORED)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"a": {"l_mu": 0.9}, "b": {"l_mu": 0.8}}, "l_mu"),
        ({"commit": "None"}, "commit"),
        ({"dilation_cycle": 2}, "dilation_cycle"),
        ({"vqvae_reverse_decoder_dilation": False}, "reverse_decoder_dilation"),
    ],
)
def test_config_of_another_network_is_refused(states, stored, said):
    with pytest.raises(InputError, match=said):
        pose_tokenizer(states[0], stored)


def test_only_duolandos_tokenizers_become_originals():
    with pytest.raises(InputError, match="preset"):
        original_state(PoseTokenizer(DuetCodecConfig()))


def test_preset_has_the_sizes_of_the_paper():
    config = validate(DuetCodecConfig, load_preset("duolando")["codec"])
    with torch.device("meta"):  # has shapes and no memory
        pose = PoseTokenizer(config)
        placement = PartVQVAE(config.placement.vqvae, 3, {"placement": 3})
    sizes = [sum(p.numel() for p in model.parameters()) for model in (pose, placement)]
    assert sizes == [FULL_POSE, FULL_TRANSLATION]
