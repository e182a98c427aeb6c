"""What works on this machine: one small check a part, each with the command that mends it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from assistant.assistant import Assistant
from assistant.errors import ConsultError, EncoderMismatch, NotFound
from assistant.settings import Settings, load_settings
from retrieval.fitted import belongs
from retrieval.types import Fitted
from retrieval.weigh import values

CALIBRATE, REBUILD = "consult calibrate", "consult knowledge rebuild"
ENCODERS = "pip install 'consult[models]', or name other [encoders] in consult.toml"
PACKAGES = ("torch", "transformers", "open_clip_torch", "qdrant-edge-py", "pydicom", "llama-index-core", "streamlit")


@dataclass(frozen=True)
class Part:
    name: str
    ok: bool
    says: str
    mend: str = ""


async def checkup() -> list[Part]:
    """Every part, also when an earlier one is broken; with broken settings only these."""
    try:
        settings = load_settings()
    except ConsultError as error:
        return [Part("settings", False, str(error), "correct the key named above")]
    parts = [Part("settings", True, f"home {settings.home}"), _versions()]
    try:
        assistant = Assistant.open(settings)
    except ConsultError as error:
        return [*parts, Part("encoders", False, str(error), ENCODERS)]
    try:
        checks: dict[str, tuple[Callable[[Assistant, Settings], Awaitable[str]], str]] = {
            "engine": (_engine, "set [engine] in consult.toml, or start the server it names"),
            "encoders": (_encoders, ENCODERS),
            "knowledge": (_knowledge, "consult knowledge add --bundled"),
        }
        for name, (check, mend) in checks.items():
            try:
                parts.append(Part(name, True, await check(assistant, settings)))
            except (ConsultError, ImportError) as error:
                rebuilt = REBUILD if isinstance(error, EncoderMismatch) else mend
                parts.append(Part(name, False, str(error), rebuilt))
        parts.append(await _calibration(assistant, settings))
    finally:
        await assistant.close()
    return parts


def _versions() -> Part:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    says = ", ".join(found) + (f"; missing: {', '.join(missing)}" if missing else "")
    return Part("packages", not missing, says, "pip install 'consult[all]' -c constraints.txt" if missing else "")


async def _engine(assistant: Assistant, _: Settings) -> str:
    info = await assistant.engine.info()
    limits = f", reads only {', '.join(info.domains)}" if info.domains else ""
    note = "; a demonstration, not for clinical use" if info.demonstration else ""
    return f"{info.engine}: {info.model} ({info.model_hash[:12]}), {info.context} tokens{limits}{note}"


async def _encoders(assistant: Assistant, _: Settings) -> str:
    identities, domains = assistant.retriever.identities, assistant.domains
    if domains:
        domains.check(identities.get("image_text"))
    knows = f"; domains: {', '.join(domains.names)}" if domains else "; no domain is told from another"
    return ", ".join(f"{role}: {identity}" for role, identity in identities.items()) + knows


async def _calibration(assistant: Assistant, settings: Settings) -> Part:
    """What decides how much is read: where each value is from, and whether it still belongs to what is in use."""
    try:
        own, manifest = assistant.library.fitted(), assistant.retriever.store.manifest
        identities = assistant.retriever.identities
    except (ConsultError, ImportError) as error:
        return Part("calibration", False, str(error), CALIBRATE)
    says = values(settings.retrieval, manifest.fitted if manifest else Fitted())
    if own and not belongs(own, identities):
        return Part("calibration", True, f"{says}; what was fitted here is for other encoders, and unused", CALIBRATE)
    if own and manifest and manifest.fitted.told != own.told:
        return Part("calibration", True, f"{says}; what was fitted here is not in the index yet", REBUILD)
    asked = manifest.fitted.told.get("ks") if manifest else None
    with suppress(ConsultError, ImportError):  # a model that can't be asked is told above
        if asked and asked["model_hash"] != (await assistant.engine.info()).model_hash:
            return Part("calibration", True, f"{says}; the trusted numbers are those of another model", CALIBRATE)
    return Part("calibration", True, says, "" if manifest is None or manifest.fitted.told else CALIBRATE)


async def _knowledge(assistant: Assistant, settings: Settings) -> str:
    """Raises when the index is missing or was built with other encoders."""
    manifest = assistant.retriever.store.manifest
    if manifest is None:
        raise NotFound("nothing has been added yet")
    ours = set(assistant.retriever.identities.values())
    if others := {spec.identity for spec in manifest.vectors.values()} - ours:
        raise EncoderMismatch(f"the index was built with other encoders: {', '.join(others)}")
    counts = ", ".join(f"{count} {what}" for what, count in assistant.library.counts().items())
    if stale := len(assistant.library.stale()):
        counts += f" ({stale} condensed no longer searched: their sources changed; consult knowledge refine --stale)"
    how = settings.retrieval
    return f"{counts}; {how.url or 'embedded'}; at most {how.k_max} are read"
