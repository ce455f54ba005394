"""A seeded forest of process instances, with the oddities of real databases: for demo, tests and benchmark.

::

    generator   the front: writes a forest, or two trees that fill every table
    profile     what to write, and the summary of what was written
    forest      plans the trees           vocabulary  the invented world they speak of
    instances, tasks, deadlines, running  the rows of one instance, by subject
    traps       one tree or row for each oddity
    writer      ids, large objects, COPY
"""

from archival_pipeline.local.sample_data.every_table import LIVE_ONLY
from archival_pipeline.local.sample_data.generator import generate, populate_every_table
from archival_pipeline.local.sample_data.profile import ClobMode, Flavour, Obstacle, Profile, Summary, TreeFact

__all__ = [
    "LIVE_ONLY",
    "ClobMode",
    "Flavour",
    "Obstacle",
    "Profile",
    "Summary",
    "TreeFact",
    "generate",
    "populate_every_table",
]
