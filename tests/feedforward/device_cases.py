"""A call for every public callable of `frugal.feedforward`; `tests.devices` says how."""

<<<<<<< HEAD
from frugal.feedforward import dense, experts, naive, routing
=======
from frugal.feedforward import chunked, dense
>>>>>>> wt-c3
from tests.devices import built, rows

CASES = {
    dense.DenseFeedForward: lambda: built(dense.DenseFeedForward, 8, 16)(rows()),
<<<<<<< HEAD
    routing.SwitchRouter: lambda: built(routing.SwitchRouter, 8, 3)(rows()[0]).gates,
    routing.BiasedRouter: lambda: built(routing.BiasedRouter, 8, 3, 2)(rows()[0]).gates,
}
NO_CASE = {
    # They ask how many tokens each expert has, which pretended tensors do not know.
    experts.Experts,
    experts.SwitchFeedForward,
    experts.MixtureOfExperts,
    experts.room,
    naive.switch,
    routing.Routing,
    routing.update_biases,
=======
    chunked.ChunkedFeedForward: lambda: built(
        chunked.ChunkedFeedForward, built(dense.DenseFeedForward, 8, 16), 2
    )(rows()),
>>>>>>> wt-c3
}
