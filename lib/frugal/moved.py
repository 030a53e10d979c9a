"""Old addresses of modules that have moved: an import of one finds the new one, with a warning.

Pages and notebooks elsewhere still say `frugal.cost`; they keep working for one more release.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

MOVED = {
    "frugal.attention.block_sparse": "frugal.attention.patterns.blocks",
    "frugal.attention.global_tokens": "frugal.attention.patterns.global_tokens",
    "frugal.attention.kernel_features": "frugal.attention.kernels.features",
    "frugal.attention.kernel_gate": "frugal.attention.kernels.gate",
    "frugal.attention.kernel_scan": "frugal.attention.kernels.scan",
    "frugal.attention.lsh_hash": "frugal.attention.lsh.hash",
    "frugal.attention.lsh_rounds": "frugal.attention.lsh.rounds",
    "frugal.attention.pattern_masks": "frugal.attention.patterns.masks",
    "frugal.attention.pattern_pieces": "frugal.attention.patterns.rectangles",
    "frugal.attention.sinkhorn_balance": "frugal.attention.sinkhorn.balance",
    "frugal.cost": "frugal.arithmetic.transformer",
    "frugal.decoding_cost": "frugal.arithmetic.decoding",
    "frugal.distillation": "frugal.decoding.distillation",
    "frugal.drawer": "frugal.tasks.drawer",
    "frugal.intervals": "frugal.results",
    "frugal.nonautoregressive": "frugal.decoding.parallel",
    "frugal.retriever": "frugal.tasks.retriever",
    "frugal.tokens.cost": "frugal.arithmetic.fewer_tokens",
    "frugal.tokens.counts": "frugal.arithmetic.token_counts",
}


class _Forwarded(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return spec_from_loader(name, self) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        new = MOVED[spec.name]
        warnings.warn(f"{spec.name} has moved to {new}.", DeprecationWarning, stacklevel=2)
        return import_module(new)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: the module ran when its new name was imported."""


def forward() -> None:
    """Let imports find the old addresses; asked twice, it is done once."""
    if not any(isinstance(finder, _Forwarded) for finder in sys.meta_path):
        sys.meta_path.append(_Forwarded())
