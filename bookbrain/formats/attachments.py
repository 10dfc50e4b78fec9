"""PDFs whose pages are only a cover: the content is in attached files, or in a form of XFA.

In children only.
"""

import ctypes
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from bookbrain.ocr.choice import ATTACHED, FORM
from bookbrain.paths import PDF

_LEAST, _COVER = 20, 800  # letters and digits of all pages; with fewer they may be scans
_COVER_PAGES = 3
_MOST_ATTACHED = 1_000
_LONGEST_NAME = 2_000  # bytes in UTF-16
_COLLECTION = b"/Collection"  # the catalog's entry that makes a portfolio, unless it is compressed
_CHUNK = 1 << 20
_DOCUMENTS = (
    PDF, ".doc", ".docx", ".odt", ".rtf", ".ppt", ".pptx", ".odp", ".xls", ".xlsx", ".ods",
    ".hwp", ".hwpx", ".txt", ".htm", ".html", ".epub", ".tif", ".tiff", ".jpg", ".jpeg", ".png",
    ".eml", ".msg", ".zip",
)  # fmt: skip


def elsewhere(document: pdfium.PdfDocument, path: Path, text: str) -> str:
    """ATTACHED or FORM where the book at `path` has its content there, "" where on its pages.

    `text` is that of all pages. A book that brings its examples along as attachments has them too.
    """
    form = pdfium_c.FPDF_GetFormType(document)
    count = pdfium_c.FPDFDoc_GetAttachmentCount(document)
    if form == pdfium_c.FORMTYPE_NONE and not count:
        return ""
    cover = len(document) <= _COVER_PAGES and _LEAST <= sum(map(str.isalnum, text)) <= _COVER
    if form == pdfium_c.FORMTYPE_XFA_FULL or (form == pdfium_c.FORMTYPE_XFA_FOREGROUND and cover):
        return FORM
    if not count:
        return ""
    attached = cover and any(name.endswith(_DOCUMENTS) for name in _names(document))
    return ATTACHED if attached or _is_portfolio(path) else ""


def _names(document: pdfium.PdfDocument) -> list[str]:
    """The names of the attached files, in small letters."""
    names = []
    buffer = (ctypes.c_ushort * (_LONGEST_NAME // 2))()
    for n in range(min(pdfium_c.FPDFDoc_GetAttachmentCount(document), _MOST_ATTACHED)):
        attachment = pdfium_c.FPDFDoc_GetAttachment(document, n)
        size = pdfium_c.FPDFAttachment_GetName(attachment, buffer, _LONGEST_NAME)
        if 2 < size <= _LONGEST_NAME:
            name = bytes(memoryview(buffer).cast("B")[: size - 2])
            names.append(name.decode("utf-16-le", "replace").lower())
    return names


def _is_portfolio(path: Path) -> bool:
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(_CHUNK):
            if _COLLECTION in tail + chunk:
                return True
            tail = chunk[-len(_COLLECTION) :]
    return False
