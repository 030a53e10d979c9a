"""The reader's own text as characters, bytes and byte pairs. Chapter: bytes."""

from frugal.figures.bytes.bytes_and_tokens import BytesAndTokensFigure

__all__ = ["BytesAndTokensFigure"]
