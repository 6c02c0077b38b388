"""The published protocol from folders: followers, a converted PGR2M, the truth, and refusals."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from duet_rl.body.motion import Motion
from duet_rl.body.skeleton import default_skeleton
from duet_rl.datasets.humanml3d import HUMANML3D, KIT_ML, open_text_motions
from duet_rl.datasets.humanml3d_store import HumanML3DConfig, find_motions, read_motion
from duet_rl.datasets.humanml3d_words import WordVectors
from duet_rl.errors import InputError
from duet_rl.evaluate.humanml3d_evaluator import open_evaluator
from duet_rl.evaluate.humanml3d_makers import (
    HumanML3DEvaluateConfig,
    features_of_motion,
    maker_in,
)
from duet_rl.evaluate.humanml3d_table import (
    LABEL,
    TRUE_ROW,
    PublishedTextTable,
    as_text,
    published_text_table,
    write_published_texts,
)
from duet_rl.mocap.humanml3d import joints_of
from tests.cli.conftest import follower, refusal, run  # noqa: F401
from tests.datasets.humanml3d_tree import write_bodies, write_tree, write_words
from tests.evaluate.published_files import write_evaluator, write_pgr2m
from tests.generate.text_dancer import write_text_dancer

CONFIG = HumanML3DEvaluateConfig(
    batch=8,
    repeats=2,
    diversity_pairs=10,
    multimodal_texts=2,
    multimodal_samples=3,
    multimodal_pairs=2,
    seconds=1.0,
)
TEXTS = ["a person does walk.", "a person does jump.", "a person does turn."]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the protocol needs, and a dancer."""
    root = tmp_path_factory.mktemp("published")
    write_tree(root / "data", [40 + 7 * (i % 20) for i in range(18)])
    write_words(root / "glove")
    write_evaluator(root / "t2m")
    write_text_dancer(root / "dancer")
    return root


def table_of(world: Path, *names: str, **changes: object) -> PublishedTextTable:
    config = CONFIG.model_copy(update=changes)
    return published_text_table(
        open_text_motions(world / "data"),
        WordVectors.open(world / "glove"),
        open_evaluator(world / "t2m"),
        {name: maker_in(world / name, HUMANML3D, config) for name in names},
        config,
    )


def test_a_follower_stands_beside_the_truth_and_the_label_tells_what_was_changed(
    world: Path, tmp_path: Path
) -> None:
    found = table_of(world, "dancer")
    assert list(found.rows) == [TRUE_ROW, "dancer"] and (found.texts, found.tail) == (16, 2)
    assert found.rows[TRUE_ROW]["fid"].mean == pytest.approx(0, abs=1e-9)
    assert found.rows["dancer"]["fid"].mean > 0 and "multimodality" in found.rows["dancer"]
    assert found.label.startswith(f"{LABEL}, but for batch 8 (published: 32); repeats 2")
    assert "an evaluator of other sizes" in found.label
    write_published_texts(found, tmp_path)
    told = json.loads((tmp_path / "humanml3d.json").read_text())
    assert told["protocol"] == found.label and told["data"] == "HumanML3D"
    assert told["rows"]["dancer"]["fid"]["mean"] == found.rows["dancer"]["fid"].mean
    rows = list(csv.DictReader((tmp_path / "humanml3d.csv").open()))
    assert {row["row"] for row in rows} == {TRUE_ROW, "dancer"}
    assert "± " in as_text(found) and found.label in as_text(found)


def test_the_truth_is_the_same_whoever_stands_beside_it(world: Path) -> None:
    beside = table_of(world, "dancer").rows[TRUE_ROW]
    once = table_of(world, repeats=1)
    assert "±" not in as_text(once).splitlines()[1] and "nan" not in as_text(once)
    alone = table_of(world).rows[TRUE_ROW]
    assert beside["r_precision_1"] == alone["r_precision_1"]  # the first draws are the same


def test_the_published_protocol_has_its_name_where_nothing_was_changed() -> None:
    whole = PublishedTextTable({}, 4640, 8, {}, (), {})
    assert whole.label == LABEL == "published protocol"


def test_motions_are_measured_in_the_form_of_the_files(tmp_path: Path) -> None:
    write_bodies(tmp_path, {"000000": 60}, "train")
    for name, split in (("000001", "val"), ("000002", "test")):
        write_bodies(tmp_path, {name: 60}, split)
    data = open_text_motions(tmp_path, "train")
    (motion,) = (m for m in find_motions(tmp_path, HumanML3DConfig()) if m.split == "train")
    clip = read_motion(motion, True, tmp_path)
    back, true = features_of_motion(clip.duet.follower), data.features(data.motions[0])
    ours, theirs = (joints_of(x[:50]) for x in (back, true))
    # Every second frame of 20 fps is one of 30 fps; those between are those of turned limbs.
    apart = (ours - theirs)[::2].norm(dim=-1)
    assert float(apart.mean()) < 0.02 and float((ours - theirs).norm(dim=-1).max()) < 0.1


def test_a_dance_that_ends_at_once_is_held_until_it_can_be_read() -> None:
    rest = default_skeleton()
    rotations = torch.eye(3).expand(1, 55, 3, 3).clone()
    pose = Motion.from_rotations(torch.tensor([[0.0, 0.9, 0.0]]), rotations, rest, 30.0)
    assert features_of_motion(pose).shape == (4, 263)


def test_dances_depend_on_the_generator_and_last_ten_seconds_at_most(world: Path) -> None:
    make = maker_in(world / "dancer", HUMANML3D, CONFIG)
    one, same, other = (make(TEXTS, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert all(4 <= len(x) <= 196 and x.shape[1] == 263 for x in one)


def test_a_converted_pgr2m_is_scored_by_its_own_features(world: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = write_pgr2m(tmp_path)
    make = maker_in(folder, HUMANML3D, CONFIG)
    made = make(TEXTS, torch.Generator().manual_seed(0))
    assert len(made) == 3 and all(x.shape[1] == 263 and not len(x) % 4 for x in made)
    with pytest.raises(InputError, match=r"263 features .* wanted the 251 of KIT-ML"):
        maker_in(folder, KIT_ML, CONFIG)
    said = run(*words_for(world, folder, tmp_path / "pgr2m")).output
    assert "heard none of the key words" in said


def words_for(world: Path, maker: Path | None, out: Path) -> list[object]:
    small = [
        f"evaluate_humanml3d.{name}={getattr(CONFIG, name)}"
        for name in ("batch", "repeats", "diversity_pairs", "multimodal_pairs")
    ]
    small += ["evaluate_humanml3d.multimodal_texts=1", "evaluate_humanml3d.multimodal_samples=2"]
    return [
        *("evaluate", *([] if maker is None else [maker]), "--protocol", "humanml3d"),
        *("--data", world / "data", "--evaluator", world / "t2m", "--words", world / "glove"),
        *("--out", out, *small),
    ]


def test_the_command_prints_the_table_and_writes_it(world: Path, tmp_path: Path) -> None:
    result = run(*words_for(world, world / "dancer", tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert LABEL in result.output and TRUE_ROW in result.output and "dancer" in result.output
    assert (tmp_path / "out/humanml3d.json").is_file()


def test_what_is_missing_is_told_in_one_line(
    world: Path,
    follower: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    words = words_for(world, None, tmp_path / "out")
    assert "needs --data ROOT" in refusal("evaluate", "--protocol", "humanml3d")
    assert "only for --protocol humanml3d" in refusal("evaluate", "--words", world / "glove")
    assert "only for the protocols" in refusal(*words, "--own-files")
    assert "hears no words" in refusal(*words, follower)
    assert "no follower and no converted PGR2M" in refusal(*words, world / "glove")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_an_evaluator_without_its_own_mean_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no finest.tar"):
        open_evaluator(tmp_path)
    folder = write_evaluator(tmp_path / "t2m")
    given = open_evaluator(folder)
    assert given.mean.tolist() == [0.5] * 263 and given.deviation.tolist() == [2.0] * 263
    for place in ("model", "model/finest.tar"):
        assert open_evaluator(folder / "text_mot_match" / place).sha256 == given.sha256
    np.save(folder / "text_mot_match/meta/std.npy", np.zeros(263, np.float32))
    with pytest.raises(InputError, match=r"not above 0"):
        open_evaluator(folder)
    (folder / "text_mot_match/meta/mean.npy").unlink()
    with pytest.raises(InputError, match=r"no mean.npy, .* not by the data set's own"):
        open_evaluator(folder)
    with pytest.raises(InputError, match=r"are of 263 and 263 features, and the data have 251"):
        given.require_fits(251)
