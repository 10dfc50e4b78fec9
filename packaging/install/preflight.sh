# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# What is looked at before a server is changed: everything that would stop the work, and what the
# owner should know.

readonly NEEDED_MEMORY_MB=900

check_server() {
    local ID='' VERSION_ID='' PRETTY_NAME=''
    [[ $EUID -eq 0 || $DRY_RUN ]] ||
        die 1 "A server is installed as root: sudo ./install.sh … (for yourself alone: ./install.sh --local)" \
            "서버 설치에는 root 권한이 필요합니다: sudo ./install.sh … (나 혼자 쓰려면: ./install.sh --local)"
    # shellcheck source=/dev/null
    [[ ! -r /etc/os-release ]] || source /etc/os-release
    case $ID-$VERSION_ID in
        debian-12 | debian-13 | ubuntu-22.04 | ubuntu-24.04) ;;
        debian-1[4-9] | debian- | ubuntu-2[5-9].*) warn "${PRETTY_NAME:-$ID} was not tried; going on." \
            "${PRETTY_NAME:-$ID}에서는 시험해 보지 않았습니다. 계속합니다." ;;
        *) die 69 "BookBrain's server runs on Debian 12 and 13, Ubuntu 22.04 and 24.04; this is ${PRETTY_NAME:-$(uname -s)}." \
            "BookBrain 서버는 Debian 12와 13, Ubuntu 22.04와 24.04에서 동작합니다. 이 컴퓨터는 ${PRETTY_NAME:-$(uname -s)}입니다." ;;
    esac
    [[ -d /run/systemd/system ]] ||
        die 69 "systemd does not run here, and BookBrain's server needs it. Without it: ./install.sh --local" \
            "systemd가 실행되고 있지 않습니다. systemd 없이 쓰려면: ./install.sh --local"
    type -P apt-get >/dev/null || die 69 "apt-get is not there." "apt-get이 없습니다."
    check_memory
    check_port 80
    check_port 443
    check_domain
}

warn() { # ENGLISH KOREAN
    printf '  ! %s\n' "$(say "$@")" >&2
}

check_memory() {
    local memory
    memory=$(awk '/^(MemTotal|SwapTotal):/ { sum += $2 } END { print int(sum / 1024) }' /proc/meminfo)
    ((memory >= NEEDED_MEMORY_MB)) ||
        die 69 "There are $memory MB of memory and swap; BookBrain needs $NEEDED_MEMORY_MB MB. Add swap or choose a larger machine." \
            "메모리와 스왑이 $memory MB입니다. BookBrain에는 $NEEDED_MEMORY_MB MB가 필요합니다. 스왑을 늘리거나 더 큰 컴퓨터를 쓰세요."
}

check_port() { # PORT: free, or Caddy's
    local owner
    owner=$(port_owner "$1")
    [[ ! $owner || $owner == caddy\ * ]] ||
        die 69 "Port $1 is taken by $owner, and Caddy needs it. Stop that first, for instance: systemctl disable --now ${owner%% *}" \
            "$1번 포트를 $owner 이(가) 쓰고 있습니다. Caddy가 써야 하므로 먼저 멈추세요. 예: systemctl disable --now ${owner%% *}"
}

port_owner() { # PORT: prints the name and the id of the process that listens there, or nothing
    local inode file process
    while read -r inode; do
        for file in /proc/[0-9]*/fd/*; do
            [[ $(readlink "$file" 2>/dev/null) == "socket:[$inode]" ]] || continue
            process=${file#/proc/} process=${process%%/*}
            echo "$(cat "/proc/$process/comm") (pid $process)"
            return
        done
        echo "another program"
        return
    done < <(awk -v port="$(printf ':%04X' "$1")" \
        '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

check_domain() { # warns: an address may be right and yet not be ours to see, behind NAT for instance
    local theirs ours
    [[ $DOMAIN && ! $NO_ACME ]] || return 0
    theirs=$(getent ahosts "$DOMAIN" | awk '{ print $1 }' | sort -u) || true
    ours=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep . | sort -u) || true
    if [[ ! $theirs ]]; then
        warn "$DOMAIN has no address yet: let it point to this server, and Caddy gets the certificate then." \
            "$DOMAIN 의 주소가 아직 없습니다. 이 서버를 가리키게 하면 그때 Caddy가 인증서를 받습니다."
    elif [[ ! $(comm -12 <(echo "$theirs") <(echo "$ours")) ]]; then
        warn "$DOMAIN is ${theirs//$'\n'/, }, which is no address of this machine. Behind a cloud's NAT that is as it should be; else mend the DNS." \
            "$DOMAIN 의 주소는 ${theirs//$'\n'/, }이고 이 컴퓨터의 주소가 아닙니다. 클라우드의 NAT 뒤라면 정상이고, 아니라면 DNS를 고치세요."
    fi
}
