//! Who the cluster's voters are and where this broker's own port for other brokers is. Not here: how they talk.

use std::net::SocketAddr;

use super::{
    address::{controller_of, plain_host_port},
    error::ConfigError,
    settings::Settings,
};

/// The key of the port for other brokers.
const RAFT_LISTENER: &str = "tidemark.raft.listener";
const RAFT_ADVERTISED: &str = "tidemark.raft.advertised";
const VOTERS: &str = "controller.quorum.voters";
/// Sizes of a quorum that gain something: a fourth voter stands no more losses than the third.
const QUORUM_SIZES: [usize; 3] = [1, 3, 5];

/// One voter of the metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voter {
    /// Its broker id.
    pub id: i32,
    /// Where its port for other brokers is.
    pub host: String,
    /// That port.
    pub port: u16,
}

/// What makes a broker part of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Where other brokers connect.
    pub raft_listener: SocketAddr,
    /// What other brokers are told to connect to, if it is not the listener.
    pub raft_advertised: Option<(String, u16)>,
    /// The metadata quorum as it is formed, and whom to ask once it is; empty for a lone broker that may get company later.
    pub voters: Vec<Voter>,
}

impl ClusterConfig {
    /// Whether a broker is among the voters of the list.
    pub fn names(&self, broker_id: i32) -> bool {
        self.voters.iter().any(|voter| voter.id == broker_id)
    }

    /// `None` for a broker that is alone.
    pub(super) fn resolve(settings: &Settings<'_>, node_id: i32, plaintext: bool) -> Result<Option<Self>, ConfigError> {
        let voters = settings.first(&[VOTERS]).map(voters).transpose()?.unwrap_or_default();
        let own = voters.iter().find(|voter| voter.id == node_id);
        let said = settings.first(&[RAFT_LISTENER]).map(str::to_owned);
        // Kafka's file for one node names a controller's listener too, which means nothing without voters
        let controllers = settings.first(&["listeners"]).and_then(controller_of).filter(|_| !voters.is_empty());
        let own_address = own.map(|voter| format!("{}:{}", voter.host, voter.port));
        let Some(address) = said.or(controllers).or_else(|| own_address.clone()) else {
            return match voters.is_empty() {
                true => Ok(None),
                false => Err(ConfigError::Value(format!(
                    "{VOTERS} does not name broker {node_id}, so say where other brokers reach it: --raft HOST:PORT"
                ))),
            };
        };
        let raft_listener = settings.address(RAFT_LISTENER, &address, plaintext)?;
        let raft_advertised = match settings.first(&[RAFT_ADVERTISED]) {
            Some(text) => Some(plain_host_port(RAFT_ADVERTISED, text)?),
            None => own.map(|voter| (voter.host.clone(), voter.port)),
        };
        Ok(Some(Self { raft_listener, raft_advertised, voters }))
    }
}

/// `1@host:port,2@host:port,…`, sorted by id.
fn voters(text: &str) -> Result<Vec<Voter>, ConfigError> {
    let mut voters = Vec::new();
    for one in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        let bad = |why: &str| ConfigError::Value(format!("{VOTERS}: `{one}` {why}"));
        let (id, address) = one.split_once('@').ok_or_else(|| bad("is no ID@HOST:PORT"))?;
        let id: i32 = id.parse().ok().filter(|id| *id >= 0).ok_or_else(|| bad("has no id from 0 up"))?;
        let (host, port) = plain_host_port(VOTERS, address)?;
        if port == 0 {
            return Err(bad("has port 0, which nobody can be told to connect to"));
        }
        voters.push(Voter { id, host, port });
    }
    voters.sort();
    if voters.windows(2).any(|pair| pair[0].id == pair[1].id) {
        return Err(ConfigError::Value(format!("{VOTERS}={text} names one id twice")));
    }
    if !voters.is_empty() && !QUORUM_SIZES.contains(&voters.len()) {
        let count = voters.len();
        return Err(ConfigError::Value(format!("{VOTERS} names {count} voters; a quorum has 1, 3 or 5")));
    }
    Ok(voters)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn cluster(properties: &[(&str, &str)]) -> Result<Option<ClusterConfig>, ConfigError> {
        let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Config::resolve(&properties).map(|config| config.cluster)
    }

    #[test]
    fn a_broker_without_voters_is_alone() {
        assert_eq!(cluster(&[]), Ok(None));
        let shipped = "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093";
        assert_eq!(cluster(&[("listeners", shipped)]), Ok(None));
    }

    #[test]
    fn voters_are_kafkas_and_an_own_entry_is_the_port_to_open() {
        let three = "3@localhost:9103, 1@127.0.0.1:9101,2@localhost:9102";
        let found = cluster(&[("controller.quorum.voters", three), ("node.id", "1")]).unwrap().unwrap();
        assert_eq!(found.voters.iter().map(|voter| voter.id).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(found.raft_listener.to_string(), "127.0.0.1:9101");
        assert_eq!(found.raft_advertised, Some(("127.0.0.1".to_owned(), 9101)));
        let said = cluster(&[
            ("controller.quorum.voters", three),
            ("node.id", "4"),
            ("tidemark.raft.listener", "127.0.0.1:0"),
        ]);
        assert_eq!(said.unwrap().unwrap().raft_advertised, None);
        let listed = cluster(&[
            ("controller.quorum.voters", three),
            ("node.id", "7"),
            ("listeners", "PLAINTEXT://localhost:9092,CONTROLLER://127.0.0.1:9107"),
        ]);
        assert_eq!(listed.unwrap().unwrap().raft_listener.port(), 9107);
    }

    #[test]
    fn what_cannot_be_a_quorum_is_refused_by_name() {
        for (text, named) in [
            ("1@a:1,2@b:2", "2 voters"),
            ("1@a:1,1@b:2,3@c:3", "twice"),
            ("a:1", "a:1"),
            ("-1@a:1", "-1@a:1"),
            ("1@a:0", "port 0"),
            ("2@127.0.0.1:1", "--raft"),
        ] {
            let refused = cluster(&[("controller.quorum.voters", text), ("node.id", "1")]).unwrap_err().to_string();
            assert!(refused.contains(named), "{text}: {refused}");
        }
        let open = cluster(&[("controller.quorum.voters", "1@0.0.0.0:1"), ("node.id", "1")]);
        assert!(matches!(open, Err(ConfigError::Plaintext { .. })));
    }
}
