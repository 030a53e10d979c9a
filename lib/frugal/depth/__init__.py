"""Do we need all layers all the time? How a stack runs its layers.

Import from `layerdrop` and `reversible`.
Import from `reversible` and `early_exit`.
"""
