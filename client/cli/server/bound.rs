//! Takes the ports before anything else is touched, so that a port in use changes nothing on the disk.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tidemark_server::{config::Config, os::network::Listener};

use crate::failure::Failure;

/// Open ports.
#[derive(Debug)]
pub(super) struct Bound {
    pub kafka: Listener,
    pub kafka_address: SocketAddr,
    pub http: Option<(Listener, SocketAddr)>,
    pub raft: Option<Listener>,
}

/// Opens what the settings name.
pub(super) fn bind(config: &Config) -> Result<Bound, Failure> {
    check_advertised(config)?;
    // clients are refused until there is a broker behind the port: they go to another one meanwhile
    let (kafka, kafka_address) = open(Listener::reserve, config.kafka_listener, "Kafka", "--listen")?;
    let http = config.http_listener.map(|address| open(Listener::bind, address, "HTTP", "--http (or --no-http)"));
    let raft = config.cluster.as_ref().map(|cluster| cluster.raft_listener);
    let raft = raft.map(|address| open(Listener::bind, address, "other brokers", "--raft")).transpose()?;
    let http = http.transpose()?;
    Ok(Bound { kafka, kafka_address, http, raft: raft.map(|(listener, _)| listener) })
}

fn open(
    how: fn(SocketAddr) -> io::Result<Listener>,
    address: SocketAddr,
    what: &str,
    flag: &str,
) -> Result<(Listener, SocketAddr), Failure> {
    let listener = how(address).map_err(|cause| {
        let next = match cause.kind() {
            io::ErrorKind::AddrInUse => {
                format!("another process listens there: stop it, or choose another port with {flag}; port 0 picks a free one")
            }
            io::ErrorKind::AddrNotAvailable => format!("choose an address of this machine with {flag}"),
            io::ErrorKind::PermissionDenied => format!("choose a port above 1023 with {flag}"),
            _ => format!("choose another address with {flag}"),
        };
        Failure::new(format!("cannot listen on {address} for {what}: {cause}")).next(next)
    })?;
    let bound = listener.local_addr().unwrap_or(address);
    Ok((listener, bound))
}

/// Clients connect to what the broker advertises; nobody can connect to "any address".
fn check_advertised(config: &Config) -> Result<(), Failure> {
    let any = |ip: IpAddr| ip.is_unspecified();
    let advertised_any = config.advertised.as_ref().and_then(|(host, _)| host.parse::<IpAddr>().ok()).is_some_and(any);
    if advertised_any || config.advertised.is_none() && any(config.kafka_listener.ip()) {
        return Err(Failure::new(format!("clients cannot be told to connect to {}", config.kafka_listener.ip()))
            .next("say how they reach this broker: --advertise HOST:PORT"));
    }
    Ok(())
}
