"""The kernel that torch keeps private, and the one room that knows it."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import frugal
from frugal.attention import pieces

KERNEL = "_scaled_dot_product_flash_attention_for_cpu"
RENAMED = (
    "torch has changed its private kernel. It is called in frugal/attention/pieces.py alone, and "
    "its cost is counted in frugal/measure/flops.py: give `fused`, `fused_backward` the new one, "
    "or compute both there from softmax(scale·q kᵀ + bias) and its logsumexp, slower and as right."
)


def test_torch_still_has_the_kernel_as_it_was(generator):
    assert hasattr(torch.ops.aten, KERNEL), RENAMED
    q, k, v, grad = torch.randn(4, 2, 3, 9, 8, generator=generator)
    bias = torch.randn(1, 1, 9, 9, generator=generator)
    tensors = [x.requires_grad_() for x in (q, k, v)]
    right = F.scaled_dot_product_attention(*tensors, attn_mask=bias, scale=0.3)
    gradients = torch.autograd.grad(right, tensors, grad)
    with torch.no_grad():
        out, logs = pieces.fused(q, k, v, scale=0.3, bias=bias)
        found = pieces.fused_backward(grad, q, k, v, out, logs, scale=0.3, bias=bias)
        scores = 0.3 * q @ k.mT + bias
    torch.testing.assert_close(out, right, msg=lambda text: f"{RENAMED}\n{text}")
    torch.testing.assert_close(logs, scores.logsumexp(-1), msg=lambda text: f"{RENAMED}\n{text}")
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, msg=lambda text: f"{RENAMED}\n{text}")


def test_one_room_knows_the_kernel():
    library = Path(frugal.__file__).parent
    rooms = {
        p.relative_to(library).as_posix() for p in library.rglob("*.py") if KERNEL in p.read_text()
    }
    assert rooms == {"attention/pieces.py", "measure/flops.py"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_hidden_key_is_hidden_beside_any_score(generator, dtype):
    """Scores of thousands; what a hidden key holds does not change a digit."""
    q, k = (300 * torch.randn(1, 2, 9, 8, generator=generator).to(dtype) for _ in "qk")
    seen = torch.ones(1, 9, dtype=torch.bool)
    seen[0, 4:] = False
    wide_q, wide_k = pieces.hide_keys(q, k, seen)
    scores = wide_q.double() @ wide_k.double().mT
    kept, hid = scores[..., :4], scores[..., 4:]
    torch.testing.assert_close(kept, q.double() @ k[:, :, :4].double().mT)
    assert hid.max() < kept.min() - 1e6
    assert pieces.as_bias(~seen[:, None, None], dtype).double().min() < kept.min() - 1e6
