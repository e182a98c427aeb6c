from pathlib import Path

import pytest

from assistant.errors import Misconfigured
from assistant.settings import load_settings
from retrieval.store import ServerOptions


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("consult.toml").write_text(
        '[engine]\nkind = "http"\nurl = "http://127.0.0.1:1/v1"\n[retrieval]\nfloor = 0.2\n'
    )
    monkeypatch.setenv("CONSULT_ENGINE__URL", "http://127.0.0.1:2/v1")
    settings = load_settings()
    assert (settings.engine.kind, settings.engine.url) == ("http", "http://127.0.0.1:2/v1")
    assert settings.retrieval.floor == 0.2
    assert settings.home == tmp_path / "home"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[engine]\nmodle = 'x'\n", "engine.modle"),
        ("colour = 'red'\n", "colour"),
        ("[retrieval]\nfloor = 2\n", "retrieval.floor"),
        ("[retrieval.server]\nquantization = 'int9'\n", "retrieval.server.quantization"),
        ("[retrieval.server]\nwrite_consistency = 2\n", "write_consistency 2 can't be met by 1 replicas"),
        ("[engine\n", "consult.toml"),
    ],
)
def test_what_the_file_gets_wrong_is_named(content: str, named: str) -> None:
    Path("consult.toml").write_text(content)
    with pytest.raises(Misconfigured, match=named.replace(".", r"\.")):
        load_settings()


def test_an_unknown_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSULT_ENGIN__URL", "x")
    with pytest.raises(Misconfigured, match="CONSULT_ENGIN__URL"):
        load_settings()


def test_what_belongs_to_the_page_may_be_exported_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSULT_API_URL", "http://127.0.0.1:8080")
    monkeypatch.setenv("CONSULT_API_TOKEN", "secret")
    assert load_settings().api.tokens == {}
    monkeypatch.setenv("CONSULT_API_TOKENS", "secret")
    with pytest.raises(Misconfigured, match="CONSULT_API_TOKENS"):
        load_settings()


def test_a_named_file_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSULT_CONFIG", "nowhere.toml")
    with pytest.raises(Misconfigured, match=r"nowhere\.toml"):
        load_settings()


def test_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSULT_API__TOKENS", '{"ann": "very-secret"}')
    settings = load_settings()
    assert settings.api.tokens["ann"].get_secret_value() == "very-secret"
    assert "very-secret" not in repr(settings)


def test_a_servers_settings_are_what_its_store_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().retrieval.server.options == ServerOptions()
    Path("consult.toml").write_text("[retrieval.server]\nshards = 3\nreplicas = 2\non_disk = true\n")
    monkeypatch.setenv("CONSULT_RETRIEVAL__SERVER__QUANTIZATION", "int8")
    options = load_settings().retrieval.server.options
    assert options == ServerOptions(quantization="int8", shards=3, replicas=2, on_disk=True)
