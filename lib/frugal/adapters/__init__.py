"""The library's attentions in models of other libraries.

`torch` puts them where `nn.MultiheadAttention` stands, as in `nn.TransformerEncoder`;
`transformers` into the models of Hugging Face. Both make one attention for each layer from a
factory, make_attend(index, shape), see `shape`. Chapter: in-your-own-model.
"""
