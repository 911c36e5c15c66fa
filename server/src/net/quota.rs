//! How many connections there may be: in all, per address, and new ones per address and second. And what part of the
//! memory budget those of one address share. Connections inside the process are not counted.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::config::NetConfig;
use crate::os::budget::Budget;

/// Addresses without a connection are forgotten once this many are known.
const ADDRESSES_KEPT: usize = 4096;
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// Counts connections.
#[derive(Debug)]
pub(super) struct Quota {
    state: Mutex<State>,
    budget: Budget,
    max: usize,
    per_ip_max: usize,
    per_ip_per_s: u32,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug)]
struct Address {
    open: usize,
    budget: Budget,
    window_start: Instant,
    made_in_window: u32,
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAdmitted {
    /// `max.connections`.
    #[error("max.connections is reached")]
    Total,
    /// `max.connections.per.ip`.
    #[error("max.connections.per.ip is reached")]
    PerIp,
    /// Too many in a second.
    #[error("the address connects too often")]
    Rate,
}

impl NotAdmitted {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::PerIp => "per_ip",
            Self::Rate => "rate",
        }
    }
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    quota: Arc<Quota>,
    ip: IpAddr,
    /// Its address's part of the memory.
    pub(super) budget: Budget,
}

impl Quota {
    pub(super) fn new(config: &NetConfig, budget: &Budget) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            budget: budget.clone(),
            max: config.connections_max,
            per_ip_max: config.connections_per_ip_max,
            per_ip_per_s: config.connections_per_ip_per_s,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in, or says why not.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Admission, NotAdmitted> {
        let ip = ip.to_canonical();
        let now = Instant::now();
        let mut state = self.state();
        if state.open >= self.max {
            return Err(NotAdmitted::Total);
        }
        if state.addresses.len() >= ADDRESSES_KEPT {
            state.addresses.retain(|_, address| address.open > 0 || now < address.window_start + RATE_WINDOW);
        }
        let fresh = || Address { open: 0, budget: self.budget.part_of_one(), window_start: now, made_in_window: 0 };
        let address = state.addresses.entry(ip).or_insert_with(fresh);
        if now >= address.window_start + RATE_WINDOW {
            (address.window_start, address.made_in_window) = (now, 0);
        }
        address.made_in_window = address.made_in_window.saturating_add(1);
        if address.made_in_window > self.per_ip_per_s && !ip.is_loopback() {
            return Err(NotAdmitted::Rate);
        }
        if address.open >= self.per_ip_max {
            return Err(NotAdmitted::PerIp);
        }
        address.open += 1;
        let budget = address.budget.clone();
        state.open += 1;
        Ok(Admission { quota: self.clone(), ip, budget })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut state = self.quota.state();
        state.open -= 1;
        if let Some(address) = state.addresses.get_mut(&self.ip) {
            address.open -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota() -> Arc<Quota> {
        let config = NetConfig {
            connections_max: 4,
            connections_per_ip_max: 2,
            connections_per_ip_per_s: 3,
            ..NetConfig::default()
        };
        Quota::new(&config, &Budget::new(config.memory_bytes_max))
    }

    #[tokio::test(start_paused = true)]
    async fn each_limit_refuses_and_recovers() {
        let quota = quota();
        let [a, b, c] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        let held = [quota.admit(a).unwrap(), quota.admit(a).unwrap()];
        assert_eq!(quota.admit(a).unwrap_err(), NotAdmitted::PerIp);
        assert_eq!(quota.admit(a).unwrap_err(), NotAdmitted::Rate);
        let others = [quota.admit(b).unwrap(), quota.admit(b).unwrap()];
        assert_eq!(quota.admit(c).unwrap_err(), NotAdmitted::Total);
        drop((held, others));
        assert_eq!(quota.admit(a).unwrap_err(), NotAdmitted::Rate);
        tokio::time::advance(RATE_WINDOW).await;
        assert!(quota.admit(a).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn loopback_has_no_rate_and_mapped_addresses_are_one() {
        let quota = quota();
        for _ in 0..20 {
            assert!(quota.admit(IpAddr::from([127, 0, 0, 1])).is_ok());
        }
        let plain = quota.admit("10.0.0.9".parse().unwrap()).unwrap();
        let mapped = quota.admit("::ffff:10.0.0.9".parse().unwrap()).unwrap();
        assert_eq!(quota.admit("10.0.0.9".parse().unwrap()).unwrap_err(), NotAdmitted::PerIp);
        drop((plain, mapped));
    }
}
