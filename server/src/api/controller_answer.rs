//! Answers that the controller decides: which of them say that it was not the controller. Those may be asked again, elsewhere.
//! (Kafka looks the same way at what its envelopes carry.)

use kafka_protocol::{
    error::ResponseError,
    messages::{
        AddRaftVoterResponse, AlterConfigsResponse, AlterPartitionReassignmentsResponse, CreatePartitionsResponse,
        CreateTopicsResponse, DeleteTopicsResponse, ElectLeadersResponse, IncrementalAlterConfigsResponse,
        InitProducerIdResponse, MetadataResponse, RemoveRaftVoterResponse, UnregisterBrokerResponse,
    },
};

/// An answer with error codes.
pub(super) trait ControllerAnswer {
    /// Whether any of its error codes is this one.
    fn has_error(&self, code: i16) -> bool;

    /// Whether whoever gave it was not the controller.
    fn is_not_controller(&self) -> bool {
        self.has_error(ResponseError::NotController.code())
    }
}

/// Type, and where its error codes are: places of the message, each a list or one.
macro_rules! answers {
    ($($answer:ty: |$message:ident, $is:ident| $found:expr;)*) => {
        $(impl ControllerAnswer for $answer {
            fn has_error(&self, code: i16) -> bool {
                let ($message, $is) = (self, |found: i16| found == code);
                $found
            }
        })*
    };
}

answers! {
    CreateTopicsResponse: |answer, is| answer.topics.iter().any(|topic| is(topic.error_code));
    DeleteTopicsResponse: |answer, is| answer.responses.iter().any(|topic| is(topic.error_code));
    CreatePartitionsResponse: |answer, is| answer.results.iter().any(|topic| is(topic.error_code));
    AlterConfigsResponse: |answer, is| answer.responses.iter().any(|resource| is(resource.error_code));
    IncrementalAlterConfigsResponse: |answer, is| answer.responses.iter().any(|resource| is(resource.error_code));
    ElectLeadersResponse: |answer, is| is(answer.error_code) || {
        let mut results = answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
        results.any(|partition| is(partition.error_code))
    };
    AlterPartitionReassignmentsResponse: |answer, is| is(answer.error_code) || {
        let mut partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        partitions.any(|partition| is(partition.error_code))
    };
    AddRaftVoterResponse: |answer, is| is(answer.error_code);
    RemoveRaftVoterResponse: |answer, is| is(answer.error_code);
    UnregisterBrokerResponse: |answer, is| is(answer.error_code);
    // any broker answers these itself
    MetadataResponse: |_answer, _is| false;
    InitProducerIdResponse: |_answer, _is| false;
}
