# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# From one release to the next, and back when the new one does not work.

switch_release() {
    local previous
    previous=$(readlink "$CURRENT" || true)
    if [[ $previous == "$RELEASE" && ! $CHANGED ]] && systemctl --quiet is-active bookbrain; then return; fi
    step "Starting BookBrain" "BookBrain을 시작합니다"
    if [[ ! $previous || $previous == "$RELEASE" || $DRY_RUN ]]; then
        start_release "$RELEASE" || fail_to_start
    else
        upgrade "$previous"
    fi
    forget_old_releases "$previous"
}

start_release() { # RELEASE: makes it the current one; fails when it does not come up and stay healthy
    run ln -sfn "$1" "$CURRENT.new"
    run mv -T "$CURRENT.new" "$CURRENT"
    run systemctl daemon-reload
    run systemctl --quiet enable bookbrain.service bookbrain-ingest.path bookbrain-health.timer bookbrain-logs.timer \
        bookbrain-backup.timer bookbrain-verify.timer bookbrain-check.timer
    run systemctl restart bookbrain.service && run systemctl restart bookbrain-health.timer bookbrain-logs.timer \
        bookbrain-backup.timer bookbrain-verify.timer bookbrain-check.timer && is_healthy
}

is_healthy() {
    local left=5
    until run systemctl start bookbrain-health.service 2>/dev/null; do
        ((left--)) || return 1
        sleep 2
    done
}

fail_to_start() {
    journalctl --no-pager -n 15 -o cat -u bookbrain -u bookbrain-chroma -u bookbrain-health >&2 || true
    die 1 "BookBrain is installed but does not come up, see above. More: journalctl -u bookbrain. Mend it, then run this again." \
        "BookBrain을 설치했지만 시작되지 않습니다. 위를 보세요. 더 보려면: journalctl -u bookbrain. 고친 뒤 다시 실행하세요."
}

upgrade() { # PREVIOUS-RELEASE
    local before=healthy
    is_healthy || before=ill # then the new one cannot be asked for more than to start
    # What still reads the databases would bring their logs in while these are copied.
    run systemctl stop bookbrain.service bookbrain-{health,backup,verify,check}.{timer,service}
    keep_data "$1"
    if start_release "$RELEASE" || { [[ $before == ill ]] && systemctl --quiet is-active bookbrain; }; then
        rm -rf "$KEPT" "$REPLACED"
        return
    fi
    journalctl --no-pager -n 15 -o cat -u bookbrain -u bookbrain-health >&2 || true
    go_back "$1"
    rm -rf "$RELEASE"
    die 1 "The new version failed its health check, see above. The version before serves again and nothing is lost." \
        "새 판이 상태 검사를 통과하지 못했습니다. 위를 보세요. 옛 판이 다시 동작하고, 잃은 것은 없습니다."
}

# A new release may change the tables, and the old one could not read them. The copy has its name
# only when it is whole; it goes when the upgrade has ended, one way or the other.
keep_data() { # PREVIOUS-RELEASE
    local lock=()
    rm -rf "$KEPT" "$KEPT.part"
    install -d -m 0700 "$KEPT.part"
    [[ ! -e $HOME_OF_BOOKS/library.lock ]] || lock=(flock -w 600 "$HOME_OF_BOOKS/library.lock")
    "${lock[@]}" find "$HOME_OF_BOOKS" -maxdepth 1 -name '*.sqlite3*' -exec cp -a --reflink=auto -t "$KEPT.part" {} + || {
        rm -rf "$KEPT.part"
        systemctl start bookbrain bookbrain-{health,backup,verify,check}.timer
        die 1 "The catalog could not be copied: nothing was upgraded, the old version serves. Is there room in /opt?" \
            "목록을 복사하지 못해 새 판으로 바꾸지 않았습니다. 옛 판이 동작합니다. /opt에 자리가 있는지 보세요."
    }
    echo "$1" >"$KEPT.part/from"
    sync
    mv -T "$KEPT.part" "$KEPT"
}

end_interrupted_upgrade() { # the power went in the middle of one
    local from
    [[ -d $KEPT && ! $DRY_RUN ]] || return 0
    from=$(cat "$KEPT/from")
    if [[ $(readlink "$CURRENT") == "$from" ]] || { systemctl --quiet is-active bookbrain && is_healthy; }; then
        rm -rf "$KEPT" "$REPLACED"
    else
        go_back "$from"
    fi
}

go_back() { # PREVIOUS-RELEASE
    step "The new version does not work: going back" "새 판이 동작하지 않아 옛 판으로 돌아갑니다"
    systemctl stop bookbrain.service || true
    put_data_back
    if [[ -d $REPLACED ]]; then
        (cd "$REPLACED" && find . -type f -exec sh -c 'cp -a "$1" "/$1"; cp "$1" "$2/$1"' - {} "$OURS/placed" \;)
    fi
    start_release "$1" || fail_to_start
    rm -rf "$KEPT" "$REPLACED"
}

put_data_back() { # whole files take the place of the others; cut off, it can be done again
    local file
    for file in "$KEPT"/*.sqlite3; do
        cp -a "$file" "$HOME_OF_BOOKS/${file##*/}.part"
        sync
        rm -f "$HOME_OF_BOOKS/${file##*/}"-{wal,shm}
        mv "$HOME_OF_BOOKS/${file##*/}.part" "$HOME_OF_BOOKS/${file##*/}"
        if [[ -s $file-wal ]]; then cp -a "$file-wal" "$HOME_OF_BOOKS"; fi
    done
}

forget_old_releases() { # PREVIOUS-RELEASE: that one stays
    local release
    for release in "$OURS"/releases/*; do
        [[ $release == "$RELEASE" || $release == "${1:-}" || ! -d $release ]] || run rm -rf "$release"
    done
}
