"""A seeded history of a Camunda engine at a chosen level, with the oddities of real databases.

::

    scene        the front: writes hierarchies and traps, and says which rows are due
    instances    the rows of one process instance
    traps        rows and hierarchies that a careless cleanup would get wrong
    rows         collects rows and writes them by COPY

For the demo, the tests and the benchmark of the cleanup.
"""

from archival_pipeline.local.camunda_data.instances import Level, Shape
from archival_pipeline.local.camunda_data.scene import Scene, generate

__all__ = ["Level", "Scene", "Shape", "generate"]
