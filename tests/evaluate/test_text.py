"""Text to motion on one's own dances: the truth shows its texts, and controls do not."""

import csv
import json

import pytest
import torch

from duet_rl.errors import InputError
from duet_rl.evaluate.text import (
    EVALUATOR,
    JSON,
    MEASURES,
    NEAREST,
    SHUFFLED,
    TABLE,
    TRUTH,
    TextEvaluateConfig,
    TextEvaluation,
    as_text,
    evaluate_text,
)
from duet_rl.evaluate.text_evaluator import LocalEvaluator
from duet_rl.evaluate.text_windows import cut_windows, dancers_of
from tests.couple import joints_of, stepping_couple
from tests.evaluate.test_text_scores import SMALL

CONFIG = TextEvaluateConfig(
    seconds=1.5,
    step=0.5,
    held_out_step=1.0,
    pool=8,
    mirrored=False,
    evaluator=SMALL.model_copy(update={"steps": 10}),
)
FAR = SHUFFLED.format("statue")


def statue(texts, frames, seed):
    """Stand still, whatever is said."""
    pose = joints_of(stepping_couple())[0][0, :1]
    return [pose.expand(frames, -1, -1) + 0.001 * seed for _ in texts]


@pytest.fixture(scope="module")
def found(store, tmp_path_factory) -> tuple[TextEvaluation, object]:
    out = tmp_path_factory.mktemp("text")
    return evaluate_text(store, {"statue": statue}, CONFIG, out), out


def test_true_motions_show_all_of_their_texts_and_a_statue_does_not(found):
    rows = found[0].rows
    assert list(rows) == [
        *(TRUTH, SHUFFLED.format(TRUTH), NEAREST, SHUFFLED.format(NEAREST), "statue", FAR)
    ]
    assert all(set(cells) == set(MEASURES) for cells in rows.values())
    facts = {name: cells["facts"].interval.mean for name, cells in rows.items()}
    assert facts[TRUTH] == 1 > facts["statue"]
    for name in (TRUTH, NEAREST):
        assert facts[name] > facts[SHUFFLED.format(name)], name
    distances = [rows[name]["matching_distance"].interval for name in ("statue", FAR)]
    assert distances[0] == distances[1], "one dance for all texts: whose text it is, is no matter"
    assert rows["statue"]["multimodality"].interval is not None
    assert rows[TRUTH]["multimodality"].reason


def test_everything_is_written_and_the_evaluator_can_be_used_again(found, store):
    evaluation, out = found
    told = json.loads((out / JSON).read_text())
    assert told["evaluator"] == "local" and told["texts"] == list(evaluation.texts)
    with (out / TABLE).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(evaluation.rows) * len(MEASURES)
    for line in lines:
        cell = evaluation.rows[line["row"]][line["measure"]]
        assert (line["mean"] == "") == (cell.interval is None), line
        assert cell.interval or cell.reason or "0 texts" in cell.samples, line
    again = evaluate_text(
        store, {"statue": statue}, CONFIG, evaluator=LocalEvaluator.load(out / EVALUATOR)
    )
    assert again.rows[TRUTH]["facts"] == evaluation.rows[TRUTH]["facts"]
    pair = [x.rows["statue"]["matching_distance"].interval for x in (again, evaluation)]
    assert pair[0].mean == pytest.approx(pair[1].mean, rel=1e-4)
    text = as_text(evaluation)
    assert "the evaluator is local" in text and "statue" in text


def test_windows_are_of_every_dancer_and_mirrored_ones_say_the_other_side(store):
    dancers = dancers_of(store, "train")
    assert len(dancers) == 2 * len(store.records("train"))
    plain, both = (cut_windows(dancers[:1], 1.5, 1.0, mirrored) for mirrored in (False, True))
    assert len(both) == 2 * len(plain)
    swap = {"left": "right", "right": "left"}

    def said(window, mirror=False) -> set[str]:
        keys = (one.fact.key for one in window.stated)
        words = (" ".join(swap.get(w, w) if mirror else w for w in key.split()) for key in keys)
        return {word.replace("/left", "/L").replace("/right", "/R") for word in words}

    ours = {key for key in said(plain[0]) if key.startswith(("state", "symmetric"))}
    theirs = said(both[len(plain)])
    assert {key for key in theirs if key.startswith("symmetric")} == {
        key for key in ours if key.startswith("symmetric")
    }
    assert torch.equal(both[0].joints, plain[0].joints)


@pytest.mark.parametrize(
    ("dancers", "settings", "why"),
    [
        ({TRUTH: statue}, {}, "called 'true motion' already"),
        ({"few": lambda texts, frames, seed: statue(texts[1:], frames, seed)}, {}, "one each"),
        ({"brief": lambda texts, frames, seed: statue(texts, 4, seed)}, {}, "8 frames or more"),
        ({}, {"split": "val"}, "'val' .* has 0 pieces"),
        ({}, {"seconds": 60.0}, "has 0 pieces of 60 s"),
        ({}, {"seconds": 0.1}, "too short"),
    ],
)
def test_what_cannot_be_measured_is_refused(store, dancers, settings, why):
    brief = CONFIG.model_copy(
        update={**settings, "evaluator": SMALL.model_copy(update={"steps": 0})}
    )
    with pytest.raises(InputError, match=why):
        evaluate_text(store, dancers, brief)
