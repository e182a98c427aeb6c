"""What is done with a report as a whole: save, sign, amend, look at its versions, take it along."""

import streamlit as st

from ui import html_parts, report_parts, report_state, strings
from ui.api_client import ApiError
from ui.desk_state import api
from ui.report_state import Open


def bar(open_: Open) -> None:
    """Where the report stands and the next step, always in sight."""
    copy = open_.copy
    with st.container(key="report-bar", horizontal=True, vertical_alignment="center"):
        if not open_.editable:
            st.html(html_parts.quiet(strings.IS_SIGNED), width="content")
            if st.button(strings.AMEND, key="amend"):
                open_.amending = True
                st.rerun()
            return
        told = [strings.UNSEEN.format(count=copy.unseen)] if copy.unseen else []
        told += [strings.UNSAVED] if copy.changed else []
        st.html(html_parts.quiet(" · ".join(told) or strings.ALL_SEEN), width="content")
        if copy.unseen:
            st.button(strings.ACCEPT_REST, key="accept_rest", on_click=_accept_rest, args=(open_,))
        if not open_.amending and st.button(strings.SAVE, key="save", disabled=not copy.changed):
            report_state.change(open_, "edit")
            st.rerun()
        if open_.amending:
            st.button(strings.LEAVE_AS_IT_IS, key="leave", on_click=report_state.forget, args=(open_,))
        _signing(open_)


def _accept_rest(open_: Open) -> None:
    for line in open_.copy.lines:
        line.accepted, line.theirs = True, None
    report_state.keep(open_.copy)


def _signing(open_: Open) -> None:
    """A signature is a person's, who has seen every sentence."""
    step = strings.AMEND_AND_SIGN if open_.amending else strings.SIGN
    with st.popover(step, type="primary", disabled=bool(open_.copy.unseen), key="signing"):
        reason = st.text_input(strings.REASON, key="reason") if open_.amending else ""
        name = st.text_input(strings.SIGNER, key="signer", help=strings.SIGNER_HELP)
        st.caption(strings.SIGN_MEANS)
        if st.button(step, key="sign", type="primary", disabled=open_.amending and not reason.strip()):
            if open_.amending:
                report_state.change(open_, "amend", name=name.strip(), reason=reason.strip())
            elif not open_.copy.changed or report_state.change(open_, "edit"):
                report_state.change(open_, "sign", name=name.strip())
            st.rerun()


def versions(open_: Open) -> None:
    with st.expander(strings.VERSIONS, key="versions"):
        told = report_state.versions(open_.report)
        st.html("".join(map(report_parts.version, told)))
        if len(told) > 1:
            numbers = [version["version"] for version in told]
            left, right = st.columns(2)
            before = left.selectbox(strings.BEFORE_VERSION, numbers, key="before")
            after = right.selectbox(strings.AFTER_VERSION, numbers, index=len(numbers) - 1, key=f"after-{numbers[-1]}")
            changes = report_state.difference(open_.report, before, after)
            shown = [report_parts.change(c["kind"], c["before"], c["after"]) for c in changes]
            st.html("".join(shown) or html_parts.quiet(strings.NOTHING_CHANGED))


def export(open_: Open) -> None:
    """The newest stored version as a file; made when its kind is chosen."""
    report = open_.report
    with st.expander(strings.EXPORT, key="export"):
        if open_.copy.changed:
            st.caption(strings.EXPORT_SAVED)
        key = f"form-{report['id']}-{report['version']}"
        form = st.pills(strings.EXPORT_AS, list(strings.FORMATS), format_func=lambda f: strings.FORMATS[f][0], key=key)
        if not form:
            return
        _, suffix, mime = strings.FORMATS[form]
        try:
            data = report_state.exported(report, form)
        except ApiError as error:
            st.html(html_parts.note(str(error), "warning"))
            return
        name = f"report-{report['id'][:8]}-v{report['version']}.{suffix}"
        st.download_button(strings.DOWNLOAD.format(name=name), data, name, mime, key="download", on_click="ignore")


def consent(open_: Open) -> None:
    report = open_.report
    given = st.checkbox(
        strings.CONSENT, value=report["consent"], key=f"consent-{report['id']}", help=strings.CONSENT_HELP
    )
    if given != report["consent"]:
        try:
            report["consent"] = api().consent(report["id"], given)["consent"]
        except ApiError as error:
            st.html(html_parts.note(str(error), "error"))
