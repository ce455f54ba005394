"""Integration tests of the Imixs backup: an instance in its own process, real servers for the files."""
