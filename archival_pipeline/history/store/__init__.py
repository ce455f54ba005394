"""The denormalised history: how rows are written, asked for, forgotten."""
