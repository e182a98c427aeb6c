"""What is looked for and what the engine is sent for a request. Serving and training both ask here, so that a model is
tuned on the text it will read."""

from collections.abc import Sequence

from numpy.typing import NDArray

from assistant.budget import Piece, fit
from assistant.checks import Situation
from assistant.engines.base import EngineInfo, Prompt, Sampling
from assistant.events import DomainVerdict
from assistant.requests import AskRequest, Request
from assistant.study import Picture
from assistant.tasks import task_of
from assistant.tasks.base import Draft
from retrieval.types import Domain, Query

AROUND_A_PART, AROUND_A_PICTURE = 2, 24  # tokens that the layout spends beside what is counted


def pictures_of(request: Request) -> tuple[Picture, ...]:
    """Of the study, then of the prior."""
    return request.study.pictures + (request.prior.pictures if request.prior else ())


def situation_of(request: Request) -> Situation:
    """What the checks must know of the request."""
    pictures = pictures_of(request)
    known = all(picture.orientation for picture in pictures)  # a lateral view shows no side, and hides none
    sides = known and any(picture.shows_sides for picture in pictures)
    return Situation(sides=sides, prior=request.prior is not None)


def query_of(request: Request, embeddings: NDArray, verdicts: Sequence[Domain | DomainVerdict]) -> Query:
    """What the library is asked. `embeddings` (n, dim) are of `pictures_of`, `verdicts` what kinds they are."""
    pictures, current = pictures_of(request), len(request.study.pictures)
    return Query(
        text=task_of(request).lookup(request),
        images=tuple(picture.pixels for picture in request.study.pictures),
        embeddings=embeddings[:current],
        prior_images=tuple(picture.pixels for picture in pictures[current:]),
        prior_embeddings=embeddings[current:] if request.prior else None,
        earlier=tuple(turn.question for turn in request.earlier) if isinstance(request, AskRequest) else (),
        domains=searched(verdicts),
        patient=request.study.patient,
        sha256=tuple(picture.sha256 for picture in pictures),
    )


def searched(verdicts: Sequence[Domain | DomainVerdict]) -> tuple[str, ...]:
    """The domains of the pictures, when all are sure; (): all there are."""
    names = dict.fromkeys(verdict.name for verdict in verdicts if verdict.name and verdict.sure)
    return tuple(names) if all(verdict.sure for verdict in verdicts) else ()


def composed(
    draft: Draft, request: Request, sizes: Sequence[int], info: EngineInfo
) -> tuple[Prompt, frozenset[str], tuple[str, ...]]:
    """The prompt within the model's context, the names of the parts in it, and of those that had to go. `sizes`: tokens
    of `draft.parts()`, one a part. Raises `TooLarge`."""
    pieces = [
        Piece(name, size + AROUND_A_PART, rank) for (name, _, rank), size in zip(draft.parts(), sizes, strict=True)
    ]
    pieces.append(Piece("pictures", len(pictures_of(request)) * (info.image_tokens + AROUND_A_PICTURE)))
    kept, gone = fit(pieces, info.context, request.max_tokens)
    sampling = Sampling(max_tokens=request.max_tokens, seed=request.seed)
    return draft.prompt(kept, sampling, request.adapter), kept, gone
