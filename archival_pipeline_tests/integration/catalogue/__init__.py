"""The catalogue against live schemas of the engine and of the backup."""
