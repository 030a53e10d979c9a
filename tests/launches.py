"""Which operations a call starts: on a GPU each is a kernel, and time for the program to ask."""

from torch.utils._python_dispatch import TorchDispatchMode

NOTHING = {"detach", "empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view"}
"""They take memory or give another view of it."""


class Launched(TorchDispatchMode):
    """Collects the names of the operations that compute something or move numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._overloadpacket.__name__
        if not func.is_view and name not in NOTHING:
            self.names.append(name)
        return func(*args, **(kwargs or {}))
