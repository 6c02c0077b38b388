"""Converted weights of the original, from its own files, say and decode what it says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.compat.pgr2m_convert import convert
from duet_rl.generate.pgr2m import motion_of_features
from duet_rl.models.policy import SamplingConfig
from duet_rl.tokenizers.pgr2m import Pgr2m
from tests.golden.files import needs
from tests.golden.pgr2m_networks import (
    FOLDER,
    Golden,
    assert_near,
    classes_in,
    read,
    rows_of,
    state_of,
)

GREEDY = SamplingConfig(temperature=0)
FILES = {
    "tokenizer": FOLDER / "pg_tokenizer_soft.npz",
    "base": FOLDER / "base_transformer.npz",
    "refine": FOLDER / "refine_transformer_share.npz",
}
HEADS = 4
BITS = 392

pytestmark = needs(*FILES.values())


@pytest.fixture(scope="module")
def golden() -> dict[str, Golden]:
    return {name: read(path) for name, path in FILES.items()}


@pytest.fixture(scope="module")
def models(golden: dict[str, Golden], tmp_path_factory: pytest.TempPathFactory) -> Pgr2m:
    folder = tmp_path_factory.mktemp("pgr2m")
    files: dict[str, Path] = {name: folder / f"{name}.pth" for name in FILES}
    for name, path in files.items():
        torch.save({"net": state_of(golden[name])}, path)
    for name in ("mean", "std"):
        files[name] = folder / f"{name}.npy"
        np.save(files[name], golden["tokenizer"][f"feat_{name}"].numpy())
    out = convert(**files, out=folder / "out", base_heads=HEADS, refine_heads=HEADS)
    return Pgr2m.load(out)


@torch.no_grad()
def test_a_text_becomes_the_originals_codes_and_their_motion(golden, models):
    refine, numbers = golden["refine"], golden["tokenizer"]
    (found,) = models.motion(refine["text"][:1], GREEDY)
    pose = classes_in(rows_of(refine["sample_pose"], BITS))
    wanted = models.tokenizer.decode(pose, refine["sample_res"].long())[0]
    assert_near(found, wanted)
    # The tokenizer itself, in metres: the original's reconstruction of its own codes.
    codes = classes_in(rows_of(numbers["multihot"], BITS))
    recon = models.tokenizer.decode(codes, numbers["indices"].long())
    assert_near(recon, numbers["recon"] * numbers["feat_std"] + numbers["feat_mean"], 1e-4)


def test_reconstructed_salsa_becomes_a_body_of_its_own_size(golden, models):
    """Bones of one skeleton, a dancer's height, and joints where the features have them."""
    numbers = golden["tokenizer"]
    features = numbers["motion"] * numbers["feat_std"] + numbers["feat_mean"]
    motion = motion_of_features(features[0])
    height = motion.joints[:, 15, 1].max()
    assert 1.4 < float(height) < 2.0 and 0.8 < motion.skeleton.hip_height < 1.2
    lengths = (motion.joints[:, 4] - motion.joints[:, 1]).norm(dim=-1)
    assert float(lengths.std()) < 1e-5
