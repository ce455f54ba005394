"""How messages travel: through Kafka, or through a table of the history database. Both with the same promises."""
