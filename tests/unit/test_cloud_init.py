"""The user data that brings up a new instance: its form, and what its script does there."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
USER_DATA = ROOT / "packaging/oracle/cloud-init.yaml"

# Of an instance, what the script needs of the world. The installer reads its options with the real
# code, and ends with the next code of the file `codes`.
_SLEEP = """\
#!/bin/bash
echo "$1" >>"$WORLD/slept"
"""
_CURL = """\
#!/bin/bash
echo >>"$WORLD/fetched"
(($(wc -l <"$WORLD/fetched") > 2)) || exit 6
while (($#)); do
    [[ $1 != --output ]] || file=$2
    shift
done
cp "$WORLD/installer" "$file"
"""
_INSTALLER = """\
source "$INSTALL_SH"
read_options "$@"
printf '%s\\n' "$DOMAIN" "$EMAIL" "$READER" "$PASSWORD_FILE" "$LOCAL$UNINSTALL$DRY_RUN$NO_ACME$SOURCE" >"$WORLD/options"
code=$(head -n 1 "$WORLD/codes")
sed -i 1d "$WORLD/codes"
exit "$code"
"""  # noqa: E501


def _text() -> str:
    return USER_DATA.read_text(encoding="utf-8")


def _script() -> str:
    """The one file that is written: its lines stand deeper than anything after `content: |`."""
    found = re.search(r"^    content: \|\n((?: {6}.*\n|\n)+)", _text(), re.MULTILINE)
    assert found
    return dedent(found[1]).rstrip() + "\n"


def _filled_in() -> str:
    script = _script()
    for old, new in (
        ("domain=books.example.org", "domain=books.example.com"),
        ("email=you@example.org", "email=me@example.com"),
        ("user=you ", "user=me "),
    ):
        assert script.count(old) == 1
        script = script.replace(old, new)
    return script


class _Instance:
    """A folder in place of /root, and programs in place of the network and the clock."""

    def __init__(self, folder: Path) -> None:
        self.home, self.world = folder / "root", folder / "world"
        self.home.mkdir()
        self.world.mkdir()
        (self.world / "installer").write_text(_INSTALLER)
        for name, text in (("sleep", _SLEEP), ("curl", _CURL)):
            (self.world / name).write_text(text)
            (self.world / name).chmod(0o755)

    def run(self, script: str, codes: str = "0\n") -> subprocess.CompletedProcess[str]:
        (self.world / "codes").write_text(codes)
        setup = self.home / "bookbrain-setup"
        setup.write_text(script)
        setup.chmod(0o700)
        return subprocess.run(
            ["bash", str(setup)],
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": f"{self.world}:{os.environ['PATH']}",
                "WORLD": str(self.world),
                "INSTALL_SH": str(ROOT / "install.sh"),
            },
        )

    @property
    def password(self) -> Path:
        return self.home / "bookbrain-password"

    def lines(self, name: str) -> list[str]:
        return (self.world / name).read_text().splitlines()


@pytest.fixture
def instance(tmp_path: Path) -> _Instance:
    return _Instance(tmp_path)


# Its form


def test_it_is_what_cloud_init_takes_for_a_cloud_config() -> None:
    first, *rest = _text().splitlines()
    assert first == "#cloud-config"
    assert not any("\t" in line for line in rest)
    keys = [line for line in rest if re.match(r"[^\s#-]", line)]
    assert keys == ["write_files:", "runcmd:"]
    assert '  - path: /root/bookbrain-setup\n    permissions: "0700"\n' in _text()
    assert _text().endswith("runcmd:\n  - [/root/bookbrain-setup]\n")
    assert len(_text().encode()) < 16_000  # what clouds take as user data


def test_cloud_init_itself_finds_it_valid() -> None:
    if not (program := shutil.which("cloud-init")):
        pytest.skip("cloud-init is not installed: apt-get install cloud-init")
    done = subprocess.run(
        [program, "schema", "--config-file", str(USER_DATA)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Valid" in done.stdout


def test_the_parser_of_yaml_finds_the_same_script() -> None:
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load(_text())
    assert [file["content"] for file in config["write_files"]] == [_script()]


def test_shellcheck_finds_nothing() -> None:
    if not (program := shutil.which("shellcheck")):
        pytest.skip("shellcheck is not installed: apt-get install shellcheck")
    done = subprocess.run(
        [program, "-"], input=_script(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_there_is_no_secret_in_it() -> None:
    text = _text()
    assert not re.search(r"sk-\w|BEGIN |OPENAI_API_KEY|_PASSWORD=", text)
    assert not re.search(r"chpasswd|passwd:|password:|ssh_authorized_keys|ssh_pwauth", text)
    assert re.findall(r"--password-file (\S+)", text) == ['"$PWD/bookbrain-password"']
    assert len(re.findall(r"/dev/urandom", text)) == 1


# What it does


def test_it_waits_for_the_network_and_gives_the_installer_what_it_knows(
    instance: _Instance,
) -> None:
    done = instance.run(_filled_in())
    assert done.returncode == 0, done.stderr
    assert instance.lines("slept") == ["30", "30"]
    assert instance.lines("options") == [
        "books.example.com",
        "me@example.com",
        "me",
        str(instance.password),
        "",
    ]


def test_the_password_is_made_there_and_only_root_can_read_it(instance: _Instance) -> None:
    done = instance.run(_filled_in())
    assert stat.S_IMODE(instance.password.stat().st_mode) == 0o600
    password = instance.password.read_text()
    assert re.fullmatch(r"[A-Za-z0-9+/]{20}\n", password)
    assert password.strip() not in done.stdout + done.stderr
    assert f"sudo cat {instance.password}" in done.stdout
    instance.run(_filled_in())
    assert instance.password.read_text() == password


def test_it_tries_again_when_the_installer_fails(instance: _Instance) -> None:
    done = instance.run(_filled_in(), codes="1\n69\n0\n")
    assert done.returncode == 0, done.stderr
    assert instance.lines("slept") == ["30", "30", "30", "60"]


def test_it_gives_up_with_the_code_of_the_installer(instance: _Instance) -> None:
    done = instance.run(_filled_in(), codes="1\n" * 9)
    assert done.returncode == 1
    assert len(instance.lines("codes")) == 4


@pytest.mark.parametrize("code", [2, 78])
def test_what_was_filled_in_wrong_is_not_tried_again(instance: _Instance, code: int) -> None:
    done = instance.run(_filled_in(), codes=f"{code}\n0\n")
    assert done.returncode == code
    assert instance.lines("codes") == ["0"]


def test_it_does_nothing_before_it_is_filled_in(instance: _Instance) -> None:
    done = instance.run(_script())
    assert done.returncode == 78
    assert "Fill in domain, email and user" in done.stderr
    assert {path.name for path in instance.home.iterdir()} == {"bookbrain-setup"}


# The chapter that goes with it


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_chapter_names_the_files_that_there_are(name: str) -> None:
    text = (USER_DATA.parent / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(((?!https://)[^)#]+)", text):
        assert (USER_DATA.parent / link).exists(), link
    for path in ("/root/bookbrain-setup", "/root/bookbrain-password"):
        assert path in text
