"""Trained models whose layers the reader switches off. Chapter: dropping-layers."""

from frugal.figures.dropping_layers.layer_switches import LayerSwitches

__all__ = ["LayerSwitches"]
