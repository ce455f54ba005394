"""The interface to the execution history: users ask for what they started and what they did."""
