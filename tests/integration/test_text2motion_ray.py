"""`pretrain text2motion` as a Ray Train job of two workers, and a dance of what it made."""

from pathlib import Path

import pytest

from duet_rl import checkpoint
from duet_rl.config import resolve
from duet_rl.generate.follower import load_follower
from duet_rl.generate.words import Beside, dance_words
from duet_rl.run import RunConfig, pretrain
from duet_rl.run_log import read_metrics
from duet_rl.tokenizers.part import REFINE
from duet_rl.tokenizers.readable import ReadableCodec
from tests.pretrain.test_text_stages import couples

__all__ = ["couples"]
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.nightly,
    pytest.mark.usefixtures("ray_cluster"),
]
SETTINGS = (
    "cluster.workers=2",
    "cluster.cpus=1",
    *(f"{stage}.steps=6" for stage in ("pose", "translation", "refine", "follower")),
    *(f"{stage}.batch_size=4" for stage in ("pose", "translation", "refine", "follower")),
    "refine.window_tokens=12",
    "refine.text={}",
    "follower.window_tokens=16",
    "follower.shortest_tokens=8",
    "follower.rollouts=2",
    "follower.gpt.layers=1",
)


def test_all_stages_of_a_dancer_to_words_are_one_resumable_command(
    couples: Path, tmp_path: Path
) -> None:
    config = resolve(RunConfig, "text2motion", SETTINGS)
    folders = pretrain(config, "text2motion", couples, tmp_path, progress=False)
    assert [folder.name for folder in folders] == ["pose", "translation", REFINE, "follower"]
    rows = read_metrics(tmp_path / "logs" / "follower")
    assert {"rollout/facts", "rollout/facts_of_others", "val/nll/stop"} <= rows[-1].keys()
    stamps = [(folder / checkpoint.META).stat().st_mtime_ns for folder in folders]
    pretrain(config, "text2motion", couples, tmp_path, progress=False)
    assert stamps == [(folder / checkpoint.META).stat().st_mtime_ns for folder in folders]
    follower = load_follower(tmp_path / "follower")
    assert isinstance(follower.codec, ReadableCodec) and follower.codec.refiner is not None
    (dance,) = dance_words(follower, "raises the left arm", Beside(seconds=1.0))
    assert dance.motion.frames == 30 and len(dance.shown) == 1
    with_refiner = checkpoint.read_meta(tmp_path / REFINE)
    assert with_refiner["stage"] == REFINE and with_refiner["steps"] == 6
