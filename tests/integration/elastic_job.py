"""A program: pretrain a stage that waits in one step for a second worker, and in one for its loss.

`python -m tests.integration.elastic_job DATA OUT`, with RAY_ADDRESS. What the growing and shrinking
job learns lies in `OUT/elastic`, what one worker learns that nobody disturbs in `OUT/alone`.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet_rl.pretrain import run
from duet_rl.pretrain.stage import ClusterConfig, StageConfig
from duet_rl.pretrain.tokenizer import PosePlan, PoseStage

WORLDS = "worlds"  # in the folder of the run: a line for each share of a step, `step rank world`
STATE_EVERY = 4
CONFIG = StageConfig(
    steps=24, batch_size=4, window_tokens=4, checkpoint_every=STATE_EVERY, warmup=2
)
GROWS, SHRINKS = 10, 20  # steps
_LOOK = 2.0  # s between looks for room


@dataclass(frozen=True)
class PatientPlan(PosePlan):
    """A pose stage that takes a step only with as many workers as it wants there."""

    def open(self) -> PoseStage:
        stage = super().open()
        draw = stage.batch

        def batch(step: int, rank: int, world: int) -> tuple[Any, ...]:
            while (step == GROWS and world == 1) or (step == SHRINKS and world == 2):
                time.sleep(0.1)
            with (self.out / WORLDS).open("a") as file:
                file.write(f"{step} {rank} {world}\n")
            return draw(step, rank, world)

        stage.batch = batch  # type: ignore[method-assign]
        return stage


def main(data: Path, out: Path) -> None:
    """Train twice."""
    run._RESIZE_SECONDS = _LOOK
    out.joinpath("elastic").mkdir(parents=True)
    both = ClusterConfig(workers=2, min_workers=1, cpus=1)
    run.run_stages([PatientPlan(CONFIG, data, out / "elastic")], both, progress=False)
    one = ClusterConfig(workers=1, cpus=1)
    run.run_stages([PosePlan(CONFIG, data, out / "alone")], one, progress=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
