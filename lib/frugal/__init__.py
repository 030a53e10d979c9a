"""Efficient Transformers, each method small and tested: the library of the book.

Three questions name its folders. Which interactions are needed? `attention`, `mixing`. How many
representations? `tokens`. All layers and parameters, all the time? `depth`, `feedforward`.
"""

from frugal.moved import forward

forward()
