"""How many representations does each layer need? Fewer tokens, other tokens.

Import from `elimination`, `pooling`, `latents`, `patches`, `frames`, `bytes`, `byte_pairs`,
`byteformer`.
"""
