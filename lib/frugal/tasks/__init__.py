"""Models for one task each, with their loss and their score."""
