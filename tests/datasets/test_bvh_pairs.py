"""Captured couples: found, paired, refused, and read into clips."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from duet_rl.audio.features import music_features_of
from duet_rl.audio.synth import render_rhythm
from duet_rl.body.contact import hold_due, palms
from duet_rl.body.kinematics import reach
from duet_rl.body.motion import Duet, Motion
from duet_rl.body.skeleton import default_skeleton
from duet_rl.datasets.bvh_pairs import PairsConfig, find_pairs, pair_tasks, read_pair
from duet_rl.datasets.hands import PALM_GAP, close_hands
from duet_rl.datasets.prepare import PrepareConfig, prepare
from duet_rl.errors import InputError
from duet_rl.mocap.bvh import write_bvh
from tests.mocap.cmu import cmu_text
from tests.mocap.rigs import Made, write_rig
from tests.mocap.test_rigs import LAFAN

CONFIG = PairsConfig(leader="60_*", follower="61_*")
BEATS_A_SECOND = 2.0


def stepping(frames: int, fps: float = 60.0) -> Motion:
    """A dancer who marches on the spot, one step a beat."""
    time = torch.arange(frames) / fps
    skeleton = default_skeleton()
    root = torch.tensor([0.0, skeleton.hip_height, 0.0]).expand(frames, 3)
    still = torch.eye(3).expand(frames, 55, 3, 3)
    feet = Motion.from_rotations(root, still, skeleton, fps).joints
    rotations = still
    for side, (leg, ankle) in enumerate((("left_leg", 7), ("right_leg", 8))):
        phase = time * BEATS_A_SECOND / 2 + side / 2
        lift = 0.15 * torch.sin(2 * torch.pi * phase).clamp_min(0)
        target = feet[:, ankle] + torch.stack([lift * 0, lift, lift], dim=-1)
        rotations = reach(rotations, root, skeleton.offsets, leg, target)
    return Motion.from_rotations(root, rotations, skeleton, fps)


def facing(motion: Motion, apart: float) -> Motion:
    """The same motion, turned round and `apart` metres away."""
    return motion.turned(torch.pi).moved((0.0, 0.0, apart))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    takes = tmp_path / "takes"
    takes.mkdir()
    leader = stepping(360)
    for take in ("01", "02"):
        write_bvh(takes / f"60_{take}.bvh", leader)
        write_bvh(takes / f"61_{take}.bvh", facing(leader, 1.0))
    (takes / "notes.txt").touch()
    return takes


def test_files_of_one_take_are_paired(folder: Path) -> None:
    pairs = find_pairs(folder, CONFIG)
    assert [(p.take, p.leader.name, p.follower.name) for p in pairs] == [
        ("01", "60_01.bvh", "61_01.bvh"),
        ("02", "60_02.bvh", "61_02.bvh"),
    ]


def test_a_couple_of_another_program_stays_together(tmp_path: Path) -> None:
    leader = stepping(360)
    follower = leader.turned(torch.pi).moved((0.4, 0.0, 1.0))
    made = Made(LAFAN, "A", unit=0.0254, up="z")
    for name, motion in (("60_01", leader), ("61_01", follower)):
        write_rig(tmp_path / f"{name}.bvh", motion, made)
    config = CONFIG.model_copy(update={"close_hands": False})
    duet = read_pair(find_pairs(tmp_path, config)[0], config, tmp_path).duet
    apart = duet.follower.root - duet.leader.root
    wanted = (follower.root - leader.root)[::2][: len(apart)]
    torch.testing.assert_close(apart, wanted, atol=5e-3, rtol=0)


def test_missing_partners_are_all_named(folder: Path) -> None:
    (folder / "60_02.bvh").rename(folder / "60_07.bvh")
    with pytest.raises(InputError, match=r"60_07.bvh \(no 61_07\), 61_02.bvh \(no 60_02\)"):
        find_pairs(folder, CONFIG)


def test_a_folder_without_takes_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no files 60_\* and 61_\*"):
        find_pairs(tmp_path, CONFIG)


def test_a_pattern_without_a_star_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"must have one \*"):
        find_pairs(folder, PairsConfig(leader="60_01", follower="61_*"))


def test_files_of_different_length_are_refused_by_name(folder: Path) -> None:
    write_bvh(folder / "61_01.bvh", stepping(340))
    with pytest.raises(InputError, match=r"60_01.bvh has 360 frames and .*61_01.bvh 340"):
        read_pair(find_pairs(folder, CONFIG)[0], CONFIG, folder)


def test_files_of_different_frame_rate_are_refused_by_name(folder: Path) -> None:
    write_bvh(folder / "61_01.bvh", stepping(360, fps=50.0))
    with pytest.raises(InputError, match=r"60_01.bvh has 60 frames per second and .*61_01.bvh 50"):
        read_pair(find_pairs(folder, CONFIG)[0], CONFIG, folder)


def test_a_stated_frame_rate_overrides_the_files(folder: Path, tmp_path: Path) -> None:
    write_bvh(folder / "61_01.bvh", stepping(360, fps=50.0))
    config = CONFIG.model_copy(update={"fps": 60.0})
    assert read_pair(find_pairs(folder, config)[0], config, tmp_path).seconds == 6.0


def test_a_take_without_music_gets_a_track_at_the_tempo_of_the_feet(
    folder: Path, tmp_path: Path
) -> None:
    clip = read_pair(find_pairs(folder, CONFIG)[0], CONFIG, tmp_path)
    assert clip.music_source == "rendered"
    assert clip.audio is not None and soundfile.info(clip.audio).duration >= clip.seconds
    assert clip.tempo == pytest.approx(60 * BEATS_A_SECOND, rel=0.03)
    gaps = np.diff(clip.beats.nonzero()[:, 0].numpy())
    assert np.median(gaps) == pytest.approx(30 / BEATS_A_SECOND, abs=1)


def test_a_recording_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    soundfile.write(song, render_rhythm(90, 3, 8.0, "waltz", seed=0), 22050)
    config = CONFIG.model_copy(update={"music": song})
    clip = read_pair(find_pairs(folder, config)[0], config, tmp_path)
    assert clip.music_source == "recorded" and clip.audio == song
    assert clip.tempo == pytest.approx(90, rel=0.1)


def test_a_recording_keeps_its_place_where_a_t_pose_is_left_out(tmp_path: Path) -> None:
    for name in ("60_01", "61_01"):
        (tmp_path / f"{name}.bvh").write_text(cmu_text(frames=480))
    song = tmp_path / "song.wav"
    soundfile.write(song, render_rhythm(90, 3, 8.0, "waltz", seed=0), 22050)
    config = CONFIG.model_copy(update={"music": song, "close_hands": False})
    clip = read_pair(find_pairs(tmp_path, config)[0], config, tmp_path)
    left_out = 3  # of 30 a second; ten of the file, which the conversion to BVH has put before
    assert clip.audio_start == left_out
    heard = torch.from_numpy(music_features_of(song))[left_out:]
    assert torch.equal(clip.music, heard[: len(clip.music)])


def test_a_take_without_its_recording_is_named(folder: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"music": tmp_path})
    with pytest.raises(InputError, match="no music for the take '01'"):
        find_pairs(folder, config)


def test_a_broken_file_ends_preparation_in_one_line(folder: Path, tmp_path: Path) -> None:
    text = (folder / "61_02.bvh").read_text()
    (folder / "61_02.bvh").write_text(text[: len(text) // 2])
    tasks = pair_tasks(find_pairs(folder, CONFIG), CONFIG)
    with pytest.raises(InputError, match=r"^take 02: .*61_02.bvh.*$"):
        prepare(tasks, tmp_path / "store", PrepareConfig(parallel=False), {}, progress=False)
    assert not (tmp_path / "store").exists()


def test_a_changed_file_is_another_take(folder: Path) -> None:
    before = [task.fingerprint for task in pair_tasks(find_pairs(folder, CONFIG), CONFIG)]
    write_bvh(folder / "61_02.bvh", stepping(300))
    after = [task.fingerprint for task in pair_tasks(find_pairs(folder, CONFIG), CONFIG)]
    assert before[0] == after[0] and before[1] != after[1]


def held_apart(gap: float, frames: int = 60) -> Duet:
    """Two dancers who reach for each other's hands and miss them by `gap` metres."""
    skeleton = default_skeleton()
    root = torch.tensor([0.0, skeleton.hip_height, 0.0]).expand(frames, 3)
    rotations = torch.eye(3).expand(frames, 55, 3, 3)
    for arm, side in (("left_arm", 1.0), ("right_arm", -1.0)):
        target = torch.tensor([0.3 * side, 1.1, 0.3]).expand(frames, 3)
        rotations = reach(rotations, root, skeleton.offsets, arm, target)
    leader = Motion.from_rotations(root, rotations, skeleton, 30.0)
    reached = palms(leader.joints)[0, :, 2].mean()
    return Duet(leader, facing(leader, float(2 * reached + gap)))


def distance(duet: Duet) -> torch.Tensor:
    """Distance of the follower's palms from the leader's opposite palms, `(T, 2)`."""
    own, partner = palms(duet.follower.joints), palms(duet.leader.joints)
    return (own - partner.flip(1)).norm(dim=-1)


def test_hands_that_hold_are_brought_together_and_the_rest_stays() -> None:
    apart = held_apart(0.2)
    closed = close_hands(apart)
    middle = slice(15, 45)
    assert (distance(apart)[middle] > 0.15).all()
    torch.testing.assert_close(
        distance(closed)[middle], torch.full((30, 2), PALM_GAP), atol=5e-3, rtol=0
    )
    body = list(range(16))  # all but the arms
    torch.testing.assert_close(
        closed.leader.joints[:, body], apart.leader.joints[:, body], atol=1e-5, rtol=0
    )


def test_hands_that_do_not_hold_are_left_alone() -> None:
    apart = held_apart(0.6)
    assert not hold_due(apart.leader.joints, apart.follower.joints).any()
    torch.testing.assert_close(close_hands(apart).follower.joints, apart.follower.joints)
