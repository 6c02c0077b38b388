"""The log of a run has whole lines, also where the disk was full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from duet_rl.run_log import METRICS, RunLog, read_metrics


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: what does not fit is cut off, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_line_that_does_not_fit_leaves_nothing_behind(tmp_path: Path):
    with RunLog(tmp_path, 0) as log:
        log.write(1, {"kl": 0.5})
        with files_end_at((tmp_path / METRICS).stat().st_size + 8), pytest.raises(OSError):
            log.write(2, {"kl": 0.25})
        log.write(3, {"kl": 0.125})
        log.write(4, {"kl": 0.0625})
    assert read_metrics(tmp_path)[:2] == [{"step": 1, "kl": 0.5}, {"step": 3, "kl": 0.125}]


# The thread in which TensorBoard writes ends by the full disk, as it would in a run.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_tensorboard_goes_on_when_there_is_room_again(tmp_path: Path):
    with RunLog(tmp_path, 0) as log:
        log.write(1, {"kl": 0.5})
        log._writer.flush()
        with files_end_at((tmp_path / METRICS).stat().st_size + 40):
            log.write(2, {"kl": 0.25})
            with pytest.raises(OSError):
                log._writer.flush()
        log.write(3, {"kl": 0.125})
        log._writer.flush()
    # One by one: the names of files of one second do not sort by age.
    found = [EventAccumulator(str(file)).Reload() for file in tmp_path.glob("events*")]
    assert 3 in {scalar.step for events in found for scalar in events.Scalars("kl")}
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]
