"""Settings: `CONSULT_…` in the environment or `consult.toml`, read once at the process's edge; unknown keys refused.

Nested keys use two underscores: `CONSULT_ENGINE__URL` is `[engine] url`. The environment wins over the file.
"""

import os
from pathlib import Path
from typing import Any, Literal, Self

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from assistant.adapters import kept, promoted
from assistant.errors import Misconfigured
from retrieval.encoders.bundle import Names
from retrieval.store.options import Quantization, ServerOptions

PREFIX = "CONSULT_"
CONFIG = "CONSULT_CONFIG"  # names the toml file; otherwise ./consult.toml when there
# The page's own: where the API is, and for whom it speaks. Somebody may export them in a shell both are started from.
OF_THE_PAGE = frozenset({"CONSULT_API_URL", "CONSULT_API_TOKEN"})


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EngineSettings(Section):
    """`kind` local: `model` is "pocket", a folder or a hub name, run in the worker. http: `model` as the server at
    `url` calls it ("" takes the first it lists). `adapters`: beside those in CONSULT_HOME (`assistant.adapters`);
    `adapter`: which of them answers requests that name none, the promoted one where this is None."""

    kind: Literal["local", "http"] = "local"
    model: str = "pocket"
    url: str = "http://127.0.0.1:8000/v1"
    api_key: SecretStr = SecretStr("none")
    first_token_s: float = Field(
        default=60, gt=0, description="wait at most this long for the first piece of an answer"
    )
    between_s: float = Field(default=30, gt=0, description="and this long between two pieces")
    quantize: Literal["none", "nf4"] = "none"
    adapters: dict[str, Path] = {}
    adapter: str | None = None


class DomainEncoders(Section):
    """What one domain has of its own; None: it is read by the encoder of all the others."""

    image_text: str | None = None
    text: str | None = None


class EncoderSettings(Section):
    """ "pocket", a folder, or a name that open_clip (`hf-hub:…`) or transformers knows. `domains` names a domain's own:
    `[encoders.domains.fundus] image_text = "…"`."""

    image_text: str = "pocket"
    text: str = "pocket"
    reranker: str | None = Field(default=None, description="a cross-encoder that reads question and passage together")
    domains: dict[str, DomainEncoders] = {}
    processes: int = Field(default=1, ge=1, description="that embed while knowledge and cases are added")

    @property
    def names(self) -> Names:
        """As the library asks for them."""
        return Names(
            self.image_text,
            self.text,
            {domain: own.image_text for domain, own in self.domains.items() if own.image_text},
            {domain: own.text for domain, own in self.domains.items() if own.text},
            self.reranker,
        )


class ServerSettings(Section):
    """How the Qdrant server at `[retrieval] url` keeps an index: see `retrieval/store/options.py`."""

    collection: str = Field(default="consult", pattern=r"^[\w.-]+$")
    quantization: Quantization = "turbo"
    on_disk: bool = False
    shards: int = Field(default=1, ge=1)
    replicas: int = Field(default=1, ge=1)
    write_consistency: int = Field(default=1, ge=1)
    hnsw_m: int = Field(default=16, ge=4, le=128)
    hnsw_ef: int = Field(default=512, ge=10)
    batch: int = Field(default=256, ge=1, le=10_000)
    timeout_s: int = Field(default=30, ge=1)
    ready_s: float = Field(default=3600, gt=0)

    @model_validator(mode="after")
    def _enough_replicas(self) -> Self:
        if self.write_consistency > self.replicas:
            raise ValueError(f"write_consistency {self.write_consistency} can't be met by {self.replicas} replicas")
        return self

    @property
    def options(self) -> ServerOptions:
        """As the library asks for them."""
        return ServerOptions(**self.model_dump())


class RetrievalSettings(Section):
    """`mode` and its parameters are those of `retrieval/select.py`; None: as fitted by `consult calibrate`.
    `url` names a Qdrant server, used as `[retrieval.server]` says; None: embedded."""

    url: str | None = None
    api_key: SecretStr | None = None
    server: ServerSettings = ServerSettings()
    mode: Literal["log-ratio", "ratio-to-top", "calibrated"] = "log-ratio"
    gamma: float | None = Field(default=None, gt=0)
    floor: float | None = Field(default=None, ge=0, le=1)
    k_max: int = Field(default=3, ge=0, le=50)


class ApiSettings(Section):
    """`tokens`: user name → bearer token. None are needed while `host` is a loopback address."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    tokens: dict[str, SecretStr] = {}
    max_upload_mb: int = Field(default=512, ge=1)
    max_question_chars: int = Field(default=8000, ge=1)
    queue: int = Field(default=64, ge=1, description="runs waiting or under way before a new one is answered 429")


class UiSettings(Section):
    port: int = Field(default=8501, ge=0, le=65535)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    home: Path = Field(default_factory=lambda: user_data_path("consult"))
    engine: EngineSettings = EngineSettings()
    encoders: EncoderSettings = EncoderSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    api: ApiSettings = ApiSettings()
    ui: UiSettings = UiSettings()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_config_file())


def _config_file() -> Path | None:
    named = os.environ.get(CONFIG)
    if named:
        if not Path(named).is_file():
            raise Misconfigured(f"{CONFIG} names {named}, which is not a file.")
        return Path(named)
    return next((p for p in (Path("consult.toml"),) if p.is_file()), None)


def load_settings(**overrides: Any) -> Settings:
    """Settings of this process. Raises `Misconfigured` with every offending key in one message."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    strangers = [
        name for name in os.environ
        if name.startswith(PREFIX) and name not in {CONFIG, *OF_THE_PAGE} and name.split("__")[0].upper() not in known
    ]  # fmt: skip
    if strangers:
        raise Misconfigured(f"Unknown setting in the environment: {', '.join(sorted(strangers))}.")
    try:
        return _with_adapters(Settings(**overrides))
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise Misconfigured(f"Settings ({_config_file() or 'environment'}): {details}.") from None
    except ValueError as error:  # a TOML file that isn't TOML
        raise Misconfigured(f"Settings ({_config_file()}): {error}.") from None


def with_engine(settings: Settings, **changes: Any) -> Settings:
    """With these keys of `[engine]` changed; None changes nothing. Raises pydantic's `ValidationError`."""
    told = {key: value for key, value in changes.items() if value is not None}
    if not told:
        return settings
    engine = EngineSettings.model_validate({**settings.engine.model_dump(), **told})
    return settings.model_copy(update={"engine": engine})


def _with_adapters(settings: Settings) -> Settings:
    """With the adapters that lie in its home."""
    engine, found = settings.engine, kept(settings.home)
    if not found:
        return settings
    own = {"adapters": {**found, **engine.adapters}, "adapter": engine.adapter or promoted(settings.home, engine.model)}
    return settings.model_copy(update={"engine": engine.model_copy(update=own)})
