"""Two data-parallel workers learn what one worker learns on the joined batch."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from duet_rl.tokenizers.codes_pose import CodesPoseTokenizer
from duet_rl.tokenizers.frames import MotionBatch
from duet_rl.tokenizers.placement import PlacementTokenizer
from duet_rl.tokenizers.pose import PoseTokenizer
from tests.tokenizers.conftest import readable_config, small_config, windows

WORLD = 2
STEPS = 3
WINDOW = 16  # frames
RATE = 1e-3  # of SGD; 1e-2 throws the readable tokenizer out of all numbers


@pytest.fixture(scope="module")
def dancers(couple) -> list[MotionBatch]:
    """Windows of a couple that fidgets, so that no two latents are equally near to a code."""
    generator = torch.Generator().manual_seed(0)
    cut = [windows(dancer, WINDOW) for dancer in couple]
    noise = [0.1 * torch.randn(dancer.joints.shape, generator=generator) for dancer in cut]
    return [d._replace(joints=d.joints + n) for d, n in zip(cut, noise, strict=True)]


def share(batch: MotionBatch, rank: int, world: int) -> MotionBatch:
    return MotionBatch(*(x.chunk(world)[rank] for x in batch))


def learn(couple: list[MotionBatch], steps: int, parallel: bool) -> dict[str, Tensor]:
    """Train the tokenizers and return all that they have learned."""
    torch.manual_seed(0)
    learned = {}
    config = small_config()
    for tokenizer, batch in (
        (PoseTokenizer(config), couple[1:]),
        (PlacementTokenizer(config), couple),
        (CodesPoseTokenizer(readable_config(level_dropout=0.5)), couple[1:]),
    ):
        module = DistributedDataParallel(tokenizer) if parallel else tokenizer
        # SGD: a gradient that is zero but for rounding must not become a whole Adam step.
        optimiser = torch.optim.SGD(tokenizer.parameters(), lr=RATE)
        for _ in range(steps):
            optimiser.zero_grad()
            module(*batch)[0].backward()
            optimiser.step()
        learned |= {f"{type(tokenizer).__name__}.{k}": v for k, v in tokenizer.state_dict().items()}
    return learned


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD
    )
    stored = load_file(f"{folder}/couple.safetensors")
    couple = [
        share(MotionBatch(stored[f"{name}_joints"], stored[f"{name}_rotations"]), rank, WORLD)
        for name in ("leader", "follower")
    ]
    for steps in (1, STEPS):
        save_file(learn(couple, steps, parallel=True), f"{folder}/{rank}_{steps}.safetensors")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def learned_by_two(dancers, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    tensors = {}
    for name, dancer in zip(("leader", "follower"), dancers, strict=True):
        tensors |= {f"{name}_joints": dancer.joints, f"{name}_rotations": dancer.rotations}
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "couple.safetensors")
    mp.spawn(work, args=(str(folder),), nprocs=WORLD)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, STEPS], ids=["first batch", "later batches"])
def test_two_workers_learn_the_codebooks_of_one(dancers, learned_by_two, steps):
    one = learn(dancers, steps, parallel=False)
    first, second = (load_file(learned_by_two / f"{rank}_{steps}.safetensors") for rank in (0, 1))
    assert any("codebook" in name for name in one)
    for name, value in one.items():
        assert value.isfinite().all(), name
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, atol=1e-5, rtol=1e-5, msg=name)
