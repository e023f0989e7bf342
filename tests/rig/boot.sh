#!/bin/sh
# Boots systemd on a root file system, in mount, network and process namespaces of this script's
# own, so that all of it ends with the script, however that ends. container.py starts it:
#
#   unshare --mount --net --pid --kill-child --mount-proc boot.sh CGROUP WORK KEYS LAYERS
#
# WORK is an empty folder; LAYERS are read-only folders, the topmost first, with colons between,
# or one disk (ext4, a file), which is written to.
set -eu
cgroup=$1 work=$2 keys=$3 layers=$4

# Before /sys/fs/cgroup is another: nspawn makes its groups below the one that it is in.
echo 0 >"$cgroup/cgroup.procs"
mount --make-rprivate /
# systemd wants the second version alone, where many hosts have both.
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755,size=3G rig "$work"
mkdir "$work/upper" "$work/scratch" "$work/root"
if [ -f "$layers" ]; then
    mount -o loop "$layers" "$work/root"
else
    cd "$work"
    mount -t overlay -o "lowerdir=$layers,upperdir=upper,workdir=scratch" rig root
fi
cp "$keys" "$work/root/etc/ssh/rig_keys"
echo 'nameserver 10.0.2.3' >"$work/root/etc/resolv.conf"
ip link set lo up

# What nspawn notes about its containers stays here as well.
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=755 rig /run/systemd/nspawn

export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
# Status 133 asks for a restart (systemd-nspawn(1)): the device was told to reboot.
status=133
while [ "$status" -eq 133 ]; do
    status=0
    # With this machine's certificates: where its package index is behind a proxy, they vouch for it.
    systemd-nspawn --boot --directory="$work/root" --register=no --keep-unit --quiet \
        --machine=mirror --resolv-conf=off --timezone=off --link-journal=no --console=pipe \
        --bind-ro=/etc/ssl/certs || status=$?
done
exit "$status"
