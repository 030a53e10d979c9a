"""Recording: nothing that is drawn afterwards moves, copies and other threads have no part."""

import copy
import pickle
import threading

import pytest
import torch

from frugal.attention.lsh import LshAttention
from frugal.attention.recording import recording
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import MultiHeadAttention


def hashed():
    return MultiHeadAttention(12, 3, LshAttention(8, 2))


def sorted_blocks():
    torch.manual_seed(1)
    attend = SinkhornAttention(2, 4, block_size=4, max_blocks=8)
    with torch.no_grad():
        for parameter in attend.parameters():  # clear preferences, and biases that matter
            parameter.copy_(2 * torch.randn(parameter.shape))
    return MultiHeadAttention(8, 2, attend)


@pytest.mark.parametrize(
    ("make", "length", "training"),
    [(hashed, 50, False), (hashed, 50, True), (sorted_blocks, 20, True)],
)
def test_recording_leaves_the_output_and_the_generator(generator, make, length, training):
    attention = make().train(training)
    x = torch.randn(2, length, attention.to_q.in_features, generator=generator)
    torch.manual_seed(3)
    first, second = attention(x), attention(x)
    torch.manual_seed(3)
    with recording(attention):
        assert torch.equal(attention(x), first)
        assert torch.equal(attention(x), second)


def test_a_copy_that_is_made_inside_does_not_record(generator):
    layer, x = MultiHeadAttention(8, 2), torch.randn(1, 5, 8, generator=generator)
    with recording(layer) as recorder:
        copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
        for one in copies:
            assert not one.recorders
            one(x)
    assert not recorder.weights
    assert torch.equal(copies[0](x), layer(x))


def test_each_thread_records_its_own_calls():
    layer, mixed, both = MultiHeadAttention(8, 2), [], threading.Barrier(2)

    def record(length):
        x = torch.zeros(1, length, 8)
        with recording(layer) as recorder:
            both.wait()  # both record now
            for _ in range(30):
                layer(x)
                mixed.append(recorder.weights[""].shape[-1] != length)
            both.wait()

    threads = [threading.Thread(target=record, args=(length,)) for length in (3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mixed == [False] * 60
    assert not layer.recorders


def test_another_thread_that_does_not_record_is_recorded():
    layer = MultiHeadAttention(8, 2)
    with recording(layer) as recorder:
        thread = threading.Thread(target=layer, args=(torch.zeros(1, 4, 8),))
        thread.start()
        thread.join()
    assert recorder.weights[""].shape == (1, 2, 4, 4)
