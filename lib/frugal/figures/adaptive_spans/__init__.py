"""A head whose span and ramp move, and spans in training. Chapter: adaptive-spans."""

from frugal.figures.adaptive_spans.adaptive_span import AdaptiveSpanFigure, SpanRun

__all__ = ["AdaptiveSpanFigure", "SpanRun"]
