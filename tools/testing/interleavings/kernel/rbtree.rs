// SPDX-License-Identifier: GPL-2.0

//! A tree with nodes that are allocated beforehand.

use crate::{
    error::{code::ENOMEM, Result},
    model,
    types::Flags,
};
use std::collections::BTreeMap;

/// A tree.
pub struct RBTree<K, V>(BTreeMap<K, V>);

/// A node that is not in a tree.
pub struct RBTreeNode<K, V>(K, V);

/// A place in a tree.
pub struct CursorMut<'a, K, V>(&'a K, &'a mut V);

impl<K, V> RBTreeNode<K, V> {
    /// Allocates a node.
    pub fn new(key: K, value: V, _flags: Flags) -> Result<Self> {
        match model::fails(model::Fault::Node) {
            true => Err(ENOMEM),
            false => Ok(Self(key, value)),
        }
    }
}

impl<K: Ord, V> RBTree<K, V> {
    /// Creates an empty tree.
    pub fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Returns whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of `key`.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    /// Inserts a node.
    pub fn insert(&mut self, node: RBTreeNode<K, V>) {
        self.0.insert(node.0, node.1);
    }

    /// Removes the node of `key`, and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// Returns the first node whose key is not less than `key`.
    pub fn cursor_lower_bound_mut(&mut self, key: &K) -> Option<CursorMut<'_, K, V>> {
        self.0
            .range_mut(key..)
            .next()
            .map(|(key, value)| CursorMut(key, value))
    }
}

impl<K, V> CursorMut<'_, K, V> {
    /// Returns key and value.
    pub fn current(&self) -> (&K, &V) {
        (self.0, self.1)
    }
}
