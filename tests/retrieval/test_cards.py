"""Cards: what is bundled keeps the format, and what doesn't is refused by file and key."""

import re
from pathlib import Path

import pytest

from retrieval.cards import FOLDER, SECTIONS, Card, Lab, bundled_cards, read_card, read_cards
from retrieval.errors import BadInput

CARD = """\
---
title: Gout
kind: disease
domain: blood
aliases: [podagra]
terms: [gout]
edition: "2020"
jurisdiction: International
sources:
  - {organisation: A society, title: On gout, year: 2020, section: All}
criteria:
  - {text: Urate above 360 umol/L, kind: laboratory, weight: supports, source: 0, lab: {name: Urate, unit: umol/L, above: 360}}
ranges:
  - {name: Urate, unit: umol/L, high: 360, sex: female, source: 0}
---
# Gout

Crystals in a joint.

## Laboratory
- Gout goes with urate above 360 umol/L.
"""  # noqa: E501
EVERY = pytest.mark.parametrize("card", bundled_cards(), ids=lambda card: card.file)


def written(folder: Path, text: str, name: str = "gout.md") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_there_are_cards_of_every_domain() -> None:
    cards = bundled_cards()
    assert len(cards) >= 40
    assert {card.domain for card in cards} == {"chest_xray", "brain_mri", "fundus", "blood"}
    assert {card.file for card in cards} == {path.name for path in FOLDER.glob("*.md")} - {"README.md"}


@EVERY
def test_a_card_keeps_the_format(card: Card) -> None:
    assert card.text.isascii()
    assert card.text.startswith(f"# {card.title}\n")
    assert tuple(re.findall(r"(?m)^## (.+)$", card.text)) == SECTIONS
    for name in SECTIONS:
        bullets = card.section(name).split("\n")
        assert all(line.startswith("- ") and line.endswith(".") for line in bullets)
        assert 25 <= len(re.findall(r"\S*\w\S*", card.section(name))) <= 90, name
        named = {word for known in card.names for word in re.findall(r"\w{3,}", known.casefold())}
        assert named & set(re.findall(r"\w+", bullets[0].casefold())), name


@EVERY
def test_criteria_are_told_apart_and_reach_their_source(card: Card) -> None:
    assert len({criterion.text for criterion in card.criteria}) == len(card.criteria)
    assert {card.source_of(criterion) for criterion in card.criteria} <= set(card.sources)
    assert any(criterion.weight != "against" for criterion in card.criteria)


@EVERY
def test_limits_stand_in_the_passage_that_is_cited(card: Card) -> None:
    for criterion in card.criteria:
        if lab := criterion.lab:
            numbers = re.findall(r"\d+(?:\.\d+)?", card.section(criterion.section))
            limits = [v for v in (lab.below, lab.above, lab.low, lab.high) if v is not None]
            assert {f"{limit:g}" for limit in limits} <= set(numbers), criterion.text


@EVERY
def test_units_are_read_by_pint(card: Card) -> None:
    pint = pytest.importorskip("pint", reason="pint, which converts units, is not installed")
    units = pint.UnitRegistry()
    for limits in (*(c.lab for c in card.criteria if c.lab), *card.ranges):
        units.parse_expression(limits.unit)  # raises on what it doesn't know


def test_a_name_has_one_unit_dimension_on_all_cards() -> None:
    pint = pytest.importorskip("pint", reason="pint, which converts units, is not installed")
    units, seen = pint.UnitRegistry(autoconvert_offset_to_baseunit=True), dict[str, object]()
    for card in bundled_cards():
        for limits in (*(c.lab for c in card.criteria if c.lab), *card.ranges):
            dimension = units.parse_expression(limits.unit)
            dimension = getattr(dimension, "dimensionality", "none")
            assert seen.setdefault(limits.name.casefold(), dimension) == dimension, limits.name


def test_guidelines_that_disagree_are_about_one_subject() -> None:
    by_file = {card.file: card for card in bundled_cards()}
    pairs = [(card, by_file[other.card]) for card in by_file.values() for other in card.disagrees]
    assert len(pairs) >= 3
    for card, other in pairs:
        assert set(card.terms) & set(other.terms)
        assert card.jurisdiction != other.jurisdiction


def test_a_card_is_read_with_all_it_says(tmp_path: Path) -> None:
    card = read_card(written(tmp_path, CARD))
    assert (card.file, card.title, card.doid, card.names) == ("gout.md", "Gout", None, ("Gout", "podagra", "gout"))
    (criterion,) = card.criteria
    assert criterion.lab == Lab("Urate", "umol/L", above=360)
    assert card.source_of(criterion).organisation == "A society"
    assert card.section(criterion.section) == "- Gout goes with urate above 360 umol/L."
    assert card.section("") == "Crystals in a joint."
    assert card.ranges[0].sex == "female"
    with pytest.raises(BadInput, match=r"gout\.md has no section 'Symptoms'"):
        card.section("Symptoms")


def test_limits_are_left_out_or_included() -> None:
    assert [Lab("x", "g/L", below=5).meets(v) for v in (4.9, 5)] == [True, False]
    assert [Lab("x", "g/L", above=5).meets(v) for v in (5, 5.1)] == [False, True]
    assert [Lab("x", "g/L", low=1, high=5).meets(v) for v in (0.9, 1, 5, 5.1)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("title: Gout", "title: Gout\ncolour: red", r"gout\.md, colour: unknown key"),
        ("kind: laboratory,", "kind: laboratory, wieght: 3,", r"gout\.md, criteria\.0\.wieght: unknown key"),
        ("title: Gout", "title: Gout\nfile: other.md", r"gout\.md, file: unknown key"),
        ("weight: supports", "weight: suports", r"gout\.md, criteria\.0\.weight: Input should be 'required'"),
        ("domain: blood", "domain: joint", r"gout\.md, domain: "),
        ("terms: [gout]", "", r"gout\.md, terms: "),
        ("domain: blood", "domain: blood\ndoid: '13189'", r"gout\.md, doid: "),
        ("supports, source: 0", "supports, source: 1", r"gout\.md, criteria\.0\.source: there is no source 1"),
        ("above: 360}}", "}}", r"gout\.md, criteria\.0\.lab: a limit is missing"),
        ("above: 360}}", "above: 360, low: 300}}", r"gout\.md, criteria\.0\.lab: one limit to a side"),
        ("above: 360}}", "above: 360, below: 300}}", r"gout\.md, criteria\.0\.lab: its limits leave no value"),
        ("high: 360, sex: female, source: 0", "high: 360, source: -1", r"gout\.md, ranges\.0\.source: "),
        ("kind: laboratory", "kind: history", r"gout\.md, criteria\.0\.lab: only a laboratory value"),
        ("source: 0, lab", "source: 0, finding: tophus, lab", r"gout\.md, criteria\.0\.finding: only an imaging"),
        ("title: Gout", "title: [", r"gout\.md: its front matter is not valid YAML"),
    ],
)
def test_a_slip_is_told_by_file_and_key(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert old in CARD
    with pytest.raises(BadInput, match=told) as error:
        read_card(written(tmp_path, CARD.replace(old, new)))
    assert "\n" not in str(error.value)


def test_cards_share_no_name_and_disagree_with_cards_that_are_there(tmp_path: Path) -> None:
    written(tmp_path, CARD)
    other = CARD.replace("title: Gout", "title: Podagra").replace("[podagra]", "[]")
    with pytest.raises(BadInput, match=r"other\.md, aliases: 'podagra' already names gout\.md"):
        read_cards(written(tmp_path, other, "other.md").parent)
    conflict = "aliases: []\ndisagrees: [{card: gone.md, about: all}]"
    lonely = CARD.replace("title: Gout", "title: Tophus").replace("aliases: [podagra]", conflict)
    with pytest.raises(BadInput, match=r"other\.md, disagrees: there is no other card gone\.md"):
        read_cards(written(tmp_path, lonely, "other.md").parent)
