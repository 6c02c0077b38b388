"""The log of a run: TensorBoard, and the same numbers as lines of JSON."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch.utils.tensorboard import SummaryWriter

from duet_rl.files import atomic_path

logger = logging.getLogger(__name__)

METRICS = "metrics.jsonl"
STEP = "step"  # key of each line that is no metric
PROGRESS = "progress"  # tag of how far a training of known length is, 0 to 1
LEFT = "seconds/left"  # tag: s until the end, if all goes on as so far
LOGS = "logs"  # sub-folder of a run: one folder of numbers a stage of pretraining
FAULT = "fault.txt"  # there: what a worker said was wrong with its input
STAGES = "stages.json"  # of a demo: what it has done, and how long that took
RL, RL_WORK = "rl", "rl_work"  # of a run: the refined follower; its state and numbers


class RunLog:
    """Writes the numbers of each step; a resumed run overwrites what came after its state.

    Args:
        folder: where the events and `metrics.jsonl` go.
        done: steps that count; later lines are dropped.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / METRICS
        rows = [row for row in read_metrics(folder) if row[STEP] <= done]
        with atomic_path(self._file) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self._writer = SummaryWriter(str(folder), purge_step=done + 1)

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """Log the numbers of one step under their TensorBoard tags.

        Raises:
            OSError: they cannot be written; no part of a line is left behind.
        """
        whole = self._file.stat().st_size
        try:
            with self._file.open("a") as stream:
                stream.write(json.dumps({STEP: step, **numbers}) + "\n")
        except OSError:
            os.truncate(self._file, whole)
            raise
        try:
            self._scalars(step, numbers)
        except OSError:  # a writer that has once met a full disk raises this for ever
            self._writer = SummaryWriter(str(self.folder))
            self._scalars(step, numbers)

    def _scalars(self, step: int, numbers: dict[str, float]) -> None:
        for tag, value in numbers.items():
            self._writer.add_scalar(tag, value, step)

    def picture(self, tag: str, step: int, picture: UInt8[np.ndarray, "H W 3"]) -> None:
        """Show a picture in TensorBoard."""
        self._writer.add_image(tag, picture, step, dataformats="HWC")

    def sound(self, tag: str, step: int, sound: Float[np.ndarray, "samples"], rate: int) -> None:
        """Let a mono sound of `rate` samples a second be heard in TensorBoard."""
        self._writer.add_audio(tag, torch.from_numpy(sound)[None], step, rate)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is still held back."""
        try:
            self._writer.close()
        except OSError as error:
            logger.warning("the last TensorBoard events of %s are lost (%s)", self.folder, error)


def read_metrics(folder: Path | str) -> list[dict[str, float]]:
    """Return the logged numbers, one row a step; a line cut short by a crash is left out."""
    file = Path(folder) / METRICS
    if not file.is_file():
        return []
    rows = []
    for line in file.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
