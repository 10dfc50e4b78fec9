"""`bookbrain serve` as a process: what it answers, how it ends, what it does without services."""

import http.client
import json
import signal
import socket
import subprocess
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from support.app import App, serving
from support.chroma_server import ChromaServer
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for
from support.stand_in import free_ports
from websockets.sync.client import ClientConnection

pytestmark = pytest.mark.slow


def ask_page(page: ClientConnection, name: str, query: str, until: str) -> bytes:
    """All that the app sends as the answer of the page `name`, up to this."""
    message = BackMsg()
    message.rerun_script.page_name = name
    message.rerun_script.query_string = urlencode({"q": query})
    message.rerun_script.context_info.locale = "ko-KR"
    page.send(message.SerializeToString())
    received = b""
    while until.encode() not in received:
        received += bytes(page.recv(timeout=60))
    return received


def test_it_answers_like_the_commands_and_ends_when_asked(
    plain: Shelf, english: list[Path]
) -> None:
    plain.add(*english)
    with serving(plain) as app:
        assert app.health() == "ok"
        for query in ("lock queue", "probe_2_5", '"waits for the socket" -kernel'):
            expected = plain.search(query, "-k", "7") | {"took_ms": 0}
            assert app.search(query, k="7") | {"took_ms": 0} == expected
        assert json.loads(app.get("/api/books")[1]) == plain.books()
        assert app.get("/api/search", q="x" * 10_000)[0] == 200
        assert app.get("/api/search", q="lock", k="0")[0] == 400
        assert app.get("/api/books", method="POST")[0] == 405
        assert app.get("/api/nothing")[0] == 404
        assert "<title>" in app.get("/")[1]
        plain.run("remove", "--yes", "book3.pdf")
        assert json.loads(app.get("/api/books")[1]) == plain.books()
        assert {hit["file"] for hit in app.search("lock")["hits"]} <= {"book1.pdf", "book2.pdf"}
        done = app.end()
    assert done.out == f"BookBrain is at http://127.0.0.1:{app.port} (Ctrl-C ends it).\n"
    assert done.err == ""


def test_streamlit_says_who_may_upload_before_anything_is_taken(plain: Shelf) -> None:
    with serving(plain) as app:
        cookie = _xsrf_cookie(app)
        token = cookie.partition("=")[2]
        for given, code in (
            ({}, 403),
            ({"Cookie": cookie}, 403),
            ({"X-Xsrftoken": token}, 403),
            ({"Cookie": cookie, "X-Xsrftoken": token}, 400),  # its session is nobody's
        ):
            assert _put(app, given) == code, given
        assert not (plain.home / ".uploads").exists()


def _xsrf_cookie(app: App) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    connection.request("GET", "/_stcore/health")
    cookie = connection.getresponse().headers["Set-Cookie"].partition(";")[0]
    connection.close()
    return cookie


def _put(app: App, headers: dict[str, str]) -> int:
    """The answer to an upload of nobody's session, of which only the head is sent."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    connection.putrequest("PUT", "/_stcore/upload_file/nobody/1")
    form = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "1000000"}
    for name, value in {**form, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_while_a_browser_is_connected(
    plain: Shelf, english: list[Path], number: signal.Signals
) -> None:
    plain.add(english[0])
    with serving(plain) as app, app.open_page() as one, app.open_page() as two:
        for page, query in ((one, "probe_1_5"), (two, "socket")):
            assert "책 넣기".encode() in ask_page(page, "books", query, until="book1.pdf")
            assert app.search(query)["hits"]
        done = app.end(number)
    assert done.err == ""
    for secret in ("probe_1_5", "socket"):
        assert secret not in done.out + done.err


def test_signals_before_it_is_ready(plain: Shelf) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        port = free_ports()[0]
        process = plain.start("serve", "--port", str(port))
        wait_for(lambda port=port: _is_taken(port), "the port")
        process.send_signal(number)
        assert plain.finish(process).err == ""


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_port_that_is_taken_is_named(plain: Shelf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = plain.run("serve", "--port", str(port), code=69)
    assert done.err == (
        f"Error: Port {port} of 127.0.0.1 is taken.\n"
        "Next:  End the program that has it, or choose another port with --port.\n"
    )
    done = plain.run("serve", "--host", "192.0.2.1", code=69)
    assert done.err.startswith("Error: Cannot listen on port 8501 of 192.0.2.1 (")


def test_a_wrong_setting_ends_it_at_once(plain: Shelf) -> None:
    done = plain.run("serve", "--port", str(free_ports()[0]), code=78, BOOKBRAIN_FUSION="best")
    assert done.err == (
        "Error: BOOKBRAIN_FUSION is 'best' in the environment.\nNext:  Set it to convex or rrf.\n"
    )


def test_streamlits_own_settings_do_not_matter(plain: Shelf) -> None:
    folder = plain.home.parent / ".streamlit"
    folder.mkdir()
    (folder / "config.toml").write_text('[server]\nbaseUrlPath = "elsewhere"\n')
    with serving(plain, STREAMLIT_BROWSER_GATHER_USAGE_STATS="true") as app:
        assert app.health() == "ok"
        assert json.loads(app.get("/_stcore/host-config")[1])
        with app.open_page():
            pass
        app.end()


def test_without_systemd_it_goes_on(plain: Shelf) -> None:
    with serving(plain, NOTIFY_SOCKET="/nowhere/notify", WATCHDOG_USEC="30000000") as app:
        assert app.health() == "ok"
        app.process.send_signal(signal.SIGTERM)
        out, err = app.process.communicate(timeout=30)
    assert app.process.returncode == 0
    assert out == ""
    assert "systemd" in err
    assert "Traceback" not in err


def test_chroma_may_come_and_go(tmp_path: Path, openai: OpenAIProcess, english: list[Path]) -> None:
    (tmp_path / "chroma").mkdir()
    with (
        ChromaServer(tmp_path / "chroma") as chroma,
        Shelf(tmp_path / "library", openai, CHROMA_URL=chroma.url) as shelf,
    ):
        shelf.add(*english)
        expected = shelf.search("the kernel waits") | {"took_ms": 0}
        assert expected["degraded"] is None
        chroma.kill()
        asked = len(openai.requested)
        with serving(shelf) as app:
            assert app.health() == "degraded"
            assert len(openai.requested) == asked, "nothing is embedded at the start"
            for _ in range(2):  # a Chroma that held everything is believed for ten seconds

                def is_missed() -> bool:
                    answer = app.search("the kernel waits")
                    assert answer["hits"]
                    return "does not answer" in (answer["degraded"] or "")

                wait_for(is_missed, "a search that misses Chroma")
                chroma.start()
                assert app.search("the kernel waits") | {"took_ms": 0} == expected
                shelf.run("rebuild")  # the collection of before is no more
                assert app.search("the kernel waits") | {"took_ms": 0} == expected
                wait_for(lambda: app.health() == "ok", "health")
                chroma.kill()
                wait_for(lambda: app.health() == "degraded", "health")
            app.end()
        assert len(openai.requested) == asked


def test_similar_pages_are_found_by_meaning_and_cost_nothing(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(*english)
    book = next(book["id"] for book in shelf.books() if book["file"] == "book2.pdf")
    asked = len(openai.requested)
    with serving(shelf) as app:
        answer = json.loads(app.get("/api/search", similar=f"{book}:4")[1])
        app.end()
    assert len(openai.requested) == asked
    assert answer["degraded"] is None
    assert answer["mode"] == "vector"
    places = [(hit["book_id"], hit["page"]) for hit in answer["hits"]]
    assert places
    assert not {(book, 3), (book, 4), (book, 5)} & set(places)
    scores = [hit["why"]["vector"]["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_the_weight_of_meaning_goes_from_one_leg_to_the_other(
    shelf: Shelf, english: list[Path]
) -> None:
    shelf.add(*english)
    with serving(shelf) as app:

        def pages(**params: str) -> list[tuple[str, int]]:
            hits = app.search("lock queue", k="3", **params)["hits"]
            return [(hit["book_id"], hit["page"]) for hit in hits]

        assert pages(weight="0") == pages(mode="keyword")
        assert pages(weight="1") == pages(mode="vector") != pages(weight="0")
        app.end()


def test_our_own_chroma_may_be_killed(
    tmp_path: Path, openai: OpenAIProcess, english: list[Path]
) -> None:
    with Shelf(tmp_path / "library", openai) as shelf:
        shelf.add(english[0])
        with serving(shelf) as app:
            wait_for(lambda: app.search("lock queue")["degraded"] is None, "Chroma")
            expected = app.search("lock queue") | {"took_ms": 0}
            shelf.kill("chroma_server")
            wait_for(lambda: not shelf.processes("chroma_child"), "the end of its keeper")
            wait_for(lambda: app.search("lock queue") | {"took_ms": 0} == expected, "the same hits")
            app.end()
        wait_for(lambda: not shelf.processes(), "the end of the server")


def test_a_chroma_that_hangs_holds_up_nothing(
    tmp_path: Path, openai: OpenAIProcess, english: list[Path]
) -> None:
    with Shelf(tmp_path / "library", openai) as shelf, socket.create_server(("127.0.0.1", 0)) as it:
        shelf.add(english[0])
        with serving(shelf, CHROMA_URL=f"http://127.0.0.1:{it.getsockname()[1]}") as app:
            wait_for(lambda: app.health() == "degraded", "health")
            assert app.search("lock queue")["hits"]
            app.end()


def test_it_ends_while_a_search_waits_for_openai(
    tmp_path: Path, chroma: ChromaServer, openai: OpenAIProcess, english: list[Path]
) -> None:
    with Shelf(tmp_path / "library", openai, CHROMA_URL=chroma.url) as shelf:
        shelf.add(english[0])
        with serving(shelf, BOOKBRAIN_EMBEDDING_TIMEOUT="600") as app:
            openai.fail("slow", seconds=120)
            known = len(openai.requested)
            search = Thread(target=_try, args=[app, "a question of today"])
            search.start()
            wait_for(lambda: len(openai.requested) > known, "the question's embedding")
            assert app.health() == "ok"
            app.process.send_signal(signal.SIGTERM)
            try:
                assert app.process.wait(12) == 0
            except subprocess.TimeoutExpired:
                pytest.fail("it waits for the search")
            search.join(10)
            out, err = app.process.communicate()
            assert "Traceback" not in out + err
            assert "a question of today" not in out + err


def _try(app: App, query: str) -> None:
    try:
        app.get("/api/search", q=query)
    except (OSError, http.client.HTTPException):
        return
