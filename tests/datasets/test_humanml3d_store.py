"""HumanML3D becomes a store of soloists: its joints, its splits, its words; bad files are named."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from duet_rl.body.heading import facing_angle
from duet_rl.body.skeleton import SOLE_DEPTH, UP
from duet_rl.datasets.clip_captions import ClipCaption
from duet_rl.datasets.humanml3d import KIT_ML
from duet_rl.datasets.humanml3d_store import HumanML3DConfig, prepare_humanml3d
from duet_rl.datasets.prepare import PrepareConfig
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.mocap.body_fit import BODY
from duet_rl.mocap.humanml3d import joints_of, with_true_turns
from duet_rl.tokenizers.humanml3d import Quirks, features_of
from tests.datasets.humanml3d_tree import body_joints, line, write_bodies, write_tree

HERE = PrepareConfig(parallel=False)
TRAIN = {"000000": 80, "M000000": 80, "000001": 44, "000002": 39}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tree(tmp_path_factory.mktemp("humanml3d"))


@pytest.fixture(scope="module")
def store(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> DuetStore:
    return prepared(tree, tmp_path_factory.mktemp("stores") / "store")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data set to spoil."""
    return small_tree(tmp_path / "HumanML3D")


def small_tree(root: Path) -> Path:
    write_bodies(root, TRAIN, "train")
    write_bodies(root, {"000003": 60}, "val")
    return write_bodies(root, {"000004": 199, "M000004": 199}, "test")


def prepared(
    root: Path, out: Path, preparation: PrepareConfig = HERE, **settings: Any
) -> DuetStore:
    return prepare_humanml3d(root, out, HumanML3DConfig(**settings), preparation, progress=False)


def names(store: DuetStore, split: Any = None) -> list[str]:
    return [record.name for record in store.records(split)]


def test_the_splits_are_the_data_sets_and_short_motions_are_left_out(store: DuetStore) -> None:
    assert names(store, "train") == ["000000", "000001", "M000000"]
    assert (names(store, "val"), names(store, "test")) == (["000003"], ["000004", "M000004"])
    assert store.solo and all(record.audio is None for record in store.records())


def test_mirror_images_may_be_left_out_and_so_may_most(tree: Path, tmp_path: Path) -> None:
    alone = prepared(tree, tmp_path / "alone", mirrored=False)
    assert names(alone) == ["000000", "000001", "000003", "000004"]
    few = prepared(tree, tmp_path / "few", most=1)
    assert len(names(few)) == 3 and set(names(few)) < set(TRAIN) | {"000003", "000004", "M000004"}


def test_clips_are_soloists_at_30_fps_with_the_joints_of_the_files(
    tree: Path, store: DuetStore
) -> None:
    clip = store.clip("000000")
    dancer = clip.duet.follower
    assert clip.solo and clip.music_source == "none" and dancer.fps == 30
    assert clip.frames == 116  # 80 frames at 20 fps are 119 at 30, in whole tokens
    true = body_joints(0, 81)[:80]
    ours, theirs = dancer.joints[::3, :BODY], true[::2]  # at the times that both have
    theirs = theirs[: len(ours)]
    torch.testing.assert_close(
        torch.cdist(ours, ours), torch.cdist(theirs, theirs), atol=1e-4, rtol=0
    )
    ways = [joints[:, 0].diff(dim=0).norm(dim=-1) for joints in (ours, theirs)]
    torch.testing.assert_close(*ways, atol=1e-4, rtol=0)
    ends = [float((joints[-1, 0] - joints[0, 0]).norm()) for joints in (ours, theirs)]
    assert ends[0] == pytest.approx(ends[1], abs=1e-4)


def test_dances_begin_on_the_stage_and_stand_on_the_floor(store: DuetStore) -> None:
    for clip in store.clips():
        joints = clip.duet.follower.joints
        assert joints[0, 0, [0, 2]].abs().max() < 1e-5
        assert abs(float(facing_angle(joints[None])[0, 0])) < 1e-4
        assert float(joints[..., UP].min()) == pytest.approx(SOLE_DEPTH, abs=0.02)


def test_turns_that_the_files_lost_are_mended(tree: Path, store: DuetStore, tmp_path: Path) -> None:
    true = body_joints(0, 81)
    right, lost = features_of(true), features_of(true, Quirks(lost_turns=True))
    assert float((right - lost).abs().max()) > 0.01
    torch.testing.assert_close(with_true_turns(lost), right, atol=1e-6, rtol=0)
    assert torch.equal(with_true_turns(right), right)
    assert float((joints_of(lost) - true[:-1]).norm(dim=-1).max()) > 0.05
    kept = prepared(tree, tmp_path / "kept", mend_turns=False, mirrored=False)
    ways = [_way(store.clip("000000").duet.follower.joints[:115]) for store in (kept, store)]
    assert float((ways[0] - ways[1]).norm()) > 0.01
    torch.testing.assert_close(ways[1].norm(), _way(true[:77]).norm(), atol=1e-4, rtol=0)


def _way(joints: Tensor) -> Tensor:
    """Return where a dancer ends, seen from where he begins."""
    return joints[-1, 0] - joints[0, 0]


def test_what_people_wrote_lies_with_the_clip_and_its_frames(store: DuetStore) -> None:
    whole, part = store.clip("000000").captions
    assert whole == ClipCaption("a person does walk.", 0, 116)
    assert part == ClipCaption("a person does wave.", 30, 105)  # 1.0 to 3.5 s
    assert [caption.text for caption in store.clip("000001").captions] == ["a person does turn."]


def test_rl_gets_its_share_out_of_training(tree: Path, tmp_path: Path) -> None:
    kept = HERE.model_copy(update={"split": SplitConfig(rl=0.3)})
    store = prepared(tree, tmp_path / "store", kept)
    assert names(store, "test") == ["000004", "M000004"]
    assert names(store, "rl") in (["000001"], ["000000", "M000000"])


def test_the_same_command_again_makes_nothing_anew(tree: Path, store: DuetStore) -> None:
    before = (store.path / "clips/000000.npz").stat().st_mtime_ns
    assert prepared(tree, store.path).hash == store.hash
    assert (store.path / "clips/000000.npz").stat().st_mtime_ns == before


def test_other_words_ask_for_another_store(root: Path, tmp_path: Path) -> None:
    made = prepared(root, tmp_path / "store")
    (root / "texts" / "000003.txt").write_text(line("jump"))
    with pytest.raises(InputError, match=r"'000003' in .* was made from other files"):
        prepared(root, made.path)


def test_a_motion_that_cannot_be_read_stops_or_is_left_out(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = np.load(root / "new_joint_vecs" / "000003.npy")
    broken[7, 70] = np.nan
    np.save(root / "new_joint_vecs" / "000003.npy", broken)  # all of the validation
    (root / "new_joint_vecs" / "000001.npy").unlink()
    with pytest.raises(InputError, match=r"1 of 4 motions in .*000001"):
        prepared(root, tmp_path / "store")
    skipping = HERE.model_copy(update={"skip_bad": True})
    with caplog.at_level(logging.WARNING):
        store = prepared(root, tmp_path / "store", skipping)
    assert names(store) == ["000000", "000004", "M000000", "M000004"]
    assert "000003: " in caplog.text and "holds NaN" in caplog.text


def test_kit_is_refused_and_says_why(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "KIT-ML", [30], KIT_ML, "train")
    with pytest.raises(InputError, match=r"holds KIT-ML, .*which sides of its 21 joints"):
        prepared(root, tmp_path / "store")


def test_a_motion_of_two_splits_is_refused(root: Path, tmp_path: Path) -> None:
    (root / "val.txt").write_text("000003\n000000\n")
    with pytest.raises(InputError, match=r"000000 is in train.txt and in val.txt"):
        prepared(root, tmp_path / "store")


def test_a_mirror_image_of_another_split_is_left_out(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "train.txt").write_text("000000\n")
    (root / "val.txt").write_text("000003\nM000000\n")
    with caplog.at_level(logging.WARNING):
        store = prepared(root, tmp_path / "store")
    assert "M000000" not in names(store) and "1 mirror images" in caplog.text
