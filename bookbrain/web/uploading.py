"""Choosing files, what they would take and cost, and sending them to the inbox."""

from collections.abc import Sequence
from html import escape

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from bookbrain.config import EmbeddingSettings
from bookbrain.errors import BookBrainError, InputError
from bookbrain.library import Plan
from bookbrain.library.reports import dollars
from bookbrain.library.uploading import land_upload, plan_upload
from bookbrain.web.frame import plain, show_line, tr
from bookbrain.web.ingestion import wake_ingestion
from bookbrain.web.shelf import the_desk, the_shelf
from bookbrain.web.uploads import LARGEST, MOST, Upload, the_uploads
from bookbrain.wording import fill

_ROUND, _PLANS = "upload_round", "upload_plans"  # of the session


@st.fragment
def show_upload() -> None:
    """The place to drop files, and what is known of those that were."""
    largest, most = LARGEST >> 20, MOST >> 20
    files = st.file_uploader(
        tr(
            fill(
                "PDF files, each up to {size} MB, all together up to {most:,} MB",
                size=largest,
                most=most,
            )
        ),
        type="pdf",
        accept_multiple_files=True,
        key=f"upload-{st.session_state.get(_ROUND, 0)}",
    )
    if not files:
        return
    plans = [(file, _planned(file)) for file in files]
    new = [file for file, told in plans if not told.known and not told.reason]
    with the_shelf().library() as library:
        embedding = library.settings.embedding
    for _, told in plans:
        _show_plan(told, embedding)
    if new:
        _show_total([told for file, told in plans if file in new], embedding)
    count = len(new)
    label = tr(fill("Add {books} books", books=count) if count != 1 else "Add 1 book")
    if st.button(label, type="primary", disabled=not new):
        _add(new)


def _planned(file: UploadedFile) -> Plan:
    """What adding the file would take; it is read once in a session."""
    plans: dict[str, Plan] = st.session_state.setdefault(_PLANS, {})
    upload = the_uploads().find(file.getvalue())
    if upload is None:
        gone = InputError("its upload is there no more", "Choose it again.")
        return Plan(file.name, reason=gone.message, hint=gone.hint)
    if upload.refused:
        return Plan(upload.name, reason=upload.refused.message, hint=upload.refused.hint)
    if file.file_id not in plans:
        with st.spinner(tr(fill("Reading {file} …", file=plain(upload.name)))):
            try:
                plans[file.file_id] = plan(upload)
            except BookBrainError as error:
                return Plan(upload.name, reason=error.message, hint=error.hint)
    return plans[file.file_id]


def plan(upload: Upload) -> Plan:
    """What adding an upload would take; no place of the shelf is held while it is read."""
    with the_desk().library() as library:
        return plan_upload(library, upload.name, upload.path)


def _add(files: Sequence[UploadedFile]) -> None:
    uploads = the_uploads()
    try:
        with st.spinner(tr("Adding …")):
            for file in files:
                if upload := uploads.find(file.getvalue()):
                    land_upload(the_shelf().home, upload.name, upload.path)
                    uploads.drop(upload.token)
    except BookBrainError as error:
        show_line("error", tr(error.whole))
        return
    finally:
        wake_ingestion()
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1  # the files chosen are done with
    st.session_state[_PLANS] = {}
    st.rerun()


def _show_plan(plan: Plan, embedding: EmbeddingSettings) -> None:
    if plan.reason:
        kind, state = "error", f"{tr('not added')}, {tr(plan.reason)}. {tr(plan.hint)}"
    elif plan.known:
        kind, state = "plan", f"{tr('already there')}, {plan.title}"
    else:
        kind, state = "plan", f"{plan.title} · {_sizes(plan, embedding)}"
    st.html(f'<p class="{kind}"><strong>{escape(plan.file)}</strong>: {escape(state)}</p>')


def _show_total(plans: Sequence[Plan], embedding: EmbeddingSettings) -> None:
    if not embedding.enabled:
        text = "No embedding endpoint is set: they would be found by keyword, at no cost."
        show_line("remark", tr(text))
    elif len(plans) > 1:
        price = _price(sum(plan.tokens for plan in plans), embedding)
        show_line("remark", tr(fill("In all {sizes}.", sizes=price)))


def _sizes(plan: Plan, embedding: EmbeddingSettings) -> str:
    sizes = tr(
        fill("pages: {pages:,}, passages: {passages:,}", pages=plan.pages, passages=plan.passages)
    )
    return f"{sizes} · {_price(plan.tokens, embedding)}" if embedding.enabled else sizes


def _price(tokens: int, embedding: EmbeddingSettings) -> str:
    cost = dollars(tokens, embedding.dollars_per_million_tokens)
    return tr(
        fill("about {tokens:,} tokens, {cost}", tokens=tokens, cost=cost)
        if cost
        else fill("about {tokens:,} tokens", tokens=tokens)
    )
