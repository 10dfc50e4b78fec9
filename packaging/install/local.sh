# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# --local: BookBrain in the user's home.

install_local() {
    find_home
    choose_pipx
    LOCK=$TREE/packaging/requirements.txt FLAVOUR=
    find_wheelhouse
    check_machine "$HOME"
    find_python || install_python
    if is_current; then
        step "BookBrain is installed, and there is nothing new" \
            "BookBrain이 설치되어 있고, 새로운 것이 없습니다"
    else
        begin
        make_tools
        build_program
        if works && cmp -s "$LOCK" "$VENV/locked-from"; then
            replace_program
        else
            get_libraries "$OURS/scratch/libraries"
            install_program "$OURS/scratch/libraries"
        fi
        finish
    fi
    bring_readers
    show_hits
    show_next
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

show_hits() {
    local query
    step "Adding the sample book, BookBrain's handbook" "견본 책인 BookBrain 안내서를 넣습니다"
    # No key is needed to see it work, and none is spent on it.
    run env -u OPENAI_API_KEY -u OPENAI_BASE_URL "$BIN/bookbrain" add --sample
    if [[ $DRY_RUN ]] || type -P tesseract >/dev/null; then # else `add` has said what to install
        step "Reading its last page, a scan, from the picture" "마지막 쪽은 스캔한 그림이므로 그림에서 읽습니다"
        run env -u OPENAI_API_KEY -u OPENAI_BASE_URL "$BIN/bookbrain" ocr --sample || true
    fi
    for query in "chain asynchronous steps" "낱말을 빼고 검색하려면"; do
        step "bookbrain search \"$query\"" "bookbrain search \"$query\""
        run env -u OPENAI_API_KEY -u OPENAI_BASE_URL "$BIN/bookbrain" search -k 3 "$query"
    done
}

has_key() {
    [[ ${OPENAI_API_KEY:-}${OPENAI_BASE_URL:-} || -s $LIBRARY/credentials/openai-api-key ]] ||
        grep -qsE '^ *OPENAI_(API_KEY|BASE_URL) *= *[^ ]' "$LIBRARY/bookbrain.env"
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
    has_key || say "To search by meaning too, without a key (it fetches 135 MB, and asks first):
    $bookbrain embed --local" \
        "키 없이 뜻으로도 검색하려면(135 MB를 내려받으며, 먼저 묻습니다):
    $bookbrain embed --local"
    [[ $bookbrain == bookbrain ]] || [[ :$PATH: == *:$BIN:* ]] && return
    [[ ${SHELL:-} != */zsh ]] || rc=.zshrc
    say "
To say just 'bookbrain', in this terminal and in new ones:" "
앞으로 'bookbrain'만으로 실행하려면:"
    printf '    %s\n' "export PATH=\"$BIN:\$PATH\"" "echo 'export PATH=\"$BIN:\$PATH\"' >> ~/$rc"
}

# --- removing it again

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

remove_links() {
    local name
    for name in bookbrain bookbrain-admin; do
        if [[ $(readlink "$BIN/$name") == "$VENV"/* ]]; then run rm "$BIN/$name"; fi
    done
}
