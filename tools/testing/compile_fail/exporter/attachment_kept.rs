// SPDX-License-Identifier: GPL-2.0
// misuse: an attachment that the exporter keeps, to map after the importer has detached
// root: exporter
// error: E0521

use crate::seam::{
    dma_buf::{Attached, Exporter, KernelMapping, Locked},
    shared_mapping::SharedMapping,
    shared_vvec::SharedVVec,
};
use kernel::{dma::DataDirection, prelude::*, sync::Arc};

type Table<'a> = SharedMapping<'a, SharedVVec>;

pub struct Memory {
    vector: Arc<SharedVVec>,
}

fn keep(_attachment: &'static Attached<'static, Memory>) {}

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
        keep(attachment);
        SharedMapping::new(buffer.data().vector.clone(), attachment, direction)
    }

    fn vmap<'a>(buffer: &Locked<'a, Self>) -> Result<KernelMapping<'a>> {
        Ok(KernelMapping::from_bytes(buffer.data().vector.bytes()))
    }
}
