"""Jobs for processes of their own, which import this file and no more of the tests."""

import os


def work(name: str, device: str) -> dict[str, float]:
    """Does what its name says."""
    if name == "dies":
        os._exit(3)
    if name == "fails":
        raise ValueError("no number.")
    return {"length": float(len(name))}
