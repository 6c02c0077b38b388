"""Jobs, without a cluster: what is sent, what is refused before, and how a job's end is told."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest
from ray.job_submission import JobStatus
from typer.testing import CliRunner

import duet_rl.submit
from duet_rl.cli.main import app
from duet_rl.errors import InputError
from duet_rl.submit import LIMIT, MIB, JobServer, Unheard, upload_of
from tests.cli.conftest import refusal

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 200.0  # s, on a busy machine
RL = ("rl", "--data", "s3://b/data", "--out", "s3://b/run")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with things that must not be sent."""
    for name, size in {
        "duet_rl/__main__.py": 10,
        "duet_rl/presets/tiny.yaml": 20,
        "duet_rl/__pycache__/x.pyc": 30,
        ".git/objects/x": 40,
        ".venv/lib/x.py": 50,
        "runs/mine/weights.safetensors": 60,
        "scripts/ünï.txt": 70,
        "duet_rl/cli/data.py": 80,
        "notes/.rayignore": 0,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / ".gitignore").write_text("runs/\n")
    (tmp_path / ".rayignore").write_text("/data\n")
    (tmp_path / "notes/.rayignore").write_text("*\n")
    return tmp_path


class Jobs:
    """A job server that knows one job; `texts` are what its connections bring, in their order."""

    def __init__(self, status: JobStatus, code: int | None = 0, texts: Sequence[Any] = ()) -> None:
        self.info = SimpleNamespace(
            submission_id="ours-1",
            status=status,
            driver_exit_code=code,
            message="it did not start",
            metadata={"duet_rl_out": "s3://b/run"},
        )
        self.texts = list(texts)
        self.log = "".join(text for text in (texts[-1] if texts else []) if isinstance(text, str))

    def get_job_info(self, job: str) -> Any:
        status = JobStatus.RUNNING if self.texts else self.info.status
        return SimpleNamespace(**{**vars(self.info), "status": status})

    def get_job_logs(self, job: str) -> str:
        return self.log

    def list_jobs(self) -> list[Any]:
        return [self.info]

    def submit_job(self, **asked: Any) -> str:
        self.asked = asked
        return str(asked["submission_id"])

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        for text in self.texts.pop(0) if self.texts else []:
            if isinstance(text, BaseException):
                raise text
            yield text


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Jobs], JobServer]:
    def serve(jobs: Jobs) -> JobServer:
        monkeypatch.setattr(duet_rl.submit, "_client", lambda address: jobs)
        monkeypatch.setattr(duet_rl.submit, "_LOOK_SECONDS", 0.0)
        return JobServer("head:8265")

    return serve


def test_what_is_listed_is_what_ray_packs(checkout: Path, tmp_path: Path) -> None:
    from ray._private.ray_constants import get_runtime_env_default_excludes
    from ray._private.runtime_env.packaging import create_package

    upload = upload_of(checkout)
    assert {"duet_rl/cli/data.py", "scripts/ünï.txt"} <= upload.files.keys()
    assert not {"runs", ".git", ".venv", "notes"} & {name.split("/")[0] for name in upload.files}
    archive = tmp_path.parent / f"{tmp_path.name}.zip"
    create_package(str(checkout), archive, True, excludes=get_runtime_env_default_excludes())
    with ZipFile(archive) as packed:
        sizes = {e.filename: e.file_size for e in packed.infolist() if not e.is_dir()}
    assert sizes == dict(upload.files)
    assert upload.size == archive.stat().st_size


def test_our_own_checkout_is_sent_whole_and_small() -> None:
    upload = upload_of(ROOT)
    assert upload.size < LIMIT / 10
    wanted = {"duet_rl/__main__.py", "envs/__init__.py", "duet_rl/generate/assets/three.min.js"}
    presets = {f"duet_rl/presets/{path.name}" for path in (ROOT / "duet_rl/presets").glob("*.yaml")}
    assert wanted | presets <= upload.files.keys()
    code = [path for top in ("duet_rl", "envs") for path in (ROOT / top).rglob("*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in code} <= upload.files.keys()
    assert not {".git", ".venv", "runs", "data", "tests"} & {n.split("/")[0] for n in upload.files}


def test_secrets_stay_here(checkout: Path) -> None:
    (checkout / ".rayignore").write_text((ROOT / ".rayignore").read_text())
    kept = (".env", ".env.local", "scripts/cluster/duet.pem", "tls.key", ".aws/credentials")
    for name in (*kept, "id_rsa", "gcp-credentials.json", "envs/__init__.py", "duet_rl/tokens.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("secret")
    files = upload_of(checkout).files
    assert {"envs/__init__.py", "duet_rl/tokens.py"} <= files.keys()
    assert not {*kept, "id_rsa", "gcp-credentials.json"} & files.keys()


def test_too_much_is_refused_before_anybody_is_asked(checkout: Path) -> None:
    with (checkout / "big.bin").open("wb") as big:
        big.truncate(LIMIT + 1)  # takes no room
    said = refusal("submit", "--address", "http://127.0.0.1:1", "--working-dir", checkout, *RL)
    assert f"big.bin {LIMIT / MIB:.1f} MiB" in said and ".rayignore" in said
    with pytest.raises(InputError, match="is no checkout"):
        upload_of(checkout / "scripts")


def test_a_dry_run_lists_and_sends_nothing(checkout: Path) -> None:
    words = ["submit", "--address", "http://127.0.0.1:1", "--dry-run"]
    said = CliRunner().invoke(app, [*words, "--working-dir", str(checkout), *RL])
    assert said.exit_code == 0 and "duet_rl/presets/tiny.yaml" in said.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("rll",), "no command 'rll'"),
        (("submit", *RL), "no command 'submit'"),
        ((*RL, "rl.lrr=1"), "did you mean 'lr'"),
        ((*RL[:-1], "runs/mine"), "removes after the job"),
        (("prepare", "synthetic", "--out", "data"), "removes after the job"),
        (("prepare", "synthetic", "--out", "data"), "give an absolute path"),
        (("tune", "tune_configs/rl.yaml", "--data", "/d"), "without --out, tune would write in"),
        (("evaluate", "/r", "--data", "/d"), "evaluate would write to runs/evaluation in the copy"),
        (("evaluate", "/r", "--data", "/d"), "or a URI"),
        (("audit", "--data", "/d"), "without --out, audit would write to runs/audit"),
        (("tune", "runs/a.yaml", "--data", "/d", "--out", "/o"), "runs/a.yaml is not sent"),
    ],
)
def test_a_command_that_could_not_run_is_refused_here(words: tuple[str, ...], told: str) -> None:
    assert told in refusal("submit", "--address", "http://127.0.0.1:1", "--", *words)


def test_a_place_is_asked_for_in_words_of_the_command() -> None:
    words = ("submit", "--address", "http://127.0.0.1:1", "--")
    assert "or a URI" in refusal(*words, "evaluate", "/r", "--data", "/d", "--out", "mine")
    assert "URI" not in refusal(*words, "audit", "--data", "/d"), "it takes none"


@pytest.mark.parametrize("words", [("doctor", "--quick"), ("status", "/r"), ("config",)])
def test_what_only_looks_needs_no_place_of_its_own(words: tuple[str, ...]) -> None:
    said = CliRunner().invoke(
        app, ["submit", "--address", "http://127.0.0.1:1", "--dry-run", "--", *words]
    )
    assert said.exit_code == 0, said.output


def test_a_password_is_not_shown_again(
    checkout: Path, serve: Callable[[Jobs], JobServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(Jobs(JobStatus.SUCCEEDED))
    uri = "log.mlflow.tracking_uri=http://ana:secret@host:5000"
    words = ["submit", "--address", "h:1", "--working-dir", str(checkout), "--no-wait", "--"]
    said = CliRunner().invoke(app, [*words, *RL[:-1], "s3://b/another", uri])
    assert said.exit_code == 0 and "secret" not in said.output and "ana:***@host" in said.output


def test_a_preset_that_stays_here_is_refused_here(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    for folder in ("runs", "scripts"):
        (checkout / folder / "best.yaml").write_text("based_on: tiny\n")
    words = ("submit", "--address", "http://127.0.0.1:1", "--dry-run", "--", *RL, "--preset")
    assert "runs/best.yaml is not sent" in refusal(*words, "runs/best.yaml")
    for sent in ("small", "./scripts/best.yaml", str(checkout / "runs/best.yaml")):
        assert CliRunner().invoke(app, [*words, sent]).exit_code == 0, sent


def test_an_option_that_is_missing_is_told_here() -> None:
    said = CliRunner().invoke(
        app, ["submit", "--address", "http://127.0.0.1:1", "rl", "--out", "/x"]
    )
    assert said.exit_code == 2 and "--data" in said.output


def test_no_cluster_is_told_in_a_line() -> None:
    assert "no job server answers at http://127.0.0.1:1" in refusal(
        *("submit", "--address", "127.0.0.1:1", "--working-dir", ROOT, *RL)
    )
    assert "is no address of a dashboard" in refusal(
        *("submit", "--address", "ray://head:10001", "--working-dir", ROOT, *RL)
    )


def test_two_jobs_do_not_work_in_one_place(
    checkout: Path, serve: Callable[[Jobs], JobServer]
) -> None:
    server = serve(Jobs(JobStatus.RUNNING))
    with pytest.raises(InputError, match=r"job ours-1 is still at work .* ray job stop"):
        server.send(RL, upload_of(checkout), out="s3://b/run")
    server.send(RL, upload_of(checkout), out="s3://b/other")
    ended = serve(Jobs(JobStatus.STOPPED))
    assert ended.send(RL, upload_of(checkout), "mine", out="s3://b/run").startswith("mine-")


def test_the_job_is_our_command_and_is_stopped_as_by_ctrl_c(
    checkout: Path, serve: Callable[[Jobs], JobServer]
) -> None:
    jobs = Jobs(JobStatus.SUCCEEDED)
    serve(jobs).send(
        ["rl", "rl.rewards.weights={foot: 2}"], upload_of(checkout), environment={"A": "b"}
    )
    assert jobs.asked["entrypoint"] == "python -m duet_rl rl 'rl.rewards.weights={foot: 2}'"
    variables = jobs.asked["runtime_env"]["env_vars"]
    assert variables["A"] == "b" and variables["RAY_JOB_STOP_SIGNAL"] == "SIGINT"


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        (JobStatus.SUCCEEDED, 0, 0),
        (JobStatus.FAILED, 2, 2),
        (JobStatus.FAILED, 3, 3),
        (JobStatus.FAILED, 130, 130),
        (JobStatus.FAILED, -9, 137),  # killed
        (JobStatus.FAILED, None, 1),  # it never ran
        (JobStatus.STOPPED, None, 130),
    ],
)
def test_exit_codes_pass_through(
    serve: Callable[[Jobs], JobServer], status: JobStatus, code: int | None, ours: int
) -> None:
    said: list[str] = []
    assert serve(Jobs(status, code)).follow("ours-1", said.append) == ours
    assert ("it did not start" in "".join(said)) == (code is None and ours == 1)


def test_lines_are_shown_once_though_the_connection_breaks(
    serve: Callable[[Jobs], JobServer],
) -> None:
    lost = RuntimeError("WebSocket connection closed unexpectedly")
    jobs = Jobs(
        JobStatus.SUCCEEDED,
        texts=[["one\n", "two\n", lost], [OSError("refused")], ["one\ntw", "o\nthree\n"]],
    )
    jobs.log += "the last\n"  # written after the last connection
    said: list[str] = []
    assert serve(jobs).follow("ours-1", said.append) == 0
    assert "".join(said) == "one\ntwo\nthree\nthe last\n"


def test_a_head_that_has_forgotten_the_job_is_told_in_a_line(
    serve: Callable[[Jobs], JobServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgotten(job: str) -> Any:
        raise RuntimeError("Request failed with status code 404: Job ours-1 does not exist.")

    monkeypatch.setattr(duet_rl.submit, "_TRY_SECONDS", 0.0)
    jobs = Jobs(JobStatus.RUNNING)
    monkeypatch.setattr(jobs, "get_job_info", forgotten)
    with pytest.raises(InputError, match="says no more of job ours-1"):
        serve(jobs).follow("ours-1", print)


def test_ctrl_c_leaves_the_job_running_and_says_how_to_stop_it(
    serve: Callable[[Jobs], JobServer], checkout: Path
) -> None:
    jobs = Jobs(JobStatus.RUNNING, texts=[["one\n", KeyboardInterrupt()]])
    jobs.info.metadata = {}
    serve(jobs)
    words = ["submit", "--address", "http://head:8265", "--working-dir", str(checkout), "--"]
    said = CliRunner().invoke(app, [*words, *RL])
    assert said.exit_code == 130 and "one\n" in said.output
    assert "goes on" in said.output
    assert f"ray job stop --address http://head:8265 {jobs.asked['submission_id']}" in said.output


def test_who_reads_no_more_is_no_lost_connection(serve: Callable[[Jobs], JobServer]) -> None:
    asked = []

    def write(text: str) -> None:
        asked.append(text)
        raise BrokenPipeError

    with pytest.raises(Unheard):
        serve(Jobs(JobStatus.SUCCEEDED, texts=[["one\n", "two\n"]])).follow("ours-1", write)
    assert asked == ["one\n"]


_PIPED = """
import duet_rl.submit
from ray.job_submission import JobStatus
from tests.test_submit import Jobs
jobs = Jobs(JobStatus.SUCCEEDED, texts=[["a line of the job\\n"] * 100_000])
duet_rl.submit._client = lambda address: jobs
from duet_rl.cli.main import main
main()
"""


@pytest.mark.slow
def test_a_closed_pipe_ends_the_watching_and_not_the_job(checkout: Path) -> None:
    words = ["submit", "--address", "h:1", "--working-dir", str(checkout), *RL[:-1], "s3://b/x"]
    program = subprocess.Popen(
        [sys.executable, "-c", _PIPED, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert program.stdout is not None and program.stderr is not None
    assert program.stdout.readline() == "a line of the job\n"
    program.stdout.close()
    said = program.stderr.read()
    program.stderr.close()
    assert program.wait(PATIENCE) == 141, said
    assert "goes on. Watch it: " in said and "ray job stop" in said
    assert "Error" not in said and "Traceback" not in said
