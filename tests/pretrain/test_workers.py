"""Two workers of the follower's stage: the gradients of one, and no window twice."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from duet_rl.pretrain.follower import FollowerConfig, FollowerPlan
from duet_rl.pretrain.stage import StageConfig
from duet_rl.pretrain.tokenizer import PosePlan, TranslationPlan
from duet_rl.tokenizers.duet import DuetCodec
from duet_rl.tokenizers.tokenizer import DuetCodecConfig

WORLD, STEP = 2, 3
# What is drawn anew on every worker (dropout, corruption, look-ahead) is left out.
CONFIG = FollowerConfig(batch_size=8, window_tokens=8, sampler="epochs")
GPT = {"width": 32, "layers": 1, "dropout": 0.0, "history_corruption": 0.0, "look_aheads": (4,)}


def plan_of(data: str, codec: str) -> FollowerPlan:
    small = CONFIG.model_copy(update={"gpt": CONFIG.gpt.model_copy(update=GPT)})
    return FollowerPlan(small, Path(data), Path(codec), codec=Path(codec))


def gradients(plan: FollowerPlan, rank: int, world: int) -> dict[str, Tensor]:
    """Return the gradients of a step, as the loop takes it, and the losses of the streams."""
    torch.manual_seed(0)
    stage = plan.open()
    module = DistributedDataParallel(stage.module) if world > 1 else stage.module
    stage.module.train()
    loss, numbers = module(*stage.batch(STEP, rank, world))
    loss.backward()
    found = {name: p.grad for name, p in stage.module.named_parameters() if p.grad is not None}
    values = torch.stack([loss.detach(), *numbers.values()])
    if world > 1:
        dist.all_reduce(values)
    return {**found, "losses": values / world}


def work(rank: int, data: str, codec: str, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD
    )
    save_file(gradients(plan_of(data, codec), rank, WORLD), f"{folder}/{rank}.safetensors")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def codec(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec whose codebooks have seen the data."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("codec")
    codec, config = DuetCodec(DuetCodecConfig()).train(), StageConfig(batch_size=4, window_tokens=4)
    pose, translation = (plan(config, data, folder).open() for plan in (PosePlan, TranslationPlan))
    codec.pose(*pose.batch(0, 0, 1))
    codec.placement(*translation.batch(0, 0, 1))
    codec.save(folder, {})
    return folder


@pytest.mark.slow
def test_two_workers_have_the_gradients_of_one(data: Path, codec: Path, tmp_path: Path) -> None:
    one = gradients(plan_of(str(data), str(codec)), 0, 1)
    mp.spawn(work, args=(str(data), str(codec), str(tmp_path)), nprocs=WORLD)
    both = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(WORLD)]
    assert both[0].keys() == one.keys() and max(g.abs().max() for g in one.values()) > 1e-3
    for name, value in one.items():
        assert torch.equal(both[0][name], both[1][name]), name
        torch.testing.assert_close(both[0][name], value, atol=1e-5, rtol=1e-5, msg=name)


def test_no_worker_sees_a_window_of_another_in_a_pass(data: Path, codec: Path) -> None:
    stage = plan_of(str(data), str(codec)).open()
    windows = stage.train
    seen = [
        windows.epoch_batch(step, CONFIG.batch_size, CONFIG.seed, rank, WORLD)
        for step in range(windows.batches(CONFIG.batch_size))
        for rank in range(WORLD)
    ]
    rows = torch.cat([share.music.flatten(1) for share in seen])  # music tells windows apart
    assert len(rows) == windows.batches(CONFIG.batch_size) * CONFIG.batch_size
    assert len(rows.unique(dim=0)) == len(rows)


def test_every_worker_validates_on_the_same_windows(data: Path, codec: Path) -> None:
    first, second = (plan_of(str(data), str(codec)).open().held_out() for _ in range(WORLD))
    assert first is not None and second is not None
    assert torch.equal(first[0], second[0])
