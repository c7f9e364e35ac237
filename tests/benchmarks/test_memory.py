import torch

from benchmarks.memory import peak_bytes

MB = 2**20


def test_counts_the_most_that_was_held_at_once():
    def call():
        a = torch.empty(3 * MB, dtype=torch.uint8)
        b = torch.empty(2 * MB, dtype=torch.uint8)
        del a
        return b, torch.empty(MB, dtype=torch.uint8)

    assert peak_bytes(call) == 5 * MB


def test_counts_neither_inputs_nor_views():
    x = torch.ones(4 * MB, dtype=torch.uint8)
    assert peak_bytes(lambda: x[::2].view(2, -1)) == 0


def test_counts_gradients():
    x = torch.ones(MB, requires_grad=True)  # 4 MB

    def call():
        (x * 3).sum().backward()
        x.grad = None

    # The product is freed before its gradient is made; x's own gradient takes 4 MB.
    assert 4 * MB <= peak_bytes(call) < 9 * MB
