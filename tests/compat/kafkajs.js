// kafkajs: writes a topic and reads it back. Arguments: bootstrap, topic, codec, file of records.
//
// Its consumer always joins a group, so reading goes one step below it: to the broker object that the consumer uses.
const fs = require("node:fs");
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require("kafkajs");
const snappy = require("kafkajs-snappy");
const lz4 = require("lz4js");
const xxh32 = require("lz4js/xxh32.js");
const zstd = require("@bokuweb/zstd-wasm");

const [bootstrap, topic, codec, path] = process.argv.slice(2);
const records = fs.readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD };

CompressionCodecs[CompressionTypes.Snappy] = snappy;
// Kafka takes independent blocks only; the library's single block is one, and does not say so in its frame's descriptor
const independent = (frame) => {
  frame[4] |= 0x20;
  frame[6] = (xxh32.hash(0, frame, 4, 2) >> 8) & 0xff;
  return frame;
};
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => independent(Buffer.from(lz4.compress(encoder.buffer))),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
});

// the library keeps one value for a name, or a list of them
const toHeaders = (pairs) => pairs.reduce((all, [name, value]) => ({ ...all, [name]: name in all ? [].concat(all[name], value) : value }), {});
const fromHeaders = (headers) => Object.entries(headers).flatMap(([name, value]) => [].concat(value).map((one) => [name, one.toString()]));
const text = (value) => (value === null ? null : value.toString());

async function main() {
  await zstd.init();
  const kafka = new Kafka({ clientId: "compat", brokers: [bootstrap], logLevel: logLevel.ERROR });
  const producer = kafka.producer({ allowAutoTopicCreation: true });
  await producer.connect();
  const messages = records.map(({ key, value, headers, timestamp }) => ({ key, value, headers: toHeaders(headers), timestamp: `${timestamp}`, partition: 0 }));
  await producer.send({ topic, messages, compression: codecs[codec] });
  await producer.disconnect();

  const createCluster = Object.getOwnPropertySymbols(kafka).find((symbol) => symbol.description.endsWith("createCluster"));
  const cluster = kafka[createCluster]({ metadataMaxAge: 300000, allowAutoTopicCreation: false });
  await cluster.connect();
  await cluster.addTargetTopic(topic);
  const { leader } = cluster.findTopicPartitionMetadata(topic)[0];
  const broker = await cluster.findBroker({ nodeId: `${leader}` });
  const found = [];
  for (const end = Date.now() + 30000; found.length < records.length && Date.now() < end; ) {
    const partitions = [{ partition: 0, fetchOffset: `${found.length}`, maxBytes: 1 << 20 }];
    const { responses } = await broker.fetch({ maxWaitTime: 500, minBytes: 1, maxBytes: 1 << 24, topics: [{ topic, partitions }] });
    // a batch is returned whole even where the offset asked for lies inside it
    const messages = responses.flatMap((response) => response.partitions).flatMap((partition) => partition.messages);
    for (const message of messages.filter((message) => Number(message.offset) >= found.length)) {
      found.push({ key: text(message.key), value: text(message.value), headers: fromHeaders(message.headers), timestamp: Number(message.timestamp) });
    }
  }
  await cluster.disconnect();
  if (JSON.stringify(found) !== JSON.stringify(records)) throw new Error(`${found.length} of ${records.length} read, or not as written`);
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
