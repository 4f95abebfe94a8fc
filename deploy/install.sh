#!/bin/sh
# Installs HARD as a service on Debian or Raspberry Pi OS (amd64, arm64): from a clone or a wheel to labels.
#
#   deploy/install.sh [--wheel FILE] [--instance NAME] [--no-start]     install, or upgrade what is there
#   deploy/install.sh --uninstall [--purge]                             --purge: settings, state and the user too
#
# --dry-run shows each step and does nothing. --instance adds hard@NAME with settings of its own, beside or instead of `hard`.
# DESTDIR=DIR puts everything below DIR and starts nothing. PYTHON (python3) makes the virtual environment.
# An upgrade keeps settings and state. A failed upgrade keeps the running version.
set -eu
umask 022 # the service's user must be able to read what root installs, whatever root's own umask is

here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$here")
root=${DESTDIR:-}
python=${PYTHON:-python3}
home=/opt/hard
action=install instance='' dry='' purge='' start=yes

say() { printf '%s\n' "$*"; }
fail() { say "install.sh: $*" >&2; exit 1; }
run() { # shows the command, and runs it unless --dry-run
  say "+ $*"
  [ -n "$dry" ] || "$@"
}

while [ $# -gt 0 ]; do
  case "$1" in
    --wheel) source=${2:?--wheel FILE}; shift ;;
    --instance) instance=${2:?--instance NAME}; shift ;;
    --no-start) start='' ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    --dry-run) dry=yes ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "there is no option $1; --help shows them" ;;
  esac
  shift
done
case "$instance" in
  hard | *[!A-Za-z0-9_.-]* | [.-]*) fail "--instance: $instance can't be a name: letters, digits, _ . - and not hard" ;;
esac
[ -z "$purge" ] || [ "$action" = uninstall ] || fail '--purge belongs to --uninstall'
unit=hard${instance:+@$instance}.service
settings=/etc/hard/${instance:-hard}.toml
credentials=/etc/hard/credentials${instance:+/$instance}

# systemd answers only where it runs, and only for this machine.
with_systemd() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

check() {
  [ -n "$root$dry" ] || [ "$(id -u)" = 0 ] || fail 'run it as root (sudo), or with DESTDIR'
  [ "$action" = install ] || return 0
  [ -e "$source" ] || fail "$source is not there"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || fail "$python is missing, or older than 3.11"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || fail 'no virtual environments here: apt install python3-venv'
  case "$(uname -m)" in
    x86_64 | aarch64) ;;
    *) say "install.sh: ONNX Runtime has no packages for $(uname -m); expect this to fail" >&2 ;;
  esac
}

# The new version is built beside the old one and replaces it when it is complete.
install_program() {
  new=$root$home.new
  run rm -rf "$new"
  run mkdir -p "$root/opt"
  run "$python" -m venv --prompt hard "$new"
  run "$new/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    --constraint "$here/constraints.txt" "$source"
  run "$new/bin/python" -m compileall -q -s "$new" -p "$home" "$new/lib"
  say "+ (replaces $new by $home in the installed files)"
  if [ -z "$dry" ]; then
    grep -lIr -F "$new" "$new/bin" "$new/pyvenv.cfg" | while read -r file; do
      sed -i "s|$new|$home|g" "$file"
    done
  fi
  run rm -rf "$root$home.old"
  [ ! -e "$root$home" ] || run mv "$root$home" "$root$home.old"
  run mv "$new" "$root$home"
  run rm -rf "$root$home.old"
}

# The highest port that another instance's settings name, and one more.
free_port() {
  sed -n '/^\[metrics\]/,/^\[/s/^port *= *\([0-9]*\).*/\1/p' "$root"/etc/hard/*.toml 2>/dev/null |
    sort -n | tail -n 1 | { read -r last || last=9109; echo $((last + 1)); }
}

install_settings() {
  run install -D -m 644 "$here/sysusers.d/hard.conf" "$root/etc/sysusers.d/hard.conf"
  run systemd-sysusers ${root:+"--root=$root"} hard.conf
  run install -d -m 755 "$root/etc/hard"
  run install -d -m 700 "$root/etc/hard/credentials" "$root$credentials"
  run install -D -m 644 "$here/hard.toml" "$root$home/share/hard.toml"
  if [ -e "$root$settings" ]; then
    say "$settings is kept as it is; $home/share/hard.toml shows all settings of this version"
    return
  fi
  run install -m 644 "$here/hard.toml" "$root$settings"
  if [ -n "$instance" ]; then
    port=$(free_port)
    say "$settings: metrics on port $port"
    [ -n "$dry" ] || sed -i "/^\[metrics\]/,/^\[/s/^# port = 9109 /port = $port   /" "$root$settings"
  fi
}

install_units() {
  for file in hard.service hard@.service; do
    run install -D -m 644 "$here/systemd/$file" "$root/etc/systemd/system/$file"
  done
  with_systemd || return 0
  run systemctl daemon-reload
  [ -n "$dry" ] || CREDENTIALS_DIRECTORY=$credentials $home/bin/hard check-config --config "$settings" >/dev/null ||
    fail "installed, and not started: mend $settings, then: systemctl enable --now $unit"
  run systemctl try-restart hard.service 'hard@*.service' # all running instances get the new version
  [ -z "$start" ] || run systemctl enable --now "$unit"
}

uninstall() {
  if with_systemd; then
    run systemctl disable --now hard.service || true
    for link in /etc/systemd/system/multi-user.target.wants/hard@*.service; do
      [ ! -e "$link" ] || run systemctl disable --now "$(basename "$link")" || true
    done
    run systemctl stop 'hard@*.service' || true
  fi
  run rm -rf "$root$home" "$root$home.new" "$root$home.old" "$root/etc/sysusers.d/hard.conf"
  run rm -f "$root/etc/systemd/system/hard.service" "$root/etc/systemd/system/hard@.service"
  if with_systemd; then run systemctl daemon-reload; fi
  if [ -z "$purge" ]; then
    say 'kept: /etc/hard, /var/lib/hard, the user hard (--purge removes them)'
    return
  fi
  run rm -rf "$root/etc/hard" "$root/var/lib/hard"
  [ -n "$root" ] || ! id hard >/dev/null 2>&1 || run userdel hard
}

check
if [ "$action" = uninstall ]; then
  uninstall
else
  install_program
  install_settings
  install_units
  [ -n "$dry" ] || say "HARD is installed. Settings: $settings. Log: journalctl -u $unit. How it is: $home/bin/hard health --config $settings"
fi
[ -z "$dry" ] || say 'Nothing was done (--dry-run).'
