//! The methods of a node that are about the region itself, and who may call any.

use super::context::AdminContext;
use super::{members, status, trust};
use rpc::error::{Refusal, Refused};
use rpc::server::{Admission, Caller, RefuseCopies, Service};
use std::sync::Arc;
use tokio::sync::watch;
use types::ClusterView;

/// Adds `node.status`, `index.change` and `ca.renew`.
#[must_use]
pub fn add(service: Service, context: AdminContext) -> Service {
    let service = status::add_method(service, context.clone());
    let service = members::add_method(service, context.clone());
    trust::add_method(service, context)
}

/// Refuses nodes that were removed, beside copies of nodes.
pub struct RefuseRemoved {
    view: watch::Receiver<Arc<ClusterView>>,
}

impl RefuseRemoved {
    /// Goes by the published view.
    #[must_use]
    pub fn new(view: watch::Receiver<Arc<ClusterView>>) -> Self {
        Self { view }
    }
}

impl Admission for RefuseRemoved {
    fn admit(&self, newcomer: &Caller, present: &[Caller]) -> Result<(), Refused> {
        let id = newcomer.node.node;
        if self
            .view
            .borrow()
            .map
            .node(id)
            .is_some_and(|node| node.is_removed)
        {
            let text = format!(
                "node {id} was removed from the region: empty its directories and let it join again with a new token"
            );
            return Err(Refused::new(Refusal::Node, text));
        }
        RefuseCopies.admit(newcomer, present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc::identity::NodeIdentity;
    use types::{ClusterMap, InstallationId, NodeId, NodeInfo, RegionId};

    #[test]
    fn a_node_that_was_removed_is_not_let_in() {
        let node = |id: u32, is_removed: bool| NodeInfo {
            id: NodeId(id),
            is_removed,
            ..Default::default()
        };
        let view = ClusterView {
            map: ClusterMap {
                nodes: vec![node(1, false), node(2, true)],
                ..Default::default()
            },
            ..Default::default()
        };
        let (_sender, view) = watch::channel(Arc::new(view));
        let admission = RefuseRemoved::new(view);
        let caller = |id: u32, boot: u8| Caller {
            node: NodeIdentity {
                installation: InstallationId(1),
                region: RegionId(1),
                node: NodeId(id),
            },
            boot: [boot; 16],
            address: "127.0.0.1:1".parse().expect("an address"),
            product: String::new(),
        };
        assert!(admission.admit(&caller(1, 1), &[]).is_ok());
        assert!(
            admission.admit(&caller(3, 1), &[]).is_ok(),
            "it may be newer than this view"
        );
        let refused = admission
            .admit(&caller(2, 1), &[])
            .expect_err("it was removed");
        assert!(refused.text.contains("removed"), "{refused}");
        let copy = admission
            .admit(&caller(1, 1), &[caller(1, 2)])
            .expect_err("a copy");
        assert_eq!(copy.reason, Refusal::Duplicate);
    }
}
