"""A converted PGR2M turns a sentence into a dancer of ours."""

from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import SOLE_DEPTH
from duet_rl.compat.pgr2m_convert import convert
from duet_rl.errors import InputError
from duet_rl.generate import export
from duet_rl.generate.pgr2m import (
    OUR_FPS,
    TextDancer,
    load_pgr2m,
    motion_of_features,
)
from duet_rl.mocap.body_fit import motion_of_body
from duet_rl.mocap.bvh import bvh_to_motion, read_bvh
from duet_rl.mocap.humanml3d import FEATURES, FPS, joints_of
from duet_rl.mocap.npz import read_npz
from duet_rl.tokenizers.humanml3d import canonical, features_of
from tests.clip_towers import write_tower
from tests.compat.pgr2m_originals import (
    PROMPT,
    base_state,
    refine_state,
    tokenizer_state,
    write_all,
)
from tests.couple import stepping_couple

pytest.importorskip("transformers")
CHANNELS = 3  # of the small tower's vectors
TEXT = "step back"


@pytest.fixture(scope="module")
def takes() -> tuple[torch.Tensor, torch.Tensor]:
    """Joints of somebody who steps, and features of them."""
    joints = canonical(stepping_couple(3.0).leader.resample(FPS).joints[:, :22])
    return joints, features_of(joints)


@pytest.fixture(scope="module")
def converted(
    takes: tuple[torch.Tensor, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Untrained models whose motion is a little off one pose."""
    folder = tmp_path_factory.mktemp("pgr2m")
    files = write_all(folder / "files")
    mean = takes[1][0].clone()
    mean[:3] = 0  # neither turn nor step
    for name, values in {"mean": mean, "std": torch.full((FEATURES,), 0.02)}.items():
        files[name] = folder / f"{name}.npy"
        np.save(files[name], values.numpy())
    tower = write_tower(folder / "tower", CHANNELS)
    return convert(**files, out=folder / "out", clip=tower)


@pytest.fixture(scope="module")
def dancer(converted: Path) -> TextDancer:
    return load_pgr2m(converted)


def same(one: Motion, other: Motion) -> bool:
    return one.frames == other.frames and torch.equal(one.joints, other.joints)


def test_features_become_the_joints_that_they_are_of(takes):
    joints, features = takes
    motion = motion_of_features(features)
    assert motion.fps == OUR_FPS and motion.frames == round((len(features) - 1) * 1.5) + 1
    every_third = motion.joints[::3, :22]  # where both rates meet
    wanted = joints[: len(features)][::2]
    lift = every_third[0, 0, 1] - wanted[0, 0, 1]
    assert torch.allclose(every_third, wanted + torch.tensor([0, lift, 0]), atol=2e-3)


def test_the_dancer_stands_on_the_floor(dancer):
    (motion,) = dancer.motions(TEXT)
    assert motion.fps == OUR_FPS and motion.joints.isfinite().all()
    assert float(motion.joints[..., 1].min()) == pytest.approx(SOLE_DEPTH, abs=5e-3)


def test_a_text_is_danced_as_the_models_say(dancer):
    told = dancer.prompt(TEXT)[None]
    (features,) = dancer.models.motion(told, generator=torch.Generator().manual_seed(3))
    (motion,) = dancer.motions(TEXT, seed=3, temperature=0.8)
    wanted = motion_of_body(joints_of(features), FPS).resample(OUR_FPS)
    assert torch.allclose(motion.joints, wanted.joints, atol=1e-5)


def test_seeds_tell_dances_apart_and_samples_are_seeds(dancer):
    first, second = dancer.motions(TEXT, samples=2, seed=5)
    assert not same(first, second)
    assert same(second, dancer.motions(TEXT, seed=6)[0])
    assert same(first, dancer.motions(TEXT, seed=5)[0])
    cold = [dancer.motions(TEXT, seed=seed, temperature=0)[0] for seed in (1, 2)]
    assert same(*cold)


def test_the_text_is_heard(dancer):
    vectors = [dancer.prompt(text) for text in (TEXT, "turn")]
    assert not torch.allclose(*vectors)
    assert torch.allclose(dancer.prompt("STEP  back"), vectors[0], atol=1e-6)


def test_slots_without_key_words_have_the_sentence_or_nothing(dancer):
    alone = dancer.prompt(TEXT)
    assert alone.shape == (PROMPT, CHANNELS)
    assert torch.equal(alone, alone[:1].expand_as(alone))
    zeros = dancer.prompt(TEXT, rest="zeros")
    assert torch.equal(zeros[0], alone[0]) and not zeros[1:].any()


def test_slots_take_sentences_and_vectors(dancer, tmp_path):
    lines = ["bends", "", *["stands"] * 9]
    told = dancer.prompt(TEXT, lines, rest="zeros")
    assert torch.allclose(told[1], dancer.tower.sentences(["bends"])[0], atol=1e-6)
    assert not told[2].any() and torch.allclose(told[3], told[11], atol=1e-6)
    (tmp_path / "words.txt").write_text("\n".join(lines) + "\n")
    assert torch.equal(dancer.prompt(TEXT, tmp_path / "words.txt", rest="zeros"), told)
    np.save(tmp_path / "words.npy", told[1:].numpy())
    assert torch.equal(dancer.prompt(TEXT, tmp_path / "words.npy"), told)


@pytest.mark.parametrize(
    ("keywords", "match"),
    [(["one"], "1 lines of key words are given; wanted 11"), ("33", r"\(33, 3\).*\(11, 3\)")],
)
def test_key_words_of_another_number_are_refused(dancer, keywords, match, tmp_path):
    if keywords == "33":
        keywords = tmp_path / "words.npy"
        np.save(keywords, np.zeros((33, CHANNELS), np.float32))
    with pytest.raises(InputError, match=match):
        dancer.prompt(TEXT, keywords)


def test_models_without_slots_take_no_key_words(dancer, tmp_path):
    files = write_all(tmp_path)
    torch.save({"trans": base_state(prompt_steps=1)}, files["base"])
    torch.save({"r_trans": refine_state(prompt_steps=1)}, files["refine"])
    out = convert(**files, out=tmp_path / "out", keywords=False)
    alone = TextDancer(
        load_pgr2m(out, clip=write_tower(tmp_path / "t", CHANNELS)).models, dancer.tower
    )
    assert alone.prompt(TEXT).shape == (1, CHANNELS)
    with pytest.raises(InputError, match="trained without key words"):
        alone.prompt(TEXT, [""] * 11)


def test_what_is_no_metre_becomes_no_body(dancer, tmp_path):
    files = write_all(tmp_path)
    tower = write_tower(tmp_path / "tower", CHANNELS)
    plain = load_pgr2m(convert(**files, out=tmp_path / "out"), clip=tower)
    with pytest.raises(InputError, match=r"--mean Mean\.npy --std Std\.npy"):
        plain.motions(TEXT)
    torch.save({"net": tokenizer_state(channels=251)}, files["tokenizer"])
    kit = load_pgr2m(convert(**files, out=tmp_path / "kit"), clip=tower)
    with pytest.raises(InputError, match="those of KIT-ML"):
        kit.motions(TEXT)


def test_a_folder_without_a_text_tower_asks_for_one(tmp_path):
    out = convert(**write_all(tmp_path), out=tmp_path / "out")
    with pytest.raises(InputError, match="--clip PATH"):
        load_pgr2m(out)
    with pytest.raises(InputError, match="4 channels"):
        load_pgr2m(out, clip=write_tower(tmp_path / "tower", 4))


def test_an_empty_text_is_refused(dancer):
    with pytest.raises(InputError, match="the text is empty"):
        dancer.motions(" ")


def test_what_is_written_is_what_is_danced(dancer, tmp_path):
    (motion,) = dancer.motions(TEXT)
    for name in ("a.npz", "a.bvh", "a.html"):
        export.write(motion, tmp_path / name)
    again = read_npz(tmp_path / "a.npz")
    assert torch.allclose(again.joints, motion.joints, atol=1e-4)
    drawn = bvh_to_motion(read_bvh(tmp_path / "a.bvh"))
    assert torch.allclose(drawn.joints, motion.joints, atol=1e-3)
    assert (tmp_path / "a.html").stat().st_size > 10_000
