"""The engine's history: what is cleaned away after its time, and what users may still query of it."""
