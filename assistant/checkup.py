"""What works on this machine: one small check a part, each with the command that mends it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from assistant.assistant import Assistant
from assistant.errors import ConsultError, EncoderMismatch, NotFound
from assistant.settings import Settings, load_settings

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
                rebuilt = "consult knowledge rebuild" if isinstance(error, EncoderMismatch) else mend
                parts.append(Part(name, False, str(error), rebuilt))
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
    return ", ".join(f"{role}: {identity}" for role, identity in assistant.retriever.identities.items())


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
    return f"{counts}; {how.url or 'embedded'}; {how.mode}, gamma {how.gamma}, floor {how.floor}, at most {how.k_max}"
