# What one does every day. `just` lists it.

_default:
    @just --list

# Format, lint, and the tests that need nothing but Rust
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --features differential -- -D warnings
    cargo test --workspace

# One suite or one test: `just test cluster`, `just test wire bombs`
test suite="architecture" name="":
    cargo test --test {{suite}} {{name}}

# The same requests to Tidemark and Apache Kafka; STORY narrows it down
differential story="":
    STORY={{story}} cargo test --features differential --test differential -- --nocapture

# Kafka's dump tool and ours over the same segments
dump-log:
    cargo test --features differential --test dump_log

# Producers that go on while the broker is killed and stopped
crash seed="1" endings="60":
    CRASH_SEED={{seed}} CRASH_ENDINGS={{endings}} cargo test --test cluster -- crash::acknowledged --nocapture

# Faults under load to three brokers, judged by the checker; histories are left in DIR. STORY takes others: `one_broker`
faults seconds="120" seed="1" dir="/tmp" story="three_brokers::a_mix":
    FAULTS_SECONDS={{seconds}} FAULTS_SEED={{seed}} FAULTS_DIR={{dir}} cargo test --test faults -- --include-ignored --nocapture {{story}}

# The verdict on histories
verdict +histories:
    cargo run -p tests --bin check -- {{histories}}

# Foreign clients against a running broker
compat bootstrap="127.0.0.1:9092" *clients="":
    bash tests/compat/run {{bootstrap}} {{clients}}

# Fuzz targets, from a seed
fuzz seconds="60" seed="1":
    cargo test --test fuzz --profile long -- --seconds {{seconds}} --seed {{seed}}

# Benches, one file per question
bench *args="":
    cargo bench {{args}}

# What continuous integration runs
ci:
    bash .ci/run
