# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# What every part of the installer uses.
# `run` and `attempt` are the only ways in which anything is changed; a dry run prints what they
# would do.

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

stop_processes() { # PATH: those of this user's that were started with it, or something in it
    local process
    for process in /proc/[0-9]*; do
        if [[ -O $process ]] && tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -qF "$1"; then
            run kill -9 "${process#/proc/}" || true
        fi
    done
}

is_server() {
    [[ -e /opt/bookbrain/current || -e /etc/bookbrain/bookbrain.env ]]
}
