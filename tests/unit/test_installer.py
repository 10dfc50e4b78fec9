"""Parts of the installer that can be tried by themselves."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[2]
ORACLE = """-P INPUT ACCEPT
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p udp -m udp --sport 123 -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
"""


def bash(script: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a script after all of the installer's functions; nothing of it has run by itself."""
    prepared = f"source {ROOT}/install.sh; TREE={ROOT} DRY_RUN=; source_the_rest; {script}"
    return subprocess.run(
        ["bash", "-c", prepared],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("lines", [1, 5, 40, 150])
def test_a_script_that_was_cut_off_does_nothing(lines: int, tmp_path: Path) -> None:
    whole = (ROOT / "install.sh").read_text().splitlines(keepends=True)
    folder = tmp_path / "empty"
    folder.mkdir()
    done = subprocess.run(
        ["bash", "-s", "--", "--local"],
        input="".join(whole[:lines]),
        env={"PATH": "", "HOME": str(folder)},  # any program would be missed
        executable="/bin/bash",
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "not found" not in done.stderr
    assert done.stdout == ""
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_waits_for_another_apt(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with lock.open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        release = Thread(target=lambda: (time.sleep(1), fcntl.lockf(held, fcntl.LOCK_UN)))
        release.start()
        done = bash("wait_for_apt", APT_LISTS_LOCK=str(lock))
        release.join()
    assert done.returncode == 0, done.stderr
    assert "another apt" in done.stdout


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        (ORACLE, "6"),
        (ORACLE.replace("-A INPUT -p udp -m udp --sport 123 -j ACCEPT\n", ""), "5"),
        ("-P INPUT ACCEPT\n", ""),
        ("-P INPUT ACCEPT\n-A INPUT -s 192.0.2.1/32 -j REJECT\n-A INPUT -j DROP\n", "2"),
    ],
)
def test_finds_what_refuses_everything_wherever_it_stands(rules: str, line: str) -> None:
    done = bash('grep ^-A <<<"$RULES" | find_reject || true', RULES=rules)
    assert (done.returncode, done.stdout.strip()) == (0, line)


def test_the_rule_goes_in_front_of_the_reject_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.v4"
    nat = "*nat\n-A INPUT -j REJECT\nCOMMIT\n"
    before = f"{nat}*filter\n{ORACLE}COMMIT\n"
    file.write_text(before)
    for _ in range(2):
        assert bash(f"open_ports_in_file {file}").returncode == 0
    lines = file.read_text().splitlines()
    assert [line for line in lines if "bookbrain" not in line] == before.splitlines()
    (rule,) = (number for number, line in enumerate(lines) if "bookbrain" in line)
    assert lines[rule + 1] == "-A INPUT -j REJECT --reject-with icmp-host-prohibited"


def test_an_edited_file_stays_and_the_new_one_is_put_beside_it(tmp_path: Path) -> None:
    tree, target = tmp_path / "tree", tmp_path / "etc/settings"
    tree.mkdir()
    script = f"OURS={tmp_path}/ours UPGRADING={tmp_path}/upgrading CHANGED= TREE={tree}; "
    script += f"place settings {target} 0644 $(id -un):$(id -gn); echo changed=$CHANGED"

    def place(text: str) -> str:
        (tree / "settings").write_text(text)
        done = bash(script)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "changed=1" in place("one\n")
    assert "changed=\n" in place("one\n")
    assert "changed=1" in place("two\n")
    assert target.read_text() == "two\n"
    target.write_text("two, mine\n")
    assert "edited" in place("three\n")
    assert target.read_text() == "two, mine\n"
    assert (target.parent / "settings.new").read_text() == "three\n"
    assert "edited" not in place("three\n")


def test_what_an_upgrade_has_placed_goes_back(tmp_path: Path) -> None:
    """Also when it is taken up again after a cut: what was there first counts."""
    tree, etc, ours = tmp_path / "tree", tmp_path / "etc", tmp_path / "ours"
    tree.mkdir()
    folders = f"OURS={ours} UPGRADING={ours}/upgrading REPLACED={ours}/upgrading/replaced"
    script = f"{folders} CHANGED= TREE={tree}; "

    def place(old: str, new: str) -> None:
        (tree / "old").write_text(old)
        (tree / "new").write_text(new)
        for name in ("old", *(["new"] if new else [])):
            done = bash(f"{script} place {name} {etc}/{name} 0640 $(id -un):$(id -gn)")
            assert done.returncode == 0, done.stderr

    place("of before\n", "")
    (ours / "upgrading").mkdir()
    place("newer\n", "newer\n")
    place("newer still\n", "newer still\n")
    done = bash(f"{script} restore_files")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in etc.iterdir()) == ["old"]
    assert (etc / "old").read_text() == "of before\n"
    assert (etc / "old").stat().st_mode & 0o777 == 0o640
    assert (ours / f"placed{etc}/old").read_text() == "of before\n"
    assert not (ours / f"placed{etc}/new").exists()


def test_hardening_that_an_upgrade_has_placed_goes_with_its_folder(tmp_path: Path) -> None:
    """Unless the owner's drop-ins are in there, too; and also after a cut in the middle."""
    etc, ours = tmp_path / "etc", tmp_path / "ours"
    drop_ins = [etc / f"{unit}.service.d/00-hardening.conf" for unit in ("one", "two", "gone")]
    for drop_in in drop_ins[:2]:
        drop_in.parent.mkdir(parents=True)
        drop_in.touch()
    (etc / "two.service.d/override.conf").touch()
    (ours / "upgrading").mkdir(parents=True)
    (ours / "upgrading/added").write_text("".join(f"{drop_in}\n" for drop_in in drop_ins))
    folders = f"OURS={ours} UPGRADING={ours}/upgrading REPLACED={ours}/upgrading/replaced"
    done = bash(f"{folders}; restore_files")
    assert done.returncode == 0, done.stderr
    assert [path.relative_to(etc).as_posix() for path in etc.rglob("*")] == [
        "two.service.d", "two.service.d/override.conf"
    ]  # fmt: skip


LIBRARIES = ("a space/b.py", "c/__pycache__/d.pyc", "c/e.so")
PACKAGES = "lib/python3/site-packages"


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """The virtual environment of a release in use, as the installer leaves it."""
    venv = tmp_path / "releases/1.0/venvs/bookbrain"
    for name in (*LIBRARIES, "bookbrain/ours.py", "pipx_shared.pth"):
        (venv / PACKAGES / name).parent.mkdir(parents=True, exist_ok=True)
        (venv / PACKAGES / name).write_text(f"{name}\n" * 20)
    (venv / "bin").mkdir()
    for name in ("chroma", "hf", "bookbrain", "activate"):
        (venv / "bin" / name).write_text(f"#!{venv}/bin/python\nimport sys\n")
        (venv / "bin" / name).chmod(0o755)
    (tmp_path / "current").symlink_to(tmp_path / "releases/1.0")
    (tmp_path / "lock").write_text("numpy==2\n")
    listed = next_release(tmp_path, f"VENV={venv}; list_libraries >{venv}/libraries")
    assert listed.returncode == 0, listed.stderr
    return venv


def next_release(folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    """Run a script where the installer is about to make release 2.0."""
    values = f"CURRENT={folder}/current LOCK={folder}/lock PYTHON={sys.executable}"
    return bash(f"{values} VENV={folder}/releases/2.0/venvs/bookbrain; {script}")


def copied(folder: Path) -> tuple[bool, str]:
    """Whether that has the libraries of the release in use now, and what was said."""
    done = next_release(folder, "if copy_libraries; then echo copied; else echo anew; fi")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1] == "copied", done.stdout + done.stderr


def files_of(venv: Path) -> dict[str, tuple[bytes, int, int]]:
    """Each file by its path, with what is in it, its mode and its time."""
    return {
        str(path.relative_to(venv)): (
            path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns
        )
        for path in venv.rglob("*")
        if path.is_file()
    }  # fmt: skip


def test_a_release_has_copies_of_the_libraries_of_the_one_before(
    tmp_path: Path, last: Path
) -> None:
    before = files_of(last)
    assert copied(tmp_path)[0]
    venv = tmp_path / "releases/2.0/venvs/bookbrain"
    made = files_of(venv)
    paths = [*(f"{PACKAGES}/{name}" for name in LIBRARIES), "libraries"]
    assert sorted(made) == sorted([*paths, "bin/chroma", "bin/hf"])
    assert {path: made[path][0] for path in paths} == {path: before[path][0] for path in paths}
    assert {path: made[path] for path in paths[:-1]} == {path: before[path] for path in paths[:-1]}
    assert (venv / "bin/hf").read_text() == f"#!{venv}/bin/python\nimport sys\n"
    assert os.access(venv / "bin/hf", os.X_OK)
    (venv / PACKAGES / LIBRARIES[0]).write_text("another")
    assert files_of(last) == before, "the one before stays as it is, whatever is written here"


def test_and_so_has_the_one_after_that(tmp_path: Path, last: Path) -> None:
    assert copied(tmp_path)[0]
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to(tmp_path / "releases/2.0")
    script = f"VENV={tmp_path}/releases/3.0/venvs/bookbrain; copy_libraries && echo copied"
    assert "copied" in next_release(tmp_path, script).stdout


def test_a_copy_that_was_cut_off_is_made_again(tmp_path: Path, last: Path) -> None:
    half = tmp_path / "releases/2.0/venvs/bookbrain" / PACKAGES
    half.mkdir(parents=True)
    (half / "c").write_text("half")
    (half / "of another.py").touch()
    assert copied(tmp_path)[0]
    assert not (half / "of another.py").exists()


def test_what_python_has_left_there_is_not_copied(tmp_path: Path, last: Path) -> None:
    (last / PACKAGES / "c/__pycache__/e.opt-1.pyc").touch()
    assert copied(tmp_path)[0]
    assert not [*(tmp_path / "releases/2.0").rglob("e.opt-1.pyc")]


def _flip(path: Path) -> None:
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _cut(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))


@pytest.mark.parametrize("harm", [_flip, _cut, Path.unlink])
@pytest.mark.parametrize("name", [*(f"{PACKAGES}/{name}" for name in LIBRARIES), "bin/hf"])
def test_a_damaged_library_is_named_and_not_handed_on(
    tmp_path: Path, last: Path, name: str, harm: Callable[[Path], None]
) -> None:
    harm(last / name)
    done, said = copied(tmp_path)
    assert not done
    assert f"{last}/{name} is not as it was installed" in said, said


@pytest.mark.parametrize("harm", [_flip, _cut, lambda path: path.write_bytes(b"")])
def test_no_damaged_list_of_them_is_believed(
    tmp_path: Path, last: Path, harm: Callable[[Path], None]
) -> None:
    harm(last / "libraries")
    assert not copied(tmp_path)[0]


@pytest.mark.parametrize("other", ["LOCK", "PYTHON"])
def test_other_libraries_are_not_copied(tmp_path: Path, last: Path, other: str) -> None:
    file = tmp_path / "other"
    file.write_text("#!/bin/sh\necho cpython-399-riscv64-linux-gnu\n")
    file.chmod(0o755)
    done = next_release(tmp_path, f"{other}={file}; copy_libraries || echo anew")
    assert done.stdout + done.stderr == "anew\n", "no damage is told of"
    assert not (tmp_path / "releases/2.0").exists()


def test_a_release_whose_libraries_are_not_listed_has_none_to_copy(
    tmp_path: Path, last: Path
) -> None:
    (last / "libraries").unlink()
    assert copied(tmp_path) == (False, "anew\n")


def test_root_names_no_path_of_the_library_but_to_look_or_to_purge() -> None:
    """Whoever has the service's user could lead it elsewhere."""
    touching = []
    for file in (ROOT / "packaging/install").glob("*.sh"):
        for line in file.read_text().splitlines():
            code = line.split(" #")[0]
            if "$HOME_OF_BOOKS" in code or "/var/lib/bookbrain" in code:
                touching.append(code.strip())
    looking = ("say ", '"', "readonly ", "sudo ", "[[ -e $ETC/credentials/chroma-token && -d ")
    others = [line for line in touching if not line.startswith(looking)]
    assert [line for line in others if not line.startswith("run rm -rf ")] == []


OLD_PYTHON = """
python3() { return 0; }; find_python() { PYTHON=python3; return 1; }; has_fresh_lists() { :; }
is_installed() { :; }; has_candidate() { :; }; leave_sshd_alone() { :; }; step() { :; }
apt-cache() { [[ $2 == python3.11-* ]] && echo "  Candidate: 3.11.0~rc1-1"; }
run_apt() { echo "$@"; }; DRY_RUN=1; install_packages
"""


def test_headers_are_those_of_the_python_that_is_installed() -> None:
    """On Ubuntu 22.04, whose own Python is too old, in the first run."""
    done = bash(OLD_PYTHON)
    assert done.stdout.split() == [
        "install", "--no-install-recommends", "python3.11-venv", "python3.11-dev"
    ], done  # fmt: skip
