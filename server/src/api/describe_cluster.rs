//! DescribeCluster: the brokers and which of them takes administrative requests.

use kafka_protocol::{
    error::ResponseError,
    messages::{DescribeClusterRequest, DescribeClusterResponse, describe_cluster_response::DescribeClusterBroker},
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    access::{OPERATIONS_NOT_ASKED, Resource},
    context::RequestContext,
    error_code::NONE,
    reply::Handling,
    topic::{Endpoint, controller_id, endpoint, text},
};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("include_cluster_authorized_operations", Kind::Bool),
        field("endpoint_type", Kind::Int8).since(1),
        field("include_fenced_brokers", Kind::Bool).since(2),
    ],
};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(context: &RequestContext, request: DescribeClusterRequest) -> Handling {
    let DescribeClusterRequest { include_cluster_authorized_operations, endpoint_type, include_fenced_brokers, .. } =
        request;
    let refused = match endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((
            ResponseError::MismatchedEndpointType,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
                .to_owned(),
        )),
        other => Some((ResponseError::UnsupportedEndpointType, format!("Unsupported endpoint type {other}"))),
    };
    if let Some((error, message)) = refused {
        let answer =
            DescribeClusterResponse::default().with_error_code(error.code()).with_error_message(Some(message.into()));
        return Handling::ready(&answer, context.version);
    }
    let image = context.broker.controller.image();
    let told = image.brokers().filter(|broker| include_fenced_brokers || !broker.fenced);
    let brokers = told.map(|broker| {
        let Endpoint { id, host, port, rack } = endpoint(context, broker);
        let told = DescribeClusterBroker::default().with_broker_id(id).with_host(host).with_port(port);
        told.with_rack(rack).with_is_fenced(broker.fenced)
    });
    let operations = match include_cluster_authorized_operations {
        true => Resource::Cluster.all_operations(),
        false => OPERATIONS_NOT_ASKED,
    };
    let answer = DescribeClusterResponse::default()
        .with_error_code(NONE)
        .with_error_message(None)
        .with_endpoint_type(BROKERS)
        .with_cluster_id(text(image.cluster_id()))
        .with_controller_id(controller_id(context))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(operations);
    Handling::ready(&answer, context.version)
}
