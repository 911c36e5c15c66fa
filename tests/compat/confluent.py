"""confluent-kafka (librdkafka): writes a topic and reads it back. Arguments: bootstrap, topic, codec, file of records."""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

bootstrap, topic, codec, path = sys.argv[1:5]
records = [json.loads(line) for line in open(path)]

failures = []
on_delivery = lambda error, _message: failures.append(error) if error else None
producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True, "linger.ms": 50})
for record in records:
    headers = [(name, value.encode()) for name, value in record["headers"]]
    producer.produce(topic, record["value"], record["key"], 0, on_delivery=on_delivery, timestamp=record["timestamp"], headers=headers or None)
assert producer.flush(30) == 0 and not failures, failures

# a group id must be given and is not used: the partition is assigned by hand
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": False})
consumer.assign([TopicPartition(topic, 0, 0)])
text = lambda value: None if value is None else value.decode()
found, end = [], time.monotonic() + 30
while len(found) < len(records) and time.monotonic() < end:
    message = consumer.poll(0.5)
    if message is None:
        continue
    assert message.error() is None, message.error()
    headers = [[name, text(value)] for name, value in message.headers() or []]
    found.append({"key": text(message.key()), "value": text(message.value()), "headers": headers, "timestamp": message.timestamp()[1]})
assert found == records, f"{len(found)} of {len(records)} read, or not as written"
at = consumer.offsets_for_times([TopicPartition(topic, 0, records[17]["timestamp"])], timeout=20)[0]
assert at.offset == 17, f"record 17 is looked up at {at.offset}"
consumer.close()
