//! ApiVersions: every version, versions to come, clients that name themselves badly; DescribeCluster, unknown keys.

use kafka_protocol::messages::{ApiVersionsRequest, DescribeClusterRequest};

use super::producing::text;
use crate::peer::Peer;

pub fn tell(peer: &mut Peer) {
    let named = ApiVersionsRequest::default()
        .with_client_software_name(text("tidemark-tests"))
        .with_client_software_version(text("1.0"));
    for version in 0..=4 {
        let request = if version < 3 { ApiVersionsRequest::default() } else { named.clone() };
        peer.ask(&format!("ApiVersions v{version}"), &request, version);
    }
    for (case, name, version) in [
        ("no name", "", "1"),
        ("a space in the name", "a b", "1"),
        ("a dash at the end", "a-", "1"),
        ("no version", "a", ""),
        ("a slash in the version", "a", "1/2"),
        ("dots and dashes", "a.b-c", "1.0-rc.1"),
    ] {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text(name))
            .with_client_software_version(text(version));
        peer.ask(&format!("ApiVersions, {case}"), &request, 3);
    }
    for version in [9_i16, i16::MAX, -1] {
        // a body that nobody can know: the answer is that of version 0
        let bytes = [&[0, 18][..], &version.to_be_bytes(), &7_i32.to_be_bytes(), &[0, 1, b'x', 0, 1, 2, 3]].concat();
        peer.ask_bytes::<ApiVersionsRequest>(&format!("ApiVersions v{version}"), &bytes, 0);
    }
    for version in 0..=2 {
        let request = DescribeClusterRequest::default();
        peer.ask(&format!("DescribeCluster v{version}"), &request, version);
        let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        peer.ask(&format!("DescribeCluster v{version} with operations"), &request, version);
    }
    for endpoint_type in [0, 2, 9] {
        let request = DescribeClusterRequest::default().with_endpoint_type(endpoint_type);
        peer.ask(&format!("DescribeCluster, endpoint type {endpoint_type}"), &request, 1);
    }
}
