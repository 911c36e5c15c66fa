#!/usr/bin/env bash
# The Java console tools: write a topic and read it back. Arguments: bootstrap, topic, codec, file of records.
# The producer sets no timestamps; keys, values, tombstones, headers and codecs are compared.
set -euo pipefail
bootstrap=$1 topic=$2 codec=$3 records=$4
here=$(cd "$(dirname "$0")" && pwd)
for kafka in "$here"/../../../shared/kafka/kafka.sh "$here"/../../../../shared/kafka/kafka.sh; do [ -e "$kafka" ] && break; done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 - "$records" > "$scratch/sent" <<'X'
import json, sys
for line in open(sys.argv[1]):
    record = json.loads(line)
    headers = ",".join(f"{name}:{value}" for name, value in record["headers"]) or "NULL"
    print("|".join([headers, record["key"] or "NULL", record["value"] or "NULL"]))
X
# the console producer chooses partitions, so that there must be one only
timeout 120 bash "$kafka" kafka-topics --bootstrap-server "$bootstrap" --create --topic "$topic" --partitions 1 > "$scratch/topics" 2>&1 || { cat "$scratch/topics" >&2; exit 1; }
timeout 120 bash "$kafka" kafka-console-producer --bootstrap-server "$bootstrap" --topic "$topic" --compression-codec "$codec" \
  --reader-property parse.headers=true --reader-property parse.key=true --reader-property headers.delimiter='|' --reader-property key.separator='|' \
  --reader-property null.marker=NULL < "$scratch/sent" > "$scratch/producer" 2>&1 || { cat "$scratch/producer" >&2; exit 1; }
timeout 120 bash "$kafka" kafka-console-consumer --bootstrap-server "$bootstrap" --topic "$topic" --partition 0 --offset earliest \
  --max-messages "$(wc -l < "$scratch/sent")" --timeout-ms 60000 --formatter-property print.headers=true --formatter-property print.key=true \
  --formatter-property headers.separator=, --formatter-property key.separator='|' --formatter-property null.literal=NULL \
  > "$scratch/read" 2> "$scratch/consumer" || { cat "$scratch/consumer" >&2; exit 1; }
sed 's/^NO_HEADERS|/NULL|/' "$scratch/read" | diff "$scratch/sent" -
