"""The vocabulary: what it holds, how it decides, and how it refuses a wrong file."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from nlp import vocab
from nlp.errors import NlpError, VocabularyError
from nlp.vocab import Concept, Vocabulary

VOCABULARY: Vocabulary = vocab.load()
SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(**changes: object) -> dict[str, object]:
    return {"id": "kynurenine", "name": "Kynurenine", "category": "metabolic", **changes}


def test_every_concept_of_the_facts_is_there() -> None:
    facts = SHARED / "facts" / "concepts.csv"
    if not facts.is_file():
        pytest.skip("the workplace's shared/facts/concepts.csv is not here")
    with facts.open(encoding="utf-8") as lines:
        wanted = {line["id"] for line in csv.DictReader(lines)}
    assert len(wanted) == 254
    assert wanted <= VOCABULARY.concepts.keys()


def test_the_size_of_the_vocabulary() -> None:
    assert len(VOCABULARY.concepts) >= 600


@pytest.mark.parametrize("concept", VOCABULARY.concepts.values(), ids=lambda concept: str(concept.id))
def test_each_concept_is_whole(concept: Concept) -> None:
    assert concept.aliases or concept.cased_aliases
    positive = [example for example in concept.examples if example.reads is not None]
    assert len(positive) >= 2
    assert len(concept.examples) - len(positive) >= 1
    if concept.unit is not None:
        assert concept.unit in concept.units
    if concept.entity_type == "Temporal":
        assert concept.kind == "temporal"


@pytest.mark.parametrize("concept", VOCABULARY.concepts.values(), ids=lambda concept: str(concept.id))
def test_each_positive_example_holds_an_alias(concept: Concept) -> None:
    keys = [vocab.alias_key(text) for text in (*concept.aliases, *concept.cased_aliases)]
    for member in concept.members:
        keys += [vocab.alias_key(text) for text in VOCABULARY.concepts[member].aliases]
    for example in concept.examples:
        if example.reads is not None:
            assert any(f" {key} " in f" {vocab.alias_key(example.text)} " for key in keys), example.text


def test_aliases_are_token_sequences() -> None:
    assert vocab.alias_key("Anti-dsDNA  antibody") == "anti - dsdna antibody"
    assert vocab.alias_key("SLEDAI-2K") == "sledai - 2 k"
    assert vocab.alias_key("25(OH)D") == "25 ( oh ) d"


def test_each_alias_names_its_concepts() -> None:
    by_text = {(alias.text, alias.cased): alias.concepts for alias in VOCABULARY.aliases}
    assert by_text["FEV1", True] == ("fev1_l", "fev1_pct") or set(by_text["FEV1", True]) == {
        "fev1_l",
        "fev1_pct",
    }
    assert by_text["platelet count", False] == ("plt",)
    assert {"Hb", "HB", "hgb"} <= {alias.text for alias in VOCABULARY.aliases if alias.concepts == ("hgb",)}


def test_an_alias_of_two_concepts_is_declared_on_both() -> None:
    for alias in VOCABULARY.aliases:
        if len(alias.concepts) > 1:
            for concept in alias.concepts:
                declared = {vocab.alias_key(text) for text in VOCABULARY.concepts[concept].ambiguous}
                assert vocab.alias_key(alias.text) in declared, (alias.text, concept)


def test_the_verified_codes_have_their_source() -> None:
    coded = [concept for concept in VOCABULARY.concepts.values() if concept.loinc]
    assert len(coded) >= 150
    for concept in coded:
        for entry in concept.loinc:
            assert entry["name"]
            assert entry["source"]


def test_formula_and_measured_clearance_have_their_own_codes() -> None:
    concepts = VOCABULARY.concepts
    assert [entry["code"] for entry in concepts["crcl"].loinc] == ["35591-7"]
    assert [entry["code"] for entry in concepts["crcl_measured"].loinc] == ["2164-2"]
    assert concepts["egfr"].unit != concepts["crcl"].unit


@pytest.mark.parametrize(
    ("code", "right"), [("718-7", True), ("718-8", False), ("35591-7", True), ("2160-0", True)]
)
def test_check_digit(code: str, right: bool) -> None:
    assert vocab.loinc_check_digit(code) is right


def test_members_and_broader() -> None:
    concepts = VOCABULARY.concepts
    assert concepts["transaminases"].members == ("alt", "ast")
    assert concepts["bp"].members == ("sbp", "dbp")
    assert concepts["sledai_2k"].broader == "sledai"


# ------------------------------------------------------------------ deciding

DECISIONS = [
    (("ferritin", "lvfs"), "SF", "ug/L", "", "ferritin"),
    (("ferritin", "lvfs"), "SF", "%", "", "lvfs"),
    (("fev1_l", "fev1_pct"), "FEV1", "L", "", "fev1_l"),
    (("fev1_l", "fev1_pct"), "FEV1", "%", "", "fev1_pct"),
    (("fev1_l", "fev1_pct"), "FEV1", None, "of the predicted value", "fev1_pct"),
    (("pvr", "pvr_urine"), "PVR", "mL", "", "pvr_urine"),
    (("pvr", "pvr_urine"), "PVR", "dyn.s/cm5", "", "pvr"),
    (("bsa", "bsa_affected"), "BSA", "m2", "", "bsa"),
    (("bsa", "bsa_affected"), "BSA", "%", "", "bsa_affected"),
    (("tst", "probing_depth"), "PPD", "mm", "tuberculin skin test", "tst"),
    (("tst", "probing_depth"), "PPD", "mm", "sites with pocket", "probing_depth"),
    (("tumour_stage", "ckd_stage"), "stage", None, "chronic kidney disease", "ckd_stage"),
    (("tumour_stage", "ckd_stage"), "stage", None, "lung cancer", "tumour_stage"),
    (("pt",), "PT", "s", "", "pt"),
    (("pt",), "PT", None, "INR or aPTT", "pt"),
    (("pt",), "PT", None, "three sessions a week", None),
    (("k",), "K", "mmol/L", "", "k"),
    (("k",), "K", "mg", "", None),
    (("egfr",), "eGFR", None, "mutation exon 19", None),
    (("prot_24h", "upcr", "urine_protein_dip"), "proteinuria", "g/(24.h)", "", "prot_24h"),
    (("prot_24h", "upcr", "urine_protein_dip"), "proteinuria", "mg/g", "", "upcr"),
    (("prot_24h", "upcr", "urine_protein_dip"), "proteinuria", None, "", "urine_protein_dip"),
    (("cigarettes", "smoking"), "smoking", "{pack-years}", "", "smoking"),
    (("cigarettes", "smoking"), "smoking", "{cigarettes}/d", "", "cigarettes"),
    (("blasts_bm", "blasts_pb"), "blasts", "%", "", "blasts_bm"),
    (("blasts_bm", "blasts_pb"), "blasts", "10*9/L", "", "blasts_pb"),
]


@pytest.mark.parametrize(("concepts", "alias", "unit", "words", "wanted"), DECISIONS)
def test_the_cue_decides(
    concepts: tuple[str, ...], alias: str, unit: str | None, words: str, wanted: str | None
) -> None:
    assert VOCABULARY.resolve(concepts, alias, unit, words.split()) == wanted


def test_a_multiple_of_a_limit_decides_too() -> None:
    assert VOCABULARY.resolve(("tbil",), "TB", None, (), "ULN") == "tbil"
    assert VOCABULARY.resolve(("tbil",), "TB", None, (), None) is None


def test_a_unit_of_the_same_dimension_decides() -> None:
    assert VOCABULARY.resolve(("ferritin", "lvfs"), "SF", "pg/mL") == "ferritin"


def test_implausible_values_are_known() -> None:
    assert VOCABULARY.plausible("hgb", 90, "g/L") is True
    assert VOCABULARY.plausible("hgb", 90, "g/dL") is False
    assert VOCABULARY.plausible("scr", 2.5, "mmol/L") is False
    assert VOCABULARY.plausible("hgb", 90, "s") is None
    assert VOCABULARY.plausible("hbsag", 1, None) is None


# ------------------------------------------------------- digest and extension


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the data folder that the loader reads instead of the package's."""
    copy = tmp_path / "data"
    shutil.copytree(vocab.DATA, copy)
    monkeypatch.setattr(vocab, "DATA", copy)
    return copy


@pytest.mark.usefixtures("data")
def test_the_digest_is_of_the_files() -> None:
    loaded = vocab.load()
    assert loaded.digest == vocab.digest() == vocab.load().digest
    assert len(loaded.digest) == 64


@pytest.mark.parametrize("name", ["units.jsonl", "concepts.jsonl"])
def test_the_digest_changes_with_any_data_file(data: Path, name: str) -> None:
    before = vocab.digest()
    with (data / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert vocab.digest() != before


def test_an_extension_adds_a_concept(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", row(aliases=["kynurenine"], unit="umol/L", units=["umol/L"]))
    assert vocab.check(path) == []
    extended = vocab.load(path)
    assert extended.concepts["kynurenine"].unit == "umol/L"
    assert extended.digest != VOCABULARY.digest
    assert len(extended.concepts) == len(VOCABULARY.concepts) + 1


def test_an_extension_adds_an_alias_and_keeps_what_the_package_says(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", row(id="anc", name="x", category="x", aliases=["seg count"]))
    extended = vocab.load(path).concepts["anc"]
    assert "seg count" in extended.aliases
    assert extended.name == VOCABULARY.concepts["anc"].name
    assert extended.unit == "10*9/L"


WRONG = [
    (row(colour="red"), "key colour: unknown"),
    (row(id="Not OK"), "key id"),
    (row(name=""), "key name"),
    (row(aliases="anc"), "key aliases"),
    (row(kind="number"), "key kind"),
    (row(direction="up"), "key direction"),
    (row(entity_type="Lab"), "key entity_type"),
    (row(plausible=[5, 1]), "key plausible"),
    (row(plausible=[1]), "key plausible"),
    (row(molar_mass=-1), "key molar_mass"),
    (row(molar_mass=True), "key molar_mass"),
    (row(loinc=[{"code": "718-8", "name": "x", "source": "y"}]), "key loinc"),
    (row(loinc=[{"code": "718-7"}]), "key loinc"),
    (row(examples=[{"text": "x"}]), "key examples"),
    (row(examples=[{"text": "x", "reads": {"comparator": "about"}}]), "key examples"),
    (row(examples=[{"text": "x", "reads": {"op": ">"}}]), "key examples"),
    (row(ambiguous={"KY": {"unit": ["g"]}}), "key ambiguous"),
    (row(aliases=["KY"], ambiguous={"KY": {"words": ["Upper"]}}), "key ambiguous"),
    (row(ambiguous={"KY": {"units": ["g"]}}), "key ambiguous"),
    (row(unit="furlong"), "key unit"),
    (row(units=["furlong"]), "key units"),
    (row(broader="nothing"), "key broader"),
    (row(members=["nothing"]), "key members"),
    (row(aliases=["platelet count"]), "key ambiguous: the alias 'platelet count'"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_line_is_named(tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    path = write(tmp_path / "mine.jsonl", wrong)
    problems = vocab.check(path)
    assert len(problems) == 1
    assert said in problems[0]
    assert "line" in problems[0]
    with pytest.raises(VocabularyError):
        vocab.load(path)


def test_every_wrong_line_is_listed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mine.jsonl", row(kind="x"), row(id="ok_one", aliases=["okay"]), row(direction="x")
    )
    problems = vocab.check(path)
    assert [problem.split(":")[0] for problem in problems] == ["mine.jsonl line 1", "mine.jsonl line 3"]


@pytest.mark.parametrize("text", ["{", "[]", "5", "\n"])
def test_not_an_object(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(text, encoding="utf-8")
    assert len(vocab.check(path)) == 1


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read" in vocab.check(tmp_path / "none.jsonl")[0]
    with pytest.raises(VocabularyError, match="cannot be read"):
        vocab.load(tmp_path / "none.jsonl")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in vocab.check(latin)[0]


def test_the_errors_have_one_base() -> None:
    assert issubclass(VocabularyError, NlpError)


def test_a_shared_alias_declared_on_both_loads(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mine.jsonl",
        row(aliases=["KYN"], ambiguous={"KYN": {"units": ["umol/L"]}}),
        row(id="kyn_ratio", aliases=["KYN"], ambiguous={"KYN": {"units": ["%"], "default": True}}),
    )
    extended = vocab.load(path)
    both = ("kynurenine", "kyn_ratio")
    assert extended.resolve(both, "KYN", "umol/L") == "kynurenine"
    assert extended.resolve(both, "kyn", None) == "kyn_ratio"


def test_the_same_id_twice_in_the_package_is_refused(data: Path) -> None:
    with (data / "concepts.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row(id="anc")) + "\n")
    with pytest.raises(VocabularyError, match=r"key id: 'anc' is there twice"):
        vocab.load()
