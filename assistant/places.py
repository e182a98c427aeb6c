"""Where in the pictures is what the sentences say: by the image encoder's similarity, which draws no outlines.

A sentence gets a region only when it says that something is there and its map has a peak that is clear enough.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anyio import to_thread

from assistant.events import Heat, Located, Place, Region, Sentence
from assistant.reports.entities import label, named
from assistant.study import Picture
from retrieval.encoders.patches import PatchEncoder, sees_places
from retrieval.places import heat_of, place_of, score_of

if TYPE_CHECKING:
    from assistant.bench import Bench

# Standard deviations that a peak must stand out. CLEAR: of an encoder whose patches nobody taught, set on maps pointing
# by chance: of 80 true sentences about validation phantoms (highest 2.1) and 58 about real brains and fundi (highest
# 3.0) none is shown, of 44 about real chest radiographs one (3.6). A map hot in a twelfth of its cells has 3.3.
# TAUGHT: of one with a learnt projection (`retrieval.encoders.projection`), the bundled one. Its hits don't rise with
# clearness (342 true sentences about validation phantoms: 70 % of all, 61 % from 2.2), so this only leaves out what
# hardly has a peak: 98.5 % are shown, of which 70 % hit, and 93 % of those with a side lie in the right half. Nodules
# it hits in 15 %.
CLEAR, TAUGHT = 3.2, 1.6
UNABLE = "No regions are shown: the image encoder in use does not tell where in a picture something is seen."
_PLACELESS = ("No Finding", "Support Devices")
# What pictures other than radiographs of the chest show; the labeller knows the rest.
_SEEN = re.compile(
    r"\b(?:lesions?|ha?emorrhages?|exudates?|microaneurysms?|drusen|retinopathy|maculopathy|cotton[- ]wool spots?"
    r"|infarct(?:ion)?s?|ha?ematomas?|enhanc(?:ement|ing)|glioma|meningioma|adenoma|cysts?|neovasculari[sz]ation)\b"
)


def says_something_is_there(text: str) -> bool:
    """Whether a sentence states a finding that has a place: not one that is denied or doubted, and no device."""
    stated = any(mention.state == "present" and mention.finding not in _PLACELESS for mention in label(text))
    return stated or any(state == "present" for state, _ in named(text, _SEEN))


def visible(sentences: Sequence[Sentence], sections: Sequence[str]) -> list[Sentence]:
    """Those of these sections that say that something is there."""
    return [
        sentence
        for sentence in sentences
        if sentence.section in sections and sentence.support != "request" and says_something_is_there(sentence.text)
    ]


async def locate(bench: "Bench", sentences: Sequence[Sentence]) -> Located:
    """Where the sentences are seen; the run's own sentences know it from then on. Without a name of an encoder where
    the one in use can't tell."""
    encoder = bench.assistant.retriever.encoders.image_text
    if not sentences or not sees_places(encoder):
        return Located()
    with bench.course.stage("locate"):
        found = await to_thread.run_sync(places_of, encoder, bench.course.request.study.pictures, sentences)
    bench.course.locate(found.places)
    return found


def clear_enough(encoder: PatchEncoder) -> float:
    """From which clearness on a map of this encoder is shown."""
    return TAUGHT if getattr(encoder, "learnt_places", False) else CLEAR


def places_of(encoder: PatchEncoder, pictures: Sequence[Picture], sentences: Sequence[Sentence]) -> Located:
    """Of each sentence the place in the picture that shows it best; nothing where that has no clear peak."""
    texts = encoder.encode_texts([sentence.text for sentence in sentences])
    seen = encoder.encode_patches([picture.pixels for picture in pictures])
    sizes = [(picture.pixels.shape[1], picture.pixels.shape[0]) for picture in pictures]
    places = []
    for sentence, text in zip(sentences, texts, strict=True):
        heats = [heat_of(patches, text, size) for patches, size in zip(seen, sizes, strict=True)]
        best = max(range(len(seen)), key=lambda n: score_of(seen[n], text, heats[n]))
        place = place_of(heats[best], seen[best].extent, sizes[best])
        if place.clear >= clear_enough(encoder):
            cells = tuple(tuple(None if c != c else round(c, 4) for c in row) for row in heats[best].tolist())
            region = Region(picture=best + 1, box=place.box, peak=place.peak)
            places.append(
                Place(sentence=sentence.index, region=region, heat=Heat(extent=seen[best].extent, cells=cells))
            )
    return Located(places=tuple(places), encoder=encoder.identity)
