"""What belongs to a process instance: declared data, and the check of that data against a live schema."""
