#!/bin/sh
# Boots systemd on a root file system, in mount, network and process namespaces of this script's
# own, so that all of it ends with the script, however that ends. container.py starts it:
#
#   unshare --mount --net --pid --kill-child --mount-proc boot.sh CGROUP WORK KEYS LAYERS
#
# WORK is an empty folder; LAYERS are read-only folders, the topmost first, with colons between.
set -eu
cgroup=$1 work=$2 keys=$3 layers=$4

# Before /sys/fs/cgroup is another: nspawn makes its groups below the one that it is in.
echo 0 >"$cgroup/cgroup.procs"
mount --make-rprivate /
# systemd wants the second version alone, where many hosts have both.
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755,size=3G rig "$work"
mkdir "$work/upper" "$work/scratch" "$work/root"
mount -t overlay -o "lowerdir=$layers,upperdir=$work/upper,workdir=$work/scratch" rig "$work/root"
cp "$keys" "$work/root/etc/ssh/rig_keys"
echo 'nameserver 10.0.2.3' >"$work/root/etc/resolv.conf"
ip link set lo up

export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
# The machine's own certificates: where its package index is behind a proxy, they vouch for it.
exec systemd-nspawn --boot --directory="$work/root" --register=no --keep-unit --quiet \
    --machine=mirror --resolv-conf=off --timezone=off --link-journal=no --console=pipe \
    --bind-ro=/etc/ssl/certs
