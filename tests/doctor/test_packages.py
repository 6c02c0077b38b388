"""Packages and devices that are missing or broken are found out, not taken on trust."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from duet_rl.doctor import packages
from duet_rl.doctor.findings import MAIN, stopped_commands
from duet_rl.doctor.packages import EXTRAS


@pytest.mark.parametrize(
    ("module", "check", "stopped"),
    [
        ("torch", packages.check_torch, list(MAIN)),
        ("ray", packages.check_ray, ["pretrain", "rl", "demo"]),
        ("PIL", packages.check_pictures, ["generate", "evaluate", "demo"]),
    ],
)
def test_a_package_that_is_not_there_stops_what_needs_it(monkeypatch, module, check, stopped):
    assert check().state == "ok"
    monkeypatch.setitem(sys.modules, module, None)  # importing it raises
    found = check()
    assert found.state == "missing" and "pip install" in found.cure
    assert stopped_commands([found]) == stopped


def test_another_version_of_ray_is_told(monkeypatch):
    monkeypatch.setattr("ray.__version__", "2.9.3")
    found = packages.check_ray()
    assert found.state == "missing" and found.found == "2.9.3" and "2.60" in found.cure


def test_the_version_of_ray_is_that_of_the_package():
    from importlib.metadata import requires

    ours = [line for line in requires("duet-rl") or [] if line.startswith("ray[")]
    assert ours and all(f">={packages._OUR_RAY}" in line.replace(" ", "") for line in ours)


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.module)
def test_an_optional_package_stops_no_main_command(monkeypatch, extra):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    found = packages.check_extra(extra)
    assert found.state == "missing" and f"duet-rl[{extra.extra}]" in found.cure
    assert found.needed_for and stopped_commands([found]) == []


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.module)
def test_what_a_person_is_told_to_install_is_an_extra_of_the_package(extra):
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert f"\n{extra.extra} = [" in project.read_text()


def test_a_ray_without_its_dashboard_is_told(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "aiohttp" else object())
    found = packages.check_ray_agent()
    assert found.state == "missing" and found.found == "without aiohttp"
    assert stopped_commands([found]) == []


@pytest.mark.parametrize(
    ("driver", "build", "words"),
    [
        (None, None, "no NVIDIA driver"),
        ("/usr/bin/nvidia-smi", None, "build for the CPU"),
        ("/usr/bin/nvidia-smi", "12.8", "torch for CUDA 12.8 cannot use"),
    ],
)
def test_why_there_is_no_gpu_is_told(monkeypatch, driver, build, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda program: driver)
    monkeypatch.setattr(torch.version, "cuda", build)
    found = packages.check_cuda()
    assert found.state == "missing" and words in found.found
    assert stopped_commands([found]) == [], "everything works on the CPU"


@pytest.mark.parametrize(
    ("factor", "state", "words"), [(1.0, "ok", "1 x Test GPU"), (1.5, "missing", "counts wrong")]
)
def test_a_gpu_must_multiply_as_the_processor_does(monkeypatch, factor, state, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Test GPU")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1 << 34, 1 << 34))
    monkeypatch.setattr(torch.Tensor, "cuda", lambda matrix: matrix * factor)
    found = packages.check_cuda()
    assert found.state == state and words in found.found


def test_a_gpu_that_fails_is_told(monkeypatch):
    def fail(matrix: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: out of memory\nmore lines")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "cuda", fail)
    found = packages.check_cuda()
    assert found.state == "missing" and "out of memory" in found.found
    assert "\n" not in found.line


@pytest.mark.parametrize(
    ("code", "said", "writable", "state"),
    [(0, "/cache\n", True, "ok"), (0, "/cache\n", False, "warning"), (1, "", True, "warning")],
)
def test_a_cache_of_warp_that_cannot_be_kept_is_told(monkeypatch, code, said, writable, state):
    done = SimpleNamespace(returncode=code, stdout=said, stderr="PermissionError: /cache")
    monkeypatch.setattr(packages, "find_spec", lambda name: object())
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: done)
    monkeypatch.setattr(os, "access", lambda path, mode: writable)
    found = packages.check_warp_cache()
    assert found.state == state and "/cache" in found.found
    assert state == "ok" or "WARP_CACHE_PATH" in found.cure
