"""The whole path on real parts: bundled encoders and cards, the bundled model behind the real vLLM, the CLI."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.engines.card import pocket_folder
from eval.bench.vllm_server import vllm_python, vllm_server
from retrieval.library import Library

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(600),
    pytest.mark.skipif(vllm_python() is None, reason="no vLLM here: run `make vllm-cpu`"),
]


def consult(*arguments: str, **settings: str) -> str:
    command = [sys.executable, "-m", "assistant.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **settings})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_study_in_a_cited_answer_out_through_vllm(own_home: Path, tmp_path: Path) -> None:
    consult("knowledge", "add", "--bundled")
    consult("phantom", str(tmp_path / "studies"), "--n", "4", "--seed", "77", "--dicom")
    studies = [json.loads(line) for line in (tmp_path / "studies" / "studies.jsonl").read_text().splitlines()]
    with vllm_server(pocket_folder()) as url:
        served = {"CONSULT_ENGINE__KIND": "http", "CONSULT_ENGINE__URL": url}
        answers = {}
        for study in studies:
            picture = str(tmp_path / "studies" / study["file"])
            question = ("-q", "Is there a pleural effusion?", "--json")
            answers[study["id"]] = json.loads(consult("ask", picture, *question, **served))
    for told in answers.values():
        assert told["identity"]["engine"] == "http"
        assert told["identity"]["demonstration"]
        assert told["sentences"]
        assert told["citations"]
        assert any(item["kind"] == "passage" for item in told["evidence"])
        with Library(own_home) as library:
            for citation in told["citations"]:
                text = library.document(citation["document_id"]).text
                assert text[citation["start"] : citation["end"]] == citation["quote"]
    inside = json.loads(consult("ask", str(tmp_path / "studies" / studies[0]["file"]), *question))
    outside = answers[studies[0]["id"]]
    assert inside["sentences"][0]["text"].split()[0] == outside["sentences"][0]["text"].split()[0]  # the same verdict
    assert inside["identity"]["engine"] == "local"
