"""What a question is about, as far as the search needs to know. Pure functions on words; nothing is learned here."""

from collections.abc import Sequence

from retrieval.store.words import words

__all__ = ["names_something", "search_words", "searched_text", "words"]

STOP = frozenset(words("""
    a an and any are as at be been but by can could did do does for from had has have he her his how i if in into is
    me my no not of on or our she should so some that the there these this those to was we were what when where
    which who why will with would you your please tell show give it its they them their
"""))  # fmt: skip
# Words of a question that name no disease, organ or finding: they ask, or point at the picture or at a section.
GENERIC = STOP | frozenset(words("""
    abnormal abnormality advice anything appearance assess assessment case cause chest common compare comparison
    conclusion consider ct clinical could describe description diagnose diagnosis differential else exam examination
    explain exposure film find finding frontal fundus general happen image imaging impression indicate interpret
    investigation interpretation lab laboratory lateral left likely look management manage mean meaning medical more
    most mr mri next normal notice observe observation other overall patient photo photograph picture possible present
    problem radiograph radiographic radiological radiology recommend recommendation report result right scan see seem
    seen serious severe severity sign significant slice small large big size something step study suggest summarise
    summarize summary suspicious symptom test thing think thorough treat treatment ultrasound unusual urgent view
    visible visual worrying write wrong x xray ray
"""))  # fmt: skip
REACH = 3  # questions back
POINTING_BACK = frozenset(words("it its they them their"))


def names_something(text: str) -> bool:
    """Whether a question has a subject of its own, or is open ("what is abnormal in this image?")."""
    return any(word not in GENERIC for word in words(text))


def search_words(text: str) -> str:
    """The words worth looking up, normalised, joined by blanks."""
    return " ".join(word for word in words(text) if word not in STOP)


def searched_text(question: str, earlier: Sequence[str] = ()) -> str:
    """The question; after the ones before it when it can't stand alone ("how large is it?", "and what next?")."""
    asked = [question]
    for before in reversed(earlier[-REACH:]):
        if names_something(asked[0]) and not POINTING_BACK & set(words(asked[0])):
            break
        asked.insert(0, before)
    return " ".join(asked)
