"""`consult calibrate`: fit what decides how much is read, and put it in force."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # the rest is imported where it is used: `consult --help` answers at once
    from assistant.settings import Settings
    from eval.calibration.fit import How, LegFit
    from retrieval.types import Fitted


def calibrate(
    data: Annotated[
        Path | None, typer.Option(help="JSONL: question, relevant (names), image?, answer? over your own library.")
    ] = None,
    answers: Annotated[
        bool,
        typer.Option("--answers/--no-answers", help="Ask the model, for the trusted numbers of contexts; minutes."),
    ] = True,
    pictures: Annotated[int, typer.Option(min=20, help="Synthetic pictures to look for, without --data.")] = 200,
    asked: Annotated[int, typer.Option(min=10, help="Closed questions to be answered, without --data.")] = 150,
    alpha: Annotated[float, typer.Option(min=0.01, max=0.99, help="At most this share of answers may be wrong,")] = 0.2,
    delta: Annotated[float, typer.Option(min=0.001, max=0.5, help="but with this probability.")] = 0.1,
    out: Annotated[Path | None, typer.Option(help="Folder for the reliability plots.")] = None,
    write: Annotated[Path | None, typer.Option(help="Write it to this file instead of putting it in force.")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Put in force again what came with the encoders.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Fit relevance, floor, γ and the trusted numbers of contexts on validation data, and put them in force.

    Without --data on synthetic pictures and questions over the bundled cards, in a library of its own; with --data on
    questions of your own over your own library, which says more about it.
    """
    from assistant.settings import load_settings
    from eval.calibration.fit import How
    from retrieval.fitted import to_json

    settings = load_settings()
    if forget:
        print(f"In force is what came with the encoders; built {_put_in_force(settings, None)}.")
        return
    how = How(max(settings.retrieval.k_max, 1), answers, alpha, delta)
    fitted, legs = asyncio.run(_fitted(settings, data, how, pictures, asked))
    for leg, one in legs.items():
        if out:
            _draw(leg, one, out)
    if write:
        write.write_text(json.dumps(to_json(fitted), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    generation = None if write else _put_in_force(settings, fitted)
    print(json.dumps(to_json(fitted), ensure_ascii=False) if as_json else _words(fitted))
    if not as_json:
        print(f"Written to {write}." if write else f"In force: built {generation}; `consult doctor` shows it.")


async def _fitted(
    settings: "Settings", data: Path | None, how: "How", pictures: int, asked: int
) -> "tuple[Fitted, dict[str, LegFit]]":
    from assistant.assistant import Assistant
    from eval.calibration.fit import fit
    from eval.calibration.questions import DEMONSTRATION, demonstration, learnt_from_cards, read
    from eval.exam.library import over
    from retrieval.console import bars

    own = read(data, settings.home) if data else None
    opened = Assistant.open(settings)
    try:
        with bars(True) as watch, tempfile.TemporaryDirectory() as folder:
            if own:
                return await fit(opened, own, how, watch)
            with over(opened, settings, DEMONSTRATION, Path(folder), watch) as sitting:
                made = demonstration(
                    sitting.library, pictures, asked if how.ask else 0, learnt_from_cards(settings.encoders.text)
                )
                return await fit(sitting, made, how, watch)
    finally:
        await opened.close()


def _put_in_force(settings: "Settings", fitted: "Fitted | None") -> str:
    """Stores or forgets it and publishes a generation with it, embedding nothing again."""
    from retrieval.console import bars
    from retrieval.encoders.bundle import load
    from retrieval.index import rebuild
    from retrieval.ingest import exclusive
    from retrieval.library import Library
    from retrieval.store import open_store

    key = settings.retrieval.api_key
    with Library(settings.home) as library, exclusive(library.home), bars(True) as watch:
        library.put_fitted(fitted) if fitted else library.forget_fitted()
        store = open_store(settings.home, settings.retrieval.url, key.get_secret_value() if key else None)
        try:
            return rebuild(library, store, load(settings.encoders.names), watch)
        finally:
            store.close()


def _draw(leg: str, one: "LegFit", folder: Path) -> None:
    import numpy as np

    from eval.exam.plots import reliability

    known = ~np.isnan(one.p)
    if known.any():
        name = leg.replace("→", "-to-").replace("@", "-")
        words = ("relevance of a hit", "share of hits that are relevant", "hits")
        reliability(one.p[known], one.relevant[known], folder / f"calibration-{name}.png", leg, words)


def _words(fitted: "Fitted") -> str:
    told: dict[str, Any] = fitted.told
    lines = [f"On {told['data']['name']}: {told['data']['n']} questions."]
    for leg, found in told["legs"].items():
        seen = f"{leg}: {found['relevant']} of {found['n']} hits relevant"
        if leg not in fitted.legs:
            lines.append(f"{seen}: what was in force stays")
            continue
        a, b = fitted.legs[leg]
        measured = f"Brier {found['brier']:.3f}, calibration error {found['ece']:.3f} (held out)"
        means = f"relevance 0.5 at a score of {-b / a:.2f}" if a else "its score tells none from another"
        lines.append(f"{seen}; {means}; {measured}")
    stop = told["stop"]
    lines.append(f"floor {fitted.floor}, gamma {fitted.gamma} (log-ratio), {fitted.gamma_to_top} (ratio-to-top)")
    for mode, now in stop["fitted"].items():
        was = stop["default"][mode]
        told_of = (f"{name} {_share(now[name])}, with the defaults {_share(was[name])}" for name in now)
        lines.append(f"  {mode}: {'; '.join(told_of)}")
    if ks := told.get("ks"):
        wrong = ", ".join(f"{share:.1%} with {k}" for k, share in ks["wrong"].items())
        lines += [f"wrong answers of {ks['model']}: {wrong} contexts (n = {ks['n']})", ks["promise"]]
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"
