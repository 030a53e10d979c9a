"""A call for every public callable of `frugal.feedforward`; `tests.devices` says how."""

from frugal.feedforward import chunked, dense
from tests.devices import built, rows

CASES = {
    dense.DenseFeedForward: lambda: built(dense.DenseFeedForward, 8, 16)(rows()),
    chunked.ChunkedFeedForward: lambda: built(
        chunked.ChunkedFeedForward, built(dense.DenseFeedForward, 8, 16), 2
    )(rows()),
}
