# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# On a server: one folder a release in /opt/bookbrain/releases, `current` points to the one in use.

readonly HOME_OF_BOOKS=/var/lib/bookbrain ETC=/etc/bookbrain
readonly IMPORT="import $ETC/Caddyfile"
readonly HARDENING=00-hardening.conf # in UNIT.d; read before any drop-in of the owner's
readonly JAIL=/etc/fail2ban/jail.d/bookbrain.conf
readonly SSHD_JAIL=/etc/fail2ban/jail.d/zz-bookbrain-sshd.conf # read after Debian's
# What the new release brings; the rest of the machine finds it by these names.
readonly FILES=(
    "packaging/sysusers.conf /etc/sysusers.d/bookbrain.conf 0644"
    "packaging/tmpfiles.conf /etc/tmpfiles.d/bookbrain.conf 0644"
    "packaging/journald.conf /etc/systemd/journald.conf.d/bookbrain.conf 0644"
    "Caddyfile $ETC/Caddyfile 0644"
    "packaging/bookbrain.env $ETC/bookbrain.env 0640 root:bookbrain"
)
install_server() {
    lay_out
    lay_out_release
    ask_what_is_missing
    check_server
    check_machine "$(nearest_folder "$OURS")"
    name_localhost
    install_packages
    find_python || true
    take_turn
    end_interrupted_upgrade
    if ! is_current; then
        begin
        make_tools
        build_program
        if copy_libraries; then
            replace_program
        else
            have_libraries
            install_program "$OURS/libraries"
            [[ $DRY_RUN ]] || list_libraries >"$VENV/libraries"
        fi
        finish
    fi
    begin_upgrade
    place_files
    place_commands
    open_ports
    switch_release
    set_up_site
    refuse_guessers
    show_site
}

lay_out() { # sets where everything goes
    umask 022
    OURS=/opt/bookbrain
    LOG=$OURS/install.log
    CURRENT=$OURS/current
    UPGRADING=$OURS/upgrading # an upgrade is under way; upgrade.sh says what is in it
    REPLACED=$UPGRADING/replaced
    BIN=/usr/local/bin
    UNITS=/etc/systemd/system
    CHANGED='' JAIL_CHANGED=''
}

lay_out_release() { # sets where this release goes, and how it is made
    LOCK=$TREE/packaging/requirements-server.txt FLAVOUR='[server]'
    find_wheelhouse
    RELEASE=$OURS/releases/$(release_name)
    export PIPX_HOME=$RELEASE PIPX_BIN_DIR=$RELEASE/bin PIPX_MAN_DIR=$RELEASE/man
    export PIPX_DISABLE_SHARED_LIBS_AUTO_UPGRADE=1 PIPX_DEFAULT_BACKEND=pip PIPX_USE_EMOJI=0
    PIPX=$OURS/tools/bin/pipx
    VENV=$RELEASE/venvs/bookbrain
}

release_name() { # the version, and what tells one state of a clone from another
    local version
    version=$(basename "$(program_wheel)" | cut -d- -f2)
    echo "$version-$(source_id | cut -c1-8)"
}

nearest_folder() { # PATH: itself, or what is there of the folders above
    local folder=$1
    until [[ -d $folder ]]; do folder=$(dirname "$folder"); done
    echo "$folder"
}

# --- what the owner must say --------------------------------------------------------------------

ask_what_is_missing() {
    [[ ! -e $ETC/site.json ]] || return 0 # it was said before; bookbrain-admin changes it
    if [[ $NO_ACME ]]; then
        DOMAIN=${DOMAIN:-$(hostname -I | awk '{ print $1 }')}
    else
        ask DOMAIN --domain "Domain that points to this server" "이 서버를 가리키는 도메인"
        ask EMAIL --email "E-mail address for Let's Encrypt" "Let's Encrypt가 쓸 이메일 주소"
    fi
    ask READER --user "Name of the user who may enter" "들어올 사용자의 이름"
    [[ $PASSWORD_FILE || $DRY_RUN ]] || has_terminal ||
        die 2 "There is no terminal to ask for the password on: give --password-file." \
            "암호를 물어볼 터미널이 없습니다. --password-file을 주세요."
    [[ ! $PASSWORD_FILE || $PASSWORD_FILE == - || -r $PASSWORD_FILE ]] ||
        die 78 "--password-file: '$PASSWORD_FILE' cannot be read." "--password-file: '$PASSWORD_FILE'을(를) 읽을 수 없습니다."
}

ask() { # VARIABLE OPTION ENGLISH KOREAN
    [[ ! ${!1} ]] || return 0
    has_terminal ||
        die 2 "$2 is missing: give it, or BOOKBRAIN_$(tr 'a-z-' 'A-Z_' <<<"${2#--}") in the environment." \
            "$2 옵션이나 BOOKBRAIN_$(tr 'a-z-' 'A-Z_' <<<"${2#--}") 환경 변수가 필요합니다."
    until [[ ${!1} ]]; do
        read -rp "$(say "$3" "$4"): " "${1?}" </dev/tty
    done
}

has_terminal() { # standard input may be the script itself
    { : </dev/tty; } 2>/dev/null
}

# --- the program --------------------------------------------------------------------------------

have_libraries() { # kept for the next release, which mostly needs the same
    if cmp -s "$LOCK" "$OURS/libraries/locked-from"; then return; fi
    get_libraries "$OURS/libraries"
    run cp "$LOCK" "$OURS/libraries/locked-from"
}

# A release mostly needs what the one before it has: pip's work, half a minute, is copied then. No
# links: each release must stay as it is whatever becomes of the other. What the list of the other
# does not name, or names otherwise, is not handed on.
copy_libraries() { # into VENV; fails where the release in use needs others, or one of its is damaged
    local from damaged
    from=$(readlink "$CURRENT")/venvs/bookbrain || return
    [[ $from != "$VENV" && $(head -n 1 "$from/libraries" 2>/dev/null) == "$(name_libraries)" ]] || return
    step "Copying the libraries of the version in use, each checked by its SHA-256" \
        "사용 중인 판의 라이브러리를 복사합니다. 모두 SHA-256으로 확인합니다"
    run rm -rf "$VENV"
    run mkdir -p "$VENV"
    sed -n 's/^[0-9a-f]\{64\}  //p' "$from/libraries" |
        run env -C "$from" xargs -d '\n' cp -a --parents --reflink=auto -t "$VENV" || true
    [[ ! $DRY_RUN ]] || return 0
    sed -i "1s|^#!$from/|#!$VENV/|" "$VENV"/bin/*
    list_libraries >"$VENV/libraries"
    if cmp -s "$from/libraries" "$VENV/libraries"; then return; fi
    damaged=$(diff "$from/libraries" "$VENV/libraries" | sed -n '/^[<>] [0-9a-f]\{64\} / { s/^.\{68\}//p; q }')
    warn "$from/${damaged:-libraries} is not as it was installed: the libraries are installed anew." \
        "$from/${damaged:-libraries} 파일이 설치했을 때와 다릅니다. 라이브러리를 새로 설치합니다."
    return 1
}

list_libraries() { # prints their name, then a digest and the path below VENV of each file of theirs
    local launcher
    name_libraries
    (cd "$VENV" && find . -mindepth 2 -type f ! -path './bin/*' ! -path '*/bookbrain*' ! -name pipx_shared.pth \
        -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum)
    while read -r launcher; do # the first line of most names the folder that it is in
        sed "1s|^#!$VENV/|#!|" "$launcher" | sha256sum | sed "s|-\$|bin/${launcher##*/}|"
    done < <(find "$VENV/bin" -type f ! -name 'bookbrain*' ! -name '[Aa]ctivate*' | LC_ALL=C sort)
    echo "# the end: a list that was cut off is none"
}

name_libraries() { # prints what tells them from others: their lock, and the kind of Python
    echo "# $(sha256sum <"$LOCK") $("$PYTHON" -Ic 'import sysconfig; print(sysconfig.get_config_var("SOABI"))')"
}

place_commands() {
    local name
    for name in bookbrain bookbrain-admin; do
        [[ $(readlink "$BIN/$name") == "$CURRENT/bin/$name" ]] || run ln -sfn "$CURRENT/bin/$name" "$BIN/$name"
    done
}

# --- files that the owner may edit --------------------------------------------------------------

place_files() {
    local line unit
    for line in "${FILES[@]}"; do
        # shellcheck disable=SC2086 # its words are the arguments
        place $line
        [[ $line != *tmpfiles.conf* ]] || make_folders
    done
    for unit in "$TREE"/systemd/bookbrain*; do
        place_unit "${unit##*/}"
    done
}

place_unit() { # NAME: its hardening comes first, so that it never runs without
    local unit=$UNITS/$1
    if [[ $1 == *.service && $1 != "$UPGRADE_UNIT" ]] && ! is_whole "$1"; then
        place systemd/hardening.conf "$unit.d/$HARDENING" 0644
    fi
    place "systemd/$1" "$unit" 0644
}

is_whole() { # UNIT: one that the owner edited when the hardening was part of it, and may have loosened
    local unit=$UNITS/$1
    [[ ! -e $unit.d/$HARDENING ]] && is_edited "systemd/$1" "$unit" && grep -q '^ProtectSystem=' "$unit"
}

make_folders() { # and the user whose they are
    getent passwd bookbrain >/dev/null || run systemd-sysusers /etc/sysusers.d/bookbrain.conf
    [[ -e $ETC/credentials/chroma-token && -d $HOME_OF_BOOKS/inbox ]] || run systemd-tmpfiles --create /etc/tmpfiles.d/bookbrain.conf
    if [[ ${SUDO_USER:-root} != root && $(id -nG "$SUDO_USER" 2>/dev/null) != *bookbrain* ]]; then
        run usermod -aG bookbrain "$SUDO_USER" # may put books into the inbox
    fi
}

# Like dpkg with its conffiles: what the owner has changed stays, and the new one is put beside it.
# What was placed the last time is kept in /opt/bookbrain/placed, to tell whose change it is.
place() { # FILE-OF-THE-TREE TARGET MODE [OWNER:GROUP]
    local file=$TREE/$1 target=$2 placed=$OURS/placed$2
    if cmp -s "$file" "$placed" && [[ -e $target ]]; then return; fi
    if is_edited "$1" "$target"; then
        warn "$target was edited: it stays. The new one is $target.new" "$target 은(는) 고친 파일이라 그대로 둡니다. 새 파일: $target.new"
        target=$target.new
    elif [[ -d $UPGRADING && ! $DRY_RUN ]]; then
        remember "$target"
    fi
    if ! cmp -s "$file" "$target"; then
        case $1 in
            Caddyfile) ;; # `bookbrain-admin site --renew` sees to it
            packaging/fail2ban/*) JAIL_CHANGED=1 ;;
            *) CHANGED=1 ;;
        esac
    fi
    run install -D -m "$3" -o "$(cut -d: -f1 <<<"${4:-root:root}")" -g "$(cut -d: -f2 <<<"${4:-root:root}")" "$file" "$target.part"
    run mv -T "$target.part" "$target"
    run install -D -m 0644 "$file" "$placed"
}

is_edited() { # FILE-OF-THE-TREE TARGET
    [[ -e $2 ]] && ! cmp -s "$TREE/$1" "$2" && ! cmp -s "$OURS/placed$2" "$2"
}

remember() { # FILE: as it was before this upgrade, or that it was not there; for a way back
    if [[ -e $REPLACED$1 ]] || grep -qsxF -- "$1" "$UPGRADING/added"; then return; fi
    if [[ -e $1 ]]; then
        mkdir -p "$REPLACED${1%/*}"
        cp -a "$1" "$REPLACED$1.part"
        sync "$REPLACED$1.part"
        mv -T "$REPLACED$1.part" "$REPLACED$1"
    else
        echo "$1" >>"$UPGRADING/added"
    fi
    sync "$UPGRADING"
}

# --- the site -----------------------------------------------------------------------------------

set_up_site() {
    local site=(--renew) known
    import_into_caddy
    [[ ! $DOMAIN ]] || site+=(--domain "$DOMAIN")
    [[ ! $EMAIL ]] || site+=(--email "$EMAIL")
    [[ ! $NO_ACME ]] || site+=(--no-acme)
    [[ ! ${BOOKBRAIN_ACME_DIRECTORY:-} ]] || site+=(--acme-directory "$BOOKBRAIN_ACME_DIRECTORY")
    [[ ! ${BOOKBRAIN_ACME_ROOT:-} ]] || site+=(--acme-root "$BOOKBRAIN_ACME_ROOT")
    run "$BIN/bookbrain-admin" site "${site[@]}"
    [[ $READER ]] || return 0
    known=$("$BIN/bookbrain-admin" users list 2>/dev/null) || known=
    if grep -qxF -- "$READER" <<<"$known"; then return; fi
    if [[ $PASSWORD_FILE ]]; then
        run "$BIN/bookbrain-admin" users add "$READER" --password-file "$PASSWORD_FILE"
    elif [[ $DRY_RUN ]]; then
        run "$BIN/bookbrain-admin" users add "$READER"
    else
        "$BIN/bookbrain-admin" users add "$READER" </dev/tty
    fi
}

import_into_caddy() { # the machine's own Caddyfile and its sites stay as they are
    if ! grep -qsxF "$IMPORT" /etc/caddy/Caddyfile; then
        run sed -i "\$a\\" /etc/caddy/Caddyfile # ends its last line
        run sh -c "echo '$IMPORT' >>/etc/caddy/Caddyfile"
    fi
    systemctl --quiet is-active caddy || run systemctl --quiet enable --now caddy || fail_with_caddy
}

fail_with_caddy() {
    journalctl --no-pager -n 5 -o cat -u caddy >&2 || true
    die 1 "Caddy does not run with its configuration, see above: mend /etc/caddy/Caddyfile, then run this again." \
        "Caddy가 설정을 읽지 못합니다. 위를 보고 /etc/caddy/Caddyfile을 고친 뒤 다시 실행하세요."
}

# --- who guesses passwords ----------------------------------------------------------------------

leave_sshd_alone() { # where fail2ban does not run, its jail of sshd is not what anybody relies on
    [[ ! -e $SSHD_JAIL && ! -e $JAIL ]] || return 0
    systemctl --quiet is-active fail2ban || place packaging/fail2ban/sshd.conf "$SSHD_JAIL" 0644
}

refuse_guessers() {
    local part
    leave_sshd_alone
    for part in jail filter action; do
        place "packaging/fail2ban/$part.conf" "/etc/fail2ban/$part.d/bookbrain.conf" 0644
    done
    if ! systemctl --quiet is-active fail2ban; then
        run systemctl --quiet enable fail2ban || true
        run systemctl restart fail2ban || warn_of_fail2ban
    elif [[ $JAIL_CHANGED ]]; then
        run fail2ban-client -q reload || warn_of_fail2ban
    fi
}

warn_of_fail2ban() { # the site works without
    journalctl --no-pager -n 5 -o cat -u fail2ban >&2 || true
    warn "fail2ban does not run, see above: guessing passwords is not refused. Mend its configuration in /etc/fail2ban, then: systemctl restart fail2ban" \
        "fail2ban이 실행되지 않아 암호 추측을 막지 못합니다. 위를 보고 /etc/fail2ban의 설정을 고친 뒤 실행하세요: systemctl restart fail2ban"
}

show_site() {
    [[ ! $DRY_RUN ]] || return 0
    step "BookBrain serves" "BookBrain이 동작합니다"
    "$BIN/bookbrain-admin" site
    say "
    sudo bookbrain add /path/to/books        add books, or put them into $HOME_OF_BOOKS/inbox
    sudo bookbrain-admin key                 the OpenAI key, to search by meaning too
    sudo bookbrain-admin status              how it is; doctor finds what is wrong
    systemctl stop bookbrain, start, status; journalctl -u bookbrain" \
        "
    sudo bookbrain add /책이/있는/폴더        책 넣기. $HOME_OF_BOOKS/inbox 에 넣어도 됩니다
    sudo bookbrain-admin key                 OpenAI 키를 넣으면 뜻으로도 검색합니다
    sudo bookbrain-admin status              지금 상태. doctor는 문제를 찾아 줍니다
    systemctl stop bookbrain, start, status; journalctl -u bookbrain"
}
