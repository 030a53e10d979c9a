"""Which interactions are needed? Layers that mix positions without comparing them.

A mixer is a module x -> x on (batch, length, d_model). Chapter: no-attention. Import from
`convolution`, `fourier`, `synthesizer`.
"""
