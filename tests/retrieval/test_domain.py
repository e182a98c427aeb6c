import json
from pathlib import Path

import numpy as np
import pytest

from retrieval.domain import Domains
from retrieval.errors import Misconfigured

GOOD = {
    "temperature": 0.05,
    "domains": {"chest_xray": {"mean": [2, 0, 0], "threshold": 0.8}, "fundus": {"mean": [0, 1, 0], "threshold": 0.6}},
}


def loaded(folder: Path, data: object) -> Domains | None:
    (folder / "domains.json").write_text(json.dumps(data))
    return Domains.load(folder)


def unit(*numbers: float) -> np.ndarray:
    return (np.array(numbers) / np.linalg.norm(numbers)).astype(np.float32)


def test_without_prototypes_nothing_is_judged(tmp_path: Path) -> None:
    assert Domains.load(tmp_path) is None


def test_nearest_prototype_and_none_of_them(tmp_path: Path) -> None:
    domains = loaded(tmp_path, GOOD)
    assert domains is not None
    sure, unsure, strange = (domains.identify(unit(*v)) for v in [(1, 0, 0), (0.1, 0.75, 0.66), (0.2, 0.1, 1)])
    assert (sure.name, sure.known) == ("chest_xray", True)
    assert sure.confidence > 0.95
    assert unsure.name == "fundus"
    assert 0.5 < unsure.confidence < sure.confidence
    assert (strange.name, strange.nearest, strange.known) == (None, "fundus", False)


def test_at_the_threshold_confidence_is_a_half(tmp_path: Path) -> None:
    domains = loaded(tmp_path, {"temperature": 0.05, "domains": {"a": {"mean": [1, 0], "threshold": 0.6}}})
    assert domains is not None
    just = domains.identify(np.array([0.6001, 0.8], np.float32))
    assert just.name == "a"
    assert just.confidence == pytest.approx(0.5, abs=0.01)
    assert domains.identify(np.array([0.5999, 0.8], np.float32)).name is None


def test_between_two_domains_it_is_not_sure(tmp_path: Path) -> None:
    domains = loaded(tmp_path, {**GOOD, "domains": {**GOOD["domains"], "fundus": {"mean": [0, 1, 0], "threshold": 0}}})
    assert domains is not None
    assert domains.identify(unit(1, 0, 0)).sure
    between = domains.identify(unit(1, 0.15, 0))
    assert between.known
    assert between.sure == (between.confidence >= 0.8)
    both = loaded(tmp_path, {"temperature": 0.05, "domains": {
        "a": {"mean": [1, 0], "threshold": 0.5}, "b": {"mean": [0, 1], "threshold": 0.5}}})  # fmt: skip
    assert both is not None
    verdict = both.identify(unit(1, 1))
    assert (verdict.known, verdict.sure) == (True, False)  # well above both thresholds, and no nearer to one
    assert not both.identify(unit(-1, -1)).sure


def test_how_sure_is_sure_may_be_fitted(tmp_path: Path) -> None:
    strict, lax = (loaded(tmp_path, {**GOOD, "sure": sure}) for sure in (0.9999, 0.5))
    assert strict is not None
    assert lax is not None
    assert not strict.identify(unit(1, 0, 0)).sure
    assert lax.identify(unit(1, 0, 0)).sure


def test_prototypes_of_another_encoder_are_refused(tmp_path: Path) -> None:
    domains = loaded(tmp_path, {**GOOD, "encoder": "eye-1"})
    assert domains is not None
    domains.check("eye-1")
    for other in ("eye-2", None):
        with pytest.raises(Misconfigured, match="consult domains fit"):
            domains.check(other)
    beside = loaded(tmp_path, GOOD)
    assert beside is not None
    beside.check("any")


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"temperature": 0.1},
        {"temperature": 0.1, "domains": {}},
        {**GOOD, "temperature": 0},
        {"temperature": 1, "domains": {"a": {"mean": [0, 0], "threshold": 0}}},
        {"temperature": 1, "domains": {"a": {"mean": [1, 0], "threshold": 0}, "b": {"mean": [1], "threshold": 0}}},
        {"temperature": 1, "domains": {"a": {"mean": ["x"], "threshold": 0}}},
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, data: object) -> None:
    with pytest.raises(Misconfigured, match="prototypes"):
        loaded(tmp_path, data)


def test_another_encoders_vector_is_refused(tmp_path: Path) -> None:
    domains = loaded(tmp_path, GOOD)
    assert domains is not None
    with pytest.raises(Misconfigured, match="another encoder"):
        domains.identify(np.ones(4, np.float32))
