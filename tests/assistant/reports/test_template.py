"""Templates: the built-in ones, a department's own, and what is wrong with a file."""

from pathlib import Path

import pytest

from assistant.errors import BadInput, Misconfigured
from assistant.reports.template import BUILT_IN, built_in, find_template

OWN = """
name: chest
title: Our chest
sections:
  - {name: findings, title: What is seen, findings: true, required: true}
  - {name: impression, title: Opinion}
"""


@pytest.mark.parametrize("name", sorted(path.stem for path in BUILT_IN.glob("*.yaml")))
def test_the_built_in_templates_load_under_their_own_names(name: str, tmp_path: Path) -> None:
    template = find_template(name, tmp_path)
    assert template.name == name
    assert template.names[-1] == "impression"
    assert set(template.parsed()) == set(template.names)
    assert next(s for s in template.sections if s.name == template.parsed()[0]).findings


def test_a_departments_own_replaces_the_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "chest.yaml").write_text(OWN)
    assert find_template("chest", tmp_path).title == "Our chest"
    assert find_template("fundus", tmp_path).title == built_in("fundus").title


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "YAML"),
        (OWN + "colour: red\n", "colour"),
        (OWN.replace("name: impression", "name: findings"), "two sections"),
        (OWN.replace("name: impression", "name: '[x]'"), "sections.1.name"),
        (OWN + "otherwise: bones\n", "otherwise"),
        (OWN.replace("name: chest", "name: thorax"), "must agree"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "chest.yaml").write_text(text)
    with pytest.raises(Misconfigured, match=said) as error:
        find_template("chest", tmp_path)
    assert "chest.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_template_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"brain_mr, chest, free, fundus"):
        find_template("../chest", tmp_path)


def test_the_indication_names_what_must_be_answered() -> None:
    asked = [element.name for element in built_in().asked("Fall. ?Pneumothorax, rib fractures, pneumonia?")]
    assert asked == ["consolidation", "pneumothorax", "fracture"]
    assert built_in().asked("Dyspnoea.") == ()
