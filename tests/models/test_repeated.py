"""Layers that are run again or compiled give what they gave."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from duet_rl.errors import InputError
from duet_rl.models import repeated
from duet_rl.models.attention import make_band
from duet_rl.models.repeated import (
    Repeated,
    check_compiler,
    compile_layers,
    set_checkpointing,
)
from duet_rl.models.transformer import Transformer
from duet_rl.tokenizers.conv import ConvConfig, Encoder

CPU = torch.device("cpu")


def transformer() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    torch.manual_seed(0)
    x, band = torch.randn(2, 6, 16), make_band(6, 5, 0, CPU)
    return Transformer(16, 2, 2, dropout=0.5), lambda module: module(x, None, band)


def encoder() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 16)
    return Encoder(ConvConfig(width=8), 3, 4, causal=False), lambda module: module(x)


def results(module: nn.Module, run: Callable[[nn.Module], Tensor]) -> list[Tensor]:
    torch.manual_seed(1)  # of the dropout
    loss = run(module.train()).square().mean()
    module.zero_grad()
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in module.parameters() if p.grad is not None)]


@pytest.mark.parametrize("build", [transformer, encoder])
def test_layers_that_are_run_again_give_the_same_loss_and_gradients(build) -> None:
    module, run = build()
    plain = results(module, run)
    set_checkpointing(module, True)
    torch.testing.assert_close(results(module, run), plain, atol=0, rtol=0)


def test_layers_that_are_run_again_keep_less_for_the_backward_pass() -> None:
    def kept(on: bool) -> int:
        module, run = transformer()
        set_checkpointing(module, on)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x: sizes.append(x.numel()) or x, lambda x: x
        ):
            run(module.train())
        return sum(sizes)

    assert kept(True) < kept(False) / 2


class Plain(Repeated):
    """A layer of the test's own: the checker of shapes that tests put on ours cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(16, 16), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(torch.relu(self.linear(x)))


@pytest.mark.parametrize("again", [False, True])
def test_compiled_layers_give_the_same_and_keep_their_names(again: bool) -> None:
    torch.manual_seed(0)
    module, x = nn.Sequential(Plain(), Plain()), torch.randn(2, 6, 16)
    names, plain = list(module.state_dict()), results(module, lambda layers: layers(x))
    compile_layers(module, backend="eager")
    set_checkpointing(module, again)
    compiled = results(module, lambda layers: layers(x))
    torch.testing.assert_close(compiled, plain, atol=1e-6, rtol=1e-5)
    assert list(module.state_dict()) == names


def test_layers_are_compiled_for_training_alone() -> None:
    module, run = transformer()

    def refuse(*inputs: Tensor) -> Tensor:
        raise AssertionError("not here")

    for part in module.modules():
        if isinstance(part, Repeated):
            part.compiled = refuse
    run(module.eval())
    with torch.no_grad():
        run(module.train())
    with pytest.raises(AssertionError, match="not here"):
        run(module)


def test_a_machine_without_a_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here(*inputs: object, **named: object) -> None:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(repeated.torch, "compile", none_here)
    with pytest.raises(InputError, match=r"No working C\+\+ compiler .* leave out compile=true"):
        check_compiler(CPU)


def test_a_compiler_that_works_is_accepted() -> None:
    check_compiler(CPU, backend="eager")
