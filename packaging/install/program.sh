# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# The program: Python, the tools, the libraries, and BookBrain itself by pipx.
# Works in the folder OURS and makes the virtual environment VENV, of the release in TREE. LOCK names
# every library by its hash; FLAVOUR is [server] or nothing.

TURN='' # whether this is the one installation that may be under way
readonly NEEDED_MB=2000 # tools, downloads and program, while they are being installed
# These publish no wheel: they are built here, with tools whose hashes were checked.
readonly WITHOUT_WHEEL=kiwipiepy-model,systemd-python

check_machine() { # FOLDER: where it goes
    local free
    [[ $(uname -s) == Linux ]] || die 69 "BookBrain runs on Linux." "BookBrain은 Linux에서 동작합니다."
    [[ $(uname -m) =~ ^(x86_64|aarch64|arm64)$ ]] ||
        die 69 "BookBrain runs on x86-64 and ARM64; this is $(uname -m)." \
            "BookBrain은 x86-64와 ARM64에서 동작합니다. 이 컴퓨터는 $(uname -m)입니다."
    free=$(df -Pk "$1" | awk 'END { print int($4 / 1024) }')
    ((free >= NEEDED_MB)) || works ||
        die 69 "$1 has $free MB left; installing takes $NEEDED_MB MB. Make room, then run this again." \
            "$1 에 $free MB가 남아 있습니다. 설치하려면 $NEEDED_MB MB가 필요합니다. 자리를 만든 뒤 다시 실행하세요."
}

# --- what there is ------------------------------------------------------------------------------

works() {
    "$VENV/bin/bookbrain" --help &>/dev/null
}

is_current() {
    works && [[ $(cat "$VENV/installed-from" 2>/dev/null) == "$(source_id)" ]]
}

source_id() { # one hash over all that is installed from the tree
    if ready_wheel >/dev/null; then
        sha256sum "$(ready_wheel)"
    else
        cd "$TREE" && find bookbrain systemd packaging Caddyfile install.sh pyproject.toml README.md LICENSE \
            -type f ! -path '*/__pycache__/*' ! -path '*/handbook/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    fi | sha256sum | cut -d' ' -f1
}

ready_wheel() { # prints the wheel that the tree has, when it has one
    compgen -G "$TREE/bookbrain-*.whl"
}

find_python() { # sets PYTHON to a 3.11 or newer that can make a virtual environment
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        PYTHON=$("$name" -Ic 'import ensurepip, sys, venv; assert sys.version_info >= (3, 11)
print(getattr(sys, "_base_executable", sys.executable))' 2>/dev/null) && return
    done
    PYTHON=python3
    return 1
}

# --- Python, by apt -----------------------------------------------------------------------------

install_python() {
    local packages=(python3 python3-venv ca-certificates) root=() apt
    type -P apt-get >/dev/null ||
        die 69 "Python 3.11 or newer with its modules venv and ensurepip is not there. Install it, then run this again." \
            "venv와 ensurepip 모듈이 있는 Python 3.11 이상이 없습니다. 설치한 뒤 다시 실행하세요."
    if python3 -Ic 'import sys; assert sys.version_info < (3, 11)' 2>/dev/null; then
        packages=("$(newest_python_of_apt)-venv" ca-certificates)
    fi
    if [[ $EUID -ne 0 ]]; then
        sudo -n true 2>/dev/null || { [[ -t 0 ]] && type -P sudo >/dev/null; } || [[ $DRY_RUN ]] ||
            ask_for_packages "${packages[@]}"
        root=(sudo)
    fi
    step "Installing ${packages[*]} with apt" "apt로 ${packages[*]} 설치"
    apt=("${root[@]}" "${APT[@]}")
    wait_for_apt
    has_fresh_lists || run "${apt[@]}" update
    run "${apt[@]}" install --no-install-recommends "${packages[@]}" || ask_for_packages "${packages[@]}"
    find_python || [[ $DRY_RUN ]] || ask_for_packages "${packages[@]}"
}

ask_for_packages() { # PACKAGE...
    die 69 "Python 3.11 or newer with its module venv is not there. Run this as root, and then ./install.sh --local again:

    apt-get update && apt-get install -y $*" \
        "venv 모듈이 있는 Python 3.11 이상이 없습니다. 다음을 root로 실행한 뒤 ./install.sh --local을 다시 실행하세요.

    apt-get update && apt-get install -y $*"
}

# Waits for another apt; asks nothing; keeps the settings that the owner has edited.
readonly APT=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a apt-get -q -y
    -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)

newest_python_of_apt() {
    local version
    for version in 3.13 3.12 3.11; do
        [[ $(apt-cache policy "python$version-venv") != *"Candidate: "[0-9]* ]] || break
    done
    echo "python$version"
}

has_fresh_lists() {
    [[ $(find /var/lib/apt/lists -name '*_Packages*' -mtime -1 -print -quit 2>/dev/null) ]]
}

# --- the program --------------------------------------------------------------------------------

begin() { # one installation at a time; what an interrupted one left is put right
    check_commands
    take_turn
    [[ ! $DRY_RUN ]] || return 0
    stop_processes "$OURS/tools/"
    stop_processes "$OURS/scratch/"
    trap tidy_up EXIT
    tidy_up
    mkdir -p "$OURS/scratch/tmp"
    export TMPDIR=$OURS/scratch/tmp PIP_CACHE_DIR=${PIP_CACHE_DIR:-$OURS/cache} PIP_NO_INPUT=1 PIP_USER=0
    unset VIRTUAL_ENV PYTHONHOME PYTHONPATH
    : >"$LOG"
}

take_turn() { # until this process ends
    [[ -d $OURS ]] || run mkdir -p "$OURS"
    if [[ $DRY_RUN || $TURN ]]; then return; fi
    exec 9<"$OURS"
    flock -n 9 || die 75 "Another installation is running." "다른 설치가 진행 중입니다."
    TURN=1
}

check_commands() { # nobody else's commands are replaced
    local name
    for name in bookbrain bookbrain-admin; do
        [[ ! -e $BIN/$name || $(realpath "$BIN/$name") =~ ^("$VENV"|/opt/bookbrain)/ ]] ||
            die 78 "$BIN/$name is another program. Move it away, then run this again." \
                "$BIN/$name 은(는) 다른 프로그램입니다. 옮긴 뒤 다시 실행하세요."
    done
}

tidy_up() { # brings back the program that was set aside, unless a new one has taken its place
    if [[ -e $OURS/scratch/previous ]] && ! is_current; then
        rm -rf "$VENV"
        mv "$OURS/scratch/previous" "$VENV"
    fi
    rm -rf "$OURS/scratch"
}

make_tools() { # pipx and what builds a wheel
    local lock=$TREE/packaging/requirements-build.txt tools=$OURS/tools
    if cmp -s "$lock" "$tools/locked-from" && "$tools/bin/python" -Ic '' 2>/dev/null; then return; fi
    step "Getting what the installer needs" "설치에 필요한 도구를 받습니다"
    run rm -rf "$tools"
    attempt "$PYTHON" -Im venv "$tools"
    attempt "$tools/bin/python" -Im pip install --progress-bar off --require-hashes \
        --only-binary :all: "${WHEELHOUSE[@]}" -r "$lock"
    run cp "$lock" "$tools/locked-from"
}

find_wheelhouse() { # sets WHEELHOUSE to the options by which pip takes packages from the tree alone
    WHEELHOUSE=()
    [[ ! -d $TREE/wheelhouse ]] || WHEELHOUSE=(--no-index --find-links "$TREE/wheelhouse")
}

# What is built is a copy: the tree may be read-only or somebody else's. The empty .gitignore
# keeps the builder from looking for one in the folders above.
build_program() {
    local source=$OURS/scratch/source file
    run rm -rf "$OURS/wheel"
    if ready_wheel >/dev/null; then
        run mkdir -p "$OURS/wheel"
        run cp "$(ready_wheel)" "$OURS/wheel/"
        return
    fi
    run mkdir -p "$source"
    for file in bookbrain systemd packaging Caddyfile install.sh pyproject.toml README.md LICENSE; do
        run cp -r --no-preserve=mode "$TREE/$file" "$source"
    done
    run touch "$source/.gitignore"
    attempt "$OURS/tools/bin/python" -Im pip wheel --no-deps --no-index --no-build-isolation \
        --wheel-dir "$OURS/wheel" "$source"
}

get_libraries() { # FOLDER
    step "Downloading the libraries: about 300 MB, each checked by its SHA-256" \
        "라이브러리를 내려받습니다. 약 300 MB이고, 모두 SHA-256으로 확인합니다"
    run rm -rf "$1"
    attempt "$OURS/tools/bin/python" -Im pip wheel --progress-bar off --require-hashes --no-deps \
        --only-binary :all: --no-binary "$WITHOUT_WHEEL" --no-build-isolation \
        "${WHEELHOUSE[@]}" --wheel-dir "$1" -r "$LOCK"
}

install_program() { # FOLDER-OF-LIBRARIES: they were checked; the network is not asked again
    step "Installing BookBrain: about a minute" "BookBrain을 설치합니다. 1분쯤 걸립니다"
    if works; then run mv "$VENV" "$OURS/scratch/previous"; else run rm -rf "$VENV"; fi
    pipx_install "--no-index --only-binary :all: --find-links '$1'"
    run cp "$LOCK" "$VENV/locked-from"
}

replace_program() { # the libraries are right already
    step "Upgrading BookBrain" "BookBrain을 새 판으로 바꿉니다"
    pipx_install "--no-index --no-deps" --force
}

pipx_install() { # PIP-OPTIONS [PIPX-OPTION...]: no setting of pip may add a place to look in
    attempt env -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null "$PIPX" install --python "$PYTHON" \
        "${@:2}" --pip-args="$1" "$(program_wheel)$FLAVOUR"
}

program_wheel() {
    local version
    if ready_wheel >/dev/null; then
        basename "$(ready_wheel)" | sed "s|^|$OURS/wheel/|"
    else
        version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$TREE/bookbrain/__init__.py")
        echo "$OURS/wheel/bookbrain-$version-py3-none-any.whl"
    fi
}

finish() {
    [[ ! $DRY_RUN ]] || return 0
    works || die 1 "BookBrain is installed but does not start. Log: $LOG" \
        "BookBrain을 설치했지만 실행되지 않습니다. 기록: $LOG"
    sync -f "$VENV" # or after a power cut this could be there, and what it stands for not
    source_id >"$VENV/installed-from"
    rm -rf "$OURS/cache"
    tidy_up
}
