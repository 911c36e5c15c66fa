//! What a request needs permission for (Kafka `AclOperation`, `ResourceType`). Not here: checking it (the security issue).

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The topics that the request names.
    Topic,
    /// The cluster.
    Cluster,
    /// The transactional id, where the request has one.
    TransactionalId,
}

/// What is done to it; the numbers are those of authorized-operations bit fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// Read records.
    Read = 3,
    /// Write records.
    Write = 4,
    /// Make it.
    Create = 5,
    /// Take it away.
    Delete = 6,
    /// Change it.
    Alter = 7,
    /// See that it is there.
    Describe = 8,
    /// Act as a broker.
    ClusterAction = 9,
    /// See its settings.
    DescribeConfigs = 10,
    /// Change its settings.
    AlterConfigs = 11,
    /// Get a producer id without a transaction.
    IdempotentWrite = 12,
}

/// One permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(pub Operation, pub Resource);

/// Nobody asked for authorized operations.
pub(super) const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

impl Resource {
    /// Every operation that there is for it, as a bit field: what a client may do where nobody is denied anything.
    pub(super) fn all_operations(self) -> i32 {
        use Operation::{
            Alter, AlterConfigs, ClusterAction, Create, Delete, Describe, DescribeConfigs, IdempotentWrite, Read, Write,
        };
        let operations: &[Operation] = match self {
            Self::Topic => &[Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs],
            Self::Cluster => &[Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe],
            Self::TransactionalId => &[Describe, Write],
        };
        operations.iter().fold(0, |bits, operation| bits | 1 << *operation as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_fields_are_those_of_a_broker_without_an_authorizer() {
        assert_eq!(Resource::Topic.all_operations(), 3576);
        assert_eq!(Resource::Cluster.all_operations(), 8096);
    }
}
