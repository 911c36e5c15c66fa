//! Cycles in a graph: Tarjan's components without recursion, and a shortest cycle in one.

use std::collections::{HashMap, HashSet, VecDeque};

/// Edges by node.
pub(super) type Graph = HashMap<u32, Vec<u32>>;

const UNSEEN: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Visit {
    order: u32,
    low: u32,
    on_stack: bool,
}

/// Components of more than one node.
pub(super) fn components(graph: &Graph) -> Vec<Vec<u32>> {
    let mut nodes: Vec<_> = graph.keys().copied().collect();
    nodes.sort_unstable();
    let mut visits = HashMap::new();
    let (mut out, mut stack) = (Vec::new(), Vec::new());
    for root in nodes {
        if !visits.contains_key(&root) {
            walk(graph, root, &mut visits, &mut stack, &mut out);
        }
    }
    out
}

fn walk(graph: &Graph, root: u32, visits: &mut HashMap<u32, Visit>, stack: &mut Vec<u32>, out: &mut Vec<Vec<u32>>) {
    let edges = |node: u32| graph.get(&node).map_or(&[][..], Vec::as_slice);
    let enter = |node: u32, visits: &mut HashMap<u32, Visit>, stack: &mut Vec<u32>| {
        let order = visits.len() as u32;
        visits.insert(node, Visit { order, low: order, on_stack: true });
        stack.push(node);
    };
    enter(root, visits, stack);
    let mut path = vec![(root, 0)];
    while let Some((node, next)) = path.last_mut() {
        let node = *node;
        if let Some(to) = edges(node).get(*next).copied() {
            *next += 1;
            let known = visits.get(&to).map_or((UNSEEN, false), |visit| (visit.order, visit.on_stack));
            match known {
                (UNSEEN, _) => {
                    enter(to, visits, stack);
                    path.push((to, 0));
                }
                (order, true) => lower(visits, node, order),
                _ => {}
            }
            continue;
        }
        path.pop();
        let visit = visits[&node];
        if let Some((above, _)) = path.last() {
            lower(visits, *above, visit.low);
        }
        if visit.low == visit.order {
            let start = stack.iter().rposition(|member| *member == node).unwrap_or(0);
            let component = stack.split_off(start);
            for member in &component {
                visits.entry(*member).and_modify(|visit| visit.on_stack = false);
            }
            if component.len() > 1 {
                out.push(component);
            }
        }
    }
}

fn lower(visits: &mut HashMap<u32, Visit>, node: u32, to: u32) {
    visits.entry(node).and_modify(|visit| visit.low = visit.low.min(to));
}

/// A shortest cycle through a component's first node.
pub(super) fn shortest(graph: &Graph, component: &[u32]) -> Vec<u32> {
    let inside: HashSet<_> = component.iter().copied().collect();
    let Some(start) = component.iter().copied().min() else { return Vec::new() };
    let mut from: HashMap<u32, u32> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for to in graph.get(&node).into_iter().flatten().copied().filter(|to| inside.contains(to)) {
            if to == start {
                let mut cycle = vec![node];
                while let Some(before) = cycle.last().and_then(|last| from.get(last)) {
                    cycle.push(*before);
                }
                cycle.reverse();
                return cycle;
            }
            if let std::collections::hash_map::Entry::Vacant(vacant) = from.entry(to) {
                vacant.insert(node);
                queue.push_back(to);
            }
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(u32, u32)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry(*from).or_default().push(*to);
        }
        graph
    }

    #[test]
    fn a_cycle_is_found_and_a_chain_is_none() {
        let chain = graph(&[(1, 2), (2, 3), (1, 3), (4, 3)]);
        assert!(components(&chain).is_empty());
        let cyclic = graph(&[(1, 2), (2, 3), (3, 4), (4, 2), (3, 2), (5, 1)]);
        let found = components(&cyclic);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].iter().copied().collect::<HashSet<_>>(), HashSet::from([2, 3, 4]));
        assert_eq!(shortest(&cyclic, &found[0]), [2, 3]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let chain: Vec<_> = (0..200_000).map(|node| (node, node + 1)).chain([(200_000, 0)]).collect();
        let found = components(&graph(&chain));
        assert_eq!(found[0].len(), 200_001);
    }
}
