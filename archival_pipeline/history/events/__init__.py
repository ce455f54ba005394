"""What an event says: its fields, its form on the wire, and how two of them are put together."""
