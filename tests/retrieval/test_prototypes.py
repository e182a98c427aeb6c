import json
from pathlib import Path

import numpy as np
import pytest

from retrieval.domain import Domains
from retrieval.errors import BadInput
from retrieval.prototypes import fit_prototypes


def cluster(axis: int, n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    vectors = rng.normal(0, spread, (n, 8))
    vectors[:, axis] += 1
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def fitted(spread: float = 0.1, n: int = 300, folder: Path | None = None) -> tuple[dict, Domains | None]:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([cluster(0, n, spread, rng), cluster(1, n, spread, rng)])
    names = ["chest"] * n + ["eye"] * n
    data = fit_prototypes(vectors, names, [f"patient {number}" for number in range(2 * n)])
    if folder:
        (folder / "domains.json").write_text(json.dumps(data))
    return data, Domains.load(folder) if folder else None


def test_what_was_fitted_knows_its_domains_and_strangers(tmp_path: Path) -> None:
    data, domains = fitted(folder=tmp_path)
    assert domains is not None
    rng = np.random.default_rng(1)
    for axis, name in ((0, "chest"), (1, "eye"), (2, None)):
        verdicts = [domains.identify(vector) for vector in cluster(axis, 200, 0.1, rng)]
        assert np.mean([verdict.name == name for verdict in verdicts]) > 0.95
        assert np.mean([verdict.sure for verdict in verdicts]) == pytest.approx(float(name is not None), abs=0.1)
    assert data["told"]["pictures"] == {"chest": 300, "eye": 300}
    assert data["told"]["strangers known for strangers"] == 1


def test_overlapping_domains_ask_for_more_certainty() -> None:
    near, far = fitted(0.6)[0], fitted(0.1)[0]
    assert near["temperature"] > far["temperature"]
    assert near["sure"] >= far["sure"] == 0.8


def test_a_patient_is_either_learnt_from_or_held_out() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([cluster(0, 100, 0.1, rng), cluster(1, 100, 0.1, rng)])
    names = ["chest"] * 100 + ["eye"] * 100
    with pytest.raises(BadInput, match="chest: 100 pictures are too few"):
        fit_prototypes(vectors, names, ["one patient"] * 100 + [str(n) for n in range(100)])
