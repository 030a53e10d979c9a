"""Do we need all layers all the time? How a stack runs its layers.

Import from `reversible` or `universal`.
"""
