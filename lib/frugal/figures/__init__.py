"""The figures of the book, a folder a chapter: Python, script, style and formulas together."""
