"""What the vocabulary lacks: names that carry a threshold and link to no concept."""

from __future__ import annotations

from kb.store import Store

Gap = tuple[str, int, int, str | None, str]
"""Name (lower case), thresholds, trials, its most frequent unit, one value as the text has it."""


def gaps(store: Store, limit: int = 30) -> list[Gap]:
    """The most frequent names without a concept among the current requirements, most trials first."""
    rows = store.connection.execute(
        """
        SELECT lower(trim(t.concept_text)) AS name, count(*), count(DISTINCT t.version_id),
               (SELECT u.unit FROM current_threshold u
                 WHERE u.concept_id IS NULL AND lower(trim(u.concept_text)) = lower(trim(t.concept_text))
                 GROUP BY u.unit ORDER BY count(*) DESC, u.unit LIMIT 1),
               min(t.value_text)
          FROM current_threshold t
         WHERE t.concept_id IS NULL AND t.concept_text IS NOT NULL AND t.role = 'requirement'
           AND t.entity_type IN ('Measurement', 'Drug dose', 'Age')
         GROUP BY name ORDER BY count(DISTINCT t.version_id) DESC, count(*) DESC, name LIMIT ?
        """,
        (limit,),
    )
    return [(name, thresholds, trials, unit, example) for name, thresholds, trials, unit, example in rows]
