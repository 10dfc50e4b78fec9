"""The units as the installer places them, with the hardening that they share."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.exposure import MOST, read_exposure

from bookbrain.paths import Layout, LibraryPaths

ROOT = Path(__file__).parents[2]
HARDENING = "00-hardening.conf"
_DIRECTIVES = {
    line for line in (ROOT / "systemd/hardening.conf").read_text().splitlines() if "=" in line
}


def _planned(script: str, units: Path) -> dict[Path, Path]:
    """The file of each target that a part of the installer would place, as its dry run says.

    Units go to `units`, whatever this machine has itself.
    """
    prepared = f"source {ROOT}/install.sh; TREE={ROOT} DRY_RUN=1; source_the_rest; lay_out; "
    prepared += f"UNITS={units} OURS={units}/ours; "
    done = subprocess.run(
        ["bash", "-c", prepared + script],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = (shlex.split(line) for line in done.stdout.splitlines() if " install -D " in line)
    pairs = ((Path(words[-1]), Path(words[-2])) for words in lines)
    return {
        target.with_suffix(""): file
        for target, file in pairs
        if target.suffix == ".part" and target.is_relative_to(units)
    }


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a machine that has our units, and nothing else."""
    root = tmp_path_factory.mktemp("machine")
    for target, file in _planned("place_files", root / "etc/systemd/system").items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return root


def test_every_unit_has_a_bound(placed: Path) -> None:
    units = {path.name for path in (placed / "etc/systemd/system").glob("*.service")}
    assert units == MOST.keys()


def _exposure(root: Path, unit: str) -> float:
    command = ["systemd-analyze", "--no-pager", "security", "--offline=yes", f"--root={root}"]
    try:
        done = subprocess.run([*command, unit], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no systemd-analyze here: apt-get install systemd")
    if "unrecognized option" in done.stderr:
        pytest.skip("judging units that are not loaded takes systemd 250 or newer")
    return read_exposure(done.stdout + done.stderr)


@pytest.mark.parametrize("unit", sorted(MOST))
def test_no_unit_is_more_exposed_than_that(placed: Path, unit: str) -> None:
    assert _exposure(placed, unit.replace("@.", "@any.")) <= MOST[unit]


def test_a_drop_in_of_the_owner_wins(placed: Path, tmp_path: Path) -> None:
    """With the name that `systemctl edit` gives it, or a number as many give."""
    for number, name in enumerate(("override.conf", "10-mine.conf")):
        root = tmp_path / str(number)
        shutil.copytree(placed, root)
        folder = root / "etc/systemd/system/bookbrain.service.d"
        (folder / name).write_text("[Service]\nPrivateUsers=no\nProtectKernelModules=no\n")
        assert _exposure(root, "bookbrain.service") > MOST["bookbrain.service"]


def test_a_unit_says_what_is_its_own_and_who_it_is() -> None:
    """Without its hardening it would still not be root."""
    for unit in (ROOT / "systemd").glob("*.service"):
        if unit.name != "bookbrain-upgrade.service":
            lines = set(unit.read_text().splitlines())
            assert not lines & _DIRECTIVES, unit.name
            assert {"User=bookbrain", "Group=bookbrain"} < lines, unit.name


def test_a_note_of_scans_starts_the_unit_that_reads_which_takes_it_away_before_it_looks() -> None:
    note = LibraryPaths(Layout().home).scans_came
    lines = (ROOT / "systemd/bookbrain-ocr.service").read_text().splitlines()
    before, work = (next(n for n, line in enumerate(lines) if line.startswith(key))
                    for key in ("ExecStartPre=", "ExecStart="))  # fmt: skip
    assert lines[before] == f"ExecStartPre=-/bin/rm -f {note}"
    assert before < work
    assert f"PathExists={note}" in (ROOT / "systemd/bookbrain-ocr.path").read_text().splitlines()


@pytest.mark.slow
def test_hardening_is_placed_before_its_unit_and_never_on_roots(tmp_path: Path) -> None:
    targets = list(_planned("place_files", tmp_path))
    for unit in (target for target in targets if target.suffix == ".service"):
        drop_in = unit.with_name(f"{unit.name}.d") / HARDENING
        if unit.name == "bookbrain-upgrade.service":
            assert drop_in not in targets
        else:
            assert targets.index(drop_in) < targets.index(unit)


def test_a_unit_that_the_owner_has_loosened_stays_loose(tmp_path: Path) -> None:
    """One of the releases before, when a unit held its hardening itself."""
    name = "bookbrain-backup.service"
    unit, before = tmp_path / name, tmp_path / f"ours/placed{tmp_path}/{name}"
    drop_in = tmp_path / f"{name}.d" / HARDENING
    whole = (ROOT / "systemd" / name).read_text() + "\n".join(sorted(_DIRECTIVES)) + "\n"
    before.parent.mkdir(parents=True)
    before.write_text(whole)

    def targets() -> set[Path]:
        return set(_planned(f"place_unit {name}", tmp_path))

    unit.write_text(whole)
    assert {unit, drop_in} <= targets(), "as it came: the new ones"
    unit.write_text(whole.replace("ProtectHome=yes", "ProtectHome=no"))
    assert drop_in not in targets()
    assert unit.with_name(f"{name}.new") in targets()
    unit.write_text((ROOT / "systemd" / name).read_text() + "# mine\n")
    assert drop_in in targets(), "the owner's now, but it no longer holds the hardening"
