#!/usr/bin/env bash
# Installs BookBrain from this clone. `./install.sh --help` says how.
#
# Only functions up to the last line, so that a copy which was cut off does nothing. `run` and
# `attempt` are the only ways in which anything is changed; a dry run prints what they would do.
set -Eeuo pipefail

readonly NEEDED_MB=1500 # tools, downloads and program, while they are being installed
# This package publishes no wheel: it is built here, with tools whose hashes were checked.
readonly WITHOUT_WHEEL=kiwipiepy-model

usage() {
    say "BookBrain searches the technical books you own, down to the printed page.

  ./install.sh --local              install it for yourself, then search a sample book
  ./install.sh --uninstall          remove the program; your library stays
  ./install.sh --uninstall --purge  remove the library too: books, catalog and paid embeddings

  --dry-run   print what would be done, and change nothing
  --help      this text

Run --local again when this clone has changed: it upgrades. When there is nothing new, it changes
nothing. Root is needed only where Python is missing: then apt is used, as root or through sudo.
The program goes into your home by pipx. About 220 MB are downloaded, every package is checked
by its SHA-256, and 0.8 GB of disk stay in use. BOOKBRAIN_HOME says where the library is kept.

Each option can also be set in the environment: BOOKBRAIN_LOCAL=1, BOOKBRAIN_UNINSTALL=1,
BOOKBRAIN_PURGE=1, BOOKBRAIN_DRY_RUN=1.

Exit: 0 done, 1 failed, 2 wrong usage, 69 something it needs is not there, 75 another
installation is running, 78 a setting is in the way." \
        "BookBrain은 가지고 있는 기술 서적을 인쇄된 쪽 번호까지 찾아 줍니다.

  ./install.sh --local              내 계정에 설치하고 견본 책을 검색해 봅니다
  ./install.sh --uninstall          프로그램을 지웁니다. 서재는 남습니다
  ./install.sh --uninstall --purge  서재(책, 목록, 임베딩)까지 지웁니다

  --dry-run   할 일을 보여 주기만 하고 아무것도 바꾸지 않습니다
  --help      이 도움말

클론이 바뀐 뒤 --local을 다시 실행하면 새 판이 설치되고, 새로운 것이 없으면 아무것도 바뀌지
않습니다. root 권한은 Python이 없을 때만 필요합니다. 그때는 root로, 또는 sudo로 apt를 씁니다.
프로그램은 pipx가 홈에 설치합니다. 약 220 MB를 내려받고, 모든 패키지를 SHA-256으로 확인하며,
디스크를 0.8 GB 씁니다. 서재를 둘 곳은 BOOKBRAIN_HOME으로 정합니다.

옵션은 환경 변수로도 줄 수 있습니다: BOOKBRAIN_LOCAL=1, BOOKBRAIN_UNINSTALL=1,
BOOKBRAIN_PURGE=1, BOOKBRAIN_DRY_RUN=1.

종료 코드: 0 완료, 1 실패, 2 잘못된 사용법, 69 필요한 것이 없음, 75 다른 설치가 진행 중,
78 설정이 맞지 않음."
}

# --- what is said -------------------------------------------------------------------------------

say() { # ENGLISH KOREAN
    case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
        ko*) printf '%s\n' "$2" ;;
        *) printf '%s\n' "$1" ;;
    esac
}

step() { # ENGLISH KOREAN
    printf '\n==> %s\n' "$(say "$@")"
}

die() { # EXIT-CODE ENGLISH KOREAN
    printf '\ninstall.sh: %s\n' "$(say "$2" "$3")" >&2
    exit "$1"
}

# --- how anything is changed --------------------------------------------------------------------

run() { # COMMAND...
    if [[ $DRY_RUN ]]; then
        printf '  $%s\n' "$(printf ' %q' "$@")"
    else
        "$@"
    fi
}

attempt() { # COMMAND...: what it prints goes to the log; when it fails, the end of that is shown
    local ticker status=0
    if [[ $DRY_RUN ]]; then
        run "$@"
        return
    fi
    printf '\n$ %s\n' "$*" >>"$LOG"
    show_progress "$(wc -l <"$LOG")" 9>&- &
    ticker=$!
    "$@" >>"$LOG" 2>&1 </dev/null 9>&- || status=$?
    kill "$ticker"
    wait "$ticker" 2>/dev/null || true
    [[ ! -t 1 ]] || printf '\r\e[K'
    ((status == 0)) || explain_failure "$@"
}

show_progress() { # LINE-OF-THE-LOG: how long it takes, and how many packages pip has got since
    local start=$SECONDS count
    while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        count=$(tail -n "+$1" "$LOG" | grep -c '^Collecting ') || true
        ((count > 0)) && count="  $count/$(grep -c '^[a-z].*==' "$LOCK")" || count=
        if [[ -t 1 ]]; then
            printf '\r\e[K    %d s%s' $((SECONDS - start)) "$count"
        elif (((SECONDS - start) % 15 == 0)); then
            printf '    %d s%s\n' $((SECONDS - start)) "$count"
        fi
    done
}

explain_failure() { # COMMAND...
    printf '\n' >&2
    grep -v '^WARNING: ' "$LOG" | tail -n 12 >&2
    if tail -n 60 "$LOG" | grep -q 'DO NOT MATCH THE HASHES'; then
        die 1 "A download is not the file that this clone names: it was not installed. Log: $LOG" \
            "내려받은 파일이 이 클론이 지정한 파일과 달라서 설치하지 않았습니다. 기록: $LOG"
    fi
    die 1 "'${1##*/} ${*:2:4} …' failed, see above. If the network was away, just run this again. Log: $LOG" \
        "'${1##*/} ${*:2:4} …' 단계에서 실패했습니다. 위를 보세요. 네트워크가 끊겼다면 다시 실행하면 됩니다. 기록: $LOG"
}

# --- what there is ------------------------------------------------------------------------------

find_clone() { # sets CLONE, LOCK
    CLONE=$(cd "$(dirname "${BASH_SOURCE[0]:-/nowhere/install.sh}")" 2>/dev/null && pwd) || CLONE=
    LOCK=$CLONE/packaging/requirements.txt
    [[ -f $LOCK && -f $CLONE/bookbrain/__init__.py ]] ||
        die 69 "--local installs a clone of BookBrain: run the install.sh inside one." \
            "--local은 BookBrain 클론을 설치합니다. 클론 안에 있는 install.sh를 실행하세요."
}

find_home() { # sets LIBRARY, OURS, LOG
    local data
    HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
    [[ $HOME == /* && -w $HOME ]] ||
        die 78 "The home '$HOME' cannot be written to. Set HOME to a folder of yours." \
            "홈 디렉터리 '$HOME'에 쓸 수 없습니다. HOME을 쓸 수 있는 폴더로 정하세요."
    [[ $EUID -ne 0 || $(stat -c %u "$HOME") -eq 0 ]] ||
        die 78 "'$HOME' belongs to somebody else: run this without sudo." \
            "'$HOME'은 다른 사용자의 홈입니다. sudo 없이 실행하세요."
    data=$HOME/.local/share
    [[ ${XDG_DATA_HOME:-} != /* ]] || data=$XDG_DATA_HOME
    LIBRARY=${BOOKBRAIN_HOME:-$data/bookbrain}
    LIBRARY=$(realpath -ms "${LIBRARY/#\~/$HOME}")
    OURS=$data/bookbrain-install # whatever is ours and is neither the program nor the library
    LOG=$OURS/install.log
}

check_machine() {
    local free
    [[ $(uname -s) == Linux ]] || die 69 "BookBrain runs on Linux." "BookBrain은 Linux에서 동작합니다."
    [[ $(uname -m) =~ ^(x86_64|aarch64|arm64)$ ]] ||
        die 69 "BookBrain runs on x86-64 and ARM64; this is $(uname -m)." \
            "BookBrain은 x86-64와 ARM64에서 동작합니다. 이 컴퓨터는 $(uname -m)입니다."
    free=$(df -Pk "$HOME" | awk 'END { print int($4 / 1024) }')
    ((free >= NEEDED_MB)) || [[ -e $VENV ]] ||
        die 69 "$HOME has $free MB left; installing takes $NEEDED_MB MB." \
            "$HOME에 $free MB가 남아 있습니다. 설치하려면 $NEEDED_MB MB가 필요합니다."
}

# The user's own pipx will do from 1.13 on: it can be kept from fetching a pip that nobody has
# checked. Otherwise ours is used, in a folder of ours, and what theirs has installed is not touched.
choose_pipx() { # sets PIPX, BIN, VENV
    local theirs version
    export PIPX_DISABLE_SHARED_LIBS_AUTO_UPGRADE=1 PIPX_DEFAULT_BACKEND=pip PIPX_USE_EMOJI=0
    if [[ ! -e $OURS/pipx/venvs/bookbrain ]] && theirs=$(type -P pipx) &&
        version=$("$theirs" --version 2>/dev/null) && printf '%s\n' 1.13 "$version" | sort -VC; then
        PIPX=$theirs
        BIN=$("$PIPX" environment --value PIPX_BIN_DIR)
        VENV=$("$PIPX" environment --value PIPX_LOCAL_VENVS)/bookbrain
    else
        export PIPX_HOME=$OURS/pipx PIPX_BIN_DIR=$HOME/.local/bin
        PIPX=$OURS/tools/bin/pipx
        BIN=$PIPX_BIN_DIR
        VENV=$PIPX_HOME/venvs/bookbrain
    fi
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

works() {
    "$VENV/bin/bookbrain" --help &>/dev/null
}

is_current() {
    works && [[ $(cat "$VENV/installed-from" 2>/dev/null) == "$(source_id)" ]]
}

source_id() { # one hash over all that is installed from the clone
    (
        cd "$CLONE"
        find bookbrain pyproject.toml README.md LICENSE packaging/requirements{,-build}.txt \
            -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    ) | sha256sum | cut -d' ' -f1
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
    apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
        apt-get -q -y -o DPkg::Lock::Timeout=600)
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

install_local() {
    find_clone
    find_home
    choose_pipx
    check_machine
    find_python || install_python
    if is_current; then
        step "BookBrain is installed, and this clone has nothing new" \
            "BookBrain이 설치되어 있고, 이 클론에 새로운 것이 없습니다"
    else
        begin
        make_tools
        build_program
        if works && cmp -s "$LOCK" "$VENV/locked-from"; then
            replace_program
        else
            get_libraries
            install_program
        fi
        finish
    fi
    show_hits
    show_next
}

begin() { # one installation at a time; what an interrupted one left is put right
    local name
    for name in bookbrain bookbrain-admin; do
        [[ ! -e $BIN/$name || $(realpath "$BIN/$name") == "$VENV"/* ]] ||
            die 78 "$BIN/$name is another program. Move it away, then run this again." \
                "$BIN/$name 은(는) 다른 프로그램입니다. 옮긴 뒤 다시 실행하세요."
    done
    run mkdir -p "$OURS"
    [[ ! $DRY_RUN ]] || return 0
    exec 9<"$OURS"
    flock -n 9 || die 75 "Another installation is running." "다른 설치가 진행 중입니다."
    stop_processes "$OURS/tools/"
    stop_processes "$OURS/scratch/"
    trap tidy_up EXIT
    tidy_up
    mkdir -p "$OURS/scratch/tmp"
    export TMPDIR=$OURS/scratch/tmp PIP_CACHE_DIR=${PIP_CACHE_DIR:-$OURS/cache} PIP_NO_INPUT=1 PIP_USER=0
    unset VIRTUAL_ENV PYTHONHOME PYTHONPATH
    : >"$LOG"
}

tidy_up() { # brings back the program that was set aside, unless a new one has taken its place
    if [[ -e $OURS/scratch/previous ]] && ! is_current; then
        rm -rf "$VENV"
        mv "$OURS/scratch/previous" "$VENV"
    fi
    rm -rf "$OURS/scratch"
}

make_tools() { # pipx and what builds a wheel
    local lock=$CLONE/packaging/requirements-build.txt tools=$OURS/tools
    if cmp -s "$lock" "$tools/locked-from" && "$tools/bin/python" -Ic '' 2>/dev/null; then return; fi
    step "Getting what the installer needs" "설치에 필요한 도구를 받습니다"
    run rm -rf "$tools"
    attempt "$PYTHON" -Im venv "$tools"
    attempt "$tools/bin/python" -Im pip install --progress-bar off --require-hashes \
        --only-binary :all: -r "$lock"
    run cp "$lock" "$tools/locked-from"
}

# What is built is a copy: the clone may be read-only or somebody else's. The empty .gitignore
# keeps the builder from looking for one in the folders above.
build_program() {
    local source=$OURS/scratch/source file
    run mkdir -p "$source"
    for file in bookbrain pyproject.toml README.md LICENSE; do
        run cp -r --no-preserve=mode "$CLONE/$file" "$source"
    done
    run touch "$source/.gitignore"
    run rm -rf "$OURS/wheel"
    attempt "$OURS/tools/bin/python" -Im pip wheel --no-deps --no-index --no-build-isolation \
        --wheel-dir "$OURS/wheel" "$source"
}

get_libraries() {
    step "Downloading the libraries: about 220 MB, each checked by its SHA-256" \
        "라이브러리를 내려받습니다. 약 220 MB이고, 모두 SHA-256으로 확인합니다"
    attempt "$OURS/tools/bin/python" -Im pip wheel --progress-bar off --require-hashes --no-deps \
        --only-binary :all: --no-binary "$WITHOUT_WHEEL" --no-build-isolation \
        --wheel-dir "$OURS/scratch/libraries" -r "$LOCK"
}

install_program() { # from the files that were checked; the network is not asked again
    step "Installing BookBrain: about a minute" "BookBrain을 설치합니다. 1분쯤 걸립니다"
    if works; then run mv "$VENV" "$OURS/scratch/previous"; else run rm -rf "$VENV"; fi
    pipx_install "--no-index --only-binary :all: --find-links '$OURS/scratch/libraries'"
    run cp "$LOCK" "$VENV/locked-from"
}

replace_program() { # the libraries are right already
    step "Upgrading BookBrain" "BookBrain을 새 판으로 바꿉니다"
    pipx_install "--no-index --no-deps" --force
}

pipx_install() { # PIP-OPTIONS [PIPX-OPTION...]: no setting of pip may add a place to look in
    attempt env -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null "$PIPX" install --python "$PYTHON" \
        "${@:2}" --pip-args="$1" "$(program_wheel)"
}

program_wheel() {
    local version
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$CLONE/bookbrain/__init__.py")
    echo "$OURS/wheel/bookbrain-$version-py3-none-any.whl"
}

finish() {
    [[ ! $DRY_RUN ]] || return 0
    works || die 1 "BookBrain is installed but does not start. Log: $LOG" \
        "BookBrain을 설치했지만 실행되지 않습니다. 기록: $LOG"
    source_id >"$VENV/installed-from"
    rm -rf "$OURS/cache"
    tidy_up
}

# --- the first search ---------------------------------------------------------------------------

show_hits() {
    local query
    step "Adding the sample book, BookBrain's handbook" "견본 책인 BookBrain 안내서를 넣습니다"
    # No key is needed to see it work, and none is spent on it.
    run env -u OPENAI_API_KEY -u OPENAI_BASE_URL "$BIN/bookbrain" add --sample
    for query in "chain asynchronous steps" "낱말을 빼고 검색하려면"; do
        step "bookbrain search \"$query\"" "bookbrain search \"$query\""
        run env -u OPENAI_API_KEY -u OPENAI_BASE_URL "$BIN/bookbrain" search -k 3 "$query"
    done
}

show_next() {
    local bookbrain=bookbrain rc=.bashrc
    [[ $(type -P bookbrain) == "$BIN/bookbrain" ]] || bookbrain=$BIN/bookbrain
    step "Now your own books" "이제 내 책을 넣어 보세요"
    say "    $bookbrain add ~/Books
    $bookbrain search \"what you remember of it\"
    $bookbrain --help" \
        "    $bookbrain add ~/Books
    $bookbrain search \"기억나는 대로\"
    $bookbrain --help"
    [[ $bookbrain == bookbrain ]] || [[ :$PATH: == *:$BIN:* ]] && return
    [[ ${SHELL:-} != */zsh ]] || rc=.zshrc
    say "
To say just 'bookbrain', in this terminal and in new ones:" "
앞으로 'bookbrain'만으로 실행하려면:"
    printf '    %s\n' "export PATH=\"$BIN:\$PATH\"" "echo 'export PATH=\"$BIN:\$PATH\"' >> ~/$rc"
}

# --- uninstalling -------------------------------------------------------------------------------

uninstall_local() {
    find_home
    choose_pipx
    if [[ $PURGE ]]; then check_purge; fi
    step "Removing BookBrain" "BookBrain을 지웁니다"
    stop_processes "$VENV/bin/"
    if [[ $PIPX != "$OURS"/* && -e $VENV ]]; then run "$PIPX" uninstall bookbrain; fi
    remove_links
    run rm -rf "$VENV" "$OURS"
    if [[ $PURGE ]]; then
        run rm -rf "$LIBRARY"
    elif [[ -e $LIBRARY ]]; then
        say "Your library is still in $LIBRARY. --uninstall --purge removes that as well." \
            "서재는 $LIBRARY 에 그대로 있습니다. --uninstall --purge는 서재까지 지웁니다."
    fi
}

check_purge() {
    [[ $HOME/ != "$LIBRARY"/* && (! -e $LIBRARY || -e $LIBRARY/catalog.sqlite3) ]] ||
        die 78 "$LIBRARY does not look like a library of BookBrain: nothing was removed. Check BOOKBRAIN_HOME." \
            "$LIBRARY 은(는) BookBrain 서재로 보이지 않아 아무것도 지우지 않았습니다. BOOKBRAIN_HOME을 확인하세요."
}

stop_processes() { # PATH: those of this user's that were started with it, or something in it
    local process
    for process in /proc/[0-9]*; do
        if [[ -O $process ]] && tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -qF "$1"; then
            run kill -9 "${process#/proc/}" || true
        fi
    done
}

remove_links() {
    local name
    for name in bookbrain bookbrain-admin; do
        if [[ $(readlink "$BIN/$name") == "$VENV"/* ]]; then run rm "$BIN/$name"; fi
    done
}

# --- which of these -----------------------------------------------------------------------------

is_on() { # VALUE-OF-A-VARIABLE: 1 for everything but no, or nothing at all
    case ${1,,} in '' | 0 | no | false | off) ;; *) echo 1 ;; esac
}

read_options() { # OPTION...: sets LOCAL, UNINSTALL, PURGE, DRY_RUN to 1 or nothing
    LOCAL=$(is_on "${BOOKBRAIN_LOCAL:-}")
    UNINSTALL=$(is_on "${BOOKBRAIN_UNINSTALL:-}")
    PURGE=$(is_on "${BOOKBRAIN_PURGE:-}")
    DRY_RUN=$(is_on "${BOOKBRAIN_DRY_RUN:-}")
    while (($#)); do
        case $1 in
            --local) LOCAL=1 ;;
            --uninstall) UNINSTALL=1 ;;
            --purge) PURGE=1 ;;
            --dry-run) DRY_RUN=1 ;;
            -h | --help)
                usage
                exit
                ;;
            *) die 2 "This version does not know '$1'. ./install.sh --help lists what it knows." \
                "이 판은 '$1'을(를) 모릅니다. ./install.sh --help에서 옵션을 볼 수 있습니다." ;;
        esac
        shift
    done
}

main() {
    read_options "$@"
    if [[ $PURGE && ! $UNINSTALL ]]; then
        die 2 "--purge goes with --uninstall." "--purge는 --uninstall과 함께 씁니다."
    elif [[ $UNINSTALL ]]; then
        uninstall_local
    elif [[ $LOCAL ]]; then
        install_local
    else
        usage >&2
        exit 2
    fi
}

if [[ ${BASH_SOURCE[0]:-$0} == "$0" ]]; then main "$@"; fi
