"""The network behind the heads of each layer, and what may stand in its place.

Import from `dense`, `chunked`, `experts`, `routing`, `product_keys`.
"""
