"""HumanML3D and KIT-ML are read as their authors lay them out, and bad files are told plainly."""

from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.datasets.humanml3d import HUMANML3D, KIT_ML, open_text_motions, read_lines
from duet_rl.datasets.humanml3d_words import KINDS, MOST_WORDS, WordVectors
from duet_rl.errors import InputError
from tests.datasets.humanml3d_tree import features, line, write_tree, write_words


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "HumanML3D", [60, 39, 199, 200, 40])


def test_the_features_of_both_data_sets_have_as_many_channels_as_published():
    assert (HUMANML3D.channels, KIT_ML.channels) == (263, 251)
    assert (HUMANML3D.joints, KIT_ML.joints) == (22, 21)


def test_motions_of_40_to_199_frames_are_kept_with_their_captions(root):
    data = open_text_motions(root)
    assert [motion.name for motion in data.motions] == ["000000", "000002", "000004"]
    assert data.left_out == {"motions under 40 frames": 1, "motions of 200 frames or more": 1}
    first = data.motions[0]
    assert [line.text for line in first.lines] == ["a person does walk."] * 2
    assert first.lines[0].tokens == ("a/DET", "person/NOUN", "do/VERB", "walk/VERB")
    assert np.array_equal(data.features(first).numpy(), features(0, 60))
    assert data.joints(first).shape == (60, 22, 3)
    frames = torch.cat([data.features(motion) for motion in data.motions])
    assert data.normalised(frames).abs().mean() < 2


def test_kit_has_its_own_skeleton_rate_and_shortest_length(tmp_path):
    data = open_text_motions(write_tree(tmp_path / "KIT-ML", [24, 23], KIT_ML))
    assert data.format is KIT_ML and len(data) == 1
    assert data.joints(data.motions[0]).shape == (24, 21, 3)
    roots = [joint for joint, parent in enumerate(KIT_ML.parents) if joint == parent]
    assert roots == [0] and all(p < j for j, p in enumerate(KIT_ML.parents) if j)


def test_a_caption_of_a_part_makes_a_motion_of_the_part(root):
    told = line("walk") + line("jump", "1.0", "9.0") + line("turn", "0.5", "1.0")
    (root / "texts" / "000002.txt").write_text(told)
    data = open_text_motions(root)
    whole, part = data.motions[1:3]
    assert [line.text for line in whole.lines] == ["a person does walk."]
    assert part.frames == (20, 180) and [x.text for x in part.lines] == ["a person does jump."]
    assert torch.equal(data.features(part), data.features(whole)[20:180])
    assert data.left_out["parts under 40 frames"] == 1


def test_spans_of_kit_are_cut_as_published_or_in_its_own_frames(tmp_path):
    root = write_tree(tmp_path / "KIT-ML", [150], KIT_ML)
    (root / "texts" / "000000.txt").write_text(line("walk", "2.0", "6.0"))
    assert open_text_motions(root).motions[0].frames == (40, 120)
    assert open_text_motions(root, span_fps=KIT_ML.fps).motions[0].frames == (25, 75)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no captions"),
        ("a person walks\n", "line 1 .* wanted caption#word/KIND"),
        ("a person walks#a person walks#0.0#0.0\n", "words without a kind"),
        ("a person walks#a/DET#soon#0.0\n", "ends with"),
        ("a person walks#a/DET#3.0#1.0\n", "of 3 to 1 s"),
        ("\n#a/DET#0.0#0.0\n", "line 2"),
    ],
)
def test_captions_of_another_form_are_refused_by_line(tmp_path, text, why):
    file = tmp_path / "000000.txt"
    file.write_text(text)
    with pytest.raises(InputError, match=why):
        read_lines(file)


def test_captions_may_hold_the_sign_that_parts_the_fields(tmp_path):
    file = tmp_path / "000000.txt"
    file.write_text("does move #3 twice#do/VERB#0.0#0.0\n")
    assert read_lines(file)[0].text == "does move #3 twice"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda root: (root / "test.txt").unlink(), "test.txt"),
        (lambda root: (root / "test.txt").write_text(""), "empty"),
        (lambda root: (root / "test.txt").write_bytes(b"\xff\xfe0"), "test.txt is no text"),
        (lambda root: (root / "texts" / "000000.txt").unlink(), "1 of 5 motions.*000000"),
        (lambda root: (root / "new_joint_vecs" / "000000.npy").write_bytes(b"no"), "no whole"),
        (lambda root: np.save(root / "new_joint_vecs" / "000000.npy", np.ones(3)), r"\(3,\)"),
        (lambda root: np.save(root / "Mean.npy", np.ones(100)), "263 of HumanML3D, 251 of KIT-ML"),
        (lambda root: np.save(root / "Std.npy", np.zeros(263)), "263 above 0"),
    ],
)
def test_a_tree_that_is_not_whole_is_refused(root, spoil, why):
    spoil(root)
    with pytest.raises(InputError, match=why):
        open_text_motions(root)


def test_bad_motions_are_left_out_only_if_asked_and_counted(root):
    (root / "new_joint_vecs" / "000000.npy").unlink()
    data = open_text_motions(root, skip_bad=True)
    assert len(data) == 2 and data.left_out["files missing or damaged"] == 1


def test_features_with_nan_are_refused_when_they_are_read(root):
    broken = features(0, 60)
    broken[3, 5] = np.nan
    np.save(root / "new_joint_vecs" / "000000.npy", broken)
    data = open_text_motions(root)
    with pytest.raises(InputError, match="NaN"):
        data.features(data.motions[0])


def test_words_have_vectors_and_kinds_and_both_ends(tmp_path):
    words = WordVectors.open(write_words(tmp_path))
    text = words.read(("a/DET", "person/NOUN", "walk/VERB", "zigzag/NOUN"))
    rows = [words.numbers[w] for w in ("sos", "a", "person", "walk", "unk", "eos", "unk")]
    assert text.length == 6 and torch.equal(text.words[:7], words.vectors[rows])
    kinds = [KINDS[place] for place in text.kinds.argmax(-1)[:6]]
    assert kinds == ["OTHER", "DET", "NOUN", "Act_VIP", "OTHER", "OTHER"]
    long = words.read(("a/DET",) * 50)
    assert long.length == MOST_WORDS + 2 == len(long.words)


def test_words_that_do_not_fit_are_refused(tmp_path):
    folder = write_words(tmp_path)
    np.save(folder / "our_vab_data.npy", np.ones((3, 6)))
    with pytest.raises(InputError, match="have no vector among the 3"):
        WordVectors.open(folder)
    with pytest.raises(InputError, match="lack sos, eos, unk"):
        WordVectors(torch.ones(1, 6), {"a": 0})
