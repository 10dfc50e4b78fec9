"""The units as the installer places them, with the hardening that they share."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.exposure import MOST, read_exposure

ROOT = Path(__file__).parents[2]
HARDENING = "00-hardening.conf"
_DIRECTIVES = {
    line for line in (ROOT / "systemd/hardening.conf").read_text().splitlines() if "=" in line
}


def _planned(script: str, **env: str) -> dict[Path, Path]:
    """What a dry run of a part of the installer would place: the file of each target."""
    prepared = f"source {ROOT}/install.sh; TREE={ROOT} DRY_RUN=1; source_the_rest; lay_out; "
    done = subprocess.run(
        ["bash", "-c", prepared + script],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | env,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = (shlex.split(line) for line in done.stdout.splitlines() if " install -D " in line)
    pairs = ((Path(words[-1]), Path(words[-2])) for words in lines)
    return {target.with_suffix(""): file for target, file in pairs if target.suffix == ".part"}


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a machine that has our units, and nothing else."""
    root = tmp_path_factory.mktemp("machine")
    for target, file in _planned("place_files").items():
        if target.is_relative_to("/etc/systemd/system"):
            (root / target.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, root / target.relative_to("/"))
    return root


def test_every_unit_has_a_bound(placed: Path) -> None:
    units = {path.name for path in (placed / "etc/systemd/system").glob("*.service")}
    assert units == MOST.keys()


@pytest.mark.parametrize("unit", sorted(MOST))
def test_no_unit_is_more_exposed_than_that(placed: Path, unit: str) -> None:
    name = unit.replace("@.", "@any.")
    command = ["systemd-analyze", "--no-pager", "security", "--offline=yes", f"--root={placed}"]
    try:
        done = subprocess.run([*command, name], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no systemd-analyze here: apt-get install systemd")
    if "unrecognized option" in done.stderr:
        pytest.skip("judging units that are not loaded takes systemd 250 or newer")
    assert read_exposure(done.stdout) <= MOST[unit], done.stdout + done.stderr


def test_a_unit_says_what_is_its_own_and_who_it_is() -> None:
    """Without its hardening it would still not be root."""
    for unit in (ROOT / "systemd").glob("*.service"):
        if unit.name != "bookbrain-upgrade.service":
            lines = set(unit.read_text().splitlines())
            assert not lines & _DIRECTIVES, unit.name
            assert {"User=bookbrain", "Group=bookbrain"} < lines, unit.name


def test_hardening_is_placed_before_its_unit_and_never_on_roots(tmp_path: Path) -> None:
    targets = [target for target in _planned("place_files") if "/systemd/system/" in str(target)]
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
        return set(_planned(f"OURS={tmp_path}/ours UNITS={tmp_path}; place_unit {name}"))

    unit.write_text(whole)
    assert {unit, drop_in} <= targets(), "as it came: the new ones"
    unit.write_text(whole.replace("ProtectHome=yes", "ProtectHome=no"))
    assert drop_in not in targets()
    assert unit.with_name(f"{name}.new") in targets()
    unit.write_text((ROOT / "systemd" / name).read_text() + "# mine\n")
    assert drop_in in targets(), "the owner's now, but it no longer holds the hardening"
