"""Patterns of what a limit can be relative to: "3 x the institutional upper limit of normal (ULN)",
"% of the predicted value", "times baseline". Used by :mod:`nlp.unit_reader` only.
"""

from __future__ import annotations

import re

FLAGS = re.IGNORECASE | re.ASCII

# What may stand before "ULN": "the institutional", "the local laboratory's", "age-adjusted".
_WHOSE = (
    r"(?:the|its|their|an|institutional|institution(?:'?s)?|local|laborator(?:y|ies)(?:'s)?|lab(?:'?s)?|central|reference"
    r"|respective|site|site's|age|age-?adjusted|gender-?specific|sex-?specific|age-?specific|specified|standard"
    r"|corresponding|assay(?:'s)?|study|clinical|hospital(?:'s)?|and|or|defined|current|for|each|relevant|established|testing)"
)
_OF_WHAT = (
    r"(?: (?:of|or|for|in) {1,2}(?:(?:the|institutional|laboratory|local|lab|reference|normal|respective|healthy"
    r"|central|a|our|each|assay's?|this|testing|institution's?) ){0,4}"
    r"(?:normal|reference|laboratory|lab|range|institution(?:'s)?|center|test|assay|value|values|limits?)\b)?"
)
_ULN = (
    rf"(?!(?:and|or|for|an|each|current) )(?:{_WHOSE}[ -]{{1,2}}){{0,5}}"
    r"(?:i?uln['s]{0,2}\b|unl\b|uln(?=[a-z])|uper limit of normal"
    r"|(?:upper|maximum|highest|top)[ -]{1,2}(?:normal[ -]|reference[ -]|laboratory[ -]|institutional[ -]){0,2}"
    rf"(?:limits?|range|end|bound(?:ary)?|levels?|values?|normal|referenced? limits?){_OF_WHAT}"
    r"(?: (?:normal|reference) (?:range|limits?|values?|interval))?(?: normal\b)?"
    r"|normal (?:upper|maximum) (?:limits?|values?)|limits? of (?:the )?upper (?:limit of )?normal)"
    r"(?: {0,2}[\[(] {0,1}(?:i?uln|unl|upper limit of normal|x ?uln|as uln) {0,1}[\])])?"
    r"(?: (?:range|ranges|values?|limits?|level|of normal|of the normal range|interval|reference range|reference)\b)*"
    r"(?: (?:for|of|at|per|by|according to) (?:the )?(?:age|(?:local |central |testing |respective |reference |study "
    r"|participating )*(?:laborator(?:y|ies)|lab|institution|site|center)(?: range| standards| reference range)?)\b)*"
)
_LLN = (
    rf"(?!(?:and|or|for|an|each|current) )(?:{_WHOSE}[ -]{{1,2}}){{0,5}}"
    r"(?:lln\b|(?:lower|minimum)[ -]{1,2}(?:normal[ -]|reference[ -]|laboratory[ -]|institutional[ -]){0,2}"
    r"(?:limits?|range|end|bound(?:ary)?) of (?:(?:the|institutional|laboratory|local|lab|reference) ){0,3}"
    r"normal(?: range| values?| limits?)?|lower normal limits?|normal lower limits?)(?: {0,2}\( {0,1}lln {0,1}\))?"
)
_LLOD = (
    r"(?:the )?(?:llod\b|lloq\b|lod\b"
    r"|(?:lower )?limits? of (?:detection|quantification|quantitation|detectability|assay detection)"
    r"|lower limit (?:value )?of (?:the )?(?:detection|assay|test)(?: reagent| kit)?"
    r"|(?:lower )?detection limits?|(?:minimum|lower) detection (?:limit|threshold|value))"
    r"(?: {0,2}\( {0,1}(?:llod|lloq|lod) {0,1}\))?"
)
_TIMES = (
    r"(?:-?[ -]{0,2}(?:x|\*|(?:times?|folds?|multiples? of)(?![a-z]))[ -]{0,2}"
    r"(?:(?:the )?(?:higher|greater|more|above|over|of|than|upper than|or greater|larger|as high as|that of|increased?) ?){0,3}"
    r"(?:than |of |above |over )?)"
)
_NORMAL = rf"(?:{_WHOSE} ){{0,3}}normal(?: (?:range|ranges|limits?|levels?|values?))?(?: for age)?\b"
RELATIVE = re.compile(
    rf"(?:{_TIMES})?(?:(?P<uln>{_ULN})|(?P<lln>{_LLN})|(?P<llod>{_LLOD}))"
    rf"|{_TIMES}(?:(?P<normal>{_NORMAL})|(?P<base>(?:the |their |his )?base-?line(?: values?| levels?)?\b))",
    FLAGS,
)
TWICE = re.compile(r"\b(?:twice|double|triple|thrice)[ ]{0,2}$", re.IGNORECASE)
TWICE_NORMAL = re.compile(_NORMAL, FLAGS)
_PREDICTED = (
    r"(?:of )?(?:the )?(?:(?:age |normal |their |patient's )?predict(?:ed|ive)|pred\b\.?|expected)"
    r"(?: normal)?(?: values?| volume)?\b(?: for age)?"
)
PERCENT = re.compile(
    rf" {{0,2}}-?(?:(?P<pred>{_PREDICTED})|of (?P<uln>{_ULN})|of (?P<lln>{_LLN})|of (?:the )?(?P<base>base-?line)(?: values?)?\b)",
    FLAGS,
)
