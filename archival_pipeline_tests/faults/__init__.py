"""Fault injection: kills, cuts, terminates and fills things while a move is at work, and checks what is left."""
