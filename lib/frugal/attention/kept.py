"""What is worked out once and kept for later calls: a few results, of which the oldest goes first.

Chapters: fixed-patterns, hashing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

import torch

Made = TypeVar("Made")


def kept(
    store: dict[Hashable, Made], place: Hashable, make: Callable[[], Made], *, most: int
) -> Made:
    """What stands at a place of the store, or what `make` gives, which stands there from now on.

    With more than `most` the oldest goes.
    """
    found = store.get(place)
    if found is None:
        # what inference mode makes could not be trained with afterwards
        with torch.inference_mode(False):
            found = make()
        if len(store) >= most:
            store.pop(next(iter(store)))
        store[place] = found
    return found
