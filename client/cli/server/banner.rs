//! What a person sees when the broker is ready. Programs read the line that starts with `listening`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// What there is.
#[derive(Debug)]
pub(super) struct Banner {
    pub kafka: SocketAddr,
    pub http: Option<SocketAddr>,
    pub data: PathBuf,
    pub node_id: i32,
    pub took: Duration,
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kafka, http, data, node_id, took } = self;
        let version = env!("CARGO_PKG_VERSION");
        let ms = took.as_secs_f64() * 1000.0;
        writeln!(f, "tidemark {version}, node {node_id}: ready in {ms:.1} ms, data in {}", data.display())?;
        write!(f, "listening kafka={kafka}")?;
        match http {
            Some(http) => writeln!(f, " http={http}")?,
            None => writeln!(f)?,
        }
        let near = reachable(*kafka);
        let bootstrap =
            if near.to_string() == "127.0.0.1:9092" { String::new() } else { format!(" --bootstrap {near}") };
        writeln!(f, "try in another terminal:")?;
        writeln!(f, "  echo hello | tidemark produce greetings{bootstrap}")?;
        writeln!(f, "  tidemark consume greetings{bootstrap} --from -1h --json")?;
        if let Some(http) = http {
            let http = reachable(*http);
            writeln!(
                f,
                "  curl -H 'Content-Type: application/json' -d '{{\"t\":21.5}}' http://{http}/v1/streams/sensors/records"
            )?;
            writeln!(f, "  curl 'http://{http}/v1/streams/sensors/partitions/0/records?offset=0'")?;
        }
        Ok(())
    }
}

/// An address to connect to from this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_programs_is_stable() {
        let mut banner = Banner {
            kafka: "0.0.0.0:19092".parse().unwrap(),
            http: Some("127.0.0.1:8080".parse().unwrap()),
            data: "d".into(),
            node_id: 1,
            took: Duration::from_micros(7_340),
        };
        let text = banner.to_string();
        assert!(text.contains("\nlistening kafka=0.0.0.0:19092 http=127.0.0.1:8080\n"), "{text}");
        assert!(text.contains("--bootstrap 127.0.0.1:19092") && text.contains("7.3 ms"), "{text}");
        banner.http = None;
        let text = banner.to_string();
        assert!(text.contains("\nlistening kafka=0.0.0.0:19092\n") && !text.contains("curl"), "{text}");
    }
}
