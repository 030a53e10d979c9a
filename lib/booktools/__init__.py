"""Builds the book: a Sphinx extension, the commands behind `make book`, and vendored scripts."""
