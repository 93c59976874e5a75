"""The parts of a block that have a backward pass of their own."""

import torch

from zeroi2v_bench.nn.adapted_linear import Dropout
from zeroi2v_bench.nn.block import QuickGELU


def test_quick_gelu_and_its_gradient_equal_the_formula():
    x = torch.linspace(-12, 12, 401, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(QuickGELU()(x), x * torch.sigmoid(1.702 * x), rtol=1e-15, atol=0)
    assert torch.autograd.gradcheck(QuickGELU(), x)


def test_quick_gelu_has_a_gradient_at_the_ends_of_half_precision():
    x = torch.tensor([-4e4, 4e4], dtype=torch.float16, requires_grad=True)
    QuickGELU()(x).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]


def test_quick_gelu_keeps_its_input_alone_for_the_backward_pass():
    kept = []
    x = torch.randn(7, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        QuickGELU()(x)
    assert [tensor.data_ptr() for tensor in kept] == [x.data_ptr()]


def test_dropout_keeps_the_mean_and_one_byte_per_element():
    torch.manual_seed(0)
    x = torch.ones(100_000, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = Dropout(0.25)(x)
    assert sum(tensor.nbytes for tensor in kept) == len(x)
    assert set(y.tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(y.mean() - 1) < 0.01
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())
    assert Dropout(0.25).eval()(x) is x
    assert Dropout(0.0)(x) is x
