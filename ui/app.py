"""The desk's entry: `streamlit run ui/app.py`. It speaks to the API at CONSULT_API_URL, with CONSULT_API_TOKEN."""

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:  # Streamlit puts the script's own folder there, not the one `ui` is found in
    sys.path.append(str(HERE.parent))

from ui import strings  # noqa: E402
from ui.page_ask import ask_page  # noqa: E402
from ui.page_knowledge import knowledge_page  # noqa: E402
from ui.page_report import report_page  # noqa: E402

st.set_page_config(page_title=strings.NAME, page_icon="🩻", layout="wide")
st.html(HERE / "style.css")
st.navigation(
    [
        st.Page(ask_page, title=strings.ASK, icon=":material/question_answer:", url_path="ask", default=True),
        st.Page(report_page, title=strings.REPORT_PAGE, icon=":material/edit_document:", url_path="report"),
        st.Page(knowledge_page, title=strings.KNOWLEDGE, icon=":material/menu_book:", url_path="knowledge"),
    ],
    position="top",
).run()
