//! A series: all servers measured in turn, round by round; medians with min and max, ratios to the floor.

use super::{Durability, Failure, Kind, machine};

/// One column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Its heading.
    pub name: &'static str,
    /// Digits behind the point.
    pub digits: usize,
    /// Whether a column with the ratio to the floor follows; the floor must hold still in it.
    pub ratio: bool,
}

impl Unit {
    /// Payload on the wall clock, in 1e6 bytes.
    pub const MB_PER_S: Self = Self { name: "MB/s", digits: 0, ratio: false };
    /// User and system time of the server for 1e9 bytes of payload.
    pub const CPU_S_PER_GB: Self = Self { name: "CPU s/GB", digits: 2, ratio: true };
    /// CPU of everything but server and client, as a share of the machine.
    pub const OTHERS: Self = Self { name: "others' CPU %", digits: 0, ratio: false };
}

/// How much a floor may move within a series.
const FLOOR_MOVES_MAX: f64 = 1.3;
/// Series that are tried before an unsteady one is taken with that remark.
const ATTEMPTS: usize = 2;

/// Whether the floor held still.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Yes.
    Steady,
    /// Its largest value is so many times its smallest.
    Moved(f64),
}

#[derive(Debug)]
struct Row {
    name: String,
    durability: Option<Durability>,
    kind: Kind,
    columns: Vec<(Unit, Vec<f64>)>,
}

/// Values on their way to a table.
#[derive(Debug, Default)]
pub struct Series(Vec<Row>);

/// The middle; of an even count the lower of both.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

fn bounds(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(*value), max.max(*value)))
}

impl Series {
    /// Takes a series, and another if the floor moved in the first; prints each.
    pub fn take(mut rounds: impl FnMut(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        for attempt in 1..=ATTEMPTS {
            let mut series = Self::default();
            let before = machine::load_average();
            rounds(&mut series)?;
            series.print();
            println!("load average before and after: {before} / {}", machine::load_average());
            match series.verdict() {
                Verdict::Steady => break,
                Verdict::Moved(by) if attempt < ATTEMPTS => {
                    println!("the floor moved by a factor of {by:.2}: this series is thrown away, another follows");
                }
                Verdict::Moved(by) => println!("UNSTEADY: the floor moved by a factor of {by:.2}; do not quote this"),
            }
        }
        println!();
        Ok(())
    }

    /// One value of one round.
    pub fn add(&mut self, name: &str, durability: Option<Durability>, kind: Kind, unit: Unit, value: f64) {
        let same = |row: &Row| row.name == name && row.durability == durability && row.kind == kind;
        let place = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(Row { name: name.to_owned(), durability, kind, columns: Vec::new() });
            self.0.len() - 1
        });
        let columns = &mut self.0[place].columns;
        match columns.iter_mut().find(|(known, _)| *known == unit) {
            Some((_, values)) => values.push(value),
            None => columns.push((unit, vec![value])),
        }
    }

    fn floor_of(&self, row: &Row) -> Option<&Row> {
        let floor = row.durability.map_or(Kind::Floor, Durability::floor);
        self.0.iter().find(|other| other.name == row.name && other.durability == row.durability && other.kind == floor)
    }

    /// Whether every floor held still.
    pub fn verdict(&self) -> Verdict {
        let floors = self.0.iter().filter(|row| row.kind.is_floor());
        let moves = floors.flat_map(|row| &row.columns).filter(|(unit, _)| unit.ratio).map(|(_, values)| {
            let (min, max) = bounds(values);
            max / min
        });
        let most = moves.fold(1.0, f64::max);
        if most > FLOOR_MOVES_MAX { Verdict::Moved(most) } else { Verdict::Steady }
    }

    /// As a Markdown table: median (min–max), and the ratio of the medians.
    pub fn print(&self) {
        let Some(first) = self.0.first() else { return };
        let mut heads = vec!["scenario", "an ack survives", "server"];
        for (unit, _) in &first.columns {
            heads.push(unit.name);
            if unit.ratio {
                heads.push("× floor");
            }
        }
        println!("| {} |\n|{}", heads.join(" | "), " --- |".repeat(heads.len()));
        for row in &self.0 {
            let durability = row.durability.map_or("–", Durability::name);
            let mut cells = vec![row.name.clone(), durability.to_owned(), row.kind.name().to_owned()];
            for (unit, values) in &row.columns {
                let ((min, max), digits) = (bounds(values), unit.digits);
                cells.push(format!("{:.digits$} ({min:.digits$}–{max:.digits$})", median(values)));
                if unit.ratio {
                    let floor = self.floor_of(row).and_then(|floor| floor.columns.iter().find(|(of, _)| of == unit));
                    let ratio = floor.map_or(f64::NAN, |(_, floor)| median(values) / median(floor));
                    cells.push(format!("{ratio:.2}"));
                }
            }
            println!("| {} |", cells.join(" | "));
        }
    }
}
