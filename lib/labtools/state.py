"""Put torch's global state in order while a test runs, and back afterwards."""

import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

THREADS = torch.get_num_threads()  # as torch found it, before a notebook says otherwise


@contextmanager
def torchs_own_state() -> Iterator[None]:
    """In the body torch is as it starts: a cell that left a mode on changes no test.

    That holds for gradients, inference mode, default dtype and device, autocast, anomaly
    detection, deterministic algorithms, the precision of products, threads, seeds, numpy's errors
    and warnings turned into errors. Afterwards everything is as the notebook had it.
    """
    with ExitStack() as stack:
        for part in (_random, _numbers, _modes, _warnings):
            stack.enter_context(part())
        yield


@contextmanager
def _random() -> Iterator[None]:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()
    torch.default_generator.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        random.setstate(before[1])
        np.random.set_state(before[2])


@contextmanager
def _numbers() -> Iterator[None]:
    """Dtype, precision and threads."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    _set_numbers(torch.float32, "highest", THREADS)
    try:
        yield
    finally:
        _set_numbers(dtype, precision, threads)


def _set_numbers(dtype: torch.dtype, precision: str, threads: int) -> None:
    if torch.get_default_dtype() != dtype:
        torch.set_default_dtype(dtype)
    if torch.get_float32_matmul_precision() != precision:
        torch.set_float32_matmul_precision(precision)
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@contextmanager
def _modes() -> Iterator[None]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    autocast = torch.is_autocast_enabled("cpu")
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(True))
        stack.enter_context(torch.autograd.set_detect_anomaly(False))
        if torch.get_default_device().type != "cpu":  # a mode that slows every call
            stack.enter_context(torch.device("cpu"))
        if deterministic:  # the call loads torch's compiler, which takes seconds
            torch.use_deterministic_algorithms(False)
        torch.set_autocast_enabled("cpu", False)
        try:
            yield
        finally:
            if deterministic:
                torch.use_deterministic_algorithms(True, warn_only=warn_only)
            torch.set_autocast_enabled("cpu", autocast)


@contextmanager
def _warnings() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.filters[:] = [rule for rule in warnings.filters if rule[0] != "error"]
        yield
