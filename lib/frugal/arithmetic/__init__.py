"""Costs by arithmetic: FLOPs, bytes and tokens from formulas, without running anything."""
