from typing import Any

from ui.editing import Copy, copy_of, merged


def stored(version: int = 1, status: str = "draft", **sections: list[tuple[str, str]]) -> dict[str, Any]:
    said = [
        {"name": name, "statements": [{"id": id_, "text": text, "support": "image"} for id_, text in lines]}
        for name, lines in sections.items()
    ]
    return {"id": "r", "version": version, "status": status, "draft": {"sections": said}}


def words(copy: Copy) -> dict[str, list[str]]:
    return {section["name"]: [s["text"] for s in section["statements"]] for section in copy.wanted()}


BASE = stored(lungs=[("s1", "Clear."), ("s2", "No nodule.")], heart=[("s3", "Normal.")])


def test_a_fresh_copy_is_unchanged_and_unseen_and_a_signed_one_is_seen() -> None:
    copy = copy_of(BASE)
    assert not copy.changed
    assert copy.unseen == 3
    assert copy_of({**BASE, "status": "signed"}).unseen == 0


def test_what_was_accepted_stays_so_only_where_it_reads_the_same() -> None:
    copy = copy_of(BASE)
    for line in copy.lines:
        line.accepted = True
    again = copy_of(stored(2, lungs=[("s1", "Clear."), ("s2", "A nodule.")], heart=[("s3", "Normal.")]), copy)
    assert [line.id for line in again.lines if not line.accepted] == ["s2"]


def test_an_emptied_sentence_is_a_deleted_one_and_an_empty_new_one_is_none() -> None:
    copy = copy_of(BASE)
    copy.add("heart")
    assert not copy.changed
    copy.sections["lungs"][0].text = " "
    assert copy.changed
    assert words(copy) == {"lungs": ["No nodule."], "heart": ["Normal."]}


def test_both_sides_changes_stand_together() -> None:
    mine = copy_of(BASE)
    mine.sections["lungs"][0].text = "Clear on both sides."
    mine.add("heart").text = "No shift."
    theirs = stored(2, lungs=[("s1", "Clear."), ("s2", "A nodule."), ("p1", "No oedema.")], heart=[("s3", "Normal.")])
    both = merged(mine, theirs)
    assert (both.version, both.over) == (2, 1)
    assert words(both) == {
        "lungs": ["Clear on both sides.", "A nodule.", "No oedema."],
        "heart": ["Normal.", "No shift."],
    }
    assert all(line.theirs is None for line in both.lines)
    assert both.unseen == 3  # what they wrote, and what I had not accepted


def test_where_both_changed_a_sentence_mine_stays_and_theirs_is_shown() -> None:
    mine = copy_of(BASE)
    mine.sections["lungs"][0].text = "Mine."
    mine.sections["lungs"][1].text = "Mine, too."
    mine.sections["heart"][0].deleted = True
    both = merged(mine, stored(4, lungs=[("s1", "Theirs.")], heart=[("s3", "Large.")]))
    assert words(both) == {"lungs": ["Mine.", "Mine, too."], "heart": []}
    assert {line.was: line.theirs for line in both.lines} == {"Theirs.": "Theirs.", "": "", "Large.": "Large."}
    assert both.unseen == 3  # each is to be settled
    (kept,) = (line for line in both.lines if not line.was)
    assert kept.id is None  # the stored version has no such sentence any more


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    mine = copy_of(BASE)
    mine.sections["heart"][0].text = "Large."
    both = merged(mine, stored(2, lungs=[("s1", "Clear."), ("s2", "No nodule.")], heart=[("s3", "Large.")]))
    assert not both.changed
    assert all(line.theirs is None for line in both.lines)


def test_what_only_they_deleted_is_gone() -> None:
    mine = copy_of(BASE)
    assert words(merged(mine, stored(2, lungs=[("s1", "Clear.")], heart=[]))) == {"lungs": ["Clear."], "heart": []}
