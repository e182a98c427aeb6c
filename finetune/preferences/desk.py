"""What clinicians changed in the model's drafts, as pairs: the signed report against the draft, under the prompt that
the draft was written for.

Read are signed reports whose users agreed, through the view that says so (`consented_edits`), and nothing is written.
A pair names no patient and no report: its unit is the study's patient hash, hashed once more. Text that holds an
identifier of the study, a date, a telephone or record number or a person's title is not taken apart: the whole report
is left out, and counted. What is burnt into a picture's pixels can't be seen here.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from assistant.api.records import Records
from assistant.api.report_records import ConsentedEdit
from assistant.engines.card import harmless, prepared
from assistant.events import Retrieved, Sentence
from assistant.identity import Identity
from assistant.priors import prior_study
from assistant.prompting import composed
from assistant.reports.draft import statement_id
from assistant.reports.template import Template, find_template
from assistant.requests import ReportRequest
from assistant.study import Study
from assistant.tasks import task_of
from assistant.tasks.base import quoted
from finetune.errors import BadInput
from finetune.preferences.draft import Draft
from finetune.sft_samples import Reader
from retrieval.db import FILE
from retrieval.library import Library

_NAMED = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof)\b\.? ?[A-Z]|\b\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}\b"  # a title before a name; a date
    r"|\b\d{6,}\b|\+?\d[\d ()/-]{7,}\d|\S+@\S+\.\w+"  # a record or telephone number, a mail address
)


@dataclass(slots=True)
class Edits:
    """The pairs of a home's report desk. `left_out`: why reports gave none → how many."""

    home: Path
    reader: Reader
    left_out: dict[str, int] = field(default_factory=dict)

    def pairs(self) -> Iterator[tuple[Draft, str]]:
        """(draft, opaque patient) of every report that was changed. Raises `BadInput` when the home has no records."""
        if not (self.home / FILE).is_file():
            raise BadInput(f"{self.home} holds no reports ({FILE}): set CONSULT_HOME to the desk's home.")
        with closing(Records(self.home)) as records, closing(_reading(self.home)) as db:
            edits = sorted(records.consented_edits(), key=lambda edit: edit.report)
            for _, group in groupby(edits, key=lambda edit: edit.report):
                changes = list(group)
                if all(change.kind == "kept" for change in changes):
                    self._leave("signed as drafted")
                elif found := self._pair(records, db, changes):
                    yield found

    def _leave(self, why: str) -> None:
        self.left_out[why] = self.left_out.get(why, 0) + 1

    def _pair(
        self, records: Records, db: sqlite3.Connection, changes: Sequence[ConsentedEdit]
    ) -> tuple[Draft, str] | None:
        run = db.execute("SELECT * FROM runs WHERE id = ?", (changes[0].run,)).fetchone()
        said = _sentences(db, run["id"])
        request = _request(self.home, records, run)
        chosen, rejected = _written(changes, said, request.template)
        identity = records.identity(run["user"], run["study"])
        told = (chosen, rejected, request.indication, request.history, request.prior_report)
        if any(names_someone(text, identity) for text in told):
            self._leave("its text may name a person")
            return None
        if not chosen or not rejected or chosen == rejected:
            self._leave("nothing is left to compare")
            return None
        evidence = _evidence(db, run["id"])
        draft = task_of(request).draft(request, evidence)
        sizes = self.reader.count([text for _, text, _ in draft.parts()])
        prompt, _, _ = composed(draft, request, sizes, self.reader.info)
        counts = [f"{n} {kind}" for kind in ("changed", "deleted", "added") if (n := _count(changes, kind))]
        why = f"A clinician signed the report with {', '.join(counts)} of the draft's statements."
        unit = hashlib.sha256((request.study.patient or request.study.pictures[0].sha256).encode()).hexdigest()[:24]
        shown = prepared(prompt, self.reader.card.picture)
        return Draft("edits", "report", shown, chosen, rejected, why), unit


def _count(changes: Sequence[ConsentedEdit], kind: str) -> int:
    return sum(change.kind == kind for change in changes)


def names_someone(text: str, identity: Identity) -> bool:
    """Whether the text may say whose it is: by what the files say of the patient, or by the look of it."""
    words = [identity.patient_id, identity.accession, identity.birth_date, *re.split(r"[\^ ,]+", identity.name or "")]
    known = [re.escape(word) for word in words if word and len(word) > 2]
    return bool(_NAMED.search(text) or (known and re.search(rf"\b(?:{'|'.join(known)})\b", text, re.IGNORECASE)))


def _written(
    changes: Sequence[ConsentedEdit], said: dict[str, Sentence], template: Template
) -> tuple[str, str]:  # fmt: skip
    """(signed, drafted) as the model writes reports. What Consult itself said of the request is on neither side."""
    places = {name: n for n, name in enumerate(template.names)}
    signed, drafted = list[tuple[Any, str]](), list[tuple[Any, str]]()
    for change in changes:
        sentence = said.get(change.statement)
        if sentence and sentence.support == "request":
            continue
        number = sentence.index if sentence else len(said)
        if change.edited is not None:
            kept = sentence if change.kind == "kept" else None
            signed.append(((places.get(change.section, 99), number), _line(change.section, change.edited, kept)))
        if change.original is not None:
            section = sentence.section if sentence else change.section
            drafted.append(((number, 0), _line(section, change.original, sentence)))
    return tuple("\n".join(line for _, line in sorted(lines)) for lines in (signed, drafted))  # type: ignore[return-value]


def _line(section: str, text: str, sentence: Sentence | None) -> str:
    """With the sources that the model gave; a person's own words were read from the picture."""
    cited = "".join(f" [{citation.number}]" for citation in sentence.citations) if sentence else ""
    return f"[{section}] {harmless(quoted(text))}{cited or ' [image]'}"


def _reading(home: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{(home / FILE).resolve()}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    return db


def _events(db: sqlite3.Connection, run: str, name: str) -> list[str]:
    found = db.execute("SELECT data FROM events WHERE run = ? AND event = ? ORDER BY seq", (run, name))
    return [row["data"] for row in found]


def _sentences(db: sqlite3.Connection, run: str) -> dict[str, Sentence]:
    said = map(Sentence.model_validate_json, _events(db, run, "sentence"))
    return {statement_id(sentence.index): sentence for sentence in said}


def _evidence(db: sqlite3.Connection, run: str) -> Sequence[Any]:
    found = _events(db, run, "retrieved")
    return Retrieved.model_validate_json(found[0]).evidence if found else ()


def _request(home: Path, records: Records, run: sqlite3.Row) -> ReportRequest:
    """The request that the run was made for, as the API makes it."""
    body, user = json.loads(run["body"]), run["user"]
    study: Study = records.load(user, run["study"])
    prior = records.load(user, run["prior"]) if run["prior"] else None
    if case := body.get("prior_case"):
        with Library(home) as library:
            prior = prior_study(library, case, study.patient)
    written = {name: body.get(name, "") for name in ("indication", "history", "prior_report")}
    template = find_template(body.get("template", "chest"), home)
    return ReportRequest(study=study, prior=prior, template=template, max_tokens=body["max_tokens"], **written)
