"""Which texts and pictures belong together."""

import numpy as np

from finetune.pocket.captions import Caption, alike, belongs, labels_of_real, real_caption
from finetune.pocket.targets import HALVES, NAMES
from tests.finetune.pocket.parts import rows


def test_which_texts_belong_to_which_pictures() -> None:
    effusion, both, normal = frozenset({"effusion"}), frozenset({"effusion", "nodule"}), frozenset({"normal"})
    texts = [Caption("a report", both), Caption("a card", effusion, exact=False), Caption("normal", normal)]
    assert belongs([effusion, both, normal], texts).tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_pictures_are_alike_by_the_share_of_their_labels() -> None:
    labels = [frozenset({"a"}), frozenset({"a", "b"}), frozenset({"c"})]
    assert alike(labels).tolist() == [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]


def test_a_real_picture_s_caption_is_about_its_labels() -> None:
    rng = np.random.default_rng(0)
    targets = np.full(len(NAMES), np.nan, np.float32)
    targets[HALVES] = [1, 0]
    for source, lines in rows().items():
        for line in lines:
            labels = labels_of_real(source, line, targets)
            caption = real_caption(labels, rng)
            assert caption.about <= labels
            assert caption.text
    brain = labels_of_real("brain_mri", rows()["brain_mri"][0], targets)
    assert brain == {"tumour left", "tumour down"}
