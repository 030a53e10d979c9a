"""One story and one trained model under every attention. Chapter: side-by-side."""

from frugal.figures.side_by_side.running_example import RunningExample, read_story, running_example

__all__ = ["RunningExample", "read_story", "running_example"]
