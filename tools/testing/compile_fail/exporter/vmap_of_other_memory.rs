// SPDX-License-Identifier: GPL-2.0
// misuse: a kernel mapping of memory that does not outlive the call
// root: exporter
// error: E0515

use crate::seam::{
    dma_buf::{Attached, Exporter, KernelMapping, Locked},
    shared_mapping::SharedMapping,
    shared_vvec::SharedVVec,
};
use core::sync::atomic::AtomicU8;
use kernel::{dma::DataDirection, prelude::*, sync::Arc};

type Table<'a> = SharedMapping<'a, SharedVVec>;

pub struct Memory {
    vector: Arc<SharedVVec>,
}

#[vtable]
impl Exporter for Memory {
    const NAME: &'static CStr = c"case";

    type Attachment = ();
    type Mapping<'a> = Table<'a>;

    fn size(&self) -> usize {
        self.vector.bytes().len()
    }

    fn map<'a>(
        attachment: &Attached<'a, Self>,
        buffer: &Locked<'a, Self>,
        direction: DataDirection,
    ) -> Result<Table<'a>> {
        SharedMapping::new(buffer.data().vector.clone(), attachment, direction)
    }

    fn vmap<'a>(buffer: &Locked<'a, Self>) -> Result<KernelMapping<'a>> {
        let other = [const { AtomicU8::new(0) }; 4096];
        let _ = buffer;
        Ok(KernelMapping::from_bytes(&other))
    }
}
