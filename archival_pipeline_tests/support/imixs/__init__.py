"""A workflow instance for tests, in a process of its own, and the servers that backups go to.

The instance obeys what was observed of the real engine, its oddities included: the tests of the client hold it to
that. Not here: the tests.
"""
