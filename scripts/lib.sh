# What scripts/demo and scripts/test share: getting from a fresh clone to a built program, and being able to mount.
# Sourced, never run. Installs only what is missing and says what it installs.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Runs a command as root: directly, or through sudo (which may ask only when there is a terminal).
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif ! command -v sudo >/dev/null; then return 1
  elif [ -t 0 ]; then sudo "$@"
  else sudo -n "$@"
  fi
}

# need_commands COMMAND:PACKAGE ...  installs the Debian packages of the commands that are not there.
need_commands() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ "${#missing[@]}" = 0 ] || install_packages "${missing[@]}"
}

# The addon fuse-native is linked with libfuse.so.2, which Debian does not install by itself.
need_libfuse2() {
  PATH="$PATH:/sbin:/usr/sbin" ldconfig -p | grep 'libfuse\.so\.2 ' >/dev/null || install_packages libfuse2
}

install_packages() {
  echo "Installing with apt: $*"
  command -v apt-get >/dev/null || fail "please install: $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
    fail "cannot install $*: run 'apt-get install $*' as root first"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    fail "apt could not install $*"
}

need_node() {
  command -v node >/dev/null || fail "Node.js 20.19 or later is needed: https://nodejs.org"
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "Node.js 20.19 or later is needed, this is $(node --version)"
}

# /dev/fuse is made and opened to everybody by udev; a container without udev may lack it or keep it for root.
need_fuse_device() {
  local for_users="${1:-}"
  if [ "$(id -u)" = 0 ]; then
    if [ ! -e /dev/fuse ]; then
      echo "Creating /dev/fuse (c 10 229), which is missing"
      mknod /dev/fuse c 10 229 || fail "cannot create /dev/fuse: is this container allowed to use FUSE?"
      chmod 0666 /dev/fuse
    elif [ "$for_users" = for-users ] && [ "$(stat -c %a /dev/fuse)" != 666 ]; then
      echo "Opening /dev/fuse to ordinary users (mode 0666, as udev does)"
      chmod 0666 /dev/fuse
    fi
  fi
  { : <>/dev/fuse; } 2>/dev/null || fail "cannot open /dev/fuse: load the module with 'modprobe fuse', or 'chmod 0666 /dev/fuse' as root"
}

# npm ci when node_modules is missing or older than the lock file; then tsc, which is incremental.
build() {
  cd "$root" || return 1
  if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "Installing the npm packages of package-lock.json"
    npm ci --no-audit --no-fund --loglevel=error || return 1
  fi
  echo "Building"
  npm run --silent build
}

# The mount points of seamount at present, one a line.
seamount_mounts() {
  awk '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i + 1) == "fuse.seamount") print $5 }' /proc/self/mountinfo | sort
}
