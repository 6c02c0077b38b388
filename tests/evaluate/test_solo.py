"""Soloists are measured without what takes two."""

from pathlib import Path

import pytest
import torch

from duet_rl.audio.provenance import AUTHORS
from duet_rl.audit.run import run_audit
from duet_rl.datasets.solo import as_soloist
from duet_rl.datasets.split import SplitConfig
from duet_rl.datasets.store import DuetStore
from duet_rl.errors import InputError
from duet_rl.evaluate.baselines import NEAREST, TRUTH, NearestSong
from duet_rl.evaluate.followers import Trained
from duet_rl.evaluate.page import telling_scenes
from duet_rl.evaluate.run import evaluate
from duet_rl.evaluate.settings import EvaluateConfig
from duet_rl.generate.view import DanceScene, player
from duet_rl.metrics.duet import CONTACT, MEASURES
from duet_rl.rewards.base import RewardMix, RewardMixConfig
from tests.choreograph.world import write_dancer

CONFIG = EvaluateConfig(seeds=1, workers=1, probe_clips=0)


@pytest.fixture(scope="module")
def soloists(store: DuetStore, tmp_path_factory: pytest.TempPathFactory) -> DuetStore:
    clips = [as_soloist(clip) for clip in store.clips()]
    given = SplitConfig(given=dict(store.index.splits))
    folder = tmp_path_factory.mktemp("solo") / "store"
    return DuetStore.create(folder, clips, given, music=AUTHORS)


def test_a_soloist_is_measured_alone(soloists: DuetStore) -> None:
    found = evaluate(soloists, [], RewardMixConfig(), CONFIG, progress=False)
    truth = found.row(TRUTH)
    assert [row.name for row in found.rows] == [TRUTH, NEAREST], "nobody mirrors the stage"
    of_two = {name for name, measure in MEASURES.items() if measure.group == CONTACT}
    assert not of_two & truth.values.keys()
    assert "reward/contact" not in truth.values
    assert truth.values["root_error"].eq(0).all()
    assert truth.values["foot_slide"].isfinite().all()


def test_sets_of_soloists_say_why_there_are_no_couples(soloists: DuetStore) -> None:
    row = evaluate(soloists, [], RewardMixConfig(), CONFIG, progress=False).row(NEAREST)
    assert row.sets["kid_duet"].reason == "these dancers dance alone"
    assert row.sets["kid_kinetic"].reason != row.sets["kid_duet"].reason


def test_the_nearest_song_is_the_one_with_the_same_beats(soloists: DuetStore) -> None:
    dance = NearestSong().open(soloists, CONFIG)
    wanted = soloists.clip("e1")
    clip = soloists.clip("a1")
    same = type(clip)(**{**vars(clip), "music": wanted.music})
    (found,) = dance([same], 0)
    assert found is not None
    torch.testing.assert_close(found.joints, wanted.duet.follower.joints)


def test_a_page_shows_one_soloist_at_a_time(soloists: DuetStore, tmp_path: Path) -> None:
    evaluation = evaluate(soloists, [], RewardMixConfig(), CONFIG, False, tmp_path)
    scenes = telling_scenes(evaluation, soloists, [], tmp_path)
    assert scenes and all(scene.leader is None for scene in scenes)
    assert '"leader": null' in player(scenes)


def test_a_scene_with_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="nobody dances"):
        DanceScene("empty", None)


def test_the_audit_wants_couples(soloists: DuetStore) -> None:
    with pytest.raises(InputError, match="the audit is about couples"):
        run_audit(soloists, RewardMix(), progress=False)


def test_a_follower_of_leaders_is_not_measured_on_soloists(
    soloists: DuetStore, tmp_path: Path
) -> None:
    partner = Trained("partner", write_dancer(tmp_path / "partner", ("music", "leader")))
    with pytest.raises(InputError, match=r"'partner' follows a leader.*holds soloists"):
        evaluate(soloists, [partner], RewardMixConfig(), CONFIG, progress=False)
