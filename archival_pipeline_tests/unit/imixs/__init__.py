"""Unit tests of the Imixs backup."""
