"""Which interactions are needed? Attention that reads less, or reads it another way.

Every attention is a callable `(q, k, v, *, causal, padding, ...) -> out` on (batch, heads, length,
head_dim); `frugal.attention.softmax` states the contract. Import from the method's room: `softmax`,
`patterns`, `lsh`, `sinkhorn`, `kernels`, `linformer`, `entmax`, `span`, `swin`, `relative`,
`alibi`.
"""
