"""The version of the library, in one place; CHANGELOG.md tells what came with each."""

__version__ = "0.2.0"
