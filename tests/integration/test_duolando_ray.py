"""The recipe of Duolando, end to end with small sizes: data, tokenizers, GPT, RL, dances."""

from pathlib import Path

import pytest
import torch

from duet_rl.config import resolve
from duet_rl.generate.follower import generate, load_follower
from duet_rl.judging import measure
from duet_rl.models.duolando import DuolandoGPT
from duet_rl.rl.run import WORK
from duet_rl.run import RunConfig, prepare_synthetic, pretrain, refine
from duet_rl.run_log import read_metrics

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

SMALL = """
based_on: duolando
synthetic: {choreographies: 4, seconds: 10.0}
prepare: {parallel: false, split: {val: 0.25, test: 0.25}}
codec:
  pose:
    upper: &part {width: 16, codes: 16, code_width: 8, depth: 1}
    lower: *part
    hand: *part
  placement: {vqvae: *part}
pose: {epochs: 1, batch_size: 8}
translation: {epochs: 1, batch_size: 8}
follower:
  epochs: 6
  batch_size: 8
  gpt: {width: 16, heads: 2, base_layers: 1, head_layers: 1, condition_layers: 1}
rl: {env_runners: 1, iterations: 1, seconds: 5.0, leaders: 1, new_groups: 1}
"""


@pytest.mark.slow
def test_the_recipe_runs_with_only_its_sizes_changed(tmp_path: Path) -> None:
    mine = tmp_path / "small.yaml"
    mine.write_text(SMALL)
    config = resolve(RunConfig, mine)
    data, out = tmp_path / "data", tmp_path / "run"
    store = prepare_synthetic(config, data, progress=False)
    assert store.music["compat"] == config.prepare.music.compat
    *_, follower = pretrain(config, "all", data, out, progress=False)
    log = read_metrics(out / "logs" / "follower")
    assert log[-1]["loss"] < log[0]["loss"]
    refined = refine(config, follower, data, out, progress=False)
    assert read_metrics(out / WORK)[-1]["loss/policy"] > 0
    before, after = (load_follower(folder) for folder in (follower, refined))
    assert isinstance(after.model, DuolandoGPT)
    changed = after.model.classify[1].weight != before.model.classify[1].weight
    assert changed.any()
    clip = store.clips("test")[0]
    danced = generate(after, clip.duet.leader, clip.music, sampling=after.usual_sampling)[0]
    assert danced.frames == clip.frames and torch.isfinite(danced.joints).all()
    table = measure(config, {"pre": follower, "rl": refined}, store, progress=False)
    assert set(table.row("rl").values) == set(table.row("pre").values)
