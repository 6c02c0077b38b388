"""A job that grows and shrinks comes only to numbers of workers that share every batch evenly."""

from pathlib import Path

import pytest

from duet_rl.errors import InputError
from duet_rl.pretrain.run import require_divisible
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.tokenizer import PosePlan, TranslationPlan


def plans(pose: int, translation: int, accumulate: int = 1) -> list[PosePlan | TranslationPlan]:
    """Return two stages with these batch sizes; nothing of theirs is read."""
    nowhere = Path("nowhere")
    return [
        PosePlan(StageConfig(batch_size=pose, accumulate=accumulate), nowhere, nowhere),
        TranslationPlan(StageConfig(batch_size=translation), nowhere, nowhere),
    ]


def test_batches_that_divide_among_all_that_may_come_are_taken() -> None:
    require_divisible(plans(32, 32), 1, 2)
    require_divisible(plans(24, 12), 2, 4)
    require_divisible(plans(32, 32), 4, 4)
    require_divisible(plans(16, 8, accumulate=2), 2, 2)


@pytest.mark.parametrize(
    ("batches", "fewest", "most", "message"),
    [
        ((24, 32), 2, 4, r"3 workers .* the 32 windows .* translation .* multiple of 12"),
        ((32, 24), 2, 4, r"3 workers .* the 32 windows .* pose .* multiple of 12"),
        ((32, 32), 3, 3, r"3 workers .* pose.batch_size a multiple of 3"),
    ],
)
def test_a_batch_that_some_number_of_workers_cannot_share_is_refused(
    batches: tuple[int, int], fewest: int, most: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        require_divisible(plans(*batches), fewest, most)


def test_micro_batches_count() -> None:
    with pytest.raises(InputError, match=r"with 8 micro batches each .* multiple of 16"):
        require_divisible(plans(24, 24, accumulate=8), 1, 2)


@pytest.mark.parametrize("most", [None, 1])
def test_the_fewest_workers_are_no_more_than_the_most(most: int | None) -> None:
    with pytest.raises(InputError, match=f"cluster.workers is {most}, which is the most"):
        require_divisible(plans(32, 32), 2, most)
