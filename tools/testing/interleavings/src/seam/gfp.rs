// SPDX-License-Identifier: GPL-2.0

//! Flags of allocations, which make no difference here.

use kernel::types::Flags;

/// Memory that is charged.
pub const GFP_CHARGED: Flags = Flags;
