//! How much memory there is: the machine's, or less where a control group bounds this process. Read once, at start.

use std::path::Path;

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Bytes that this process can hope for.
pub fn total_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit));
    let own = read("/proc/self/cgroup".as_ref()).unwrap_or_default();
    limits(&own, Path::new(CGROUPS)).fold(machine, u64::min)
}

/// The limits of a process's group and of all groups above it (version 2), and that of a container (version 1).
fn limits(own: &str, cgroups: &Path) -> impl Iterator<Item = u64> {
    let group = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let groups = Path::new(group).ancestors().map(|group| cgroups.join(group).join("memory.max"));
    let container = cgroups.join("memory/memory.limit_in_bytes");
    // `max`, and version 1's page-rounded largest number, are no limits, and no smaller than the machine
    groups.chain([container]).filter_map(|file| read(&file)?.trim().parse().ok()).collect::<Vec<u64>>().into_iter()
}

#[allow(clippy::disallowed_methods, reason = "the kernel's files, not the broker's data")]
fn read(file: &Path) -> Option<String> {
    String::from_utf8(std::fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a file of the test's own")]
    fn the_tightest_group_counts() {
        let dir = tempfile::tempdir().unwrap();
        let put = |group: &str, file: &str, text: &str| {
            std::fs::create_dir_all(dir.path().join(group)).unwrap();
            std::fs::write(dir.path().join(group).join(file), text).unwrap();
        };
        put("system.slice/tidemark.service", "memory.max", "max\n");
        put("system.slice", "memory.max", "536870912\n");
        let found = |own: &str| limits(own, dir.path()).collect::<Vec<_>>();
        assert_eq!(found("0::/system.slice/tidemark.service\n"), [536_870_912]);
        assert!(found("0::/\n").is_empty() && found("").is_empty());
        put("memory", "memory.limit_in_bytes", "9223372036854771712\n");
        put(".", "memory.max", "1000");
        assert_eq!(found("4:memory:/x\n0::/\n"), [1000, 9_223_372_036_854_771_712]);
        assert!(total_bytes() > 1 << 20);
    }
}
