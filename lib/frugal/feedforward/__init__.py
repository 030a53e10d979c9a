"""The network behind the heads of each layer. Import from `dense` and `chunked`."""
