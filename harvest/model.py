"""What a harvest yields: the raw record as it came, and the trial parsed from it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as a registry gave it, after personal contacts were taken out.

    ``sha256`` is of ``body``; ``fetched_at`` is UTC, ISO 8601; ``redacted`` names what was removed.
    """

    source: str
    source_id: str
    url: str
    fetched_at: str
    sha256: str
    media_type: str
    body: bytes
    data_timestamp: str | None = None
    redacted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeshTerm:
    """A MeSH descriptor as the registry derives it; ``id`` normalised to ``D`` + at least 6 digits."""

    id: str
    term: str


@dataclass(frozen=True, slots=True)
class Intervention:
    """``type`` is the registry's token (DRUG, BIOLOGICAL, ...)."""

    type: str | None
    name: str
    description: str | None = None
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm group; ``interventions`` are named as the registry does ("Biological: X")."""

    label: str
    type: str | None = None
    description: str | None = None
    interventions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sponsor:
    """``role`` is ``lead`` or ``collaborator``; ``sponsor_class`` the registry's token (INDUSTRY, ...)."""

    name: str
    sponsor_class: str | None = None
    role: str = "lead"


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial as one registry states it. Absent in the record is None or an empty tuple here.

    ``eligibility_text`` is the criteria text exactly as the registry gave it: the evidence to which
    every span of an extraction points. ``version`` is the sha256 of the canonical record without
    contacts and site lists. ``synthetic`` marks a trial that was invented for this project's
    fixtures, ``reconstruction`` a real one whose record was rebuilt from known facts.
    Dates are as the registry writes them (``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``).
    """

    source: str
    source_id: str
    url: str
    version: str
    title: str
    eligibility_text: str
    aliases: tuple[str, ...] = ()
    official_title: str | None = None
    acronym: str | None = None
    brief_summary: str | None = None
    status: str | None = None
    study_type: str | None = None
    phases: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    condition_mesh: tuple[MeshTerm, ...] = ()
    condition_ancestors: tuple[MeshTerm, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    intervention_mesh: tuple[MeshTerm, ...] = ()
    intervention_ancestors: tuple[MeshTerm, ...] = ()
    arms: tuple[Arm, ...] = ()
    sponsors: tuple[Sponsor, ...] = ()
    countries: tuple[str, ...] = ()
    enrollment: int | None = None
    minimum_age: str | None = None
    maximum_age: str | None = None
    sex: str | None = None
    healthy_volunteers: bool | None = None
    start_date: str | None = None
    completion_date: str | None = None
    first_posted: str | None = None
    last_update_posted: str | None = None
    synthetic: bool = False
    reconstruction: bool = False
    unknown_tokens: tuple[str, ...] = field(default=())
