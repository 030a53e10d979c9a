"""Every row's model runs on CUDA tensors and under bfloat16 autocast, shown without a GPU."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from frugal import transfer
from tests.devices import WithoutDriver, ids, on, real
from tests.transfer.device_cases import model

NUMBERS_NEEDED = ("Mixture of experts", "Switch Transformer")
"""They ask how many tokens each expert has, which pretended tensors do not know."""


@pytest.mark.parametrize("name", [one for one in transfer.names() if one not in NUMBERS_NEEDED])
def test_runs_on_cuda_tensors(name):
    with on("cuda:0"), FakeTensorMode(), WithoutDriver(), torch.no_grad():
        out = model(name)(ids(), ids(), real(), real())
        assert out.device == torch.device("cuda:0")


@pytest.mark.parametrize("name", transfer.names())
def test_runs_under_bfloat16_autocast(name):
    made = model(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = made.loss(ids(), ids(), ids(), real(), real())
    loss.backward()
    assert loss.isfinite()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", transfer.names())
def test_trains_on_a_real_gpu(name):
    with on("cuda:0"):
        loss = model(name).loss(ids(), ids(), ids(), real(), real())
    loss.backward()
    assert loss.isfinite()
