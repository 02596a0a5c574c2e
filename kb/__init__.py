"""Records and thresholds in, answers out. Owns SQLite. Imports only harvest.model and nlp.model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kb.api import KnowledgeBase, open_kb

__all__ = ["KnowledgeBase", "open_kb"]


def __getattr__(name: str) -> Any:
    """``from kb import open_kb``, loaded when it is asked for: commands import single modules quickly."""
    if name in __all__:
        from kb import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
