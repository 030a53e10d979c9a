"""How well random features stand for the softmax kernel. Chapter: kernels."""

from frugal.figures.kernels.kernel_explorer import KernelExplorer

__all__ = ["KernelExplorer"]
