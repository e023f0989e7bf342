# Put a file in place, whole or not at all; print `same`, `sent`, or `missing` where it has to be
# uploaded to $place.part first.
# Variables: place, folder, digest (sha256), mode, read (not empty: its base64 comes on stdin).
set -e
is_there() { [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$digest" ]; }
if is_there "$place" && [ "$(stat -c %a "$place")" = "$mode" ]; then
    echo same
    exit
fi
mkdir -p "$folder"
[ -z "$read" ] || (umask 077 && base64 -d >"$place.part")
is_there "$place.part" || { echo missing; exit; }
chmod "$mode" "$place.part"
sync "$place.part"
mv "$place.part" "$place"
echo sent
