"""A small store and an untrained follower, made once, for the commands to work on."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from duet_rl import checkpoint
from duet_rl.cli.main import app
from duet_rl.models.conditions import ConditionConfig
from duet_rl.models.multistream_gpt import MultiStreamGPT, MultiStreamGPTConfig
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.tokenizer import DuetCodecConfig


def run(*words: object) -> Result:
    """Run one command; an error that is no message to the user is raised."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refusal(*words: object) -> str:
    """Run a command that must be refused; return the one line that says why."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("duet-rl: ")]
    assert len(lines) == 1 and "Traceback" not in result.output, result.output
    return lines[0]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six synthetic dances of two and a half seconds."""
    folder = tmp_path_factory.mktemp("cli") / "store"
    result = run(
        *("prepare", "synthetic", "--out", folder, "synthetic.choreographies=6"),
        *("synthetic.seconds=2.5", "prepare.parallel=false"),
    )
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="session")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A follower that has learned nothing."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("cli") / "follower"
    codec = DuetCodec(DuetCodecConfig())
    for name, codebook in codec.named_buffers():
        if name.endswith("codebook"):  # an untrained one has one code for all
            codebook.normal_()
    config = MultiStreamGPTConfig(
        classes=codec.spec.classes,
        conditions=(
            ConditionConfig(name="music", channels=54),
            ConditionConfig(name="leader", channels=codec.leader_channels),
        ),
        width=16,
        layers=1,
        heads=2,
    )
    tensors = MultiStreamGPT(config).state_dict()
    checkpoint.save(folder, kind="follower", tensors=tensors, config=config, meta={})
    codec.save(folder, {})
    return folder
