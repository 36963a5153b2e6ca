#!/usr/bin/env bash
# Installs what the tests need and npm does not bring: Chromium, the real QEMU tools, which are the oracle, the makers of
# containers, partitions and file systems, and a QMP client library of others with the compiler for it.
# On Debian 12 it uses apt (bookworm-backports for QEMU 10.0). Elsewhere it installs nothing: it says what is missing.
set -euo pipefail

# command -> Debian package
needed=(
  'chromium chromium'
  'qemu-img qemu-utils'
  'qemu-io qemu-utils'
  'qemu-storage-daemon qemu-system-common'
  'e2image e2fsprogs'
  'mkfs.ext4 e2fsprogs'
  'cryptsetup cryptsetup-bin'
  'nbdinfo libnbd-bin'
  'nbdcopy libnbd-bin'
  'nbdkit nbdkit'
  'openssl openssl'
  'python3 python3-minimal'
  'mkfs.vfat dosfstools'
  'mkfs.exfat exfatprogs'
  'sfdisk fdisk'
  'blkid util-linux'
  'mcopy mtools'
  'genisoimage genisoimage'
  'xorriso xorriso'
  'go-12 gccgo-12'
)
# a file -> Debian package, for what is no command
needed_files=(
  '/usr/lib/ipxe/ipxe.iso ipxe'
  '/usr/lib/python3/dist-packages/nbd.py python3-libnbd'
  '/usr/share/gocode/src/github.com/digitalocean/go-qemu/qmp/socket.go golang-github-digitalocean-go-qemu-dev'
)

missing_packages() {
  local entry
  for entry in "${needed[@]}"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${entry% *}" >/dev/null || echo "${entry#* }"
  done
  for entry in "${needed_files[@]+"${needed_files[@]}"}"; do
    [ -e "${entry% *}" ] || echo "${entry#* }"
  done
  # The tests compare with QEMU 10.0; Debian 12 itself has 7.2.
  if command -v qemu-img >/dev/null && ! qemu-img --version | grep -q 'version 10\.'; then
    echo qemu-utils
    echo qemu-system-common
  fi
}

mapfile -t missing < <(missing_packages | sort -u)
if [ "${#missing[@]}" -eq 0 ]; then
  echo 'setup: everything is here'
  exit 0
fi

. /etc/os-release 2>/dev/null || ID=unknown
if [ "${ID:-}" != debian ] || ! command -v apt-get >/dev/null; then
  echo "setup: this is not Debian, so nothing is installed. Missing: ${missing[*]}" >&2
  echo 'setup: tests that need one of them will fail and say so; install them with the package manager of this system.' >&2
  exit 0
fi

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive

if [ "${VERSION_CODENAME:-}" = bookworm ]; then
  # The files that exist: a machine has the one or the other kind. Comments do not count.
  sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null | grep -v '^ *#' || true)
  if ! grep -q 'bookworm-backports' <<<"$sources"; then
    # The mirror is the one that the machine uses already.
    mirror=$(sed -nE 's#.*(https?://[^ ]+/debian)/?( .*)?$#\1#p' <<<"$sources" | sed -n 1p)
    [ -n "$mirror" ] || { echo 'setup: no Debian mirror found in the apt sources' >&2; exit 1; }
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$keyring] $mirror bookworm-backports main" |
      "${as_root[@]}" tee /etc/apt/sources.list.d/qsd-web-backports.list >/dev/null
  fi
fi
"${as_root[@]}" apt-get update -q
target=()
if [ "${VERSION_CODENAME:-}" = bookworm ]; then target=(-t bookworm-backports); fi
qemu=()
others=()
for package in "${missing[@]}"; do
  case $package in qemu-*) qemu+=("$package") ;; *) others+=("$package") ;; esac
done
[ "${#others[@]}" -eq 0 ] || "${as_root[@]}" apt-get install -q -y --no-install-recommends "${others[@]}"
[ "${#qemu[@]}" -eq 0 ] || "${as_root[@]}" apt-get install -q -y --no-install-recommends "${target[@]}" "${qemu[@]}"

mapfile -t missing < <(missing_packages | sort -u)
if [ "${#missing[@]}" -ne 0 ]; then
  echo "setup: still missing after the installation: ${missing[*]}" >&2
  exit 1
fi
echo 'setup: done'
