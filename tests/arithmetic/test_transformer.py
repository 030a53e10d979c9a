"""The cost formulas against counts that torch makes of real layers, and first principles."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from frugal.arithmetic.transformer import (
    A100,
    CPU_CORE,
    H100,
    MACHINES,
    Machine,
    Operation,
    TransformerShape,
    crossover_length,
    flops,
    layer_seconds,
    memory,
    operations,
    parameters,
    roofline_seconds,
)
from frugal.attention.cache import KeyValueCache
from frugal.attention.softmax import MultiHeadAttention

# sizes that all differ, so that no two of them can be exchanged unseen
SHAPE = TransformerShape(
    length=17, d_model=24, n_heads=3, n_layers=2, d_ff=40, batch=5, bytes_per_number=4
)


def encoder(shape: TransformerShape) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        shape.d_model, shape.n_heads, shape.d_ff, dropout=0.0, batch_first=True
    )
    return nn.TransformerEncoder(layer, shape.n_layers, enable_nested_tensor=False)


def counted(fn) -> dict:
    """FLOPs that torch counts while ``fn`` runs, by aten operator."""
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        fn()
    return {"total": counter.get_total_flops(), **counter.get_flop_counts()["Global"]}


def sizes() -> st.SearchStrategy[TransformerShape]:
    heads = st.sampled_from([1, 2, 4, 8])
    return st.builds(
        lambda length, head_dim, n_heads, n_layers, d_ff, batch, size: TransformerShape(
            length=length,
            d_model=head_dim * n_heads,
            n_heads=n_heads,
            n_layers=n_layers,
            d_ff=d_ff,
            batch=batch,
            bytes_per_number=size,
        ),
        length=st.integers(1, 5000),
        head_dim=st.integers(1, 128),
        n_heads=heads,
        n_layers=st.integers(1, 40),
        d_ff=st.integers(1, 5000),
        batch=st.integers(1, 16),
        size=st.sampled_from([2, 4]),
    )


def test_forward_flops_are_what_torch_counts():
    model = encoder(SHAPE).train()  # train: the eval fast path is one operator nobody counts
    x = torch.randn(SHAPE.batch, SHAPE.length, SHAPE.d_model)
    count = counted(lambda: model(x))
    expected = flops(SHAPE)
    assert count["total"] == expected.total
    assert count[torch.ops.aten.bmm] == expected.attention
    assert count["total"] - count[torch.ops.aten.bmm] == (
        expected.projections + expected.feed_forward
    )


def test_training_flops_are_what_torch_counts():
    model = encoder(SHAPE).train()
    x = torch.randn(SHAPE.batch, SHAPE.length, SHAPE.d_model, requires_grad=True)
    count = counted(lambda: model(x).sum().backward())
    assert count["total"] == flops(SHAPE, "training").total


def test_decoding_flops_are_what_torch_counts():
    # one query that reads a cache of N keys and values, written out
    shape, d = SHAPE, SHAPE.d_model
    x = torch.randn(shape.batch, 1, d)
    cache = torch.randn(2, shape.batch, shape.n_heads, shape.length, shape.head_dim)
    square, wide, narrow = torch.randn(d, d), torch.randn(d, shape.d_ff), torch.randn(shape.d_ff, d)

    def layer():
        q = (x @ square).view(shape.batch, 1, shape.n_heads, -1).transpose(1, 2)
        x @ square, x @ square  # the new key and value
        weights = (q @ cache[0].mT).softmax(-1)
        out = (weights @ cache[1]).transpose(1, 2).reshape(shape.batch, 1, d)
        ((out @ square) @ wide).relu() @ narrow

    count = counted(layer)
    one_layer = dataclasses.replace(shape, n_layers=1)
    assert count["total"] == flops(one_layer, "decoding").total
    assert count[torch.ops.aten.bmm] == flops(one_layer, "decoding").attention


def test_parameters_are_those_of_a_real_module():
    model = encoder(SHAPE)
    by_part = {"attention": 0, "feed_forward": 0, "norms": 0}
    for name, parameter in model.named_parameters():
        part = "attention" if "self_attn" in name else "norms" if "norm" in name else "feed_forward"
        by_part[part] += parameter.numel()
    assert dataclasses.asdict(parameters(SHAPE)) == by_part
    assert parameters(SHAPE).total == sum(p.numel() for p in model.parameters())


def test_crossover_is_six_times_the_width():
    assert crossover_length(512, 2048) == 3072 == 6 * 512


@settings(deadline=None)  # a busy machine is no failure
@given(sizes(), st.sampled_from(["forward", "training", "decoding"]))
def test_attention_is_half_of_all_flops_exactly_at_the_crossover(shape, mode):
    there = dataclasses.replace(shape, length=crossover_length(shape.d_model, shape.d_ff))
    assert flops(there, mode).attention_share == 0.5
    beyond = dataclasses.replace(there, length=there.length + 1)
    assert flops(beyond, mode).attention_share > 0.5


@settings(deadline=None)  # a busy machine is no failure
@given(sizes(), st.sampled_from(["forward", "training", "decoding"]))
def test_operations_of_a_layer_add_up_to_its_flops(shape, mode):
    by_name = {operation.name: operation for operation in operations(shape, mode)}
    layer = flops(dataclasses.replace(shape, n_layers=1), mode)
    assert by_name["projections"].flops == layer.projections
    assert by_name["scores"].flops == layer.scores
    assert by_name["weighted sum"].flops == layer.weighted_sum
    assert by_name["feed-forward"].flops == layer.feed_forward


def test_bytes_are_those_of_the_tensors_that_enter_and_leave():
    shape = dataclasses.replace(SHAPE, bytes_per_number=2)
    q, k = (torch.empty(shape.batch, shape.length, shape.d_model, dtype=torch.bfloat16),) * 2
    weights = torch.empty(
        shape.batch, shape.n_heads, shape.length, shape.length, dtype=torch.bfloat16
    )
    hidden = torch.empty(shape.batch, shape.length, shape.d_ff, dtype=torch.bfloat16)
    matrix = torch.empty(shape.d_model, shape.d_model, dtype=torch.bfloat16)
    wide = torch.empty(shape.d_model, shape.d_ff, dtype=torch.bfloat16)
    by_name = {operation.name: operation.bytes for operation in operations(shape)}
    assert by_name["scores"] == q.nbytes + k.nbytes + weights.nbytes
    assert by_name["softmax"] == 2 * weights.nbytes
    assert by_name["weighted sum"] == weights.nbytes + k.nbytes + q.nbytes
    assert by_name["fused attention"] == 4 * q.nbytes
    assert by_name["projections"] == 6 * q.nbytes + 4 * matrix.nbytes
    assert by_name["feed-forward"] == 2 * q.nbytes + 2 * hidden.nbytes + 2 * wide.nbytes


def test_a_decoding_step_reads_the_whole_cache():
    one_layer = dataclasses.replace(SHAPE, n_layers=1)
    by_name = {operation.name: operation.bytes for operation in operations(one_layer, "decoding")}
    keys_and_values = memory(one_layer, "decoding").cache
    assert by_name["fused attention"] > keys_and_values
    query_and_result = 2 * SHAPE.batch * SHAPE.d_model * SHAPE.bytes_per_number
    assert by_name["fused attention"] == keys_and_values + query_and_result


def test_memory_is_that_of_real_tensors():
    weights = torch.empty(SHAPE.batch, SHAPE.n_heads, SHAPE.length, SHAPE.length)
    statistic = torch.empty(SHAPE.batch, SHAPE.n_heads, SHAPE.length)
    key = torch.empty(SHAPE.batch, SHAPE.n_heads, SHAPE.length, SHAPE.head_dim)
    assert memory(SHAPE).naive_scores == weights.nbytes
    assert memory(SHAPE).fused_scores == statistic.nbytes
    assert memory(SHAPE).cache == 0
    assert memory(SHAPE, "training").naive_scores == SHAPE.n_layers * weights.nbytes
    assert memory(SHAPE, "decoding").naive_scores == weights[:, :, :1].nbytes
    assert memory(SHAPE, "decoding").cache == SHAPE.n_layers * 2 * key.nbytes


def test_training_memory_of_the_weights_is_that_of_adam():
    model = encoder(SHAPE)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(1, SHAPE.length, SHAPE.d_model)).sum().backward()
    optimizer.step()
    held = sum(p.nbytes + p.grad.nbytes for p in model.parameters())
    held += sum(
        state[moment].nbytes
        for state in optimizer.state.values()
        for moment in ("exp_avg", "exp_avg_sq")
    )
    assert memory(SHAPE, "training").parameters == held
    assert memory(SHAPE).parameters == sum(p.nbytes for p in model.parameters())


def test_roofline_is_the_slower_of_computing_and_moving():
    machine = Machine(name="toy", flops_fp32=100.0, flops_bf16=400.0, bandwidth=10.0, source="none")
    assert machine.ridge(4) == 10
    assert machine.ridge(2) == 40
    heavy = Operation(name="heavy", flops=1000, bytes=50)
    assert heavy.intensity == 20
    assert roofline_seconds(heavy, machine, 4) == 10  # 1000 FLOPs / 100, not 50 bytes / 10
    assert roofline_seconds(heavy, machine, 2) == 5  # 50 bytes / 10, not 1000 FLOPs / 400


def test_published_peaks():
    assert (A100.flops_bf16, A100.bandwidth) == (312e12, 2.039e12)
    assert (H100.flops_bf16, H100.bandwidth) == (989e12, 3.35e12)
    assert CPU_CORE.ridge(4) == pytest.approx(90 / 23)
    assert all(machine.source for machine in MACHINES)


@pytest.mark.parametrize("machine", MACHINES)
def test_fusing_attention_saves_time_and_the_saving_is_in_the_bytes(machine):
    shape = TransformerShape(length=8192, d_model=512, n_heads=8, n_layers=1, d_ff=2048)
    assert layer_seconds(shape, machine, fused=True) < layer_seconds(shape, machine, fused=False)
    by_name = {operation.name: operation for operation in operations(shape)}
    fused = by_name["fused attention"]
    apart = [by_name[name] for name in ("scores", "softmax", "weighted sum")]
    assert fused.flops == sum(operation.flops for operation in apart)
    assert fused.bytes < sum(operation.bytes for operation in apart) / 10


@settings(deadline=None)  # a busy machine is no failure
@given(sizes(), st.sampled_from(["forward", "training", "decoding"]))
def test_layer_seconds_is_a_sum_of_rooflines(shape, mode):
    by_name = {
        operation.name: roofline_seconds(operation, A100, shape.bytes_per_number)
        for operation in operations(shape, mode)
    }
    around = by_name["projections"] + by_name["feed-forward"]
    fused = layer_seconds(shape, A100, mode, fused=True)
    apart = layer_seconds(shape, A100, mode, fused=False)
    assert math.isclose(fused, around + by_name["fused attention"])
    three_steps = by_name["scores"] + by_name["softmax"] + by_name["weighted sum"]
    assert math.isclose(apart, around + three_steps)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"length": 0}, "length is 0; it must be 1 or more"),
        ({"batch": -1}, "batch is -1; it must be 1 or more"),
        ({"bytes_per_number": 8}, "bytes_per_number is 8; it must be 2"),
        ({"n_heads": 5}, "n_heads must divide d_model"),
    ],
)
def test_impossible_shapes_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SHAPE, **change)


@pytest.mark.usefixtures("unchecked")
def test_unknown_mode_and_impossible_machine_are_refused():
    with pytest.raises(ValueError, match="mode is 'backward'; it must be one of forward"):
        flops(SHAPE, "backward")
    with pytest.raises(ValueError, match="bandwidth is 0"):
        Machine(name="none", flops_fp32=1.0, flops_bf16=1.0, bandwidth=0.0, source="")


# --- heads that share keys and values ----------------------------------------------------------


def test_shared_heads_cost_what_a_layer_with_them_does():
    shape = dataclasses.replace(SHAPE, n_heads=6, n_kv_heads=2, n_layers=1)
    layer = MultiHeadAttention(shape.d_model, 6, n_kv_heads=2)
    assert parameters(shape).attention == sum(p.numel() for p in layer.parameters())
    x = torch.randn(shape.batch, shape.length, shape.d_model)
    linear = counted(lambda: [to(x) for to in (layer.to_q, layer.to_k, layer.to_v, layer.to_out)])
    assert flops(shape).projections == linear["total"]
    cache = KeyValueCache(shape.length)
    layer(x, cache=cache)
    bytes_of = sum(y.numel() * y.element_size() for y in (cache.k, cache.v))
    assert memory(shape, "decoding").cache == bytes_of


def test_shared_heads_save_projections_and_traffic_and_no_comparisons():
    full = dataclasses.replace(SHAPE, n_heads=6)
    shared = dataclasses.replace(full, n_kv_heads=1)
    assert dataclasses.replace(full, n_kv_heads=6).kv_width == full.kv_width
    for mode in ("forward", "training", "decoding"):
        assert flops(shared, mode).attention == flops(full, mode).attention
        for one, other in zip(operations(shared, mode), operations(full, mode), strict=True):
            if one.name in ("softmax", "feed-forward"):
                assert one == other
            else:
                assert one.bytes < other.bytes
                assert (one.flops < other.flops) == (one.name == "projections")
    own = flops(shared)
    sums = {one.name: one.flops * shared.n_layers for one in operations(shared)}
    assert (own.projections, own.scores) == (sums["projections"], sums["scores"])
    with pytest.raises(ValueError, match="n_kv_heads is 4; it must be 1 or more and divide"):
        dataclasses.replace(full, n_kv_heads=4)
