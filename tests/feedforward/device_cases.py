"""A call for every public callable of `frugal.feedforward`; `tests.devices` says how."""

from frugal.feedforward import chunked, dense, experts, gated, naive, product_keys, routing
from tests.devices import built, heads, rows

CASES = {
    dense.DenseFeedForward: lambda: built(dense.DenseFeedForward, 8, 16)(rows()),
    gated.GatedFeedForward: lambda: built(gated.GatedFeedForward, 8, 16)(rows()),
    chunked.ChunkedFeedForward: lambda: built(
        chunked.ChunkedFeedForward, built(dense.DenseFeedForward, 8, 16), 2
    )(rows()),
    routing.SwitchRouter: lambda: built(routing.SwitchRouter, 8, 3)(rows()[0]).gates,
    routing.BiasedRouter: lambda: built(routing.BiasedRouter, 8, 3, 2)(rows()[0]).gates,
    product_keys.best_pairs: lambda: product_keys.best_pairs(heads(), heads(), 2)[0],
    product_keys.ProductKeyMemory: lambda: built(
        product_keys.ProductKeyMemory, 8, 5, k=3, gated=True
    )(rows()),
}
NO_CASE = {
    product_keys.Read,
    # They ask how many tokens each expert has, which pretended tensors do not know.
    experts.Experts,
    experts.SwitchFeedForward,
    experts.MixtureOfExperts,
    experts.room,
    naive.switch,
    routing.Routing,
    routing.update_biases,
}
