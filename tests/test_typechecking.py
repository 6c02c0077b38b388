"""In tests every public function is checked: letters are one size, and kinds are as written."""

from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from duet_rl.body.rotations import matrix_to_6d
from tests.typechecking import typechecked


@jaxtyping.jaxtyped(typechecker=typechecked)
def turned(
    table: Float[Tensor, "B T"], row: Float[Tensor, "#T"], whole: bool
) -> Float[Tensor, "B"]:
    return table.sum(1) if whole else table.sum(0)


@jaxtyping.jaxtyped(typechecker=typechecked)
def twice(table: Float[Tensor, "B T"]) -> Float[Tensor, "T B"]:
    return turned(table.T, table[:, 0], True)[:, None].expand(-1, table.shape[0])


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.zeros(2), torch.zeros(3), True),
        (torch.zeros(2, 3), torch.zeros(2), True),
        (torch.zeros(2, 3).long(), torch.zeros(3), True),
        (torch.zeros(2, 3), torch.zeros(3), 1),
        (torch.zeros(2, 3), torch.zeros(3), False),
    ],
    ids=["too few", "two sizes of a letter", "whole numbers", "no truth value", "what comes back"],
)
def test_what_does_not_fit_is_refused(arguments) -> None:
    assert turned(torch.zeros(2, 3), torch.zeros(3), True).shape == (2,)
    with pytest.raises(TypeCheckError):
        turned(*arguments)


def test_a_letter_means_another_size_in_the_next_function() -> None:
    assert twice(torch.zeros(2, 3)).shape == (3, 2)


def test_our_packages_are_checked_until_a_test_runs_as_users_do(as_users_run: None) -> None:
    assert matrix_to_6d(torch.zeros(3, 3, dtype=torch.int64)).shape == (6,)
    jaxtyping.config.update("jaxtyping_disable", False)
    with pytest.raises(TypeCheckError):
        matrix_to_6d(torch.zeros(3, 3, dtype=torch.int64))


def test_generators_and_names_that_are_not_imported_are_jaxtypings_to_check() -> None:
    @jaxtyping.jaxtyped(typechecker=typechecked)
    def rows(count: int) -> Iterator[int]:
        yield from range(count)

    @jaxtyping.jaxtyped(typechecker=typechecked)
    def named(there: "NotImported") -> "NotImported":  # type: ignore[name-defined]
        return there

    assert named(1) == 1
    assert list(rows(2)) == [0, 1]
    with pytest.raises(TypeCheckError, match="count"):
        rows("two")
