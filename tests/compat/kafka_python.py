"""kafka-python: writes a topic and reads it back. Arguments: bootstrap, topic, codec, file of records."""

import json
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

bootstrap, topic, codec, path = sys.argv[1:5]
records = [json.loads(line) for line in open(path)]
as_bytes = lambda text: None if text is None else text.encode()

producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec, acks="all", linger_ms=50)
for record in records:
    headers = [(name, value.encode()) for name, value in record["headers"]]
    producer.send(topic, key=as_bytes(record["key"]), value=as_bytes(record["value"]), headers=headers, timestamp_ms=record["timestamp"], partition=0)
producer.flush(timeout=30)
producer.close()

consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, consumer_timeout_ms=20_000)
partition = TopicPartition(topic, 0)
consumer.assign([partition])
consumer.seek(partition, 0)
text = lambda value: None if value is None else value.decode()
found = []
for message in consumer:
    headers = [[name, text(value)] for name, value in message.headers]
    found.append({"key": text(message.key), "value": text(message.value), "headers": headers, "timestamp": message.timestamp})
    assert message.offset == len(found) - 1, f"offset {message.offset} of record {len(found) - 1}"
    if len(found) == len(records):
        break
assert found == records, f"{len(found)} of {len(records)} read, or not as written"
at = consumer.offsets_for_times({partition: records[17]["timestamp"]})[partition]
assert at.offset == 17, f"record 17 is looked up at {at.offset}"
