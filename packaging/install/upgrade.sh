# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# From one release to the next, and back when the new one does not work.
#
# Root's notes of an upgrade are the folder UPGRADING, with a copy of these scripts. While it is
# there, nobody writes to the library, and bookbrain-upgrade.service goes on at the next boot:
#   from, to   the releases      ill     the one of before was not healthy either
#   replaced/  files of ours as they were; added   those that were not there
#   placed     all files of the new release are in place
#   kept       the databases are copied; from here on the new release may run
#   back       it does not work
# Root never touches the library: bookbrain.upgrade does, as the service's user.

readonly UPGRADE_UNIT=bookbrain-upgrade.service DATA_SECONDS=3600
readonly TIMERS=(bookbrain-{health,logs,backup,verify,check}.timer)

# --- in the installer ---------------------------------------------------------------------------

begin_upgrade() { # before the first file is placed; nothing where no other release is in use
    local previous
    previous=$(readlink "$CURRENT" || true)
    [[ $previous && $previous != "$RELEASE" && ! $DRY_RUN ]] || return 0
    place "systemd/$UPGRADE_UNIT" "/etc/systemd/system/$UPGRADE_UNIT" 0644
    systemctl daemon-reload
    systemctl --quiet enable "$UPGRADE_UNIT"
    rm -rf "$UPGRADING.part" "$UPGRADING.done"
    mkdir -p "$UPGRADING.part/packaging"
    cp "$TREE/install.sh" "$UPGRADING.part"
    cp -r "$TREE/packaging/install" "$UPGRADING.part/packaging"
    echo "$previous" >"$UPGRADING.part/from"
    echo "$RELEASE" >"$UPGRADING.part/to"
    echo "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" >"$UPGRADING.part/locale"
    is_healthy || touch "$UPGRADING.part/ill" # then the new one cannot be asked for more than to start
    sync
    trap leave_upgrade EXIT
    mv -T "$UPGRADING.part" "$UPGRADING"
    sync
}

leave_upgrade() { # the installer ends in the middle: the unit undoes it, or goes on
    [[ ! -d $UPGRADING ]] || systemctl --no-block start "$UPGRADE_UNIT" || true
    tidy_up
}

switch_release() {
    local previous
    previous=$(readlink "$CURRENT" || true)
    if [[ -d $UPGRADING && ! $DRY_RUN ]]; then
        step "Starting BookBrain" "BookBrain을 시작합니다"
        systemctl daemon-reload # or each command would warn that the units are others now
        note placed
        run_upgrade
        [[ $(readlink "$CURRENT") == "$RELEASE" ]] ||
            die 1 "The new version is not in use, see above. The version before serves again and nothing is lost." \
                "새 판을 쓰지 않습니다. 위를 보세요. 옛 판이 다시 동작하고, 잃은 것은 없습니다."
    elif [[ $previous != "$RELEASE" || $CHANGED ]] || ! systemctl --quiet is-active bookbrain; then
        step "Starting BookBrain" "BookBrain을 시작합니다"
        point_to "$RELEASE"
        { start_release && run systemctl restart "${TIMERS[@]}"; } || fail_to_start
    else
        return 0
    fi
    forget_old_releases "$previous"
}

end_interrupted_upgrade() { # the installer was killed, or the machine is at it since its boot
    [[ -d $UPGRADING && ! $DRY_RUN ]] || return 0
    step "Ending an upgrade that was interrupted" "중단된 업그레이드를 마무리합니다"
    run_upgrade
}

run_upgrade() { # has the unit do it, which goes on when this terminal is gone; shows what it said
    local run
    systemctl start "$UPGRADE_UNIT" || true
    run=$(systemctl show -p InvocationID --value "$UPGRADE_UNIT")
    until [[ $(systemctl is-active "$UPGRADE_UNIT") == @(inactive|failed) ]]; do
        sleep 1
    done
    journalctl --sync || true
    journalctl --no-pager -q -o cat "_SYSTEMD_INVOCATION_ID=$run" >&2 || true
    [[ ! -d $UPGRADING ]] ||
        die 1 "The upgrade is not ended, see above: until it is, no book is added. Mend that, then run this again." \
            "업그레이드가 끝나지 않았습니다. 위를 보세요. 끝날 때까지 책을 추가하지 않습니다. 원인을 고친 뒤 다시 실행하세요."
}

forget_old_releases() { # PREVIOUS-RELEASE: that one stays
    local release
    for release in "$OURS"/releases/* "$OURS"/{before-upgrade,replaced}; do # the last two are older installers'
        [[ $release == "$RELEASE" || $release == "${1:-}" || ! -d $release ]] || run rm -rf "$release"
    done
}

# --- in the unit --------------------------------------------------------------------------------

end_upgrade() { # goes on wherever the one before was cut off
    lay_out
    [[ $EUID -eq 0 && $TREE == "$UPGRADING" ]] ||
        die 2 "Only $UPGRADE_UNIT does that." "$UPGRADE_UNIT 만 하는 일입니다."
    PREVIOUS=$(<"$UPGRADING/from") RELEASE=$(<"$UPGRADING/to")
    LC_ALL=$(<"$UPGRADING/locale")
    export LC_ALL=${LC_ALL:-C.UTF-8}
    if [[ -e $UPGRADING/back || ! -e $UPGRADING/placed ]]; then
        go_back
    else
        go_forward
    fi
}

go_forward() {
    if [[ ! -e $UPGRADING/kept ]]; then
        stop_services
        if ! work_on_data keep; then
            say "The databases could not be copied, see above: nothing was upgraded. Is there room in $HOME_OF_BOOKS?" \
                "데이터베이스를 복사하지 못해 새 판으로 바꾸지 않았습니다. 위를 보세요. $HOME_OF_BOOKS 에 자리가 있는지 보세요."
            go_back
            return
        fi
        note kept
    fi
    point_to "$RELEASE"
    systemd-notify --ready
    if start_release || { [[ -e $UPGRADING/ill ]] && systemctl --quiet is-active bookbrain; }; then
        end_notes
        start_writers
        work_on_data forget || true
    else
        journalctl --no-pager -n 15 -o cat -u bookbrain -u bookbrain-health || true
        go_back
        rm -rf "$RELEASE"
    fi
}

go_back() {
    note back
    say "The new version does not work, or its installation was cut off: going back" \
        "새 판이 동작하지 않거나 설치가 중단되어 옛 판으로 돌아갑니다"
    stop_services
    if [[ -e $UPGRADING/kept ]] && ! work_on_data put-back; then
        systemctl --no-block start bookbrain
        die 1 "The data of before could not be put back, see above. Mend that, then run: systemctl restart $UPGRADE_UNIT" \
            "이전 데이터를 되돌리지 못했습니다. 위를 보세요. 원인을 고친 뒤 실행하세요: systemctl restart $UPGRADE_UNIT"
    fi
    restore_files
    point_to "$PREVIOUS"
    end_notes
    systemd-notify --ready
    start_release || say "The version before does not come up either: journalctl -u bookbrain" \
        "옛 판도 시작되지 않습니다: journalctl -u bookbrain"
    start_writers
    work_on_data forget || true
}

note() { # NAME: from here on it is known, also after a power cut
    : >"$UPGRADING/$1"
    sync
}

end_notes() { # whatever writes may start
    sync
    rm -rf "$UPGRADING.done"
    mv -T "$UPGRADING" "$UPGRADING.done"
    sync
    rm -rf "$UPGRADING.done"
}

work_on_data() { # TASK: by the new release, as the service's user
    timeout --kill-after=10 "$DATA_SECONDS" "$RELEASE/venvs/bookbrain/bin/python" -IB -m bookbrain.upgrade "$1" </dev/null
}

restore_files() { # whole files take the place of the others, and then those that are new go
    local file
    while read -r file; do
        cp -a "$REPLACED/$file" "/$file.before"
        sync "/$file.before"
        mv -T "/$file.before" "/$file"
        install -D -m 0644 "$REPLACED/$file" "$OURS/placed/$file"
    done < <(cd "$REPLACED" 2>/dev/null && find . -type f ! -name '*.part' -printf '%P\n')
    while read -r file; do
        [[ $file != /etc/systemd/system/* || $file == *.d/* ]] || systemctl --quiet disable --now "${file##*/}" || true
        rm -f "$file" "$OURS/placed$file"
        [[ $file != */"$HARDENING" ]] || rmdir "${file%/*}" 2>/dev/null || true # the owner's drop-ins stay
    done < <(cat "$UPGRADING/added" 2>/dev/null)
    [[ ! -e $REPLACED$ETC/Caddyfile ]] || systemctl --no-block try-reload-or-restart caddy || true
}

# --- in both ------------------------------------------------------------------------------------

stop_services() { # what still reads the databases would bring their logs in while these are copied
    systemctl --quiet stop bookbrain.service bookbrain-{ingest,ocr}.{path,service} bookbrain-chroma.service \
        bookbrain-{health,backup,verify,check}.{timer,service} || true
}

point_to() { # RELEASE: makes it the current one
    local unit
    run ln -sfn "$1" "$CURRENT.new"
    run mv -T "$CURRENT.new" "$CURRENT"
    run systemctl daemon-reload
    for unit in bookbrain.service bookbrain-{ingest,ocr}.path "$UPGRADE_UNIT" "${TIMERS[@]}"; do
        [[ ! -e /etc/systemd/system/$unit && ! $DRY_RUN ]] || run systemctl --quiet enable "$unit"
    done
    run sync
}

start_release() { # fails when it does not come up and stay healthy
    run systemctl restart bookbrain.service && is_healthy
}

start_writers() { # what waits for the end of an upgrade
    systemctl --quiet restart "${TIMERS[@]}" || true
    systemctl --no-block start bookbrain-{ingest,ocr}.{path,service} || true
}

is_healthy() {
    local left=12 # tries: a small machine needs its time
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
