"""Do we need all layers all the time? How a stack runs its layers.

Import from `early_exit`, `layerdrop`, `reversible` and `universal`.
"""
