"""The recipe of Bailando, end to end with small sizes: soloists, tokenizer, GPT, RL, dances."""

from pathlib import Path

import pytest
import torch

from duet_rl.config import resolve
from duet_rl.generate.follower import dance_clip, load_follower
from duet_rl.models.bailando import BailandoGPT
from duet_rl.rl.run import WORK
from duet_rl.run import RunConfig, prepare_solo, prepare_synthetic, pretrain, refine
from duet_rl.run_log import read_metrics
from duet_rl.tokenizers.solo import SoloCodec

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

SMALL = """
based_on: {preset}
synthetic: {{choreographies: 8, seconds: 8.0}}
prepare: {{parallel: false, split: {{val: 0.25, test: 0.25, rl: 0.25}}}}
codec:
  upper: &part {{width: 16, codes: 16, code_width: 16, depth: 1}}
  lower: *part
pose: {{epochs: 10, batch_size: 8, lr: 3e-3}}
translation: {{epochs: 2, batch_size: 8, lr: 3e-3}}
follower:
  epochs: 2
  batch_size: 8
  lr: 3e-3
  gpt: {{width: 16, heads: 2, base_layers: 1, head_layers: 1, critic_layers: 1}}
rl: {{env_runners: 1, iterations: 1, seconds: 6.0, leaders: 1, new_groups: 4, batch_groups: 2,
     passes: 4, frozen_layers: 1}}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "preset", ["bailando_fixed", pytest.param("bailando", marks=pytest.mark.nightly)]
)
def test_the_recipe_runs_with_only_its_sizes_changed(preset: str, tmp_path: Path) -> None:
    mine = tmp_path / "small.yaml"
    mine.write_text(SMALL.format(preset=preset))
    config = resolve(RunConfig, mine)
    data, out = tmp_path / "data", tmp_path / "run"
    prepare_synthetic(config, tmp_path / "couples", progress=False)
    store = prepare_solo(config, tmp_path / "couples", data, progress=False)
    *_, follower = pretrain(config, "all", data, out, progress=False)
    for stage in ("pose", "translation", "follower"):
        log = read_metrics(out / "logs" / stage)
        assert log[-1]["loss"] < log[0]["loss"], stage
    refined = refine(config, follower, data, out, progress=False)
    assert read_metrics(out / WORK)[-1]["loss/value"] > 0
    before, after = (load_follower(folder) for folder in (follower, refined))
    assert isinstance(after.model, BailandoGPT) and isinstance(after.codec, SoloCodec)
    own, theirs = after.model.state_dict(), before.model.state_dict()
    moved = {name.split(".")[0] for name in own if not torch.equal(own[name], theirs[name])}
    assert "head" in moved and "critic" in moved and "base" not in moved
    clip = store.clips("test")[0]
    danced = dance_clip(after, clip, sampling=after.usual_sampling)
    assert danced.frames == clip.frames
    assert float(danced.root[0, [0, 2]].norm()) < 1e-4
