"""A trained layer that runs again and again in the page. Chapter: one-layer-many-times."""

from frugal.figures.one_layer_many_times.ponder_view import PonderView

__all__ = ["PonderView"]
