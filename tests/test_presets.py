"""The shipped presets are what they say they are."""

from pathlib import Path

import pytest
import torch

from duet_rl.config import load_preset, preset_names, resolve
from duet_rl.errors import InputError
from duet_rl.models.duolando import DuolandoGPT
from duet_rl.models.follower import build_gpt
from duet_rl.run import RunConfig
from duet_rl.tokenizers.duet import DuetCodec


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_can_be_used(name: str) -> None:
    assert resolve(RunConfig, name)


def test_the_tokenizers_of_duolando_have_the_papers_sizes() -> None:
    codec = DuetCodec(resolve(RunConfig, "duolando").codec)
    assert parameters(codec.pose) == 116_538_007
    assert parameters(codec.placement) == 17_327_619
    assert codec.spec.classes == (512,) * 5


@pytest.mark.parametrize(
    ("name", "size"), [("duolando", 205_977_600), ("duolando_fixed", 202_662_144)]
)
def test_the_gpt_of_duolando_has_the_papers_size(name: str, size: int) -> None:
    config = resolve(RunConfig, name).follower.gpt
    with torch.device("meta"):
        gpt = build_gpt(config.model_copy(update={"classes": (512,) * 5}))
    assert isinstance(gpt, DuolandoGPT) and parameters(gpt) == size


def test_duolando_has_the_papers_schedule() -> None:
    config = resolve(RunConfig, "duolando")
    for stage, epochs, lr, betas in (
        (config.pose, 500, 3e-5, (0.5, 0.999)),
        (config.translation, 500, 3e-5, (0.5, 0.999)),
        (config.follower, 250, 3e-4, (0.9, 0.999)),
    ):
        assert (stage.epochs, stage.lr, stage.betas) == (epochs, lr, betas)
        assert (stage.batch_size, stage.schedule, stage.milestones) == (
            128,
            "milestones",
            (100, 200),
        )
        assert (stage.weight_decay, stage.grad_clip, stage.warmup) == (0, None, 0)
    assert (config.rl.lr, config.rl.milestones, config.rl.iterations) == (3e-5, (50, 100), 500)


def test_a_preset_can_be_based_on_another(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("based_on: tiny\npose: {steps: 7}\n")
    theirs, values = load_preset("tiny"), load_preset(mine)
    assert values["pose"]["steps"] == 7
    assert {k: v for k, v in values.items() if k != "pose"} == {
        k: v for k, v in theirs.items() if k != "pose"
    }


@pytest.mark.parametrize("base", ["tinny", "3"])
def test_a_base_that_is_none_of_ours_is_refused(base: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"based_on: {base}\n")
    with pytest.raises(InputError, match=f"based on.*{base}.*tiny"):
        load_preset(mine)
