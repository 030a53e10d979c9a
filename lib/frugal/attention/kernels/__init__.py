"""Linear attention: softmax's weights replaced by products of features.

Sources: katharopoulos2020linear, choromanski2021performer, peng2021rfa. Chapter: kernels.
"""

from frugal.attention.kernels.attention import KernelAttention, kernel_weights, linear_attention
from frugal.attention.kernels.features import FavorFeatures, RandomFourierFeatures, elu_features
from frugal.attention.kernels.gate import RandomFeatureAttention

__all__ = [
    "FavorFeatures",
    "KernelAttention",
    "RandomFeatureAttention",
    "RandomFourierFeatures",
    "elu_features",
    "kernel_weights",
    "linear_attention",
]
