"""Notifications: what is news, what is sent, and what comes of a channel that fails."""

import email
import email.policy
import json
import logging
import os
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from ssl import SSLContext

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from support.stand_in import StandIn, free_ports, make_certificate

from bookbrain.admin import main
from bookbrain.checks.channels import (
    MailServer,
    Message,
    Outbox,
    about_changes,
    about_failure,
    about_nothing,
    check_channels,
    deliver,
    ping,
    place_of,
    summary_of,
)
from bookbrain.checks.news import (
    History,
    Known,
    has_just_run,
    is_news_of,
    judge,
    keep_history,
    read_history,
    tell_failure,
    tell_news,
    untold,
    with_failure,
)
from bookbrain.errors import ConfigError
from bookbrain.messages import fill
from bookbrain.reports import Check, State
from bookbrain.settings import NotifySettings, load_notify_settings, load_settings

HOST = socket.gethostname()
OK, WARN, FAIL = State.OK, State.WARN, State.FAIL
SECRET = "T0/B0/very-secret"


def _check(state: State, name: str = "app", subject: str = "") -> Check:
    return Check(name, state, f"it is {state}", "Mend it.", subject)


# What is news


def _run(*runs: tuple[float, list[Check]]) -> list[list[str]]:
    """The states that are news in each of the runs, which are so many seconds after the first."""
    history, told = History(), []
    for seconds, checks in runs:
        history, news = judge(history, checks, 1e9 + seconds)
        told.append([f"{check.key} {check.state}" for check in news])
    return told


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ([OK, FAIL, FAIL, FAIL, OK, OK], [[], [], ["app FAIL"], [], ["app ok"], []]),
        ([FAIL, OK, FAIL], [[], [], []]),  # a hiccup
        ([WARN, WARN, FAIL, FAIL, WARN, OK],
         [[], ["app warn"], [], ["app FAIL"], ["app warn"], ["app ok"]]),
    ],
)  # fmt: skip
def test_worse_is_told_when_it_is_so_twice_and_better_at_once(
    states: list[State], told: list[list[str]]
) -> None:
    assert _run(*((900.0 * n, [_check(state)]) for n, state in enumerate(states))) == told


def test_an_upgrade_that_asks_five_times_in_a_row_tells_nothing() -> None:
    assert _run(*((2.0 * n, [_check(FAIL)]) for n in range(5))) == [[], [], [], [], []]


@pytest.mark.parametrize("name", ["library", "search", "disk"])
def test_what_does_not_pass_by_itself_is_told_at_once(name: str) -> None:
    assert _run((0, [_check(FAIL, name)]), (2, [_check(FAIL, name)])) == [[f"{name} FAIL"], []]
    assert _run((0, [_check(WARN, name)])) == [[]]


def test_checks_of_one_name_are_told_apart() -> None:
    one, two = "a.service", "b.service"
    assert _run(
        (0, [_check(FAIL, "service", one), _check(OK, "service", two)]),
        (900, [_check(FAIL, "service", one), _check(FAIL, "service", two)]),
        (1800, [_check(FAIL, "service", one), _check(FAIL, "service", two)]),
        (2700, [_check(OK, "service", one), _check(FAIL, "service", two)]),
    ) == [[], ["service a.service FAIL"], ["service b.service FAIL"], ["service a.service ok"]]


def test_what_was_not_looked_at_is_as_it_was() -> None:
    runs = ((0, [_check(FAIL)]), (900, [_check(FAIL)]), (1800, []), (2700, [_check(FAIL)]))
    assert _run(*runs, (3600, [_check(OK)])) == [[], ["app FAIL"], [], [], ["app ok"]]


@given(st.lists(st.sampled_from(list(State)), max_size=30))
def test_told_and_true_never_part_for_long(states: list[State]) -> None:
    history = History()
    told = OK
    for number, state in enumerate(states):
        history, news = judge(history, [_check(state)], 1e9 + 900 * number)
        for check in news:
            assert check.state is not told
            told = check.state
        assert history.checks["app"].told is told
        if number and states[number - 1] is state:
            assert told is state


def test_news_that_reached_nobody_is_news_again() -> None:
    first, _ = judge(History(), [_check(FAIL)], 0.0)
    second, news = judge(first, [_check(FAIL)], 900.0)
    assert news
    kept = untold(second, first, news)
    assert [check.key for check in judge(kept, [_check(FAIL)], 1800.0)[1]] == ["app"]
    told, _ = judge(kept, [_check(FAIL)], 1800.0)
    better, news = judge(told, [_check(OK)], 2700.0)
    assert judge(untold(better, told, news), [_check(OK)], 3600.0)[1] == news


def test_a_failure_is_told_once_in_six_hours() -> None:
    unit = "bookbrain.service"
    assert is_news_of(History(), unit, 100.0)
    history = with_failure(History(), unit, _check(FAIL, "service", unit), 1e9)
    assert not is_news_of(history, unit, 1e9 + 3600)
    assert is_news_of(history, unit, 1e9 + 7 * 3600)
    assert is_news_of(history, unit, 1e9 - 3600)
    assert judge(history, [_check(FAIL, "service", unit)], 1e9 + 900)[1] == []
    assert len(judge(history, [_check(OK, "service", unit)], 1e9 + 900)[1]) == 1


# What is kept


def test_the_history_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    assert read_history(path) == History()
    history = History({"app": Known(WARN, FAIL, 12.5)}, {"bookbrain.service": 3.0}, 99.0)
    keep_history(path, history)
    assert read_history(path) == history
    assert path.stat().st_size == 4096


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"checks": 1}', '{"checks": {"a": {}}, "failures": {}, "ran": 1}']
)
def test_a_history_that_cannot_be_read_is_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "health.json"
    path.write_text(text)
    assert read_history(path) == History()


def test_on_a_full_disk_the_old_file_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    (tmp_path / "health.json.part").symlink_to("/dev/full")
    with pytest.raises(FileNotFoundError):
        keep_history(path, History(ran=1.0))
    keep_history(path, History(ran=2.0))
    before = path.stat().st_ino
    (tmp_path / "health.json.part").symlink_to("/dev/full")
    keep_history(path, History({"app": Known(FAIL, FAIL, 3.0)}, ran=3.0))
    assert read_history(path).checks["app"].told is FAIL
    assert (path.stat().st_ino, path.stat().st_size) == (before, 4096)
    assert not (tmp_path / "health.json.part").is_symlink()


# Messages

NEWS = [
    Check(
        "disk",
        OK,
        fill("{free:.1f} GB free of {total:.1f} GB at {path}", free=3.0, total=9.0, path="/"),
        "Make room.",
        "/",
    ),
    Check("app", FAIL, fill("It does not answer: {reason}.", reason="refused"), "Look."),
    Check("clock", WARN, "Nobody sets the clock; certificates and logins depend on it.", "Set it."),
]


def test_one_message_has_it_all() -> None:
    message = about_changes(NEWS, "shelf", "en")
    assert (message.title, message.level) == ("BookBrain on shelf has a fault", FAIL)
    assert message.text.splitlines() == [
        "FAIL  app: It does not answer: refused.",
        "Next:  Look.",
        "warn  clock: Nobody sets the clock; certificates and logins depend on it.",
        "Next:  Set it.",
        "ok  disk: 3.0 GB free of 9.0 GB at /",
    ]
    assert about_changes(NEWS[:1], "shelf", "en").title == "BookBrain on shelf is well again"
    assert about_changes(NEWS[2:], "shelf", "en").level is WARN


def test_it_speaks_korean() -> None:
    message = about_changes(NEWS, "shelf", "ko")
    assert message.title == "[shelf] BookBrain에 문제가 생겼습니다"
    assert message.text.splitlines()[0] == "실패  웹 앱: 응답하지 않습니다: refused."
    assert message.text.splitlines()[-1] == "정상  디스크: 9.0 GB 중 3.0 GB 남음: /"
    assert about_nothing("shelf", "ko").text.endswith("알림을 받습니다.")
    assert summary_of([NEWS[0]], "ko") == "모두 정상입니다."


def test_a_failure_has_the_last_lines_made_harmless() -> None:
    check = Check("service", FAIL, "x.service has failed.", "Look.", "x.service")
    message = about_failure(check, "one\n\n\x1b[31mtwo\x07\n" + "z" * 999, "shelf", "en")
    lines = message.text.splitlines()
    assert message.title == "x.service on shelf has failed"
    assert lines[2:4] == ["> one", "> ?[31mtwo?"]
    assert len(lines[4]) == 300
    assert len(about_failure(check, "y" * 250 + "\n" + "x\n" * 3000, "s", "en").text) <= 1900


# Channels


class _Doors(StandIn):
    """Answers one status after the other, then 200."""

    def __init__(self, context: SSLContext | None = None) -> None:
        self.answers: list[int] = []
        super().__init__(lambda path: (self.answers.pop(0) if self.answers else 200, b""), context)


@pytest.fixture
def doors() -> Iterator[_Doors]:
    with _Doors() as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def outbox(pauses: list[float], tmp_path: Path) -> Outbox:
    return Outbox(MailServer(str(tmp_path / "sendmail"), *free_ports()), pauses.append)


MESSAGE = Message("BookBrain on shelf has a fault", "a\nb", FAIL, "shelf", (NEWS[1],))
KOREAN = Message("[shelf] 문제", "가\n나", WARN, "shelf")


@pytest.mark.slow
def test_a_webhook_gets_json(doors: _Doors, outbox: Outbox) -> None:
    (delivery,) = deliver(MESSAGE, [f"{doors.url}/services/{SECRET}"], outbox)
    assert (delivery.ok, delivery.where, delivery.seen) == (True, doors.url, "it answered 200")
    assert doors.calls[0][0] == f"/services/{SECRET}"
    assert doors.calls[0][1]["Content-Type"] == "application/json"
    sent = doors.json()
    assert sent["text"] == sent["content"] == "BookBrain on shelf has a fault\na\nb"
    assert (sent["title"], sent["level"], sent["host"]) == (MESSAGE.title, "fail", "shelf")
    assert sent["checks"] == [asdict(NEWS[1])]


@pytest.mark.slow
def test_a_topic_of_ntfy_gets_its_message(doors: _Doors, outbox: Outbox) -> None:
    channel = f"ntfy+{doors.url.replace('://', '://me:w%40rd@')}/topic?auth=x"
    assert [d.ok for d in deliver(MESSAGE, [channel], outbox)] == [True]
    path, headers, _ = doors.calls[0]
    assert path == "/?auth=x"
    assert doors.json() == {
        "topic": "topic", "title": MESSAGE.title, "message": "a\nb", "priority": 4,
        "tags": ["rotating_light"],
    }  # fmt: skip
    assert b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me:w@rd"
    (delivery,) = deliver(KOREAN, [channel], outbox)
    assert delivery.where == doors.url
    sent = doors.json()
    assert (sent["title"], sent["priority"], sent["tags"]) == (KOREAN.title, 3, ["warning"])


@pytest.mark.slow
def test_any_address_of_apprise(doors: _Doors, outbox: Outbox) -> None:
    place = doors.url.removeprefix("http://")
    channels = [f"json://me:{SECRET[:2]}@{place}/{SECRET}", f"ntfy://{place}/topic-secret"]
    deliveries = deliver(MESSAGE, channels, outbox)
    assert [d.ok for d in deliveries] == [True, True]
    assert [d.where for d in deliveries] == ["json://…", "ntfy://…"]
    sent = {path: json.loads(body) for path, _, body in doors.calls}
    assert (sent[f"/{SECRET}"]["title"], sent[f"/{SECRET}"]["type"]) == (MESSAGE.title, "failure")
    assert (sent["/"]["topic"], sent["/"]["message"]) == ("topic-secret", "a\nb")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "seen"), [(404, "It answered 404."), (500, "It answered 500."), (302, "302")]
)
def test_an_address_of_apprise_that_is_refused(
    doors: _Doors, outbox: Outbox, answer: int, seen: str, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    doors.answers = [answer] * 3
    with caplog.at_level(logging.DEBUG):
        channels = [f"jsons://{SECRET}", f"json://{doors.url[7:]}/{SECRET}?redirect=yes", "no://x"]
        gone, refused, unknown = deliver(MESSAGE, channels, outbox)
    assert (refused.ok, len(doors.calls)) == (False, 3 if answer == 500 else 1)
    assert seen in refused.seen
    assert not gone.ok
    assert (unknown.ok, unknown.seen) == (False, "This is no address.")
    everything = f"{gone}{refused}{caplog.text}{capfd.readouterr()}"
    assert not [piece for piece in SECRET.split("/") if piece in everything.split()]
    assert SECRET not in everything


@pytest.mark.slow
def test_a_ping_says_fail_in_its_path(doors: _Doors, outbox: Outbox) -> None:
    url = f"{doors.url}/{SECRET}/?create=1"
    assert ping(url, WARN, "fine", outbox).ok
    assert ping(url, FAIL, "나쁨", outbox).ok
    assert [call[0] for call in doors.calls] == [
        f"/{SECRET}/?create=1", f"/{SECRET}/fail?create=1"
    ]  # fmt: skip
    assert doors.calls[1][2].decode() == "나쁨"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "ok", "seen", "calls"),
    [
        ([500, 200], True, "it answered 200", 2),
        ([503, 429, 204], True, "it answered 204", 3),
        ([500, 500, 500, 200], False, "It answered 500.", 3),
        ([0, 0, 0], False, "It broke off: RemoteDisconnected.", 3),
        ([404], False, "It answered 404.", 1),
        ([302], False, "It answered 302.", 1),
    ],
)
def test_three_tries(
    doors: _Doors, outbox: Outbox, pauses: list[float], answers: list[int], ok: bool, seen: str,
    calls: int,
) -> None:  # fmt: skip
    doors.answers = list(answers)
    (delivery,) = deliver(MESSAGE, [f"{doors.url}/{SECRET}"], outbox)
    assert (delivery.ok, delivery.seen, len(doors.calls)) == (ok, seen, calls)
    assert pauses == [1.0, 4.0][: calls - 1]


@pytest.mark.slow
def test_one_that_fails_does_not_hinder_the_others(
    doors: _Doors, outbox: Outbox, tmp_path: Path
) -> None:
    channels = [
        f"http://127.0.0.1:{free_ports()[0]}/{SECRET}",
        "mailto:you@example.org",
        f"ntfy+http://no.such.host.invalid/{SECRET}",
        "https://[::/x",
        f"{doors.url}/{SECRET}",
    ]
    deliveries = deliver(MESSAGE, channels, outbox)
    assert [delivery.ok for delivery in deliveries] == [False, False, False, False, True]
    assert deliveries[0].seen.startswith("It cannot be reached: ")
    assert deliveries[1].seen == "There is no mail server on this machine."
    assert deliveries[3].seen == "This is no address."
    assert SECRET not in str(deliveries)
    assert "you@" not in str(deliveries)


def _hold(server: socket.socket, answer: bytes, drip: int, seen: list[str]) -> None:
    """Answer one who asks and never come to an end: so many bytes more at once, again and again.

    What everybody can see of who asks goes into `seen`.
    """
    connection, _ = server.accept()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"bookbrain.checks.channels_child" in (command := path.read_bytes()):
                seen += [command.decode(), path.with_name("environ").read_text()]
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(answer)
        while True:
            connection.sendall(b"x" * drip)
            if drip < 100:
                time.sleep(0.1)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"


SAID = "it answered 200"


@pytest.mark.slow
@pytest.mark.parametrize(
    "cases",
    [
        [  # three tries, of ten seconds each
            ("http://{}", b"", 0, False, "It did not answer in 10 s."),
            ("http://{}", b"HTTP/1.1 ", 1, False, "It "),
            ("mailto://u:p@example.org:{port}/?smtp={}", b"220-here\r\n220-x", 1, False, "It "),
        ],
        [("http://{}", HEAD, 1, True, SAID), ("http://{}", HEAD, 2**20, True, SAID)],
        [("json://{}", b"", 0, False, "It "), ("json://{}", HEAD, 1, False, "It ")],
        [("json://{}", HEAD, 2**20, False, "It ")],
    ],
)
def test_no_server_holds_us_up(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, cases: list[tuple[str, bytes, int, bool, str]]
) -> None:
    seen: list[list[str]] = [[] for _ in cases]
    with ExitStack() as opened:
        channels = []
        for (channel, answer, drip, *_), noted in zip(cases, seen, strict=True):
            server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = server.getsockname()[1]
            place = "127.0.0.1" if "smtp=" in channel else f"127.0.0.1:{port}"
            address = channel.format(place, port=port)
            channels.append(f"{address}{'&' if '?' in address else '/?'}x={SECRET}")
            hold = partial(_hold, server, answer, drip, noted)
            threading.Thread(target=hold, daemon=True).start()
        monkeypatch.setenv("BOOKBRAIN_NOTIFY", ",".join(channels))
        deliveries = deliver(MESSAGE, channels, outbox)
    for (*_, ok, said), delivery, noted in zip(cases, deliveries, seen, strict=True):
        assert (delivery.ok, delivery.seen[: len(said)]) == (ok, said)
        assert noted
        assert SECRET not in str([noted, delivery])


@pytest.mark.slow
def test_certificates_are_checked(outbox: Outbox, tmp_path: Path) -> None:
    with _Doors(make_certificate(tmp_path)) as server:
        (delivery,) = deliver(MESSAGE, [server.url], outbox)
    assert not delivery.ok
    assert "certificate" in delivery.seen
    assert server.calls == []


def _sendmail(path: Path, code: int = 0) -> None:
    path.write_text(f'#!/bin/sh\necho "$@" >"$0.args"\ncat >"$0.letter"\nexit {code}\n')
    path.chmod(0o755)


def test_a_letter_by_sendmail(outbox: Outbox, tmp_path: Path) -> None:
    _sendmail(tmp_path / "sendmail")
    (delivery,) = deliver(KOREAN, ["mailto:you@example.org"], outbox)
    assert (delivery.ok, delivery.where) == (True, "mailto:…@example.org")
    assert (tmp_path / "sendmail.args").read_text() == "-t -i\n"
    letter = email.message_from_bytes(
        (tmp_path / "sendmail.letter").read_bytes(), policy=email.policy.default
    )
    assert (letter["To"], letter["Subject"]) == ("you@example.org", KOREAN.title)
    assert letter.get_content() == "가\n나\n"
    assert letter["Auto-Submitted"] == "auto-generated"
    _sendmail(tmp_path / "sendmail", 75)
    (delivery,) = deliver(KOREAN, ["mailto:you@example.org"], outbox)
    assert delivery.seen == "sendmail ended with exit code 75."


@contextmanager
def _mail_server(refuses: bool, port: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Its port, and what it hears from the one who comes until the block ends."""
    letters: list[str] = []
    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=_serve_mail, args=(server, refuses, letters))
        thread.start()
        yield server.getsockname()[1], letters
        thread.join()


def _serve_mail(server: socket.socket, refuses: bool, letters: list[str]) -> None:
    connection, _ = server.accept()
    with connection, connection.makefile("rw", encoding="utf-8", newline="\r\n") as stream:
        stream.write("220 here\r\n")
        stream.flush()
        body = False
        hello = "250-here\r\n250 AUTH PLAIN\r\n"
        for line in stream:
            letters.append(line)
            if body and line != ".\r\n":
                continue
            word = "." if body else line.split()[0].upper()
            body = word == "DATA"
            refused = refuses and word == "RCPT"
            stream.write({
                "DATA": "354 go\r\n", "QUIT": "221 bye\r\n", "EHLO": hello,
                "AUTH": "235 you are\r\n",
            }.get(word, "550 no\r\n" if refused else "250 ok\r\n"))  # fmt: skip
            stream.flush()
            if word == "QUIT":
                return


@pytest.mark.parametrize("refuses", [False, True])
def test_a_letter_by_the_port_of_the_mail_server(
    outbox: Outbox, tmp_path: Path, refuses: bool
) -> None:
    with _mail_server(refuses, outbox.mail.port) as (_, letters):
        (delivery,) = deliver(MESSAGE, ["mailto:you@example.org"], outbox)
    assert delivery.ok is not refuses
    assert any("RCPT TO:<you@example.org>" in line.upper().replace("YOU", "you").replace(
        "EXAMPLE.ORG", "example.org") for line in letters)  # fmt: skip
    assert any(line.startswith("Subject: BookBrain on shelf has a fault") for line in letters) is (
        not refuses
    )


@pytest.mark.slow
@pytest.mark.parametrize("refuses", [False, True])
def test_a_letter_by_a_mail_server_that_wants_a_password(outbox: Outbox, refuses: bool) -> None:
    with _mail_server(refuses) as (port, letters):
        channel = f"mailto://me:w0rd@example.org:{port}/?smtp=127.0.0.1&to=you@example.org"
        (delivery,) = deliver(KOREAN, [channel], outbox)
    assert (delivery.ok, delivery.where) == (not refuses, "mailto://…")
    assert delivery.seen == ("it was taken" if not refuses else "It did not take the message.")
    (proof,) = [line.split()[2] for line in letters if line.startswith("AUTH PLAIN ")]
    assert b64decode(proof) == b"\0me\0w0rd"
    assert any(line.lower().startswith("rcpt to:<you@example.org>") for line in letters)
    if not refuses:
        head = "".join(letters)
        letter = email.message_from_string(
            head[head.index("data\r\n") + 6 :], policy=email.policy.default
        )
        assert letter["Subject"] == KOREAN.title
        assert "가" in letter.get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (f"https://u:p@hooks.example.org:8443/{SECRET}?k=v", "https://hooks.example.org:8443"),
        (f"ntfy+https://{SECRET.replace('/', ':')}@ntfy.sh/a", "https://ntfy.sh"),
        (f"https://hooks.example.org?{SECRET}", "https://hooks.example.org"),
        (f"https://u:p@[::1]:80#{SECRET}", "https://[::1]:80"),
        (f"https://u/{SECRET}@x", "https://u"),
        (f"tgram://{SECRET}", "tgram://…"),
        (f"mailtos://u:{SECRET}@example.org", "mailtos://…"),
    ],
)
def test_where_has_no_secret(address: str, place: str) -> None:
    assert place_of(address) == place


# A run


def _home() -> Path:
    home = Path(os.environ["BOOKBRAIN_HOME"])
    home.mkdir(exist_ok=True)
    return home


def _later(home: Path, seconds: float = 900.0) -> None:
    """As if the last run had been so long ago."""
    history = read_history(home / "health.json")
    checks = {k: Known(v.told, v.now, v.since - seconds) for k, v in history.checks.items()}
    keep_history(home / "health.json", History(checks, history.failures, history.ran - seconds))


@pytest.mark.slow
def test_one_message_for_the_fault_and_one_for_its_end(doors: _Doors, outbox: Outbox) -> None:
    home, settings = _home(), NotifySettings((f"{doors.url}/{SECRET}",), f"{doors.url}/ping")
    for state in (OK, FAIL, FAIL, FAIL, OK, OK):
        tell_news(home, settings, [_check(state)], outbox)
        _later(home)
    paths = [call[0] for call in doors.calls]
    assert paths == [
        "/ping", "/ping/fail", f"/{SECRET}", "/ping/fail", "/ping/fail", f"/{SECRET}", "/ping",
        "/ping",
    ]  # fmt: skip
    assert [doors.json(n)["title"] for n in (2, 5)] == [
        f"BookBrain on {HOST} has a fault", f"BookBrain on {HOST} is well again"
    ]  # fmt: skip
    assert doors.calls[1][2] == b"FAIL  app: it is FAIL\nNext:  Mend it."


@pytest.mark.slow
def test_a_message_that_nobody_took_is_sent_again(
    doors: _Doors, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    home, settings = _home(), NotifySettings((f"{doors.url}/{SECRET}",))
    doors.answers = [500] * 3
    with caplog.at_level(logging.DEBUG):
        tell_news(home, settings, [_check(FAIL, "disk")], outbox)
        assert f"{doors.url} was not reached: It answered 500." in caplog.messages
        tell_news(home, settings, [_check(FAIL, "disk")], outbox)
        tell_news(home, settings, [_check(FAIL, "disk")], outbox)
    assert len(doors.calls) == 4
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("bookbrain")]
    assert SECRET not in str(ours)
    assert [r for r in caplog.records if r.name == "httpx" and r.levelno > logging.INFO] == []


def test_nobody_to_tell(outbox: Outbox) -> None:
    home = _home()
    tell_news(home, NotifySettings(), [_check(FAIL, "disk")], outbox)
    assert read_history(home / "health.json").checks["disk"].told is FAIL
    assert has_just_run(home)
    _later(home)
    assert not has_just_run(home)


@pytest.mark.skipif(os.geteuid() == 0, reason="run it as another user: root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told_all_the_same(
    doors: _Doors, outbox: Outbox
) -> None:
    home = _home()
    home.chmod(0o500)
    try:
        tell_news(home, NotifySettings((doors.url,)), [_check(FAIL, "disk")], outbox)
    finally:
        home.chmod(0o700)
    assert len(doors.calls) == 1


@pytest.mark.slow
def test_a_failure_is_told_and_the_next_check_does_not_repeat_it(
    doors: _Doors, outbox: Outbox
) -> None:
    home, settings = _home(), NotifySettings((doors.url,))
    failed = _check(FAIL, "service", "bookbrain.service")
    tell_failure(home, settings, failed, "the last\nwords", outbox)
    tell_failure(home, settings, failed, "the last\nwords", outbox)
    tell_news(home, settings, [failed], outbox)
    assert len(doors.calls) == 1
    assert doors.json()["title"] == f"bookbrain.service on {HOST} has failed"
    assert doors.json()["text"].endswith("\n> the last\n> words")
    tell_news(home, settings, [_check(OK, "service", "bookbrain.service")], outbox)
    assert doors.json()["title"] == f"BookBrain on {HOST} is well again"


# Settings


def test_settings_of_notifications() -> None:
    home = _home()
    (home / "bookbrain.env").write_text(
        "BOOKBRAIN_NOTIFY=https://hooks.example.org/a, ntfy+https://ntfy.sh/b ,mailto:c@d.org,\n"
        "BOOKBRAIN_PING=https://hc-ping.com/e\nBOOKBRAIN_LANGUAGE=ko\n"
    )
    channels = ("https://hooks.example.org/a", "ntfy+https://ntfy.sh/b", "mailto:c@d.org")
    expected = NotifySettings(channels, "https://hc-ping.com/e", "ko")
    assert load_settings().notify == load_notify_settings() == expected
    assert "hooks" not in repr(expected)
    assert load_notify_settings({"BOOKBRAIN_HOME": "/nowhere"}) == NotifySettings()


def test_addresses_of_apprise_in_the_settings() -> None:
    channels = (
        "tgram://123:abc/1,2", "mailtos://u:p@example.org?to=a@b.org,c@d.org", "mailto:c@d.org",
        "ntfys://u:p@ntfy.example.org/one/two", "JSON://localhost", "https://x.org/a,b",
    )  # fmt: skip
    for between in (",", ", ", " ,", ",,"):
        environ = {"BOOKBRAIN_HOME": "/nowhere", "BOOKBRAIN_NOTIFY": between.join(channels) + ","}
        assert load_settings(environ).notify.channels == channels


@pytest.mark.slow
def test_an_address_that_nobody_knows_is_seen_by_the_health_check() -> None:
    known = ["https://a.org", "ntfy+https://a.org/b", "mailto:a@b.org", "json://localhost"]
    assert list(check_channels(known)) == []
    (check,) = check_channels([*known, f"tgram://{SECRET}"])
    assert (check.state, check.subject) == (WARN, "5")
    assert check.seen == "Channel 5 of BOOKBRAIN_NOTIFY is of no known kind."
    assert SECRET not in str(check)


def test_another_setting_that_is_wrong_does_not_silence_them() -> None:
    home = _home()
    (home / "bookbrain.env").write_text("WRONG\nFALSE=1\nBOOKBRAIN_NOTIFY=mailto:c@d.org\n")
    with pytest.raises(ConfigError):
        load_settings()
    assert load_notify_settings().channels == ("mailto:c@d.org",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NOTIFY", "https://ok.example.org,ftp:/sec.ret"),
        ("NOTIFY", "https://ok.example.org,,sec.ret://x"),
        ("NOTIFY", "sec.ret"),
        ("NOTIFY", "https:///sec.ret"),
        ("NOTIFY", "mailto:sec.ret"),
        ("NOTIFY", "ntfy+mailto:sec@ret"),
        ("PING", "sec.ret"),
        ("LANGUAGE", "de"),
    ],
)
def test_settings_that_cannot_be_used(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"BOOKBRAIN_HOME": "/nowhere", f"BOOKBRAIN_{name}": value})
    assert f"BOOKBRAIN_{name}" in str(caught.value)
    assert "sec" not in str(caught.value)


# Commands


def _command(*arguments: str, code: int = 0, **env: str) -> Result:
    done = CliRunner(env=env).invoke(main, arguments)
    assert done.exit_code == code, done.output
    return done


@pytest.mark.slow
def test_a_test_notification(doors: _Doors) -> None:
    _home()
    env = {
        "BOOKBRAIN_NOTIFY": f"{doors.url}/{SECRET}, ntfy+{doors.url}/topic",
        "BOOKBRAIN_PING": doors.url,
    }
    doors.answers = []
    out = _command("health", "--test-notification", **env).stdout
    assert out == f"{doors.url}  it answered 200\n" * 3
    assert {call[0] for call in doors.calls} == {f"/{SECRET}", "/"}
    doors.answers = [400]
    out = _command("health", "--test-notification", code=1, **env).stdout
    assert sorted(out.splitlines()) == sorted(
        [f"{doors.url}  It answered 400.", *[f"{doors.url}  it answered 200"] * 2]
    )
    _command("health", "--test-notification", code=78)


@pytest.mark.slow
def test_a_unit_that_failed(doors: _Doors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "journalctl").write_text('#!/bin/sh\necho "$@"\nprintf "a\\033b\\n"\n')
    (programs / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    home = _home()
    (home / "bookbrain.env").write_text(f"OOPS\nBOOKBRAIN_NOTIFY={doors.url}\n")
    _command("notify-failure", "bookbrain-chroma.service")
    assert doors.json()["level"] == "fail"
    assert doors.json()["text"].splitlines()[-2:] == [
        "> -u bookbrain-chroma.service -n 10 -o cat --no-pager", "> a?b"
    ]  # fmt: skip
    _command("notify-failure", "bookbrain-backup.service")
    assert doors.json()["level"] == "warn"
    _command("notify-failure", "ssh.service", code=65)
    _command("notify-failure", "bookbrain.service -f", code=65)
    assert len(doors.calls) == 2


@pytest.mark.slow
def test_a_health_check_that_told_its_news_has_not_failed(doors: _Doors) -> None:
    home, env = _home(), {"BOOKBRAIN_NOTIFY": doors.url}
    keep_history(home / "health.json", History(ran=time.time()))
    _command("notify-failure", "bookbrain-health.service", **env)
    assert doors.calls == []
    _later(home)
    _command("notify-failure", "bookbrain-health.service", **env)
    assert len(doors.calls) == 1
