"""A file per family of modifications; each gives the options that its rows change."""
