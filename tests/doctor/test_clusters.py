"""A cluster is asked for and not believed in; a dashboard is told by its answer."""

import json
import os
import signal
import subprocess
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

    code, answer = 200, b""

    def do_GET(self) -> None:
        self.send_response(self.code)
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
    monkeypatch.setattr(clusters, "_PROGRAM", "import time; time.sleep(60)")
    monkeypatch.setattr(clusters, "_PATIENCE", 0.2)
    assert "within 0.2 s" in check_cluster().found


def test_a_ray_that_leaves_processes_behind_is_not_waited_for(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    note = tmp_path / "pid"
    program = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
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
