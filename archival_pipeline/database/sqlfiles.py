"""Loads the SQL that lives in ``sql/``: one statement or function per file, named by its verb.

Not here: building statements from the catalogue (``catalogue/statements.py``).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import LiteralString

_PACKAGED = Path(__file__).resolve().parents[1] / "_sql"
_CHECKOUT = Path(__file__).resolve().parents[2] / "sql"


@cache
def load_sql(name: str) -> LiteralString:
    """Return the text of ``sql/<name>.sql``.

    Args:
        name: path below ``sql/`` without the ending, such as ``backup/ledger_open_batches``.

    Raises:
        FileNotFoundError: no such file; a mistake in this package.
    """
    root = _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT
    # The files are part of the package, like the source: as literal as any string in it.
    text: LiteralString = (root / f"{name}.sql").read_text(encoding="utf-8")
    return text
