# Print `key=value` lines about this machine; needs no more than a POSIX shell.
# Variables: packages, Debian packages to look for; library, that of the Edge TPU.
field() { printf '%s=%s\n' "$1" "$2"; }
field kernel "$(uname -s)"
field machine "$(uname -m)"
field bits "$(getconf LONG_BIT 2>/dev/null || echo 64)"
field glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)"
field system "$(. /etc/os-release 2>/dev/null; echo "$PRETTY_NAME")"
field name "$(hostname)"
[ -d /run/systemd/system ] && field systemd yes
field python "$(/usr/bin/python3 -I -c 'import struct, sys, venv
print("%d.%d" % sys.version_info[:2], 8 * struct.calcsize("P"))' 2>/dev/null)"
place=/opt/edgefer
[ -d "$place" ] || place=/opt
[ -d "$place" ] || place=/
field free "$(df -Pk "$place" | awk 'NR == 2 { print $4 }')"
field spool "$(df -Pk "${TMPDIR:-/tmp}" | awk 'NR == 2 { print $4 }')"
field running "$(readlink /opt/edgefer/current)"
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || field missing "$package"
done
field system_numpy "$(/usr/bin/python3 -c 'import numpy; print(numpy.__version__)' 2>/dev/null)"
/sbin/ldconfig -p 2>/dev/null | grep -q "$library" && field edgetpu yes
true
