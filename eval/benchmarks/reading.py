"""Reading: does the answer follow the passage? One question about what a passage says is put twice, with two passages
that differ in one value alone (a number of days, a drug, a side to be filmed), beside the same picture. Right is an
answer that holds the passage's value and not the other's; only who gets both right counts.

The passages are made up, so that nobody can know the answers, and each holds another fact beside the one asked about.
`PROTOCOLS` are the exam's: what trains on such passages has templates and values of its own
(`eval.phantoms.protocols`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import ClassVar

import numpy as np

from assistant.requests import AskRequest
from eval.benchmarks.common import SIZE, study_of
from eval.benchmarks.phantom_items import places
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.phantoms import make_phantom
from eval.phantoms.protocols import Protocol, TwoReadings, two_readings
from retrieval.types import Evidence, Passage
from retrieval.types import Item as Reference

PLACE = 16
ONE, OTHER = "one passage", "other passage"
PROTOCOLS = (
    Protocol(
        "days", "Review after discharge", "Appointment",
        ("At {place} the patient is seen again after {value} days.",
         "The review at {place} takes place {value} days after discharge."),
        ("According to the passage, after how many days is the patient seen again?",
         "How many days after discharge does the passage put the review?"),
        ("4", "6", "9", "11", "13", "17", "19", "23"),
    ),
    Protocol(
        "drug", "Premedication", "Drug",
        ("Before the procedure the ward gives {value} by mouth.", "{place} uses {value} as its premedication."),
        ("According to the passage, which drug is given before the procedure?",
         "Which premedication does the passage name?"),
        ("belanterol", "corvaxine", "dimetrosan", "felodrine", "luprazide", "norvasole", "pentiline", "sumacor"),
    ),
    Protocol(
        "side", "Decubitus film", "Positioning",
        ("For the extra film the patient lies on the {value} side.",
         "At {place} the decubitus film is taken with the {value} side down."),
        ("According to the passage, on which side does the patient lie for the extra film?",
         "Which side is down on the extra film, as the passage has it?"),
        ("left", "right"),
    ),
    Protocol(
        "millimetres", "Referral of nodules", "Threshold",
        ("{place} refers a nodule from {value} mm upwards.", "The referral threshold for a nodule is {value} mm."),
        ("According to the passage, from how many millimetres is a nodule referred?",
         "Which size in millimetres is the threshold in the passage?"),
        ("5", "7", "12", "14", "16", "18", "22"),
    ),
    Protocol(
        "examination", "Second examination", "Choice",
        ("When the film is unclear, {place} asks for {value} next.", "The second examination of choice is {value}."),
        ("According to the passage, which examination comes next?", "What does the passage choose after the film?"),
        ("ultrasound", "scintigraphy", "tomosynthesis", "fluoroscopy", "bronchoscopy", "spirometry"),
    ),
    Protocol(
        "caller", "Urgent results", "Who is told",
        ("An urgent result at {place} is phoned to the {value}.", "The {value} is called about every urgent result."),
        ("According to the passage, who is told of an urgent result?", "Whom does the passage have called?"),
        ("matron", "registrar", "bed manager", "duty physician", "ward clerk", "site coordinator"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TwoPassages(Item):
    """`references` of the item are one of the passages, `other` is the other."""

    other: Evidence


class Reading(Benchmark):
    name = "reading"
    title = "Reading: swap the passage, the answer follows (made-up protocols)"
    full, quick = 240, 36
    headline = "both passages right"
    protocols: ClassVar[tuple[Protocol, ...]] = PROTOCOLS

    def items(self, n: int, seed: int) -> Iterator[TwoPassages]:
        for number, (place, family) in enumerate(islice(places(PLACE, seed), n)):
            read = two_readings(self.protocols, number, np.random.default_rng(place))
            yield item_of(read, place, family)

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        assert isinstance(item, TwoPassages)
        request = item.request()
        return {ONE: await candidate.ask(request, item.references), OTHER: await candidate.ask(request, item.other)}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        values: list[str] = item.truth["values"]
        told = [{value for value in values if holds(value, answer.text)} for answer in answers.values()]
        right = [said == {value} for said, value in zip(told, values, strict=True)]
        return {
            "fact": item.truth["fact"],
            "both": all(right),
            "right": sum(right) / 2,
            "neither": sum(not said for said in told) / 2,
            "same": len({answer.text for answer in answers.values()}) == 1,
            "cited": sum(any(s.cites for s in answer.sentences) for answer in answers.values()) / 2,
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            self.headline: mean_of("both"),
            "right, one by one": mean_of("right"),
            "neither value said": mean_of("neither"),
            "the same said of both": mean_of("same"),
            "cites the passage": mean_of("cited"),
        }


def holds(value: str, text: str) -> bool:
    """Whether the value is said, as a word or number of its own."""
    return re.search(rf"(?<![\w.,]){re.escape(value)}(?![\w]|[.,]\d)", text, re.IGNORECASE) is not None


def item_of(read: TwoReadings, seed: int, family: str) -> TwoPassages:
    one, other = (_evidence(read, text) for text in read.passages)
    return TwoPassages(
        id=f"{family}-{seed}",
        truth={"fact": read.fact, "question": read.question, "passages": read.passages, "values": list(read.values)},
        request=partial(_request, seed, family, read.question),
        references=one,
        other=other,
        groups={"fact": read.fact, "family": family},
        cluster=f"{family}-{seed}",
        phantoms=((family, seed),),
    )


def _evidence(read: TwoReadings, text: str) -> Evidence:
    """The only passage, as one of the library is shown."""
    passage = Passage("reading-1", "reading", read.title, read.section, text, 0, len(text))
    return Evidence((Reference(1, passage, {"bm25": 10.0}, 0.9),), 1)


def _request(seed: int, family: str, question: str) -> AskRequest:
    phantom = make_phantom(seed, size=SIZE, family=family, findings=())
    return AskRequest(study=study_of(phantom), question=question)
