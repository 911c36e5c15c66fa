"""The records that every client writes and must read back, as JSON lines. Keys, values and headers may be null."""

import json

T0 = 1_700_000_000_000

for n in range(60):
    print(json.dumps({
        # every eleventh is a tombstone, which has a key
        "key": None if n % 5 == 0 and n % 11 != 10 else f"key-{n % 7}",
        "value": None if n % 11 == 10 else f"value-{n} " + "x" * (n * 10),
        "headers": [["n", str(n)], ["n", "again"], ["empty", ""]] if n % 3 == 0 else [],
        "timestamp": T0 + n * 1000,
    }))
