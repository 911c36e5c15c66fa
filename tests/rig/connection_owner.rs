//! Which of some processes holds the other end of a local connection, from /proc: so a proxy knows which broker calls,
//! whatever the brokers say to each other.

use std::{net::SocketAddr, path::Path};

/// The process among `candidates` whose socket is bound to `peer`.
pub(super) fn owner(peer: SocketAddr, candidates: impl Iterator<Item = (usize, u32)>) -> Option<usize> {
    let inode = inode_of(&std::fs::read_to_string("/proc/net/tcp").ok()?, peer)?;
    let link = format!("socket:[{inode}]");
    candidates.into_iter().find(|(_, pid)| holds(*pid, &link)).map(|(node, _)| node)
}

/// The socket whose local address is `local`, in the kernel's table of IPv4 sockets.
fn inode_of(table: &str, local: SocketAddr) -> Option<u64> {
    let SocketAddr::V4(local) = local else { return None };
    // the address is printed as a number in the machine's own order
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(local.ip().octets()), local.port());
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let inode = (words.next() == Some(&wanted)).then(|| words.nth(7))??;
        inode.parse().ok().filter(|inode| *inode != 0)
    })
}

fn holds(pid: u32, link: &str) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.into_iter().any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target == Path::new(link)))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_of_ours_is_ours_and_an_unknown_one_is_nobodys() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = stream.local_addr().unwrap();
        assert_eq!(owner(peer, [(3, 1), (4, std::process::id())].into_iter()), Some(4));
        assert_eq!(owner(peer, std::iter::empty()), None);
        assert_eq!(owner("127.0.0.1:1".parse().unwrap(), [(4, std::process::id())].into_iter()), None);
    }
}
