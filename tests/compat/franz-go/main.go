// franz-go: writes a topic and reads it back. Arguments: bootstrap, topic, codec, file of records.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type record struct {
	Key       *string     `json:"key"`
	Value     *string     `json:"value"`
	Headers   [][2]string `json:"headers"`
	Timestamp int64       `json:"timestamp"`
}

func bytes(text *string) []byte {
	if text == nil {
		return nil
	}
	return []byte(*text)
}

func text(bytes []byte) *string {
	if bytes == nil {
		return nil
	}
	text := string(bytes)
	return &text
}

func read(path string) (records []record, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var one record
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, err
		}
		records = append(records, one)
	}
	return records, nil
}

func run(ctx context.Context, bootstrap, topic, codec, path string) error {
	records, err := read(path)
	if err != nil {
		return err
	}
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ProducerBatchCompression(codecs[codec]),
		kgo.AllowAutoTopicCreation(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(50*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer producer.Close()
	var all []*kgo.Record
	for _, one := range records {
		written := &kgo.Record{Topic: topic, Key: bytes(one.Key), Value: bytes(one.Value), Timestamp: time.UnixMilli(one.Timestamp)}
		for _, header := range one.Headers {
			written.Headers = append(written.Headers, kgo.RecordHeader{Key: header[0], Value: []byte(header[1])})
		}
		all = append(all, written)
	}
	if err := producer.ProduceSync(ctx, all...).FirstErr(); err != nil {
		return err
	}

	from := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(0)}}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumePartitions(from))
	if err != nil {
		return err
	}
	defer consumer.Close()
	var found []record
	for len(found) < len(records) {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d of %d read: %w", len(found), len(records), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			one := record{Key: text(r.Key), Value: text(r.Value), Headers: [][2]string{}, Timestamp: r.Timestamp.UnixMilli()}
			for _, header := range r.Headers {
				one.Headers = append(one.Headers, [2]string{header.Key, string(header.Value)})
			}
			found = append(found, one)
		})
	}
	if !reflect.DeepEqual(found, records) {
		return fmt.Errorf("%d records read, not as written", len(found))
	}

	// a reader that starts at a time
	after := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AfterMilli(records[17].Timestamp)}}
	late, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumePartitions(after))
	if err != nil {
		return err
	}
	defer late.Close()
	fetches := late.PollFetches(ctx)
	if err := fetches.Err(); err != nil {
		return err
	}
	if first := fetches.Records()[0].Offset; first != 17 {
		return fmt.Errorf("record 17 is looked up at %d", first)
	}
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
