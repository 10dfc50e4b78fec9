#!/usr/bin/env bash
# Installs BookBrain, for yourself or on a server. `./install.sh --help` says how.
#
# Only functions up to the last line, so that a copy which was cut off does nothing. In a clone the
# rest is in packaging/install/; without one, the release that has it is fetched and checked first.
set -Eeuo pipefail

readonly RELEASES=https://github.com/bookbrain/bookbrain/releases/latest/download

usage() {
    say "BookBrain searches the technical books you own, down to the printed page.

  ./install.sh --local            install it for yourself, then search a sample book
  sudo ./install.sh --domain books.example.org --email you@example.org --user you
                                  install it on a server: HTTPS by Let's Encrypt, a password
  sudo ./install.sh --no-acme     the same without a domain: a certificate of the server's own
  ./install.sh --uninstall        remove the program; your library and settings stay
  ./install.sh --uninstall --purge   remove the library too: books, catalog and paid embeddings

  --domain NAME, --email ADDRESS  where it is reached, and where Let's Encrypt writes to
  --user NAME                     who may enter; asked for when it is left out
  --password-file FILE            holds the password in its first line; - is standard input
  --no-acme                       do not ask Let's Encrypt for a certificate
  --source FOLDER|FILE|URL        what to install: a clone, a release, its wheel or archive, or
                                  where these are to be fetched; checked against its SHA256SUMS
  --dry-run                       print what would be done, and change nothing
  --help                          this text

Run it again when there is a new version: it upgrades, and goes back by itself when the new one does
not work. When there is nothing new, it changes nothing. For --local, root is needed only where
Python is missing. Every package is checked by its SHA-256: about 300 MB, and 1.3 GB of disk.
BOOKBRAIN_HOME says where the library of --local is kept.

Each option can also be set in the environment: BOOKBRAIN_DOMAIN=…, BOOKBRAIN_PASSWORD_FILE=…,
BOOKBRAIN_NO_ACME=1 and so on. Nothing is asked where there is no terminal. Another authority than
Let's Encrypt: BOOKBRAIN_ACME_DIRECTORY=URL, and BOOKBRAIN_ACME_ROOT=FILE to trust it.

Exit: 0 done, 1 failed, 2 wrong usage, 69 something it needs is not there, 75 another
installation is running, 78 a setting is in the way." \
        "BookBrain은 가지고 있는 기술 서적을 인쇄된 쪽 번호까지 찾아 줍니다.

  ./install.sh --local            내 계정에 설치하고 견본 책을 검색해 봅니다
  sudo ./install.sh --domain books.example.org --email you@example.org --user you
                                  서버에 설치합니다. Let's Encrypt 인증서와 암호로 지킵니다
  sudo ./install.sh --no-acme     도메인이 없을 때: 서버가 스스로 만든 인증서를 씁니다
  ./install.sh --uninstall        프로그램을 지웁니다. 서재와 설정은 남습니다
  ./install.sh --uninstall --purge   서재(책, 목록, 임베딩)까지 지웁니다

  --domain NAME, --email ADDRESS  접속할 도메인, Let's Encrypt가 소식을 보낼 주소
  --user NAME                     들어올 사람. 없으면 물어봅니다
  --password-file FILE            첫 줄이 암호인 파일. -는 표준 입력
  --no-acme                       Let's Encrypt 인증서를 받지 않습니다
  --source FOLDER|FILE|URL        설치할 것: 클론, 릴리스, 휠이나 묶음 파일, 또는 이를 받을
                                  주소. SHA256SUMS와 대조합니다
  --dry-run                       할 일을 보여 주기만 하고 아무것도 바꾸지 않습니다
  --help                          이 도움말

새 판이 나왔을 때 다시 실행하면 새 판을 설치하고, 제대로 동작하지 않으면 스스로 옛 판으로 돌아갑니다.
새로운 것이 없으면 아무것도 바뀌지 않습니다. --local에 root 권한은 Python이 없을 때만 필요합니다.
모든 패키지를 SHA-256으로 확인합니다. 약 300 MB를 내려받고 디스크를 1.3 GB 씁니다.
--local의 서재를 둘 곳은 BOOKBRAIN_HOME으로 정합니다.

옵션은 환경 변수로도 줄 수 있습니다: BOOKBRAIN_DOMAIN=…, BOOKBRAIN_PASSWORD_FILE=…,
BOOKBRAIN_NO_ACME=1 등. 터미널이 없으면 아무것도 묻지 않습니다. Let's Encrypt가 아닌 인증 기관은
BOOKBRAIN_ACME_DIRECTORY=URL과 BOOKBRAIN_ACME_ROOT=FILE로 정합니다.

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

# --- what is asked for --------------------------------------------------------------------------

is_on() { # VALUE-OF-A-VARIABLE: 1 for everything but no, or nothing at all
    case ${1,,} in '' | 0 | no | false | off) ;; *) echo 1 ;; esac
}

read_options() { # OPTION...: sets a variable for each, to its value, to 1, or to nothing
    LOCAL=$(is_on "${BOOKBRAIN_LOCAL:-}")
    UNINSTALL=$(is_on "${BOOKBRAIN_UNINSTALL:-}")
    PURGE=$(is_on "${BOOKBRAIN_PURGE:-}")
    DRY_RUN=$(is_on "${BOOKBRAIN_DRY_RUN:-}")
    NO_ACME=$(is_on "${BOOKBRAIN_NO_ACME:-}")
    END_UPGRADE=''
    DOMAIN=${BOOKBRAIN_DOMAIN:-} EMAIL=${BOOKBRAIN_EMAIL:-} READER=${BOOKBRAIN_USER:-}
    PASSWORD_FILE=${BOOKBRAIN_PASSWORD_FILE:-} SOURCE=${BOOKBRAIN_SOURCE:-}
    while (($#)); do
        case $1 in
            --domain=* | --email=* | --user=* | --password-file=* | --source=*)
                set -- "${1%%=*}" "${1#*=}" "${@:2}"
                ;;
            --domain | --email | --user | --password-file | --source)
                (($# > 1)) || die 2 "$1 wants a value." "$1 옵션에는 값이 필요합니다."
                read_value "$1" "$2"
                shift 2
                ;;
            *)
                read_switch "$1"
                shift
                ;;
        esac
    done
}

read_value() { # OPTION VALUE
    case $1 in
        --domain) DOMAIN=$2 ;;
        --email) EMAIL=$2 ;;
        --user) READER=$2 ;;
        --password-file) PASSWORD_FILE=$2 ;;
        --source) SOURCE=$2 ;;
    esac
}

read_switch() { # OPTION
    case $1 in
        --local) LOCAL=1 ;;
        --uninstall) UNINSTALL=1 ;;
        --purge) PURGE=1 ;;
        --dry-run) DRY_RUN=1 ;;
        --end-upgrade) END_UPGRADE=1 ;; # by bookbrain-upgrade.service
        --no-acme) NO_ACME=1 ;;
        -h | --help)
            usage
            exit
            ;;
        *) die 2 "This version does not know '$1'. ./install.sh --help lists what it knows." \
            "이 판은 '$1'을(를) 모릅니다. ./install.sh --help에서 옵션을 볼 수 있습니다." ;;
    esac
}

# --- where the rest is --------------------------------------------------------------------------

find_tree() { # sets TREE to the folder of this script, when that has the rest of the installer
    TREE=$(cd "$(dirname "${BASH_SOURCE[0]:-/nowhere/install.sh}")" 2>/dev/null && pwd) || TREE=
    [[ -f $TREE/packaging/install/program.sh ]]
}

source_the_rest() {
    # shellcheck source=packaging/install/common.sh
    source "$TREE/packaging/install/common.sh"
    # shellcheck source=packaging/install/packages.sh
    source "$TREE/packaging/install/packages.sh"
    # shellcheck source=packaging/install/program.sh
    source "$TREE/packaging/install/program.sh"
    # shellcheck source=packaging/install/local.sh
    source "$TREE/packaging/install/local.sh"
    # shellcheck source=packaging/install/preflight.sh
    source "$TREE/packaging/install/preflight.sh"
    # shellcheck source=packaging/install/firewall.sh
    source "$TREE/packaging/install/firewall.sh"
    # shellcheck source=packaging/install/server.sh
    source "$TREE/packaging/install/server.sh"
    # shellcheck source=packaging/install/upgrade.sh
    source "$TREE/packaging/install/upgrade.sh"
    # shellcheck source=packaging/install/removal.sh
    source "$TREE/packaging/install/removal.sh"
}

install_from_source() { # OPTION...: runs the installer of SOURCE, which goes with what it installs
    local scratch tree status=0
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064 # it is gone when the trap runs
    trap "rm -rf '$scratch'" EXIT
    tree=$scratch/tree
    if [[ -f $SOURCE/packaging/install/program.sh ]]; then
        tree=$(cd "$SOURCE" && pwd)
    else
        find_archive "$scratch"
        unpack "$ARCHIVE" "$tree"
    fi
    BOOKBRAIN_UNPACKED=1 bash "$tree/install.sh" "$@" || status=$?
    exit "$status"
}

find_archive() { # SCRATCH-FOLDER: sets ARCHIVE to a file that was checked
    local url=$SOURCE name
    case $SOURCE in
        http://* | https://*) ;;
        *)
            if [[ -f $SOURCE && ! -e $(dirname "$SOURCE")/SHA256SUMS ]]; then
                ARCHIVE=$SOURCE # it has not come through a network just now, and nothing vouches for it
                return
            fi
            [[ -e $SOURCE ]] || die 69 "--source: there is no '$SOURCE'." "--source: '$SOURCE'이(가) 없습니다."
            url=file://$(realpath "$SOURCE")
            ;;
    esac
    case $url in
        *.whl | *.tar.gz) name=${url##*/} url=${url%/*} ;;
        *) name='' url=${url%/} ;;
    esac
    step "Fetching BookBrain from $url" "$url 에서 BookBrain을 받습니다"
    fetch "$url/SHA256SUMS" "$1/SHA256SUMS"
    name=${name:-$(awk '$2 ~ /^\*?bookbrain-[0-9][^-]*\.tar\.gz$/ { sub(/^\*/, "", $2); print $2; exit }' "$1/SHA256SUMS")}
    [[ $name ]] || die 69 "$url/SHA256SUMS names no release of BookBrain." \
        "$url/SHA256SUMS에 BookBrain 릴리스가 없습니다."
    fetch "$url/$name" "$1/$name"
    (cd "$1" && grep -E "^[0-9a-f]{64} [ *]${name//./\\.}\$" SHA256SUMS | sha256sum --check --status --strict -) ||
        die 1 "$name is not the file that SHA256SUMS names: nothing was installed. Fetch it again, or ask where it comes from." \
            "$name 파일이 SHA256SUMS와 다릅니다. 아무것도 설치하지 않았습니다. 다시 받거나 출처를 확인하세요."
    ARCHIVE=$1/$name
}

fetch() { # URL FILE
    if type -P curl >/dev/null; then
        curl --fail --silent --show-error --location --retry 3 --output "$2" "$1" && return
    elif [[ $1 == file://* ]]; then
        cp "${1#file://}" "$2" && return
    elif type -P wget >/dev/null; then
        wget --quiet --output-document="$2" "$1" && return
    fi
    die 69 "$1 cannot be fetched: nothing was changed. Is the network there, and curl installed?" \
        "$1 을(를) 받을 수 없습니다. 아무것도 바꾸지 않았습니다. 네트워크와 curl을 확인하세요."
}

unpack() { # ARCHIVE FOLDER
    mkdir "$2"
    case $1 in
        *.tar.gz) tar -xzf "$1" -C "$2" --strip-components=1 --no-same-owner ;;
        *.whl)
            type -P python3 >/dev/null ||
                die 69 "To install a wheel, Python must be there: apt-get install python3 python3-venv" \
                    "휠을 설치하려면 Python이 필요합니다: apt-get install python3 python3-venv"
            python3 -Im zipfile -e "$1" "$2.wheel"
            cp -r "$2.wheel/bookbrain/installation/." "$2"
            cp "$1" "$2"
            ;;
    esac
}

# --- which of these -----------------------------------------------------------------------------

main() {
    read_options "$@"
    if [[ $PURGE && ! $UNINSTALL ]]; then
        die 2 "--purge goes with --uninstall." "--purge는 --uninstall과 함께 씁니다."
    fi
    if [[ ${BOOKBRAIN_UNPACKED:-} ]]; then SOURCE=; fi
    if ! find_tree || [[ $SOURCE ]]; then
        SOURCE=${SOURCE:-$RELEASES}
        install_from_source "$@"
    fi
    source_the_rest
    if [[ $END_UPGRADE ]]; then
        end_upgrade
    elif [[ $UNINSTALL ]]; then
        if is_server; then uninstall_server; else uninstall_local; fi
    elif [[ $LOCAL ]]; then
        install_local
    elif [[ $DOMAIN || $NO_ACME ]] || is_server || { [[ $EUID -eq 0 ]] && has_terminal; }; then
        install_server
    else
        usage >&2
        exit 2
    fi
}

if [[ ${BASH_SOURCE[0]:-$0} == "$0" ]]; then main "$@"; fi
