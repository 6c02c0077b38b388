"""A cluster is asked for and not believed in; a dashboard is told by its answer."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
import ray

from duet_rl.doctor import clusters
from duet_rl.doctor.clusters import check_cluster
from duet_rl.doctor.findings import stopped_commands


class Dashboard(BaseHTTPRequestHandler):
    """Answers as a test wants."""

    code, answer, token = 200, b"", ""

    def do_GET(self) -> None:
        code, wanted = self.code, self.token and f"Bearer {self.token}"
        if wanted and self.headers.get("Authorization") != wanted:
            code = 403 if "Authorization" in self.headers else 401
        self.send_response(code)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Dashboard)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "answer", "state", "word"),
    [
        (200, {"ray_version": ray.__version__}, "ok", ray.__version__),
        (200, {"ray_version": "2.9.3"}, "warning", "2.9.3"),
        (200, ["something else"], "missing", "nothing at"),
        (401, {}, "missing", "401"),
        (500, {}, "missing", "500"),
    ],
)
def test_a_dashboard_is_told_by_its_answer(monkeypatch, dashboard, code, answer, state, word):
    monkeypatch.setattr(Dashboard, "code", code)
    monkeypatch.setattr(Dashboard, "answer", json.dumps(answer).encode())
    found = check_cluster(dashboard)
    assert found.state == state and word in found.found
    assert ("token" in found.cure) == (code == 401)


_TOKEN = "a-token-of-a-test"
_ASK = """
import sys
from duet_rl.doctor.clusters import check_cluster
print(check_cluster(sys.argv[1]).line)
"""


@pytest.mark.parametrize("known", ["by name", "in a file", "another", "a file that is gone"])
def test_a_dashboard_is_asked_with_the_token_of_this_machine(
    monkeypatch, dashboard, tmp_path, known
):
    monkeypatch.setattr(Dashboard, "answer", json.dumps({"ray_version": "2.9.3"}).encode())
    monkeypatch.setattr(Dashboard, "token", _TOKEN)
    file = tmp_path / "token"
    environment = {
        "by name": {"RAY_AUTH_TOKEN": _TOKEN},
        "in a file": {"RAY_AUTH_TOKEN_PATH": str(file)},
        "another": {"RAY_AUTH_TOKEN": "another"},
        "a file that is gone": {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "gone")},
    }[known]
    file.write_text(_TOKEN)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # In a process of its own: Ray keeps the token that it has once found.
    said = subprocess.run(
        [sys.executable, "-c", _ASK, dashboard],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    if known in ("by name", "in a file"):
        assert said.stdout.startswith("warning") and "2.9.3" in said.stdout
    else:
        assert said.stdout.startswith("missing") and "set RAY_AUTH_TOKEN" in said.stdout
    assert _TOKEN not in said.stdout + said.stderr and "Traceback" not in said.stderr


def test_a_dashboard_without_its_scheme_is_taken_as_one(monkeypatch, dashboard):
    monkeypatch.setattr(Dashboard, "answer", json.dumps({"ray_version": "2.9.3"}).encode())
    found = check_cluster(dashboard.removeprefix("http://"))
    assert found.state == "warning" and f"{dashboard} has Ray 2.9.3" in found.found


@pytest.mark.parametrize("address", ["127.0.0.1:9", "head", "s3://bucket", "ray://127.0.0.1:9"])
def test_where_no_cluster_can_be_none_is_started_to_see(monkeypatch, address):
    monkeypatch.setattr(clusters, "_run", lambda environment: pytest.fail("would take minutes"))
    found = check_cluster(address)
    assert found.state == "missing" and "http://HOST:8265" in found.cure
    assert stopped_commands([found]) == [], "commands work here, if not there"
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert stopped_commands([check_cluster()]) == ["pretrain", "rl", "demo"]


def test_nobody_at_an_address_is_told_with_what_to_do():
    found = check_cluster("http://127.0.0.1:9")
    assert found.state == "missing" and "ray start --head" in found.cure
    assert stopped_commands([found]) == []


def test_a_ray_that_does_not_start_stops_the_trainings(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(clusters, "_PROGRAM", "raise RuntimeError('no room for the object store')")
    found = check_cluster()
    assert found.state == "missing" and "no room for the object store" in found.found
    assert stopped_commands([found]) == ["pretrain", "rl", "demo"]


def test_a_ray_that_hangs_is_given_up(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(clusters, "_PROGRAM", "import time; time.sleep(600)")
    monkeypatch.setattr(clusters, "_PATIENCE", 0.2)
    assert "within 0.2 s" in check_cluster().found


def test_a_ray_that_leaves_processes_behind_is_not_waited_for(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    note = tmp_path / "pid"
    program = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(note)!r}, "w").write(str(child.pid))
print('{{"CPU": 2}}')
"""
    monkeypatch.setattr(clusters, "_PROGRAM", program)
    found = check_cluster()
    os.kill(int(note.read_text()), signal.SIGKILL)  # an error if it had been waited for
    assert found.state == "ok"


def test_a_cluster_that_is_named_is_the_one_that_is_asked(monkeypatch):
    asked = []

    def answer(words, env, stdout, **options):
        asked.append(env["RAY_ADDRESS"])
        stdout.write('a warning\n{"CPU": 64, "GPU": 8}\n')
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", answer)
    monkeypatch.setattr(clusters, "is_web_server", lambda address: False)
    monkeypatch.setattr(clusters, "why_no_head", lambda address: "")
    assert check_cluster("head:6379").found == "at head:6379: 64 CPU, 8 GPU"
    monkeypatch.setenv("RAY_ADDRESS", "other:6379")
    assert check_cluster().found.startswith("at other:6379")
    assert asked == ["head:6379", "other:6379"]


@pytest.mark.ray
@pytest.mark.slow
def test_ray_starts_here(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    found = check_cluster()
    assert found.state == "ok" and "CPU" in found.found
