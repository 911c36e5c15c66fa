//! Standard output, buffered; and whether somebody watches.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

const BUFFER_BYTES: usize = 64 * 1024;

/// Stdout behind a buffer that is flushed by hand.
pub(crate) fn stdout() -> BufWriter<Stdout> {
    BufWriter::with_capacity(BUFFER_BYTES, io::stdout())
}

/// A line on stdout.
///
/// # Errors
/// Nobody reads stdout any more.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// A line on stderr for a person; if nobody can see it, nothing is lost.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether a progress bar on stderr would be seen and not disturb what goes to stdout.
pub(crate) fn progress_is_seen() -> bool {
    io::stderr().is_terminal() && !io::stdout().is_terminal()
}

/// Brokers as people write them: `1,2,3`.
pub(crate) fn ids(brokers: &[i32]) -> String {
    brokers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// Prints rows with columns of equal width; the last is not padded.
pub(crate) fn table(out: &mut impl Write, rows: &[Vec<String>]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', widths[column].saturating_sub(cell.chars().count())));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut out = Vec::new();
        table(&mut out, &[vec!["a".into(), "größe".into()], vec!["long".into(), "x".into(), "y".into()]]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a     größe\nlong  x      y\n");
    }
}
