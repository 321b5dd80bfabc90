# What the scripts of this folder share: data made once, runs kept once they ended. To be sourced at the root.
slidekit=build/examples/cli/slidekit
python=${PYTHON:-/usr/bin/python3}  # Debian's: it is the one that finds python3-torch

make_synthetic() {  # NAME generate-options...: data/NAME, where it is missing
    local folder=data/$1; shift
    [ -f "$folder/test.txt" ] || "$slidekit" generate --output "$folder" --seed 1 "$@" >&2
}

some_points() {  # FILE COUNT OUT: evenly spread points of a data set
    mkdir -p "$(dirname "$3")"
    awk -v count="$2" 'NR == 1 { points = $1; if (count > points) count = points; print count, $2, $3; next }
        int((NR - 1) * count / points) > int((NR - 2) * count / points)' "$1" > "$3"
}

run_once() {  # slidekit|pytorch LOG options...: trains, unless the log is there and whole
    local engine=$1 log=$2; shift 2
    if [ -f "$log" ] && tail -n 1 "$log" | grep -q '"done"'; then return; fi
    echo "== $(basename "$log" .jsonl): $engine $*" >&2
    case "$engine" in
        slidekit) "$slidekit" train --log "$log" "$@" > /dev/null 2> "$log.err" ;;
        pytorch) "$python" scripts/baselines/pytorch_softmax.py --log "$log" "$@" > /dev/null 2> "$log.err" ;;
    esac || { cat "$log.err" >&2; return 1; }
    rm -f "$log.err"
}
