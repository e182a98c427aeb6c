"""Findings against Impression: neither says of a chest what the other denies, nor elsewhere, nor more or less of it.

Read by `entities`, so chest reports only, and what that table doesn't name isn't compared.
"""

from collections.abc import Iterator, Sequence

from assistant.reports.checks.base import Severity, Situation, claims_of, findings, impression, named, result
from assistant.reports.claims import Claim, apart, denies, ends
from assistant.reports.draft import CheckResult, Draft, Statement
from assistant.reports.entities import Mention, Side, label
from assistant.reports.entity_words import Finding, words_for_all

CHECK = "impression"
# An impression names what the findings describe: either word of a pair stands for the other.
_KIN: tuple[frozenset[Finding], ...] = (
    frozenset(("Lung Opacity", "Consolidation", "Pneumonia")),
    frozenset(("Lung Opacity", "Atelectasis")),
    frozenset(("Lung Opacity", "Edema")),
    frozenset(("Lung Opacity", "Lung Lesion")),
    frozenset(("Cardiomegaly", "Enlarged Cardiomediastinum")),
)
_FAILURE: frozenset[Finding] = frozenset(("Cardiomegaly", "Pleural Effusion"))  # what "heart failure" may sum up
_UNCOMPARED: frozenset[Finding] = frozenset(("No Finding", "Support Devices"))
SERIOUS: frozenset[Finding] = frozenset(
    ("Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Pneumothorax", "Pleural Effusion", "Fracture")
)
Claims = Sequence[tuple[str, Claim]]


def against_findings(draft: Draft, situation: Situation) -> list[CheckResult]:
    """What the impression says, held against the findings: unfounded, denied there, on another side, of another
    severity."""
    said, described = impression(draft), findings(draft)
    if not situation.chest or not said or not described:
        return []
    grounds, known = _mentions(described), claims_of(described)
    found = []
    for statement, text, mention in _mentions(said):
        if mention.state == "absent" or mention.finding in _UNCOMPARED:
            continue
        words = text[mention.start : mention.end].lower()
        if not any(g.state != "absent" and kin(mention.finding, g.finding, words) for _, _, g in grounds):
            found.append(_unfounded(statement, mention, known))
    for statement, claim in claims_of(said):
        if claim.mention.state == "present" and claim.mention.finding not in _UNCOMPARED:
            found += [*_other_side(statement, claim, known), *_other_severity(statement, claim, known)]
    return found


def against_impression(draft: Draft, situation: Situation) -> list[CheckResult]:
    """What the findings say, held against the impression: denied there, or left out."""
    if not situation.chest:
        return []
    said = impression(draft)
    spoken, concluded = _mentions(said), claims_of(said)
    if not said or (not spoken and any(words_for_all(statement.text) for statement in said)):
        return []
    found = []
    for statement, claim in claims_of(findings(draft)):
        finding = claim.mention.finding
        if claim.mention.state != "present" or finding in _UNCOMPARED:
            continue
        same = [m for _, text, m in spoken if m.state != "absent" and kin(m.finding, finding, text[m.start : m.end])]
        if same:
            found += _left_out_side(statement, claim, same)
            continue
        denial = next((i for i, c in concluded if _denied(claim, c)), None)
        if denial:
            found.append(result(CHECK, "critical", f"{named(finding)}: found, and denied.", statement, denial))
        else:
            severity: Severity = "warning" if finding in SERIOUS else "note"
            found.append(result(CHECK, severity, f"{named(finding)}: not in the impression.", statement))
    return found


def within_findings(draft: Draft, situation: Situation) -> list[CheckResult]:
    """One thing found and denied in two statements of the findings, where a normal organ doesn't deny another's."""
    known = claims_of(findings(draft)) if situation.chest else []
    return [
        result("contradiction", "critical", f"{named(one.mention.finding)}: found, and denied.", i, j)
        for i, one in known
        for j, other in known
        if one.mention.state == "present" and i != j and other.mention.finding != "No Finding" and _denied(one, other)
    ]


def _mentions(statements: Sequence[Statement]) -> list[tuple[str, str, Mention]]:
    return [(said.id, said.text, mention) for said in statements for mention in label(said.text)]


def kin(one: Finding, other: Finding, words: str = "") -> bool:
    """Whether one finding may stand for the other; `words`: those by which the first was named."""
    if "failure" in words and other in _FAILURE:
        return True
    return one == other or any({one, other} <= pair for pair in _KIN)


def _denied(present: Claim, other: Claim) -> bool:
    """Whether `other` denies what is present, or calls the whole normal."""
    if other.room:
        return False
    if other.mention.finding == "No Finding" and other.mention.state == "present":
        return present.mention.finding not in _UNCOMPARED
    same = other.mention.finding == present.mention.finding and other.mention.state == "absent"
    return same and denies(present, other)


def _unfounded(statement: str, mention: Mention, known: Claims) -> CheckResult:
    name = named(mention.finding)
    denial = next((i for i, c in known if c.mention.finding == mention.finding and c.mention.state == "absent"), None)
    if denial:
        return result(CHECK, "critical", f"{name}: in the impression, and denied in the findings.", statement, denial)
    return result(CHECK, "warning", f"{name}: in the impression, and not in the findings.", statement)


def _same(claim: Claim, known: Claims) -> Iterator[tuple[str, Claim]]:
    for statement, other in known:
        if other.mention.finding == claim.mention.finding and other.mention.state == "present":
            yield statement, other


def _other_side(statement: str, claim: Claim, known: Claims) -> list[CheckResult]:
    same = list(_same(claim, known))
    sides = ends(c.mention.side for _, c in same if c.mention.side)
    own = ends([claim.mention.side] if claim.mention.side else [])
    if not sides or any(c.mention.side is None for _, c in same) or own <= sides:
        return []
    message = f"{named(claim.mention.finding)}: {_sides(own)} in the impression, {_sides(sides)} in the findings."
    return [result(CHECK, "critical", message, statement, *(i for i, _ in same))]


def _other_severity(statement: str, claim: Claim, known: Claims) -> list[CheckResult]:
    own = ends([claim.mention.side] if claim.mention.side else [])
    graded = [
        (i, c) for i, c in _same(claim, known)
        if c.grades and not apart(c.places, claim.places)
        and (not own or not c.mention.side or own & ends([c.mention.side]))
    ]  # fmt: skip
    if not claim.grades or not graded or any(c.grades & claim.grades for _, c in graded):
        return []
    message = f"{named(claim.mention.finding)}: of one severity in the findings, of another in the impression."
    return [result(CHECK, "warning", message, statement, *(i for i, _ in graded))]


def _left_out_side(statement: str, claim: Claim, kin: Sequence[Mention]) -> list[CheckResult]:
    """One side of a serious finding that is on both."""
    own = ends([claim.mention.side] if claim.mention.side else [])
    told = ends(m.side for m in kin if m.side)
    if claim.mention.finding not in SERIOUS or not own or any(m.side is None for m in kin) or own <= told:
        return []
    message = f"{named(claim.mention.finding)}, {_sides(own - told)}: not in the impression."
    return [result(CHECK, "warning", message, statement)]


def _sides(sides: frozenset[Side]) -> str:
    return " and ".join(sorted(sides))
