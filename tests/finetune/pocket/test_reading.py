"""A lesson in reading can only be answered from its passage, and shares nothing with the exam's."""

import numpy as np

from finetune.pocket import reading


def test_every_value_stands_in_the_passage_and_nowhere_else() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        title, section, text, asked = reading.lesson(rng)
        assert title
        assert section
        for question, value in asked:
            assert value.lower() in text.lower()
            assert value not in question.split()


def test_values_are_drawn_anew() -> None:
    rng = np.random.default_rng(0)
    values = [value for _ in range(300) for _, value in reading.lesson(rng)[3]]
    assert len(set(values)) > 0.4 * len(values)
