"""Interim data of processes in Redis and S3: removed when the process is over, swept when it was left behind."""
