"""The nightly window under the name that the mover knows; its arithmetic is in ``archival_pipeline/window.py``."""

from __future__ import annotations

from archival_pipeline.window import Window

__all__ = ["Window"]
