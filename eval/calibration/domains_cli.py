"""`consult domains`: which kinds of pictures this installation knows, by example, and how well."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.errors import Misconfigured

if TYPE_CHECKING:  # the rest is imported where it is used: `consult --help` answers at once
    from eval.calibration.pictures import Shown
    from retrieval.encoders.base import ImageTextEncoder, Vectors

domains = typer.Typer(help="Kinds of pictures this installation knows: fit them, see them.", no_args_is_help=True)

Manifests = Annotated[
    list[str], typer.Argument(metavar="MANIFEST...", help="Lines with image and domain, or DOMAIN=MANIFEST.")
]
Limit = Annotated[int, typer.Option("--n", min=1, help="At most this many pictures a domain.")]


@domains.command()
def fit(
    manifests: Manifests,
    false_alarms: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of a domain's pictures that may be taken for none it knows.")
    ] = 0.01,
    n: Limit = 2000,
) -> None:
    """Learn domains from pictures (those of a split "val" or "test" are left out), for the encoder in use."""
    from retrieval.domain import FILE
    from retrieval.prototypes import fit_prototypes

    home, encoder, vectors, shown = _seen(manifests, False, n)
    fitted = fit_prototypes(vectors, [one.domain for one in shown], [one.group for one in shown], false_alarms)
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f".{FILE}"
    draft.write_text(json.dumps({"encoder": encoder.identity, **fitted}) + "\n", encoding="utf-8")
    draft.replace(home / FILE)
    told: dict[str, Any] = fitted["told"]
    for name, count in told["pictures"].items():
        threshold = fitted["domains"][name]["threshold"]
        print(f"{name}: {count} pictures, {told['held out'][name]} of them held out; known from cosine {threshold:.3f}")
    strangers = told["strangers known for strangers"]
    print(f"temperature {fitted['temperature']}; sure from confidence {fitted['sure']}")
    print(f"of held-out pictures whose own domain is taken away, {strangers:.1%} are told to be of none")
    print(f"Written to {home / FILE}, for {encoder.identity}. See them: consult domains chart MANIFEST... --out FILE")


@domains.command()
def chart(
    manifests: Manifests,
    out: Annotated[Path, typer.Option(help="PNG file.")] = Path("domains.png"),
    n: Limit = 200,
) -> None:
    """Draw what held-out pictures are taken for. Pictures of none of the known kinds go by unknown=MANIFEST."""
    from assistant.assistant import domains_of
    from assistant.settings import load_settings
    from eval.calibration.chart import domain_chart

    known = domains_of(load_settings())
    if known is None:
        raise Misconfigured("No domains are known with this encoder. Run `consult domains fit MANIFEST...`.")
    _, encoder, vectors, shown = _seen(manifests, True, n)
    known.check(encoder.identity)
    taken = [known.identify(vector) for vector in vectors]
    truth = [one.domain for one in shown]
    domain_chart(vectors, truth, taken, known.names, out, encoder.identity)
    for name, total in Counter(truth).items():
        own = [verdict for verdict, true in zip(taken, truth, strict=True) if true == name]
        said = Counter((verdict.name if verdict.sure else "unsure") if verdict.name else "none" for verdict in own)
        print(f"{name}: {total} pictures: {', '.join(f'{count} {what}' for what, count in said.most_common())}")
    print(f"Drawn in {out}.")


def _seen(specs: list[str], held_out: bool, n: int) -> "tuple[Path, ImageTextEncoder, Vectors, list[Shown]]":
    """The home, the encoder in use, what it makes of the pictures of these manifests, and those."""
    from assistant.settings import load_settings
    from eval.calibration.pictures import embed, find
    from retrieval.console import bars
    from retrieval.db import salt_of
    from retrieval.encoders import load_image_text

    settings = load_settings()
    shown = find(specs, held_out, n)
    encoder = load_image_text(settings.encoders.image_text)
    with bars(True) as watch:
        vectors, read = embed(shown, encoder, salt_of(settings.home), watch)
    if left_out := len(shown) - len(read):
        typer.echo(f"{left_out} of {len(shown)} pictures can't be read and were left out.", err=True)
    return settings.home, encoder, vectors, read
