"""Small real data and generators, all offline: nothing here is ever downloaded."""
