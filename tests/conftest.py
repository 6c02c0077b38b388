"""Shape checks on every annotated function, one thread, and one Ray cluster for the session."""

import gc
import os
from collections.abc import Iterator

import jaxtyping
import numpy as np
import pytest
import torch

from tests import typechecking

typechecking.check(["duet_rl", "envs"])

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

SEED = 0
PROCESSES = 2  # of plain `pytest`; `-n 0` and `-n 8` say otherwise
RAY_CPUS = 4  # more than the machine may have: the tests' actors are mostly idle


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run in several processes when no files are named; a few files are done sooner in one.

    Each file runs in one process, with the fixtures that its tests share.
    """
    of_several = hasattr(config, "workerinput")
    everything = config.args_source is config.ArgsSource.TESTPATHS
    if of_several or not everything or not config.pluginmanager.hasplugin("xdist"):
        return
    if config.option.numprocesses is None and not (config.option.usepdb or config.option.trace):
        config.option.numprocesses, config.option.dist = PROCESSES, "loadfile"


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for garbage in what tests make, and not again and again in five thousand tests."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let a test, and fixtures that are made for it, draw the same whatever ran before."""
    torch.manual_seed(SEED)
    np.random.seed(SEED)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local Ray cluster that every test marked `ray` shares."""
    import ray

    from duet_rl.resources import start_ray

    start_ray(num_cpus=RAY_CPUS)
    yield
    ray.shutdown()


@pytest.fixture
def as_users_run() -> Iterator[None]:
    """Leave out the shape checks that only tests have, so that our own refusals are heard."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
