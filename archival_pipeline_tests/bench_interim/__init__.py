"""How fast interim data goes, beside a plain loop, and what other clients of Redis notice of it."""
