#!/usr/bin/env python3
"""Posts sensors.ndjson over HTTP, replays it with a Kafka client, and shows that both agree byte for byte.

    tidemark server &                       # or any address, see --http and --bootstrap
    pip install kafka-python
    python3 examples/replay.py

The Kafka client reads from offset 0 and from a time; the HTTP bridge reads the same range back. Exit code 0 means that
every byte agreed. Each reading is one record: key = the sensor, timestamp = its own time, value = the line as it is.
"""
import argparse
import base64
import hashlib
import http.client
import json
import pathlib
import sys
import time
import uuid

from kafka import KafkaConsumer, TopicPartition


def post_all(address: str, topic: str, lines: list[bytes]) -> None:
    connection = http.client.HTTPConnection(address, timeout=30)
    for offset, line in enumerate(lines):
        reading = json.loads(line)
        headers = {
            "Content-Type": "application/json",
            "Record-Key": reading["sensor"],
            "Record-Timestamp": str(reading["at"]),
        }
        connection.request("POST", f"/v1/streams/{topic}/records?partition=0", body=line, headers=headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != 201:
            sys.exit(f"reading {offset}: HTTP {response.status}: {body.decode()}")
        position = json.loads(body)
        if position["offset"] != offset:
            sys.exit(f"reading {offset} was stored at offset {position['offset']}; is the topic new?")


def read_kafka(bootstrap: str, topic: str, start: int, count: int) -> list[tuple[int, int, bytes, bytes]]:
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, consumer_timeout_ms=10_000, enable_auto_commit=False)
    consumer.assign([partition])
    consumer.seek(partition, start)
    records = []
    for record in consumer:
        records.append((record.offset, record.timestamp, record.key, record.value))
        if len(records) == count:
            break
    consumer.close()
    return records


def offset_at(bootstrap: str, topic: str, timestamp: int) -> int:
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    found = consumer.offsets_for_times({partition: timestamp})[partition]
    consumer.close()
    return found.offset


def field(record: dict, name: str) -> bytes:
    """The bytes of a key or value, by the encoding that the answer names."""
    encoding = record[f"{name}_encoding"]
    return base64.b64decode(record[name]) if encoding == "base64" else record[name].encode()


def read_http(address: str, topic: str, query: str, count: int) -> list[tuple[int, int, bytes, bytes]]:
    connection = http.client.HTTPConnection(address, timeout=30)
    records = []
    while len(records) < count:
        path = f"/v1/streams/{topic}/partitions/0/records?{query}&format=text&limit=1000&max_wait=5000"
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            sys.exit(f"GET {path}: HTTP {response.status}: {body.decode()}")
        for record in json.loads(body)["records"]:
            records.append((record["offset"], record["timestamp"], field(record, "key"), field(record, "value")))
        query = f"offset={response.getheader('Next-Offset')}"
    return records[:count]


def digest(records: list[tuple[int, int, bytes, bytes]]) -> str:
    total = hashlib.sha256()
    for offset, timestamp, key, value in records:
        total.update(b"%d %d %s %s\n" % (offset, timestamp, key, value))
    return total.hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--http", default="127.0.0.1:8080")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--topic", default=f"sensors-{uuid.uuid4().hex[:8]}", help="a new topic (default: a fresh name)")
    arguments = parser.parse_args()

    path = pathlib.Path(__file__).with_name("sensors.ndjson")
    lines = path.read_bytes().splitlines()
    expected = [
        (offset, reading["at"], reading["sensor"].encode(), line)
        for offset, (line, reading) in enumerate((line, json.loads(line)) for line in lines)
    ]
    started = time.monotonic()
    post_all(arguments.http, arguments.topic, lines)
    took = time.monotonic() - started
    print(f"posted   {len(lines)} readings to topic {arguments.topic} in {took:.1f} s ({len(lines) / took:.0f} a second)")

    middle = expected[len(expected) // 2][1]
    start = offset_at(arguments.bootstrap, arguments.topic, middle)
    first = next(record[0] for record in expected if record[1] >= middle)
    if start != first:
        sys.exit(f"time {middle}: the broker says offset {start}, the data say {first}")

    runs = {
        "the file": expected,
        "Kafka, from offset 0": read_kafka(arguments.bootstrap, arguments.topic, 0, len(lines)),
        "HTTP,  from offset 0": read_http(arguments.http, arguments.topic, "offset=0", len(lines)),
    }
    agree(runs)
    rest = len(lines) - start
    runs = {
        f"the file, from {start}": expected[start:],
        f"Kafka, from time {middle}": read_kafka(arguments.bootstrap, arguments.topic, start, rest),
        f"HTTP,  from time {middle}": read_http(arguments.http, arguments.topic, f"timestamp={middle}", rest),
    }
    agree(runs)
    print("every byte agrees")


def agree(runs: dict[str, list[tuple[int, int, bytes, bytes]]]) -> None:
    wanted = next(iter(runs.values()))
    for name, records in runs.items():
        print(f"replayed {len(records):6} records, digest {digest(records)}  {name}")
        if records != wanted:
            different = next((pair for pair in zip(wanted, records) if pair[0] != pair[1]), "their number")
            sys.exit(f"{name} differs: {different}")


if __name__ == "__main__":
    main()
