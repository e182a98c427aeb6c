"""The ways in which questions are put. Two wordings share no template: whoever learnt one has not read the other.

`{t}` is what is asked about: a finding, a device, a fault, or a finding with its side; `{a}` is that with its article.
"""

from __future__ import annotations

from dataclasses import dataclass

Ways = tuple[str, ...]


@dataclass(frozen=True)
class Wording:
    """One way of asking: several templates for each kind of question."""

    presence: Ways
    heart: Ways
    negation: Ways
    side: Ways
    zone: Ways
    size: Ways
    heart_size: Ways
    oedema_size: Ways
    open: Ways
    choose_side: Ways
    choose_zone: Ways
    choose_size: Ways
    choose_heart: Ways
    choose_finding: Ways
    device: Ways
    devices: Ways
    position: Ways
    tip: Ways
    all_placed: Ways
    view: Ways
    choose_view: Ways
    more: Ways
    count: Ways
    normal: Ways
    adequate: Ways
    fault: Ways
    faults: Ways
    choose_fault: Ways
    choose_grade: Ways
    new: Ways
    larger: Ways
    smaller: Ways
    resolved: Ways
    unchanged: Ways
    choose_change: Ways
    open_change: Ways
    any_change: Ways


_TRAIN = Wording(
    presence=(
        "Is there {a}?",
        "Does this radiograph show {a}?",
        "Is {a} present?",
        "Any sign of {t}?",
        "Do you see {a}?",
        "Can {a} be seen?",
        "Is any {t} visible?",
        "Please look for {t}. Do you find it?",
        "Has this patient got {a}?",
        "Could there be {a} in this chest?",
        "Is {t} to be seen on the film?",
        "We are worried about {t}: is it here?",
        "Do the images give evidence for {t}?",
        "Tell me whether there is {a}.",
        "Yes or no: is there {a}?",
        "I wonder about {a}. Does the picture show one?",
        "Was {a} found?",
        "Would you say that {a} is shown here?",
        "Check this image for {t}, please.",
        "Does anything suggest {t}?",
    ),
    heart=(
        "Is the heart enlarged?",
        "Is there cardiomegaly?",
        "Does this radiograph show an enlarged heart?",
        "Any sign of cardiomegaly?",
        "Is the heart bigger than normal?",
        "Is the cardiac shadow too wide?",
        "Could the heart be enlarged on this image?",
        "Tell me whether the heart is enlarged.",
        "We are worried about the size of the heart: is it increased?",
        "Does the patient have a large heart?",
        "Has the heart silhouette grown beyond its normal width?",
        "Cardiomegaly: yes or no?",
        "Please look for an enlarged heart. Do you find it?",
    ),
    negation=(
        "Is this chest free of {t}?",
        "Is {t} absent?",
        "Can you rule out {t}?",
        "Is there no {t}?",
        "Is the film clear of {t}?",
        "Do I read it rightly that there is no {t}?",
        "Would you say {t} is excluded?",
        "Is it true that no {t} is found?",
        "May we say that the patient has no {t}?",
    ),
    side=(
        "On which side is the {t}?",
        "Which side is the {t} on?",
        "Is the {t} on the left or the right?",
        "Right or left: on which side is the {t}?",
        "Is it the left or the right lung that has the {t}?",
        "What is the side of the {t}?",
        "Name the side of the {t}.",
        "On what side do you see the {t}?",
        "Where is the {t}, left or right?",
    ),
    zone=(
        "In which zone is the {t}?",
        "Which zone shows the {t}?",
        "Where in the lung is the {t}?",
        "Name the zone of the {t}.",
        "Where do you see the {t}?",
        "At which level of the lung is the {t} located?",
        "Is the {t} in the upper, the middle or the lower zone?",
        "What is the location of the {t}?",
    ),
    size=(
        "How large is the {t}?",
        "What is the size of the {t}?",
        "How big is the {t}?",
        "How much {t} is there?",
        "Is the {t} small, moderate or large?",
        "How extensive is the {t}?",
        "Tell me the size of the {t}.",
        "What is the extent of the {t}?",
    ),
    heart_size=(
        "How enlarged is the heart?",
        "How large is the heart?",
        "By how much is the heart enlarged?",
        "What is the degree of enlargement of the heart?",
        "How wide is the cardiac silhouette?",
    ),
    oedema_size=(
        "How severe is the {t}?",
        "How bad is the {t}?",
        "To what degree is there {t}?",
        "Tell me the severity of the {t}.",
        "Is the {t} mild, moderate or severe?",
    ),
    open=(
        "What does this radiograph show?",
        "What is abnormal?",
        "What do you see?",
        "Describe the findings.",
        "Read this image for me.",
        "What are the findings?",
        "What is there to know about this picture?",
        "Is there anything abnormal, and what?",
        "Tell me what you find on this film.",
        "Please report what is visible.",
    ),
    choose_side=("Choose the side of the {t}.", "Select the side of the {t}.", "What side is it for the {t}?"),
    choose_zone=("Choose the zone of the {t}.", "Select the zone of the {t}.", "Which of these zones has the {t}?"),
    choose_size=("Choose the size of the {t}.", "Select the extent of the {t}.", "Which of these sizes has the {t}?"),
    choose_heart=(
        "Choose the size of the heart.",
        "Select what fits the heart.",
        "Which of these sizes has the heart?",
        "Which term describes the cardiac silhouette?",
    ),
    choose_finding=(
        "Choose what this radiograph shows.",
        "Select the finding that is visible.",
        "Which of these do you see?",
        "Which one is found on this image?",
    ),
    device=(
        "Has {a} been placed?",
        "Does the picture show {a}?",
        "Is there {a}?",
        "Can you see {a}?",
        "Do you find {a} in this patient?",
        "Was {a} left in?",
        "Tell me whether {a} is visible.",
    ),
    devices=(
        "Which tubes and lines are there?",
        "Name the tubes and lines.",
        "What foreign material do you see?",
        "Which tubes or lines has the patient got?",
        "List all lines and tubes on the image.",
    ),
    position=(
        "Is the {t} well placed?",
        "Is the {t} in the right position?",
        "Does the {t} lie correctly?",
        "Is the {t} where it belongs?",
        "Are you happy with the place of the {t}?",
        "Should the {t} be left as it lies?",
    ),
    tip=(
        "Where is the tip of the {t}?",
        "Where does the {t} end?",
        "How far does the {t} reach?",
        "Name the position of the tip of the {t}.",
        "At which level is the tip of the {t}?",
    ),
    all_placed=(
        "Are all tubes and lines well placed?",
        "Is every tube and line where it belongs?",
        "Do all tubes and lines lie correctly?",
    ),
    view=(
        "Is this a frontal view?",
        "Was this taken from the front or back, not from the side?",
        "Is this chest seen from the front or back?",
        "Is this a frontal image of the chest?",
        "Does the projection run from front to back or back to front?",
    ),
    choose_view=("Choose the view.", "Select the projection.", "Which view is this?", "What projection do you see?"),
    more=(
        "Which side is more affected?",
        "On which side are the findings worse?",
        "Which lung is more affected?",
        "What side is worse?",
        "Which half of the chest shows the more severe findings?",
    ),
    count=(
        "How many findings are there, apart from tubes and lines?",
        "Not counting tubes and lines, how many findings do you see?",
        "What is the number of findings without tubes and lines?",
        "Count what is wrong, but leave out tubes and lines.",
    ),
    normal=(
        "Is this study normal?",
        "Is this a normal chest?",
        "Is the image normal?",
        "Would you say that all is well?",
        "Is everything within the limits of normal?",
        "Can I tell the patient that the film is normal?",
        "Is there nothing remarkable?",
    ),
    adequate=(
        "Is the image quality sufficient for reading?",
        "Can this picture be read reliably?",
        "Is the quality of the film good enough?",
        "May I rely on what this image shows?",
        "Is this picture adequate for a diagnosis?",
    ),
    fault=(
        "Is the picture {t}?",
        "Is this film {t}?",
        "Would you say the image is {t}?",
        "Did we get an image that is {t}?",
    ),
    faults=(
        "What is wrong with the image quality?",
        "Describe the technical fault.",
        "Which technical problem do you see?",
        "What went wrong with this picture?",
    ),
    choose_fault=(
        "Choose the technical fault.",
        "Select the technical problem.",
        "Which of these went wrong with the picture?",
    ),
    choose_grade=(
        "Choose the severity of the technical fault.",
        "Select how serious the technical problem is.",
        "How badly has the picture suffered?",
    ),
    new=(
        "Is the {t} new?",
        "Did the {t} appear since the prior study?",
        "Was the {t} missing on the earlier image?",
        "Has the {t} come since last time?",
        "Do we see the {t} only on the later image?",
    ),
    larger=(
        "Has the {t} grown?",
        "Is the {t} larger than before?",
        "Did the {t} get larger?",
        "Is the {t} worse than last time?",
        "Has the {t} increased between the images?",
    ),
    smaller=(
        "Has the {t} shrunk?",
        "Is the {t} smaller than before?",
        "Did the {t} get smaller?",
        "Is the {t} better than last time?",
        "Has the {t} decreased between the images?",
    ),
    resolved=(
        "Has the {t} resolved?",
        "Is the {t} gone?",
        "Has the {t} disappeared since the prior study?",
        "Has the {t} that we had before vanished?",
        "Did the {t} go away between the images?",
    ),
    unchanged=(
        "Is the {t} unchanged?",
        "Is the {t} the same as before?",
        "Did the {t} stay the same?",
        "Is the {t} as it was on the earlier image?",
        "Has the {t} remained just the same since last time?",
    ),
    choose_change=(
        "Choose how the {t} has changed.",
        "Select what became of the {t}.",
        "Which of these has happened to the {t} since last time?",
        "How has the {t} developed?",
        "What is the course of the {t} between the two images?",
    ),
    open_change=(
        "What has changed since the prior study?",
        "Compare with the prior study.",
        "What is different now?",
        "How do these findings compare with last time?",
        "Describe the difference between the images.",
    ),
    any_change=(
        "Is there any change since the prior study?",
        "Has anything changed?",
        "Do you see any difference from last time?",
        "Are the findings different from those of the prior image?",
    ),
)

_EXAM = Wording(
    presence=("Does the patient have {a}?", "Can you see {a} on this image?", "Is there evidence of {a}?"),
    heart=("Is the heart too large?", "Is cardiomegaly present?"),
    negation=("Is the image without {t}?", "Can {t} be excluded here?"),
    side=("Is the {t} left or right?", "Which lung has the {t}?", "What side is the {t} on?"),
    zone=("Where is the {t} located?", "What zone is the {t} in?"),
    size=("Is the {t} small or large?", "Give the size of the {t}."),
    heart_size=("How much is the heart enlarged?",),
    oedema_size=("What is the severity of the {t}?",),
    open=("What are the findings on this image?", "Is anything abnormal here?"),
    choose_side=("Which of these is the side of the {t}?",),
    choose_zone=("Which of these is the zone of the {t}?",),
    choose_size=("Which of these is the size of the {t}?",),
    choose_heart=("Which of these describes the heart?",),
    choose_finding=("Which of these is visible on this image?",),
    device=("Has the patient {a}?", "Is {a} visible on this image?"),
    devices=("What tubes or lines does the patient have?",),
    position=("Is the position of the {t} correct?", "Does the {t} lie where it should?"),
    tip=("What is the position of the tip of the {t}?", "At what level does the {t} end?"),
    all_placed=("Does every tube and line lie where it should?",),
    view=("Is the projection frontal?", "Is this image a frontal projection?"),
    choose_view=("Which projection is this?",),
    more=("Which lung is worse?", "What side shows the more severe disease?"),
    count=("Tubes and lines aside, what is the number of findings?",),
    normal=("Is this image within normal limits?", "Would you call this image normal?"),
    adequate=("Is this image of diagnostic quality?", "Is the quality of this image adequate?"),
    fault=("Would you call this image {t}?",),
    faults=("Which technical problem does this image have?",),
    choose_fault=("Which of these technical problems does the image have?",),
    choose_grade=("How serious is the technical problem?",),
    new=("Does only the later image show the {t}?",),
    larger=("Did the {t} increase between the two images?",),
    smaller=("Did the {t} decrease between the two images?",),
    resolved=("Did the {t} disappear between the two images?",),
    unchanged=("Did the {t} stay as it was between the two images?",),
    choose_change=("Which of these describes the course of the {t}?",),
    open_change=("How do the two images differ?",),
    any_change=("Do the two images differ in their findings?",),
)

_CLINIC = Wording(
    presence=("I suspect {a}; is it there?", "Please check for {t}: is it to be found?", "Could this be {a}?"),
    heart=("I suspect an enlarged heart; is it there?", "Is the cardiac silhouette wider than it should be?"),
    negation=("May I tell the patient that there is no {t}?", "Is it right that {t} is not to be found?"),
    side=("Left or right: where do you find the {t}?", "Tell me the side of the {t}."),
    zone=("Upper, middle or lower: which level is the {t} at?", "Tell me the zone of the {t}."),
    size=("What extent has the {t}?", "Tell me the extent of the {t}."),
    heart_size=("To what degree is the cardiac silhouette widened?",),
    oedema_size=("What degree of {t} do you find?",),
    open=("What should I know about this film?", "Please read this film for me."),
    choose_side=("Pick the side on which you find the {t}.",),
    choose_zone=("Pick the level at which you find the {t}.",),
    choose_size=("Pick the extent of the {t}.",),
    choose_heart=("Pick the term that fits the cardiac silhouette.",),
    choose_finding=("Pick the one that you find on this film.",),
    device=("We may have left {a} in; is it there?", "Do you find {a} on the film?"),
    devices=("List the foreign material: tubes and lines.",),
    position=("Can the {t} stay where it is?", "Are you content with how the {t} lies?"),
    tip=("Tell me where the {t} ends.", "How far has the {t} been advanced?"),
    all_placed=("Can all tubes and lines stay where they are?",),
    view=("Do we look at the chest from the front or back here?",),
    choose_view=("Pick the projection of this film.",),
    more=("Pick out the worse side: which is it?", "Which half of the chest worries you more?"),
    count=("Leaving tubes and lines out, how many things are wrong?",),
    normal=("May I tell the patient that all is well?", "Is the film unremarkable?"),
    adequate=("Can I rely on this film?", "Is this film good enough, or must I doubt what it shows?"),
    fault=("Did the radiographer give us a film that is {t}?",),
    faults=("What went wrong when this film was taken?",),
    choose_fault=("Pick what went wrong when this film was taken.",),
    choose_grade=("Pick how badly the film has suffered.",),
    new=("Is the {t} something we did not have last time?",),
    larger=("Is there more of the {t} than last time?",),
    smaller=("Is there less of the {t} than last time?",),
    resolved=("Are we rid of the {t} that we had last time?",),
    unchanged=("Is the {t} just as it was last time?",),
    choose_change=("Pick what has become of the {t} since last time.",),
    open_change=("What is different from last time?",),
    any_change=("Is anything different from last time?",),
)

WORDINGS = {"train": _TRAIN, "exam": _EXAM, "clinic": _CLINIC}


def get_wording(name: str) -> Wording:
    """The wording of this name; ValueError when there is none."""
    try:
        return WORDINGS[name]
    except KeyError:
        raise ValueError(f"unknown wording {name!r}; known: {', '.join(WORDINGS)}") from None
