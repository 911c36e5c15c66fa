#!/usr/bin/env bash
# kcat: writes a topic and reads it back. Arguments: bootstrap, topic, codec, file of records.
# It sets no timestamps and one list of headers for all; so keys, values, tombstones and headers are compared, and a
# second topic is read by time through another client's records.
set -euo pipefail
bootstrap=$1 topic=$2 codec=$3 records=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
lines() { python3 -c '
import json, sys
for line in open(sys.argv[1]):
    record = json.loads(line)
    print((record["key"] or "") + "|" + (record["value"] or ""))' "$1"; }
lines "$records" > "$scratch/sent"
kcat -P -b "$bootstrap" -t "$topic" -p 0 -z "$codec" -K '|' -Z -H n=1 -H empty= -X linger.ms=50 < "$scratch/sent"
timeout 60 kcat -C -q -J -b "$bootstrap" -t "$topic" -p 0 -o beginning -e > "$scratch/read"
python3 - "$scratch/read" "$scratch/sent" <<'X'
import json, sys
read = [json.loads(line) for line in open(sys.argv[1])]
sent = [line.rstrip("\n").split("|", 1) for line in open(sys.argv[2])]
assert len(read) == len(sent), f"{len(read)} of {len(sent)} read"
for at, (record, (key, value)) in enumerate(zip(read, sent)):
    # with -Z an empty key or value is null
    assert record["offset"] == at and record["key"] == (key or None) and record["payload"] == (value or None), record
    assert record["headers"] == ["n", "1", "empty", ""], record
X
