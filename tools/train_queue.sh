#!/usr/bin/env bash
# Train and quantize recipes one after the other; start it again after a crash or a reboot.
#
#     tools/train_queue.sh DATA OUT RECIPE...      # a recipe's name, or the path of its .toml
#     nohup nice tools/train_queue.sh ~/fer2013 runs tiny small large &
#
# A run lies in OUT/RECIPE and its log in OUT/RECIPE.log. What is finished is skipped, a training
# that was interrupted is resumed, and a failed one does not stop the others. EDGEFER names
# another command than .venv/bin/edgefer.
set -uo pipefail

[ $# -ge 3 ] || { sed -n '2,9s/^# \?//p' "$0" >&2; exit 2; }
edgefer=${EDGEFER:-"$(dirname "$0")/../.venv/bin/edgefer"} data=$1 out=$2 failed=0
shift 2
mkdir -p "$out"

for recipe; do
    run=$out/$(basename "$recipe" .toml)
    if {
        [ -e "$run/float.json" ] || "$edgefer" train --recipe "$recipe" --data "$data" \
            --out "$run" $([ ! -e "$run/run.json" ] || echo --resume)
    } >>"$run.log" 2>&1 && {
        [ -e "$run/qat.json" ] || "$edgefer" quantize --run "$run" --data "$data"
    } >>"$run.log" 2>&1; then
        echo "$(date +%FT%T) $recipe: finished"
    else
        echo "$(date +%FT%T) $recipe: failed, see $run.log" >&2
        failed=1
    fi
done
exit $failed
