"""Which interactions are needed? Layers that mix positions without comparing them.

A mixer is a module x -> x on (batch, length, d_model); `mixer` says what it states of itself.
Import from `convolution`, `fourier`, `synthesizer`. Chapter: no-attention.
"""
