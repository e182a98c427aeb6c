"""Common to all tests: no setting, home or network of the person who runs them gets in."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine is no reason to fail.
settings.register_profile("consult", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("consult")
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_PROGRESS_BARS="1")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty CONSULT_HOME of the test's own, and no other CONSULT_ setting."""
    for name in [name for name in os.environ if name.startswith("CONSULT_") and not name.startswith("CONSULT_TEST_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("CONSULT_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return home
