"""An evaluation measures what was danced, on any number of processes, and refuses what is not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from duet_rl.body.motion import Motion
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate.baselines import MIRROR, NEAREST, OTHER, PLANTED, TRUTH, other_takes
from duet_rl.evaluate.dances import kept_dance
from duet_rl.evaluate.followers import Recorded, Trained, entrant_of
from duet_rl.evaluate.run import evaluate
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.evaluate.table import Evaluation, as_text
from duet_rl.rewards.base import RewardMixConfig

ALONE = EvaluateConfig(workers=1, seeds=1)
Write = Callable[..., Path]


def measured(
    store: DuetStore, *rows: Trained | Recorded, config: EvaluateConfig = ALONE, **more: Path
) -> Evaluation:
    return evaluate(store, rows, RewardMixConfig(), config, progress=False, **more)


def assert_same(one: Evaluation, other: Evaluation) -> None:
    assert [row.name for row in one.rows] == [row.name for row in other.rows]
    for ours, theirs in zip(one.rows, other.rows, strict=True):
        for numbers in ("values", "probes"):
            mine, yours = getattr(ours, numbers), getattr(theirs, numbers)
            assert mine.keys() == yours.keys()
            for name in mine:
                torch.testing.assert_close(mine[name], yours[name], equal_nan=True, rtol=0, atol=0)
        assert ours.sets == theirs.sets


def test_dances_in_files_are_measured_as_what_they_are(store: DuetStore, recorded: Write):
    copy = Recorded("copy", recorded("copy"))
    aside = Recorded("aside", recorded("aside", lambda motion: motion.moved((0.5, 0.0, 0.0))))
    evaluation = measured(store, copy, aside)
    truth = evaluation.row(TRUTH)
    for name, values in evaluation.row("copy").values.items():
        torch.testing.assert_close(
            values, truth.values[name], atol=2e-3, rtol=1e-2, equal_nan=True, msg=name
        )
    torch.testing.assert_close(
        evaluation.row("aside").values["root_error"], torch.full((3, 1), 0.5), atol=1e-3, rtol=0
    )
    assert evaluation.row("aside").interval("reward/total").mean < 0.9 * (
        truth.interval("reward/total").mean
    )


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_two_processes_find_what_one_finds(store: DuetStore, recorded: Write):
    copy = Recorded("copy", recorded("copy"))
    two = measured(store, copy, config=ALONE.model_copy(update={"workers": 2}))
    assert_same(measured(store, copy), two)


def test_the_other_take_of_a_dance_stands_beside_those_that_have_one(store: DuetStore):
    assert other_takes(store) == {"a1": "a2", "a2": "a1"}
    row = measured(store).row(OTHER)
    error = row.values["root_error"][:, 0]  # a1, a2, b1: the same steps, turned, and another dance
    assert error[:2].max() < 1e-3 and torch.isnan(error[2])
    assert row.cell("root_error").samples == "2 clips"
    assert {score.clips for score in row.sets.values()} == {2}  # a missing dance is no window


def test_without_training_clips_there_is_nobody_who_remembers(store: DuetStore, tmp_path: Path):
    alone = DuetStore.create(
        tmp_path / "alone",
        store.clips("test"),
        SplitConfig(given={"a": "test", "b": "test"}),
        music=store.music,
    )
    evaluation = measured(alone)
    assert {row.name for row in evaluation.rows} == {TRUTH, OTHER}
    assert "no clips of the reference" in evaluation.row(TRUTH).cell("kid_kinetic").reason


def test_a_clip_of_a_moment_ends_nothing_and_does_not_shorten_the_probes(
    store: DuetStore, tmp_path: Path
):
    clips = [clip.slice(0, 24) if clip.name == "a2" else clip for clip in store.clips()]
    given = {"a": "test", "b": "test", "c": "train", "d": "train", "e": "train"}
    mixed = DuetStore.create(tmp_path / "mixed", clips, SplitConfig(given=given), music=store.music)
    evaluation = measured(mixed)
    nearest = evaluation.row(NEAREST)
    total = nearest.values["reward/total"][:, 0].isnan().tolist()
    assert total == [name == "a2" for name in evaluation.clips]
    assert evaluation.row(MIRROR).cell("reward/total").samples == "3 clips"
    assert nearest.cell("future_reach").samples == "2 windows"  # longer than the short clip


def test_a_memory_of_moments_is_no_baseline(store: DuetStore, tmp_path: Path):
    clips = [clip.slice(0, 24) for clip in store.clips()]
    given = {"a": "test", "b": "test", "c": "train", "d": "train", "e": "train"}
    short = DuetStore.create(tmp_path / "short", clips, SplitConfig(given=given), music=store.music)
    assert {row.name for row in measured(short).rows} == {TRUTH, OTHER, MIRROR}


def test_a_store_that_was_made_anew_is_opened_anew(store: DuetStore, tmp_path: Path):
    def made(names: str) -> DuetStore:
        clips = [clip for clip in store.clips() if clip.name in names.split()]
        given = {clip.choreography: "test" for clip in clips}
        folder = tmp_path / "store"
        shutil.rmtree(folder, ignore_errors=True)
        return DuetStore.create(folder, clips, SplitConfig(given=given), music=store.music)

    assert measured(made("a1 b1")).clips == ["a1", "b1"]
    assert measured(made("b1 c1")).clips == ["b1", "c1"]


def test_the_same_baselines_are_measured_every_time(store: DuetStore):
    evaluation = measured(store)
    assert {row.name for row in evaluation.rows} == {TRUTH, OTHER, MIRROR, NEAREST, PLANTED}
    assert_same(evaluation, measured(store))
    assert evaluation.row(PLANTED).interval("foot_slide").mean <= (
        evaluation.row(NEAREST).interval("foot_slide").mean
    )


def test_who_knows_the_true_dance_by_heart_reads_neither_music_nor_leader(store: DuetStore):
    evaluation = measured(store, config=EvaluateConfig(workers=1, seeds=1, probe_clips=3))
    assert not evaluation.row(TRUTH).probes
    mirror = evaluation.row(MIRROR)
    assert mirror.interval("music_sensitivity").mean == 0
    assert mirror.interval("leader_sensitivity").mean > 0


@pytest.mark.parametrize("row", ["a/b", "..", "舞" * 90])
def test_the_first_dance_of_each_clip_is_kept_where_it_is_asked_for(
    store: DuetStore, recorded: Write, tmp_path: Path, row: str
):
    measured(store, Recorded(row, recorded("copy")), dances=tmp_path / "dances")
    assert {path.name for path in tmp_path.iterdir()} == {"copy", "dances"}
    for clip in store.clips("test"):
        dance = kept_dance(tmp_path / "dances", row, clip.name)
        assert dance is not None
        torch.testing.assert_close(dance, clip.duet.follower.joints, atol=2e-3, rtol=0)


def test_who_leaves_the_room_once_is_seen_in_all_other_dances(
    store: DuetStore, recorded: Write, tmp_path: Path
):
    places = iter([40.0, 0.0, 0.0])  # m; a1, a2 and b1 are danced as one batch
    run = Recorded("away", recorded("away", lambda motion: motion.moved((next(places), 0.0, 0.0))))
    measured(store, run, dances=tmp_path / "kept")
    kept = {name: kept_dance(tmp_path / "kept", "away", name) for name in ("a1", "a2", "b1")}
    assert [name for name, dance in kept.items() if dance is None] == ["a1"]


def test_the_table_is_told_group_by_group_and_says_why_cells_are_empty(store: DuetStore):
    said = as_text(measured(store))
    assert all(name in said for name in (TRUTH, OTHER, MIRROR, NEAREST, PLANTED))
    assert "3 clips x 1 seeds" in said
    assert "in fid kinetic" in said and "dimensions" in said


def test_a_missing_dance_is_told_before_anything_is_danced(store: DuetStore, recorded: Write):
    folder = recorded("copy")
    (folder / "b1.npz").unlink()
    with pytest.raises(InputError, match=r"dances for 2 of 3 clips; missing: b1"):
        measured(store, Recorded("copy", folder))


def test_a_dance_of_another_length_is_refused(store: DuetStore, recorded: Write):
    folder = recorded("short", lambda motion: motion.slice(0, 60))
    with pytest.raises(InputError, match="60 frames at 30 fps and the clip 120"):
        measured(store, Recorded("short", folder))


def test_what_is_less_than_a_token_longer_is_cut_as_the_clip_was(store: DuetStore, recorded: Write):
    def longer(motion: Motion) -> Motion:
        last = motion.slice(-1, None)
        joints = torch.cat([motion.joints, *[last.joints] * 3])
        rotations = torch.cat([motion.rotations, *[last.rotations] * 3])
        return Motion(joints, rotations, motion.skeleton, motion.fps)

    row = measured(store, Recorded("longer", recorded("longer", longer))).row("longer")
    assert row.interval("root_error").mean < 1e-3


def test_two_rows_of_one_name_are_refused(store: DuetStore, recorded: Write):
    with pytest.raises(InputError, match="two rows are called"):
        measured(store, Recorded(TRUTH, recorded("copy")))


def test_a_split_without_clips_is_refused(store: DuetStore):
    with pytest.raises(InputError, match=r"'val' .* has no clips"):
        measured(store, config=EvaluateConfig(split="val", workers=1))


def test_what_a_folder_holds_decides_how_it_is_measured(recorded: Write, tmp_path: Path):
    assert isinstance(entrant_of("dances", recorded("dances")), Recorded)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither a follower"):
        entrant_of("empty", tmp_path / "empty")
    with pytest.raises(InputError, match="does not exist"):
        entrant_of("nothing", tmp_path / "nothing")


def test_a_dance_at_another_rate_is_resampled(store: DuetStore, recorded: Write):
    def at_60(motion: Motion) -> Motion:
        faster = motion.resample(60.0)  # its last frame is that of the clip
        last = faster.slice(-1, None)
        joints = torch.cat([faster.joints, last.joints])
        rotations = torch.cat([faster.rotations, last.rotations])
        return Motion(joints, rotations, motion.skeleton, 60.0)

    row = measured(store, Recorded("60", recorded("60", at_60))).row("60")
    assert row.interval("root_error").mean < 1e-3


@pytest.mark.slow
def test_surfaces_are_held_together_where_it_is_asked_for(store: DuetStore, recorded: Write):
    pytest.importorskip("warp", reason="the extra `mesh` is not installed")
    inside = Recorded("inside", recorded("inside", lambda motion: motion.moved((0.0, 0.0, -0.5))))
    asked = ALONE.model_copy(update={"surface_every": 60, "probe_clips": 0, "max_clips": 1})
    evaluation = measured(store, inside, config=asked)
    for name in ("surface_share", "surface_depth", "surface_volume"):
        truth, theirs = (evaluation.row(row).interval(name).mean for row in (TRUTH, "inside"))
        assert theirs > truth >= 0, name
    assert evaluation.row("inside").interval("surface_volume").mean > 1.0  # litres
    assert "surface_share" not in measured(store, config=ALONE).measures
