# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# Firewalls that end in a REJECT for everything, as on Oracle's images: ports 80 and 443 are opened
# in front of it, now and in the rules that are loaded at the next start. Others are left alone.

readonly PORTS_RULE="-p tcp -m multiport --dports 80,443 -m comment --comment bookbrain -j ACCEPT"

open_ports() {
    open_ports_of iptables /etc/iptables/rules.v4
    open_ports_of ip6tables /etc/iptables/rules.v6
}

open_ports_of() { # PROGRAM FILE
    local line rule
    read -ra rule <<<"$PORTS_RULE"
    type -P "$1" >/dev/null || return 0
    line=$("$1" -w -S INPUT 2>/dev/null | grep '^-A' | find_reject) || return 0
    if ! "$1" -w -C INPUT "${rule[@]}" 2>/dev/null; then
        step "Opening ports 80 and 443 in the firewall" "방화벽에서 80번과 443번 포트를 엽니다"
        run "$1" -w -I INPUT "$line" "${rule[@]}"
    fi
    open_ports_in_file "$2"
}

find_reject() { # prints the number of the first rule, of those on stdin, that refuses whatever comes
    awk '/^-A INPUT -j (REJECT|DROP)/ { print NR; found = 1; exit } END { exit !found }'
}

open_ports_in_file() { # FILE: as iptables-save writes them
    local line
    if [[ ! -f $1 ]]; then
        warn "$1 is not there: after a restart the ports are open only if whatever sets the firewall opens them." \
            "$1 파일이 없습니다. 다시 시작한 뒤에도 포트가 열려 있으려면 방화벽을 설정하는 쪽에서 열어야 합니다."
        return
    fi
    grep -qFe "-A INPUT $PORTS_RULE" "$1" && return
    line=$(awk '/^\*/ { table = $1 } table == "*filter" && /^-A INPUT -j (REJECT|DROP)/ { print NR; exit }' "$1")
    [[ $line ]] || return 0
    run sed -i "${line}i -A INPUT $PORTS_RULE" "$1"
}

close_ports() {
    local program rule
    read -ra rule <<<"$PORTS_RULE"
    for program in iptables ip6tables; do
        type -P "$program" >/dev/null || continue
        while "$program" -w -C INPUT "${rule[@]}" 2>/dev/null; do
            run "$program" -w -D INPUT "${rule[@]}"
            [[ ! $DRY_RUN ]] || break
        done
    done
    for program in /etc/iptables/rules.v4 /etc/iptables/rules.v6; do
        if grep -qsFe "--comment bookbrain " "$program"; then run sed -i "/--comment bookbrain /d" "$program"; fi
    done
}
