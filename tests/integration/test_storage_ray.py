"""A pretraining behind a URI is stopped here and goes on elsewhere, in a folder of another name."""

import re
import signal
import sys
from pathlib import Path

import pytest

from duet_rl import checkpoint
from duet_rl.config import resolve
from duet_rl.pretrain.loop import LOGS
from duet_rl.pretrain.run import RAY_FOLDER
from duet_rl.run import RunConfig, prepare_synthetic
from duet_rl.run_log import METRICS, read_metrics
from duet_rl.storage.commits import contents_of
from duet_rl.storage.mirror import fetched
from duet_rl.storage.places import CACHE, cache_folder, open_place
from tests.integration.processes import ended, started, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.nightly]

START, END = 120.0, 180.0  # s, on a busy machine
STEPS, STATE = 200, 20
DATA = ["synthetic.choreographies=6", "synthetic.seconds=2.5", "prepare.parallel=false"]
SETTINGS = [
    *(f"pose.steps={STEPS}", f"pose.checkpoint_every={STATE}", "pose.batch_size=4"),
    "cluster.workers=1",
]


def test_a_pretraining_goes_on_from_what_the_store_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_synthetic(resolve(RunConfig, "tiny", DATA), tmp_path / "data", progress=False)
    uri = f"file://{tmp_path}/bucket/run"
    command = [
        *(sys.executable, "-m", "duet_rl", "pretrain", "pose", "--data", str(tmp_path / "data")),
        *("--out", uri, *SETTINGS),
    ]
    monkeypatch.setenv(CACHE, str(tmp_path / "here"))
    states = cache_folder("runs", uri) / RAY_FOLDER
    log = tmp_path / "stopped.log"
    with started(command, log) as program:
        wait_until(lambda: len(list(states.glob("*/checkpoint_*"))) > 1, START, "two states")
        program.send_signal(signal.SIGINT)
        assert ended(program, END, log) == 130, log.read_text()
    store = open_place(uri)
    held = contents_of(store).files
    assert any(name.startswith(f"{RAY_FOLDER}/") for name in held) and "pose" not in held

    # What began anew would write its first lines anew.
    numbers = store.file(f"{LOGS}/pose/{METRICS}")
    with store.filesystem.open_input_stream(numbers) as stream:
        text = stream.read()
    with store.filesystem.open_output_stream(numbers) as stream:
        stream.write(re.sub(rb'"loss": \d', b'"loss": 7', text, count=1))

    monkeypatch.setenv(CACHE, str(tmp_path / "there"))
    log = tmp_path / "resumed.log"
    with started(command, log) as program:
        assert ended(program, END, log) == 0, log.read_text()
    rows = read_metrics(fetched(f"{uri}/{LOGS}/pose"))
    assert rows[0]["loss"] >= 7 and rows[-1]["step"] == STEPS and rows[-1]["loss"] < 7
    assert checkpoint.read_meta(fetched(f"{uri}/pose"))["steps"] == STEPS
    left = contents_of(store).files
    assert not any(name.startswith(f"{RAY_FOLDER}/") for name in left), "nothing left to resume"
