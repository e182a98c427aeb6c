"""What a question is about, as far as the search needs to know. Pure functions on words; nothing is learned here."""

from collections.abc import Sequence

from retrieval.store.words import words

__all__ = ["names_something", "search_words", "searched_text", "subject_words", "words"]

STOP = frozenset(words("""
    a an and any are as at be been but by can could did do does for from had has have he her his how i if in into is
    me my no not of on or our she should so some that the there these this those to was we were what when where
    which who why will with would you your please tell show give it its they them their
"""))  # fmt: skip
# Words of a question that name no disease, organ or finding: they ask, or point at the picture or at a section.
GENERIC = STOP | frozenset(words("""
    abnormal abnormality advice anything appearance assess assessment big case cause chest clinical common compare
    comparison conclusion confirm consider could ct demonstrate describe description detect diagnose diagnosis
    differential else evidence exam examination exclude explain exposure film find finding frontal fundus general
    happen identify image imaging impression indicate interpret interpretation investigation lab laboratory large
    lateral left likely look manage management mean meaning medical more most mr mri next normal notice observation
    observe other overall patient photo photograph picture possible presence present problem radiograph radiographic
    radiological radiology ray recommend recommendation report result reveal right scan see seem seen serious severe
    severity show shown sign significant size slice small something step study suggest summarise summarize summary
    suspicious symptom test thing think thorough treat treatment ultrasound unusual urgent view visible visual
    worrying write wrong x xray
"""))  # fmt: skip
REACH = 3  # questions back
POINTING_BACK = frozenset(words("it its they them their"))


def names_something(text: str) -> bool:
    """Whether a question has a subject of its own, or is open ("what is abnormal in this image?")."""
    return bool(subject_words(text))


def subject_words(text: str) -> set[str]:
    """The words that name what a question is about, normalised. Empty for an open question."""
    return {word for word in words(text) if word not in GENERIC}


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
