"""The published protocols on folders: two roads to one number, and reasons for none."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.body.motion import Duet, Motion
from duet_rl.datasets.dd100_export import Axes, write_dance, write_data_set
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate.legacy import PublishedScores, published
from duet_rl.meshes.smplx import BodyModel
from duet_rl.metrics.motion_features import from_start, joints_of_smpl, kinetic_features
from duet_rl.metrics.published import skating_frames
from duet_rl.mocap.npz import write_npz

Z_UP = Axes()
SETS = ("FID_k", "FID_g", "FID_cd", "DIV_k", "DIV_g", "DIV_cd")


def aside(motion: Motion) -> Motion:
    """Return a dance that differs from the true one."""
    return motion.turned(0.4).moved((0.1, 0.0, 0.2)).slice(0, 110)


def values(scores: PublishedScores) -> dict[str, float | None]:
    return {score.name: score.value for score in scores.scores}


@pytest.fixture
def data_set(store: DuetStore, tmp_path: Path) -> Path:
    """The store as the files of DD100."""
    splits = store.index.splits
    clips = ((clip, splits[clip.choreography]) for clip in store.clips())
    write_data_set(tmp_path / "dd100", clips, Z_UP)
    return tmp_path / "dd100"


@pytest.fixture
def dances(store: DuetStore, tmp_path: Path) -> Path:
    """Followers for the test clips, as the original's evaluation lays them out."""
    for clip in store.clips("test"):
        duet = Duet(clip.duet.leader.slice(0, 110), aside(clip.duet.follower))
        write_dance(tmp_path / "dances", clip.name, duet, Z_UP)
    return tmp_path / "dances"


def test_our_motions_and_the_originals_files_give_the_same_numbers(
    store: DuetStore, recorded: Callable[..., Path], dances: Path, data_set: Path
) -> None:
    ours = published("duolando", recorded("ours", aside), store=store)
    theirs = published("duolando", dances, data_set)
    for one, other in zip(ours.scores, theirs.scores, strict=True):
        assert one._replace(original=0, value=None) == other._replace(original=0, value=None)
        if one.name != "BED":  # the leaders of the store are longer
            assert (one.value or 0) == pytest.approx(other.value or 0, rel=1e-3)
            assert one.original == pytest.approx(other.original, rel=1e-3, nan_ok=True)
    assert values(ours)["BAS"] is not None and values(ours)["BED"] is not None


def test_a_folder_may_be_named_from_above_or_itself(dances: Path, data_set: Path) -> None:
    whole = published("duolando", dances, data_set).to_json()["scores"]
    parts = published(
        "duolando",
        dances / "npy/pos3d/ep0000",
        data_set / "motion/pos3d/all",
        data_set / "music/feature/all",
    )
    assert parts.to_json()["scores"] == whole


def test_few_dances_get_reasons_in_place_of_numbers(dances: Path, data_set: Path) -> None:
    scores = published("duolando", dances, data_set)
    for kind, dims in (("k", 72), ("g", 32), ("cd", 100)):
        score = scores.score(f"FID_{kind}")
        assert score.value is None and score.reason.startswith(
            f"3 sequences, fewer than {dims + 1}"
        )
        assert math.isfinite(score.original)
        assert (score.sequences, score.reference) == (3, 6)
    cells = next(line for line in scores.as_text().splitlines() if line.startswith("FID_k")).split()
    assert cells[1] == "-"
    shown = scores.as_text(original=True)
    assert f"{scores.score('FID_k').original:.4g}" in shown
    assert f"{scores.score('FID_k').original:.4g}" not in scores.as_text()


def test_the_true_partners_are_at_no_distance_from_themselves(
    store: DuetStore, data_set: Path
) -> None:
    scores = published("duolando", data_set / "motion/pos3d/all", data_set)
    for kind in ("k", "g", "cd"):
        assert scores.score(f"FID_{kind}").original == pytest.approx(0, abs=1e-4)
        there = scores.score(f"DIV_{kind} of the reference").original
        assert scores.score(f"DIV_{kind}").original == pytest.approx(there)


def test_beat_scores_leave_out_silent_music_and_say_so(dances: Path, data_set: Path) -> None:
    silent = data_set / "music/feature/all/a1.npy"
    np.save(silent, np.zeros_like(np.load(silent)))
    score = published("duolando", dances, data_set).score("BAS")
    assert score.sequences == 2 and "a1, left out" in score.reason and score.value is not None
    assert math.isnan(score.original)


def test_a_frozen_follower_has_no_beat_score_at_all(
    store: DuetStore, recorded: Callable[..., Path]
) -> None:
    def frozen(motion: Motion) -> Motion:
        still = motion.rotations[:1].expand(motion.frames, -1, -1, -1)
        root = motion.root[:1].expand(motion.frames, -1)
        return Motion.from_rotations(root, still, motion.skeleton, motion.fps)

    scores = published("duolando", recorded("frozen", frozen), store=store)
    for name in ("BAS", "BED"):
        score = scores.score(name)
        assert score.value is None and score.sequences == 0 and "a1, a2, b1" in score.reason


def test_foot_skating_counts_the_leaders_unless_told_not_to(
    store: DuetStore, recorded: Callable[..., Path]
) -> None:
    def slides(motion: Motion) -> Motion:
        still = motion.rotations[:1].expand(motion.frames, -1, -1, -1)
        x = torch.arange(motion.frames) * 0.05
        root = motion.root[:1] + torch.stack([x, 0 * x, 0 * x], dim=1)
        return Motion.from_rotations(root, still, motion.skeleton, motion.fps)

    folder = recorded("slides", slides)
    both, own = (published("duolando", folder, store=store, own_files=own) for own in (False, True))
    skating, steps = skating_frames(slides(store.clip("a1").duet.follower).joints)
    share = own.score("foot skating").value
    assert share == pytest.approx(100 * skating / steps)
    assert both.score("foot skating").value == pytest.approx(share / 2)


def test_without_reference_music_or_models_the_table_says_what_to_give(dances: Path) -> None:
    scores = published("duolando", dances)
    assert all(scores.score(name).value is None for name in SETS)
    assert "--reference" in scores.score("FID_k").reason
    assert "--music" in scores.score("BAS").reason
    assert "--smplx" in scores.score("CF").reason
    assert scores.score("BED").value is not None


def test_the_scores_are_plain_json(dances: Path, data_set: Path) -> None:
    found = json.loads(
        json.dumps(published("duolando", dances, data_set).to_json(), allow_nan=False)
    )
    assert found["scores"]["CF"]["value"] is None and found["scores"]["CF"]["reason"]
    assert found["scores"]["FID_k"]["sequences"] == 3


def test_bailando_looks_at_twenty_seconds_of_a_prediction(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    ways = generator.standard_normal((3, 1300, 24, 3)).cumsum(1).astype(np.float32) / 100
    for name, way in zip("abc", ways, strict=True):
        for folder, frames in (("long", 1300), ("short", 1200)):
            (tmp_path / folder).mkdir(exist_ok=True)
            np.save(tmp_path / folder / f"{name}.npy", way[:frames].reshape(frames, 72))
    first, second = (
        published("bailando", tmp_path / folder, tmp_path / "long") for folder in ("long", "short")
    )
    assert first.score("DIV_k").original == second.score("DIV_k").original
    assert first.score("FID_k").original == pytest.approx(second.score("FID_k").original)
    assert first.score("FID_k").original > 1  # the reference counts whole
    assert {score.name for score in first.scores} >= {"FID_k", "FID_g", "DIV_k", "DIV_g", "BAS"}


def test_bailando_reads_our_dances_at_sixty_frames_a_second(
    store: DuetStore, recorded: Callable[..., Path], tmp_path: Path
) -> None:
    folder = recorded("ours", aside)
    ours = published("bailando", folder, store=store)
    for clip in store.clips():
        joints = joints_of_smpl(clip.duet.follower.resample(60).joints)
        (tmp_path / "truth").mkdir(exist_ok=True)
        np.save(tmp_path / "truth" / f"{clip.name}.npy", joints.numpy())
        assert kinetic_features(from_start(joints)).isfinite().all()
    theirs = published("bailando", folder, tmp_path / "truth", store=store)
    for kind in ("k", "g"):
        assert ours.score(f"FID_{kind}").original == pytest.approx(
            theirs.score(f"FID_{kind}").original, rel=1e-3
        )
    assert ours.score("BAS").value is not None


def test_bodies_touch_in_the_frames_that_are_counted(
    store: DuetStore, recorded: Callable[..., Path]
) -> None:
    """Whoever measures contact is asked once a dance, about the frames that both dancers have."""
    asked = []

    def contact(couple: Duet) -> torch.Tensor:
        asked.append(couple.frames)
        return torch.arange(couple.frames) < 11

    folder = recorded("ours", aside)
    score = published("duolando", folder, store=store, contact=contact).score("CF")
    assert score.value == pytest.approx(10.0) and asked == [110] * 3


@pytest.mark.slow
def test_surfaces_are_those_of_the_roles_mean_bodies(
    store: DuetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both roads to a surface, by our motions and by the parameters of the original's layout."""
    pytest.importorskip("smplx")
    mesh_contact = pytest.importorskip("duet_rl.meshes.mesh_contact")
    from duet_rl.meshes.stand_in import write_stand_in

    models = write_stand_in(tmp_path / "models")
    clip = store.clip("a1")
    duet = clip.duet.slice(0, 3)
    seen: list[torch.Tensor] = []

    def touching(one: torch.Tensor, other: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        seen.append(one)
        seen.append(other)
        return torch.tensor([True, False, False])

    monkeypatch.setattr(mesh_contact, "duolando_contact", touching)
    write_dance(tmp_path / "dances", "a1", duet, Z_UP, models)
    (tmp_path / "ours").mkdir()
    write_npz(tmp_path / "ours/a1.npz", duet.follower)
    ours = published("duolando", tmp_path / "ours", store=store, models=models)
    theirs = published("duolando", tmp_path / "dances", models=models)
    for scores in (ours, theirs):
        assert scores.score("CF").value == pytest.approx(100 / 3)
    for one, other in zip(seen[:2], seen[2:], strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    leader = BodyModel.load(models, "male")
    assert seen[0].shape[1] == len(leader.owners)


@pytest.mark.parametrize(
    ("folder", "says"), [("nowhere", "does not exist"), ("empty", "has no dances")]
)
def test_there_must_be_dances(tmp_path: Path, folder: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    for protocol in ("duolando", "bailando"):
        with pytest.raises(InputError, match=says):
            published(protocol, tmp_path / folder)  # type: ignore[arg-type]


def test_our_motions_want_their_store_and_its_names(
    store: DuetStore, recorded: Callable[..., Path]
) -> None:
    folder = recorded("ours")
    with pytest.raises(InputError, match="give it with --data"):
        published("duolando", folder)
    (folder / "a1.npz").rename(folder / "zz.npz")
    with pytest.raises(InputError, match="no clips zz"):
        published("duolando", folder, store=store)


def test_another_protocol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="protocol"):
        published("fashion", tmp_path)  # type: ignore[arg-type]
