#!/usr/bin/env python3
"""Writes sensors.ndjson: 10,000 readings of 20 sensors over ten hours, the same bytes at every run (seed 2026).

Temperatures drift, humidity follows, now and then a sensor is silent or reports a fault, and clocks jitter, so that
times are not quite in order: what a replay by time has to cope with.
"""
import json
import math
import pathlib
import random

START_MS = 1_795_428_000_000  # 2026-11-23T10:00:00Z
STEP_MS = 3_600
READINGS = 10_000
SENSORS = 20


def main() -> None:
    rng = random.Random(2026)
    base = [18 + rng.random() * 8 for _ in range(SENSORS)]
    lines = []
    for i in range(READINGS):
        sensor = rng.randrange(SENSORS)
        at = START_MS + i * STEP_MS + rng.randrange(-1500, 1500)
        base[sensor] += rng.gauss(0, 0.05)
        reading = {
            "sensor": f"s{sensor:02d}",
            "at": at,
            "t": round(base[sensor] + 3 * math.sin(i / 1600), 2),
            "rh": round(min(99.0, max(5.0, 60 - base[sensor] + rng.gauss(0, 2))), 1),
        }
        if rng.random() < 0.01:
            reading = {"sensor": f"s{sensor:02d}", "at": at, "fault": rng.choice(["range", "wire", "größe"])}
        lines.append(json.dumps(reading, ensure_ascii=False, separators=(",", ":")))
    path = pathlib.Path(__file__).with_name("sensors.ndjson")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path}: {len(lines)} readings")


if __name__ == "__main__":
    main()
