"""Numbers as trial texts write them: ``100,000``, ``1.5``, ``0,8``, ``50.000/mm3``, ``0,1,2``, ``II``."""

from __future__ import annotations

import re

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DOTTED_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:\.000)+")
_LIST = re.compile(r"\d{1,2}(?:,\d{1,2})+")
ROMAN = {"I": 1.0, "II": 2.0, "III": 3.0, "IV": 4.0, "V": 5.0, "VI": 6.0, "VII": 7.0, "VIII": 8.0}
# Longer runs of digits are no measurement, and float() of a hostile one is not linear in its length.
MAXIMUM_DIGITS = 30


def read(token: str) -> tuple[float, ...] | None:
    """The number or numbers that a digit token stands for; None if it is no number (``1.2.3``).

    One comma with one or two digits behind it is a decimal comma (``0,8``), unless the two count on
    from each other (``0,1``): then, as with several commas (``0,1,2``), it is a list.
    """
    if len(token) > MAXIMUM_DIGITS or not token.isascii():
        return None
    if token.isdigit():
        return (float(token),)
    if "," not in token:
        if token.count(".") == 1:
            return (float(token),)
        return (float(token.replace(".", "")),) if _DOTTED_THOUSANDS.fullmatch(token) else None
    if _THOUSANDS.fullmatch(token):
        return (float(token.replace(",", "")),)
    parts = token.split(",")
    if _LIST.fullmatch(token) and (len(parts) > 2 or int(parts[1]) == int(parts[0]) + 1):
        return tuple(float(part) for part in parts)
    if len(parts) == 2 and "." not in token:
        return (float(token.replace(",", ".")),)
    return None


def dotted_thousands(token: str) -> float | None:
    """``50.000`` as fifty thousand, where the unit tells that fifty cannot be meant; else None."""
    return float(token.replace(".", "")) if _DOTTED_THOUSANDS.fullmatch(token) else None
