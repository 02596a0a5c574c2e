"""The paths of the nodes: the text's own numbers where it has them, invented ordinals where it has none."""

from __future__ import annotations

import re

from nlp.markers import Entry

_SLUG = re.compile(r"[^a-z0-9]+")
_ARABIC = ("1.", "1)", "(1)")


class Paths:
    """The paths given in one section so far.

    A second block of a section whose numbers are taken, or that is about a population of its own, puts
    ``s2``, ``donor`` before its paths. A path that the text uses twice gets ``~2``.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self._repeats: dict[str, int] = {}
        self._ordinals: dict[str, int] = {}
        self._prefixes: dict[str, int] = {}
        self._blocks = 0

    def claim(self, path: str) -> str:
        """The path, made unique."""
        unique = path
        while unique in self.taken:
            self._repeats[path] = self._repeats.get(path, 1) + 1
            unique = f"{path}~{self._repeats[path]}"
        self.taken.add(unique)
        return unique

    def claim_plain(self, paths: list[str]) -> bool:
        """Claim the paths of a plain list at the top; False, and nothing done, if the section has some already."""
        self._blocks += 1
        if self.taken:
            self._blocks -= 1
            return False
        self.taken.update(paths)
        return True

    def _ordinal(self, dot: str, head: str) -> str:
        key = dot + head
        number = self._ordinals.get(key, 0) + 1
        while f"{key}{number}" in self.taken:
            number += 1
        self._ordinals[key] = number
        path = f"{key}{number}"
        self.taken.add(path)
        return path

    def _prefix(self, who: str | None, labels: list[str]) -> str:
        self._blocks += 1
        if not self.taken or not (who or any(label in self.taken for label in labels)):
            return ""
        name = (_SLUG.sub("-", who.lower()).strip("-") if who else "") or f"s{self._blocks}"
        used = self._prefixes[name] = self._prefixes.get(name, 0) + 1
        return name if used == 1 else f"{name}-{used}"

    def assign(
        self, entries: list[Entry], children: list[list[int]], roots: list[int], who: str | None
    ) -> list[str]:
        """The paths of a block's entries: own numbers first, then the ordinals that are free.

        A line without a number that heads a numbered list at its own level ("Part A:", then 1., 2.)
        is ``h1`` and lends its children the numbering that it stands in, while that is free.
        """
        paths = [""] * len(entries)
        prefix = self._prefix(who, [enum.label for i in roots if (enum := entries[i].enum)])
        queue: list[tuple[list[int], str, str]] = [(roots, prefix, prefix)]
        for group, base, own in queue:
            dot = base + "." if base else ""
            numbered = [(i, enum.label) for i in group if (enum := entries[i].enum)]
            if base != own and any(_label(dot, label) in self.taken for _, label in numbered):
                base, dot = own, own + "."
            for i, label in numbered:
                paths[i] = self.claim(_label(dot, label))
            for i in group:
                inner = base
                if entries[i].enum is not None:
                    inner = paths[i]
                elif _lends(entries, i, children[i]):
                    paths[i] = self._ordinal(dot, "h")
                else:
                    paths[i] = inner = self._ordinal(dot, "")
                if children[i]:
                    queue.append((children[i], inner, paths[i]))
        return paths


def _lends(entries: list[Entry], index: int, children: list[int]) -> bool:
    if not children:
        return False
    first = entries[children[0]]
    if first.runon or first.enum is None:
        return False
    return first.enum.style in _ARABIC and first.indent <= entries[index].indent


def _label(dot: str, label: str) -> str:
    """ "2.1" under "2." is "2.1", not "2.2.1"."""
    return label if dot and label.startswith(dot) else dot + label
