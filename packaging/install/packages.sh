# shellcheck shell=bash disable=SC2034,SC2153 # what it sets or uses is used or set by the others
# What a server needs of Debian's packages.

# What reads scanned pages.
readonly OCR_PACKAGES=(tesseract-ocr tesseract-ocr-eng tesseract-ocr-osd tesseract-ocr-script-hang)
# What draws Korean where a PDF names a font and does not hold it: without one such pages stay empty,
# and pdfium leaves out letters that stand alone.
readonly FONT_PACKAGES=(fonts-nanum)
readonly PACKAGES=(ca-certificates caddy fail2ban nftables python3 python3-systemd python3-venv "${OCR_PACKAGES[@]}" "${FONT_PACKAGES[@]}")
# What systemd-python is built with, for it publishes no wheel.
readonly BUILD_PACKAGES=(gcc libc6-dev libsystemd-dev pkg-config)

readonly APT_LISTS_LOCK=${APT_LISTS_LOCK:-/var/lib/apt/lists/lock}

install_packages() {
    local missing=() package version
    for package in "${PACKAGES[@]}" "${BUILD_PACKAGES[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    # Ubuntu 22.04's own Python is 3.10; apt has a newer one beside it.
    if python3 -Ic 'import sys; assert sys.version_info < (3, 11)' 2>/dev/null && ! find_python; then
        has_fresh_lists || run_apt update
        version=$(newest_python_of_apt)
        missing+=("$version-venv" "$version-dev")
    else
        package=$(find_python && echo "${PYTHON##*/}" || echo python3)-dev
        [[ $package == python3* ]] || package=python3-dev
        is_installed "$package" || missing+=("$package")
    fi
    if ! ((${#missing[@]})); then return; fi
    step "Installing ${missing[*]} with apt (waits for another apt)" "apt로 ${missing[*]} 설치 (다른 apt가 끝나기를 기다립니다)"
    leave_sshd_alone
    has_fresh_lists || run_apt update
    if has_fresh_lists && ! has_candidate caddy; then add_caddy_repository; fi
    run_apt install --no-install-recommends "${missing[@]}"
    find_python || [[ $DRY_RUN ]] ||
        die 69 "Python 3.11 or newer is not there." "Python 3.11 이상이 없습니다."
}

bring_readers() { # so that scanned pages are read, and Korean is drawn; without them all else works
    local missing=() package
    type -P apt-get >/dev/null || return 0
    for package in "${OCR_PACKAGES[@]}" "${FONT_PACKAGES[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    if ! ((${#missing[@]})); then return; fi
    if [[ $EUID -eq 0 ]]; then
        step "Installing ${missing[*]} with apt, to read scanned pages and draw Korean" "스캔한 쪽을 읽고 한글을 그리도록 apt로 ${missing[*]} 설치"
        wait_for_apt
        has_fresh_lists || run "${APT[@]}" update </dev/null || true
        if run "${APT[@]}" install --no-install-recommends "${missing[@]}" </dev/null; then return; fi
    fi
    say "    To have scanned pages read, and Korean drawn whose font is not in the PDF, as root: apt-get install ${missing[*]}" \
        "    스캔한 쪽을 읽고 PDF에 글꼴이 없는 한글을 그리려면 root로: apt-get install ${missing[*]}"
}

name_localhost() { # minimal images leave it out, and Caddy does not start without
    if ! grep -qsw localhost /etc/hosts; then
        run sh -c 'printf "127.0.0.1 localhost\n::1 localhost\n" >>/etc/hosts'
    fi
}

run_apt() { # ARGUMENT...
    wait_for_apt
    run "${APT[@]}" "$@" </dev/null ||
        die 1 "apt-get failed, see above. If the network was away, just run this again." \
            "apt-get이 실패했습니다. 위를 보세요. 네트워크가 끊겼다면 다시 실행하면 됩니다."
}

wait_for_apt() { # apt itself waits for dpkg's lock, but not for the one of its lists
    local inode waited=0
    while inode=$(stat -c %i "$APT_LISTS_LOCK" 2>/dev/null) && grep -q ":$inode " /proc/locks; do
        ((waited)) || say "    another apt is at work: waiting for it" "    다른 apt가 끝나기를 기다립니다"
        ((waited += 2))
        ((waited < 600)) || die 75 "The other apt does not end. Run this again later." \
            "다른 apt가 끝나지 않습니다. 나중에 다시 실행하세요."
        sleep 2
    done
}

is_installed() { # PACKAGE
    [[ $(dpkg-query -Wf '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]
}

has_candidate() { # PACKAGE
    [[ $(apt-cache policy "$1") == *"Candidate: "[0-9]* ]]
}

# Ubuntu 22.04 has no Caddy. Caddy's own packages are taken then, as its documentation says, but not
# before the key is seen to be Caddy's.
readonly CADDY_REPOSITORY=${BOOKBRAIN_CADDY_REPOSITORY:-https://dl.cloudsmith.io/public/caddy/stable}
readonly CADDY_KEY=${BOOKBRAIN_CADDY_KEY:-65760C51EDEA2017CEA2CA15155B6D79CA56EA34}

add_caddy_repository() {
    local keyring=/usr/share/keyrings/caddy-stable-archive-keyring.gpg key
    step "Adding the repository of Caddy's packages" "Caddy 패키지 저장소를 더합니다"
    run_apt install --no-install-recommends gnupg ca-certificates
    key=$(mktemp)
    [[ $DRY_RUN ]] || fetch "$CADDY_REPOSITORY/gpg.key" "$key"
    [[ $DRY_RUN || $(gpg --batch --show-keys --with-colons "$key" 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }') == "$CADDY_KEY" ]] ||
        die 1 "The key of Caddy's repository is not Caddy's: nothing was added. See https://caddyserver.com/docs/install" \
            "Caddy 저장소의 키가 Caddy의 것이 아니어서 더하지 않았습니다. https://caddyserver.com/docs/install 을 보세요."
    run gpg --batch --yes --dearmor --output "$keyring" "$key"
    rm -f "$key"
    run chmod 0644 "$keyring"
    run sh -c "echo 'deb [signed-by=$keyring] $CADDY_REPOSITORY/deb/debian any-version main' >/etc/apt/sources.list.d/caddy-stable.list"
    run_apt update
}
