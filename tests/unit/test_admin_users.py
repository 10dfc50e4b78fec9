"""Who may sign in: names, passwords, and how a request of theirs is recognized."""

import base64
import re
from dataclasses import replace

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookbrain.errors import BookBrainError, InputError
from bookbrain.server.access import (
    Site,
    User,
    check_new_name,
    credentials_pattern,
    with_password,
    with_user,
    without_user,
)

SITE = Site("books.example.org", "owner@example.org")
TWO = replace(SITE, users=(User("ann", "$2b$10$a"), User("bob", "$2b$10$b")))

NAMES = st.from_regex(r"[A-Za-z0-9._@-]{1,20}", fullmatch=True)
PASSWORDS = st.text(max_size=20)


def _header(name: str, password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def test_a_password_is_kept_as_bcrypt_of_cost_10() -> None:
    site = with_user(SITE, "ann", "correct horse")
    hashed = site.users[0].password
    assert hashed.startswith("$2b$10$")
    assert bcrypt.checkpw(b"correct horse", hashed.encode())
    assert "correct" not in repr(site)
    assert hashed not in repr(site)
    assert site.users[0].session not in repr(site)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "too short: 0"),
        ("seven77", "too short: 7"),
        ("x" * 73, "too long: 73"),
        ("가" * 25, "too long: 75"),
        ("tab\tin the middle", "cannot be typed"),
        ("null\0in the middle", "cannot be typed"),
    ],
)
def test_passwords_that_are_refused(password: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        with_user(SITE, "ann", password)
    with pytest.raises(InputError, match=why):
        with_password(TWO, "ann", password)


@pytest.mark.parametrize("password", ["eight888", "x" * 72, "가" * 24, "with: colon, blank"])
def test_passwords_that_are_fine(password: str) -> None:
    assert bcrypt.checkpw(
        password.encode(), with_user(SITE, "ann", password).users[0].password.encode()
    )


@pytest.mark.parametrize(
    "name", ["", "a:b", "a b", "a\nb", "a{b", "한글", "a/b", "x" * 65, "import", '"', "$HOME"]
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be"):
        check_new_name(SITE, name)


def test_a_name_belongs_to_one() -> None:
    with pytest.raises(InputError, match="already") as raised:
        with_user(TWO, "ann", "another password")
    assert "users passwd ann" in raised.value.hint
    for change in (
        lambda: with_password(TWO, "eve", "another password"),
        lambda: without_user(TWO, "eve"),
    ):
        with pytest.raises(InputError, match="no user eve"):
            change()


@pytest.mark.slow
def test_a_change_signs_out_whom_it_concerns() -> None:
    ann, bob = TWO.users
    assert ann.session != bob.session
    assert with_user(TWO, "carl", "a password").users[:2] == (ann, bob)
    assert with_password(TWO, "ann", "a password").users[0].session != ann.session
    assert with_password(TWO, "ann", "a password").users[1] == bob
    assert without_user(TWO, "ann").users == (bob,)


def test_the_last_user_stays() -> None:
    one = without_user(TWO, "ann")
    assert [user.name for user in one.users] == ["bob"]
    with pytest.raises(BookBrainError, match="only user"):
        without_user(one, "bob")


@pytest.mark.slow
@given(names=st.lists(NAMES, min_size=1, max_size=3), password=PASSWORDS)
def test_the_pattern_fits_each_user_with_any_password(names: list[str], password: str) -> None:
    pattern = credentials_pattern(tuple(User(name, "") for name in names))
    for name in names:
        assert re.match(pattern, _header(name, password))
        assert re.match(pattern, _header(name, password, "bAsIc"))


@pytest.mark.slow
@given(known=NAMES, other=st.text(max_size=20), password=PASSWORDS)
def test_the_pattern_fits_nobody_else(known: str, other: str, password: str) -> None:
    pattern = credentials_pattern((User(known, ""),))
    is_known = f"{other}:{password}".startswith(f"{known}:")
    assert bool(re.match(pattern, _header(other, password))) == is_known


@pytest.mark.slow
@given(known=NAMES, sign=st.characters(max_codepoint=127))
def test_not_even_one_sign_beside_the_colon(known: str, sign: str) -> None:
    pattern = credentials_pattern((User(known, ""),))
    header = f"Basic {base64.b64encode(f'{known}{sign}x'.encode()).decode()}"
    assert bool(re.match(pattern, header)) == (sign == ":")


@given(name=st.text(max_size=20), password=PASSWORDS)
def test_without_users_nothing_fits(name: str, password: str) -> None:
    assert not re.match(credentials_pattern(()), _header(name, password))
