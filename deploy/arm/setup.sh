#!/usr/bin/env bash
# An aarch64 Linux without a board: Debian 12's Python and libraries, the aarch64 wheels of numpy and
# both runtimes, and the emulator that runs them. Nothing is installed, root is not needed.
#
#   deploy/arm/setup.sh [FOLDER]      default .cache/arm in the repository
#
#   FOLDER/debian/             Debian 12 (arm64), unpacked packages
#   FOLDER/packages/NAME/      numpy, ai-edge-litert, onnxruntime: versions of requirements.lock
#   FOLDER/qemu/               qemu-user 10: Debian 12's own 7.2 crashes in both runtimes
#   FOLDER/debian/usr/bin/python3   runs the lot, as any Python is run: .../usr/bin/python3 x.py
#
# Needs apt, dpkg-deb and pip. apt checks Debian's signatures and hashes, pip the index's hashes.
# DEBIAN_MIRROR names the mirror where apt's own sources are not Debian's. A second call is for free.
set -euo pipefail

RELEASE=bookworm
PACKAGES=(python3.11-minimal libpython3.11-stdlib libstdc++6)
QEMU_RELEASE=trixie
WHEELS=(numpy ai-edge-litert onnxruntime)
PLATFORMS=(manylinux_2_28_aarch64 manylinux_2_27_aarch64 manylinux2014_aarch64)
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
pip=${PIP:-$repository/.venv/bin/pip}
mkdir -p "${1:-$repository/.cache/arm}"
folder=$(cd "${1:-$repository/.cache/arm}" && pwd)

fail() { printf 'deploy/arm/setup.sh: %s\n' "$@" >&2; exit 1; }

for tool in apt-get dpkg dpkg-deb sha256sum flock "$pip"; do
  command -v "$tool" > /dev/null || fail "$tool is missing" "this needs Debian's tools and a Python's pip"
done
[ -r "$KEYS" ] || fail "$KEYS is missing" "apt-get install debian-archive-keyring"

exec 9> "$folder/.lock"
flock 9 # two test runs at once: the second finds everything done

pinned() {
  grep "^$1==" "$repository/requirements.lock" || fail "$1 is not in requirements.lock"
}

mirror() {
  local found=${DEBIAN_MIRROR:-}
  [ -n "$found" ] || found=$(apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Component: main' 'Origin: Debian' 2> /dev/null | grep -v security | head -1)
  [ -n "$found" ] || found=$(apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Component: main' "Codename: $RELEASE" 2> /dev/null | head -1)
  [ -n "$found" ] || fail "no Debian mirror in apt's sources" "name one: DEBIAN_MIRROR=http://... $0"
  printf '%s\n' "$found"
}

# fetch DEBS RELEASE ARCHITECTURE OPTIONS... PACKAGE...: into DEBS, with an apt that knows nothing of
# the host's packages and keeps its state in DEBS, so that root and dpkg's lock are not needed.
fetch() {
  local debs=$1 release=$2 architecture=$3
  shift 3
  mkdir -p "$debs"/state/lists/partial "$debs"/archives/partial "$debs"/etc
  : > "$debs/state/status"
  printf 'deb [signed-by=%s] %s %s main\n' "$KEYS" "$(mirror)" "$release" > "$debs/etc/sources"
  local apt=(apt-get -qq
    -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture"
    -o "Dir::Etc::sourcelist=$debs/etc/sources" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o "Dir::State=$debs/state" -o "Dir::State::status=$debs/state/status"
    -o "Dir::Cache::archives=$debs/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User= -o Debug::NoLocking=1
    -o APT::Update::Error-Mode=any)
  "${apt[@]}" update || fail "apt could not read $release from the mirror"
  "${apt[@]}" -y --no-install-recommends "$@" || fail "apt could not get the packages of $release"
  rm -rf "$debs/state" "$debs/etc"
}

unpack() { # unpack DEBS TARGET
  local deb
  for deb in "$1"/*.deb; do dpkg-deb --extract "$deb" "$2"; done
}

make_debian() {
  fetch "$1/debs" "$RELEASE" arm64 --download-only install "${PACKAGES[@]}"
  mkdir -p "$1/debian"
  unpack "$1/debs/archives" "$1/debian"
  rm -rf "$1/debian/usr/share"/{doc,man,locale,lintian}
}

make_qemu() {
  (mkdir -p "$1/qemu" "$1/qemu-debs/archives" && cd "$1/qemu-debs/archives" \
    && fetch "$1/qemu-debs" "$QEMU_RELEASE" "$(dpkg --print-architecture)" download qemu-user)
  unpack "$1/qemu-debs/archives" "$1/qemu-debs"
  mv "$1/qemu-debs/usr/bin/qemu-aarch64" "$1/qemu/"
}

make_packages() {
  local name options=()
  for name in "${PLATFORMS[@]}"; do options+=(--platform "$name"); done
  for name in "${WHEELS[@]}"; do
    "$pip" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --no-compile \
      --python-version 3.11 "${options[@]}" --target "$1/packages/$name" "$(pinned "$name")" \
      || fail "pip could not get the aarch64 wheel of $(pinned "$name")"
  done
}

# Python takes its own place from the name that it was called by: this file's, so that sys.executable
# is this file too, and a child process that Python starts is emulated as well.
make_launcher() {
  cat > "$1/debian/usr/bin/python3" <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
debian=${here%/usr/bin}
exec "$debian/../qemu/qemu-aarch64" -cpu cortex-a72 -L "$debian" -0 "$here/python3" "$here/python3.11" "$@"
END
  chmod +x "$1/debian/usr/bin/python3"
}

wanted=$(for name in "${WHEELS[@]}"; do pinned "$name"; done; sha256sum < "${BASH_SOURCE[0]}")
if [ "$(cat "$folder/.ready" 2> /dev/null)" = "$wanted" ]; then
  exit 0
fi
rm -rf "$folder"/{.ready,new,root,debian,qemu,packages} # root: what debian was called before
new=$folder/new
mkdir "$new"
echo "setting up an aarch64 Debian in $folder (240 MB on disk); this is done once"
make_qemu "$new"
make_debian "$new"
make_packages "$new"
make_launcher "$new"
mv "$new"/{debian,qemu,packages} "$folder/"
rm -rf "$new"
"$folder/debian/usr/bin/python3" -c 'import platform; assert platform.machine() == "aarch64"' \
  || fail "the emulated Python does not start"
printf '%s\n' "$wanted" > "$folder/.ready"
