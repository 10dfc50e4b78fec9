# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# --uninstall on a server: everything of ours goes, apart from the library, its backups, and the
# settings, which --purge takes as well. Debian's packages stay.

uninstall_server() {
    local unit units=()
    [[ $EUID -eq 0 || $DRY_RUN ]] || die 1 "Run it with sudo." "sudo로 실행하세요."
    lay_out
    step "Removing BookBrain from this server" "이 서버에서 BookBrain을 지웁니다"
    for unit in /etc/systemd/system/bookbrain*.{timer,path,service}; do
        [[ ! -e $unit || $unit == *@.service ]] || units+=("${unit##*/}")
    done
    ((${#units[@]} == 0)) || run systemctl --quiet disable --now "${units[@]}"
    leave_caddy
    leave_fail2ban
    close_ports
    run rm -f /etc/systemd/system/bookbrain*.{timer,path,service}{,.new} /etc/sysusers.d/bookbrain.conf{,.new} \
        /etc/tmpfiles.d/bookbrain.conf{,.new} /etc/systemd/journald.conf.d/bookbrain.conf{,.new} \
        /usr/local/bin/bookbrain /usr/local/bin/bookbrain-admin
    run find /etc/systemd/system -path "*/bookbrain*.service.d/$HARDENING*" -delete
    run find /etc/systemd/system -name "bookbrain*.service.d" -empty -delete # the owner's drop-ins stay
    run rm -rf "$OURS"
    run systemctl daemon-reload
    run systemctl reset-failed 'bookbrain*'
    if [[ $PURGE ]]; then
        purge_server
    else
        say "The library is still in $HOME_OF_BOOKS, backups in /var/backups/bookbrain, settings in $ETC. --uninstall --purge removes them as well." \
            "서재는 $HOME_OF_BOOKS, 백업은 /var/backups/bookbrain, 설정은 $ETC 에 그대로 있습니다. --uninstall --purge는 이것까지 지웁니다."
    fi
    say "Packages that were installed with apt stay. If nothing else needs them: apt-get purge caddy fail2ban ${OCR_PACKAGES[*]} ${FONT_PACKAGES[*]} ${BUILD_PACKAGES[*]}" \
        "apt로 설치한 패키지는 남아 있습니다. 다른 데 쓰지 않는다면: apt-get purge caddy fail2ban ${OCR_PACKAGES[*]} ${FONT_PACKAGES[*]} ${BUILD_PACKAGES[*]}"
}

leave_caddy() { # takes our import out of the machine's Caddyfile; other sites go on
    local ours="# BookBrain: for nobody but root and Caddy"
    grep -qsF -e "$IMPORT" -e "$ours" /etc/caddy/Caddyfile || return 0
    run sed -i --follow-symlinks "\|^$IMPORT\$|d" /etc/caddy/Caddyfile
    if grep -qF "$ours" /etc/caddy/Caddyfile; then
        run sed -i --follow-symlinks "/$ours\$/d" /etc/caddy/Caddyfile
        run sed -i --follow-symlinks -z 's/\(^\|\n\){\n}\n\n\?/\1/' /etc/caddy/Caddyfile # nothing else was in it
        # It still listens where it was told to before.
        run caddy reload --force --config /etc/caddy/Caddyfile --address unix//var/lib/caddy/admin.sock || run systemctl try-restart caddy
    else
        run systemctl try-reload-or-restart caddy
    fi
}

leave_fail2ban() { # as it was: not running, where it came with us and watches nothing else
    local jails
    [[ -e $JAIL ]] || return 0
    jails=$(fail2ban-client status 2>/dev/null | sed -n 's/.*Jail list:[[:space:]]*//p') || true
    run rm -f /etc/fail2ban/{jail,filter,action}.d/bookbrain.conf{,.new}
    if [[ -e $SSHD_JAIL && ${jails:-bookbrain} == bookbrain ]]; then
        run systemctl --quiet disable --now fail2ban || true
        run rm -f "$SSHD_JAIL"{,.new}
    else # ours that turns off sshd's would change what the others have now: it stays then
        run fail2ban-client -q reload || true
    fi
}

purge_server() {
    run rm -rf "$HOME_OF_BOOKS" /var/backups/bookbrain /var/log/bookbrain "$ETC" /etc/systemd/system/bookbrain*.d \
        /var/lib/systemd/timers/stamp-bookbrain-*
    if getent passwd bookbrain >/dev/null; then run userdel bookbrain; fi
    if getent group bookbrain >/dev/null; then run groupdel bookbrain; fi
}
