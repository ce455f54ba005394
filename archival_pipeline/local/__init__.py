"""Embedded servers, the jBPM schema and sample data, for the demo, the development stack and the tests.

The product never imports this room: it is told where its databases are by the environment alone.
"""
