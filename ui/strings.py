"""Every word the page says of its own. Names say where a text stands; `{…}` are filled in with `str.format`."""

NAME = "Consult"
ASK = "Ask"
KNOWLEDGE = "Knowledge"
REPORT_PAGE = "Report"

# who speaks
MODEL = "Model: {model}"
NOT_CLINICAL = "not for clinical use"
DEMONSTRATION = f"Demonstration model, {NOT_CLINICAL}"

# what can go wrong
API_DOWN = "The Consult server can't be reached at {url}. Check that `consult serve` is running, then try again."
API_SLOW = "The Consult server at {url} did not answer in time. It may be busy; try again in a moment."
API_STRANGE = "The server at {url} answered {status}, but not as Consult does. Check CONSULT_API_URL."
TRY_AGAIN = "Try again"
TOKEN_NEEDED = "This server asks for a token. Your administrator gives you one."
TOKEN_REFUSED = "The server did not accept this token."
TOKEN = "Access token"
TOKEN_HELP = "Kept for this browser tab only. CONSULT_API_TOKEN sets it for everybody who uses this page."
USE_TOKEN = "Use this token"
QUESTION_KEPT = "Your question is kept: {question}"
NO_SUCH_RUN = "This address names an answer that does not exist, or that belongs to somebody else."

# a study
NEW_STUDY_TITLE = "New study"
PICTURES = "Pictures of one patient and one examination (DICOM, NIfTI, PNG, JPEG, TIFF)"
PICTURES_HELP = "Several files become one study."
STANDARD_DISPLAY = "These pictures hang in standard display (patient's right on the picture's left)"
STANDARD_DISPLAY_HELP = (
    "Files such as PNG don't say which side is which. Without this tick no side is asked or stated of them."
)
OPEN_STUDY = "Open study"
READING_STUDY = "Reading the pictures…"
EARLIER_STUDIES = "Your studies and samples"
NO_STUDIES = "Nothing here yet. Studies that you open appear here."
MORE = "Show more"
OPEN = "Open"
PICTURE_ALT = "Picture {number} of the study: {about}"
THUMBNAIL_ALT = "First picture of a study: {about}"
SIDES_KNOWN = "sides known"
SIDES_UNKNOWN = "sides unknown"
UNKNOWN_KIND = "kind not stated"
PICTURE_COUNT = "{count} pictures"
EARLIER_QUESTIONS = "Earlier questions about this study"
NEW_QUESTION = "New question"
NEW_QUESTION_HELP = "Start a fresh conversation about the same study"
NEW_STUDY = "New study"

# a question and its answer
QUESTION_FIRST = "Ask about this study"
QUESTION_NEXT = "Ask a follow-up question"
QUESTION_WAIT = "An answer is on its way"
HOW_TO_BEGIN = "Type a question below, for example: Is there a pleural effusion?"
PRIOR = "Earlier study of this patient"
PRIOR_OF = "Earlier study of this patient, {taken}"
COMPARE = "Ask again beside it"
BEFORE = "Study before: {report}"
STOP = "Stop"
STOPPING_FAILED = "Stopping did not work."
STAGES = {
    "queued": "Waiting, or looking at the pictures",
    "quality": "Searching the knowledge base",
    "retrieved": "Reading the evidence",
    "sentence": "Writing",
}
PROGRESS = "{stage}… {seconds:.0f} s"
OWN_READING = "model's own reading of the image"
OWN_READING_HELP = "No passage supports this sentence: it rests on the picture alone."
CONFIDENCE = "confidence {percent:.0f} %"
ABSTAINED = "No answer. {reason}"
STOPPED = "Stopped. What had been said until then stays."
FAILED = "The answer broke off. {message}"
LEFT_OUT = "{what}: {why}"
TASKS = {"report": "Draft a report", "diagnose": "Differential diagnosis"}

# what it rests on
EVIDENCE = "Evidence"
RELEVANCE = "Relevance {percent:.0f} %"
RELEVANCE_HELP = "How well this fits the question, from 0 to 100 %"
EDITION = "edition {edition}"
SUPERSEDED = "superseded by {by}"
PAGE = "page {page}"
SCORES = "How it was found"
SCORES_HELP = "Raw score of each search that found it. They are not comparable with each other."
SCORE_LEG = "Search"
SCORE = "Score"
OPEN_DOCUMENT = "Open document"
CASE_ALT = "Picture of a similar case, another patient"
CITED_AS = "Evidence {number}: {title}"
DOCUMENT = "Document"
MARKED_HERE = "Highlighted: what the answer rests on."

# details
COPY = "Copy with references"
COPY_OWN = "[image]"
COPY_REFERENCES = "References"
COPY_MODEL = "Answered by {model}."
DETAILS = "Time and details"
SECONDS = "Seconds"
STAGE = "Stage"
STAGE_NAMES = {
    "gate": "Quality check", "embed": "Look at pictures", "search": "Search", "select": "Select evidence",
    "prompt": "Prepare", "generate": "Write and check", "first_sentence": "Until the first sentence", "total": "Total",
}  # fmt: skip
DROPPED = "Left out"
DOMAIN = "Kind of image"
NO_DOMAIN = "none that is known"
IDENTITY = "Who answered"
IDENTITY_NAMES = {
    "model": "Model", "model_hash": "Model hash", "engine": "Engine", "encoders": "Encoders",
    "generation": "Knowledge as of", "seed": "Seed",
}  # fmt: skip

# knowledge
SEARCH = "Search the knowledge base"
SEARCH_HINT = "As in a question: signs of a tension pneumothorax"
NOTHING_FOUND = "Nothing relevant was found among {considered} candidates."
FOUND = "{count} of {considered} candidates are relevant."
DOCUMENTS = "Documents ({total})"
NO_DOCUMENTS = "The knowledge base is empty. Add documents below, or run `consult knowledge add --bundled`."
ADD = "Add documents"
ADD_FILES = "Documents"
ADD_HELP = "Markdown, HTML, PDF, DOCX, text or JSONL. A file with the name of an earlier one replaces it."
ADD_BUTTON = "Add to the knowledge base"
ADDING = "Reading the documents and building the index. This can take a minute…"
REPORT = {
    "added": "Added",
    "replaced": "Replaced",
    "unchanged": "Unchanged",
    "removed": "Removed",
    "skipped": "Skipped",
}
REPORT_SUPERSEDED = "Superseded: {old}, by {new}"
REPORT_UNDECIDED = "Undecided: {doubt}"
REPORT_LINE = "{what}: {names}"
NOTHING_CHANGED = "Nothing changed."
SECTION = "Section to highlight"
WHOLE = "(none)"

# reports: worklist and request
WORKLIST = "Worklist"
TO_WORKLIST = "Worklist"
NO_REPORTS = "No report here yet. Open a study and draft one."
STATUS = {"draft": "Draft", "edited": "Edited", "signed": "Signed", "amended": "Amended"}
STATUS_FILTER = "Show only"
WORK_LINE = "{status}, version {version}"
NEW_REPORT = "New report"
TEMPLATE = "Template"
TEMPLATES = {
    "chest": "Chest radiograph", "brain_mr": "MR of the brain", "fundus": "Photograph of the fundus",
    "free": "Free form",
}  # fmt: skip
INDICATION = "Indication"
HISTORY = "History"
PRIOR_REPORT = "Report of the prior study"
CURRENT = "Current study"
PRIOR_STUDY = "Prior study"
NO_PRIOR = "No prior study: no change is stated."
PRIOR_FILES = "Bring the pictures of a prior study"
DRAFT = "Draft the report"
DRAFT_BESIDE = "Draft again beside it"
NO_SUCH_REPORT = "This address names a report that does not exist, or that belongs to somebody else."

# reports: the desk
STANDING = {
    "draft": "Preliminary: drafted by {who}, {at} UTC. Nobody has signed it.",
    "edited": "Preliminary: version {version}, edited by {who}, {at} UTC. Nobody has signed it.",
    "signed": "Signed by {who}, {at} UTC.",
    "amended": "Amended and signed by {who}, {at} UTC.",
}
ALERT = "Alert"
MISSING = "Missing: {what}."
SENTENCE_NUMBER = "sentence {number}"
CHECKS_OF_DRAFT = "Noticed in the report as it was last saved; checked anew with every save."
SENTENCE = "Sentence"
SUPPORT = {"image": OWN_READING, "request": "written by Consult", "person": "written by a person"}
REPAIRED = "second attempt"
REPAIRED_HELP = "Written again after a check had failed."
ACCEPT = "Accept"
ACCEPTED = "Accepted"
DELETE = "Delete"
UNDO = "Undo"
ADD_SENTENCE = "Add a sentence"
SHOW_REGION = "Show where"
HIDE_REGION = "Hide where"
SAVED_FIRST = (
    "Version {new} was saved elsewhere while you were at version {old}. Nothing you typed is lost: its changes and "
    "yours stand together below. Look at them, then save or sign."
)
THEIRS = "Changed elsewhere meanwhile: {text}"
THEY_DELETED = "Deleted elsewhere meanwhile. Your words are kept as a new sentence."
USE_THEIRS = "Use these words"
KEEP_MINE = "Keep mine"
WORDS_KEPT = "Your words are kept here."

# reports: save, sign, versions, files
UNSEEN = "Not yet accepted: {count}"
UNSAVED = "not saved"
ALL_SEEN = "Every sentence is accepted"
ACCEPT_REST = "Accept the rest"
SAVE = "Save"
SIGN = "Sign"
AMEND = "Amend"
AMEND_AND_SIGN = "Sign the amendment"
LEAVE_AS_IT_IS = "Leave it as it was"
IS_SIGNED = "Signed. Only an amendment changes it."
REASON = "Why it is amended"
SIGNER = "Name as printed"
SIGNER_HELP = "Without one, the name of your token stands in the report."
SIGN_MEANS = "It becomes final in your name. Every version is kept."
VERSIONS = "Versions"
VERSION_LINE = "Version {version} · {status} · {who} · {at} UTC"
BEFORE_VERSION = "From version"
AFTER_VERSION = "To version"
CHANGES = {"kept": "kept", "changed": "changed", "deleted": "deleted", "added": "added"}
EXPORT = "Take it along"
EXPORT_AS = "As"
EXPORT_SAVED = "The file holds what is saved, not what you are typing."
FORMATS = {
    "pdf": ("PDF", "pdf", "application/pdf"),
    "fhir": ("FHIR", "json", "application/fhir+json"),
    "sr": ("DICOM SR", "dcm", "application/dicom"),
    "markdown": ("Markdown", "md", "text/markdown"),
    "text": ("Text", "txt", "text/plain"),
}
DOWNLOAD = "Download {name}"
CONSENT = "My edits may be used to tune the model"
CONSENT_HELP = "Off until you give it. They are read only once the report is signed, and you can take it back."
