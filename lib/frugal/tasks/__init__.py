"""Models for one task each, with their loss and their score; and every task as text to text."""
