"""The events of a run, joined into one result. Pure."""

from collections.abc import Iterable

from pydantic import TypeAdapter

from assistant.api.records import RunRow, Stored
from assistant.api.shapes import Error, Result, RunOut
from assistant.events import Differential, Done, Drafted, Event, Failed, Finding, Located, Quality, Retrieved, Sentence

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def parse(stored: Stored) -> Event:
    return _EVENT.validate_json(stored.data)


def joined(events: Iterable[Event]) -> Result:
    result = Result()
    for event in events:
        match event:
            case Quality():
                result.quality = event
            case Retrieved():
                result.evidence, result.considered, result.note = list(event.evidence), event.considered, event.note
                result.priors = list(event.priors)
            case Sentence():
                result.sentences.append(event)
                result.answer = f"{result.answer} {event.text}".lstrip()
                result.citations += [citation for citation in event.citations if citation not in result.citations]
            case Located():
                regions = {place.sentence: place.region for place in event.places}
                result.sentences = [s.model_copy(update={"region": regions.get(s.index)}) for s in result.sentences]
            case Differential():
                result.differential = event
            case Finding():
                result.findings.append(event)
            case Drafted():
                result.draft = event.draft
            case Done():
                result.answer, result.reason = event.answer, event.reason
                result.warnings, result.dropped = list(event.warnings), list(event.dropped)
                result.identity, result.timings, result.cut = event.identity, event.timings, event.cut
            case Failed():
                result.error = Error(type=event.type, message=event.message)
    return result


def summary(run: RunRow) -> RunOut:
    return RunOut(**{name: getattr(run, name) for name in RunOut.model_fields})
