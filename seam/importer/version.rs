// SPDX-License-Identifier: GPL-2.0

//! What differs between versions of the kernel, for the importer's half of the seam, under the
//! names that Linux 7.3 has for it where it has any.

// Not every module has a PCI driver.
#![allow(unused_imports, unused_macros)]

#[path = "../version.rs"]
mod both_halves;

pub(crate) use self::kernel_version::pci_device_table;
pub use self::{
    both_halves::*,
    kernel_version::{
        bound,
        parameter,
        request_irq,
        DevresBar,
        IdInfo,
        IoBase, //
    },
};

#[cfg(not(linux_7_2))]
mod kernel_version {
    use core::mem::transmute;
    pub(crate) use kernel::pci_device_table;
    use kernel::{
        device::{
            self,
            Bound, //
        },
        devres,
        faux,
        irq::{
            Flags,
            Handler,
            IrqRequest,
            IrqReturn,
            Registration, //
        },
        module_param::{
            ModuleParam,
            ModuleParamAccess, //
        },
        pci::{
            Device,
            IrqTypes,
            IrqVectorRegistration, //
        },
        prelude::*, //
    };
    pub use kernel::{
        io::IoBase,
        pci::DevresBar, //
    };

    /// What `probe` is told about the device.
    pub type IdInfo<'a, T> = Option<&'a T>;

    /// Returns the value of a module parameter.
    pub fn parameter<T: ModuleParam + Copy>(parameter: &ModuleParamAccess<T>) -> T {
        parameter.value()
    }

    /// Returns the device of a registration, which is bound as long as it is registered.
    pub fn bound(registration: &faux::Registration) -> &device::Device<Bound> {
        registration.as_ref().as_ref()
    }

    struct OnInterrupt<F>(F);

    impl<F: Fn() -> IrqReturn + Sync + 'static> Handler for OnInterrupt<F> {
        fn handle(&self) -> IrqReturn {
            self.0()
        }
    }

    /// Requests the one interrupt of `device`, by message if it can, until the device is unbound.
    ///
    /// The handler must know interrupts that are not the device's, as a line may be shared. Fails
    /// with [`ENOSPC`] where there is none, [`ENOMEM`], and as `request_irq()` does.
    pub fn request_irq<F>(device: &Device<Bound>, name: &'static CStr, handler: F) -> Result
    where
        F: Fn() -> IrqReturn + Send + Sync + 'static,
    {
        /// The interrupt. Fields are dropped in this order.
        ///
        /// The registration borrows from the vectors, so `ForLt` cannot express the lifetime.
        struct RegisteredIrq<T: Handler + 'static> {
            _registration: Pin<KBox<Registration<'static, T>>>,
            _vectors: KBox<IrqVectorRegistration<'static>>,
        }

        let vectors = KBox::new(device.alloc_irq_vectors(1, 1, IrqTypes::all())?, GFP_KERNEL)?;
        let request: IrqRequest<'_> = vectors.index(0)?.into();
        // SAFETY: The types differ in nothing but a lifetime. The device holds the registration
        // made of this, and drops it before the vectors and before it is unbound.
        let request = unsafe { transmute::<IrqRequest<'_>, IrqRequest<'static>>(request) };
        // SAFETY: The types differ in nothing but a lifetime. The device holds the vectors and
        // drops them before it is unbound.
        let vectors = unsafe {
            transmute::<KBox<IrqVectorRegistration<'_>>, KBox<IrqVectorRegistration<'static>>>(
                vectors,
            )
        };

        // A `Result` is an initialiser, too.
        let handler: Result<OnInterrupt<F>> = Ok(OnInterrupt(handler));
        // SAFETY: The device owns what is made of it below, and does not leak it.
        let registration = unsafe { Registration::new(request, Flags::SHARED, name, handler) };
        let interrupt = RegisteredIrq {
            _registration: KBox::pin_init(registration, GFP_KERNEL)?,
            _vectors: vectors,
        };
        devres::register(device.as_ref(), interrupt, GFP_KERNEL)
    }
}

#[cfg(linux_7_2)]
mod kernel_version {
    use kernel::{
        device::{
            self,
            Bound, //
        },
        devres::{
            self,
            Devres, //
        },
        dma::{
            Coherent,
            DmaAddress, //
        },
        faux,
        irq::{
            Flags,
            Handler,
            IrqReturn, //
        },
        module_param::{
            ModuleParam,
            ModuleParamAccess, //
        },
        pci::{
            Bar,
            Device,
            IrqTypes, //
        },
        prelude::*, //
    };

    /// What `probe` is told about the device.
    pub type IdInfo<'a, T> = &'a T;

    /// A BAR that the device takes back when it is unbound.
    pub type DevresBar<const SIZE: usize> = Devres<Bar<'static, SIZE>>;

    /// Defines the table of devices of a PCI driver.
    macro_rules! pci_device_table {
        ($table:ident, $info:ty, $devices:expr) => {
            kernel::pci_device_table!($table, MODULE_PCI_TABLE, $info, $devices);
        };
    }
    pub(crate) use pci_device_table;

    /// Returns the value of a module parameter.
    pub fn parameter<T: ModuleParam + Copy>(parameter: &ModuleParamAccess<T>) -> T {
        *parameter.value()
    }

    /// Returns the device of a registration, which is bound as long as it is registered.
    pub fn bound(registration: &faux::Registration) -> &device::Device<Bound> {
        // SAFETY: `faux_device_create()` succeeds only if the driver is bound, which userspace
        // cannot undo (`suppress_bind_attrs`). The registration outlives the reference.
        unsafe { registration.as_ref().as_bound() }
    }

    /// Access to memory that is shared with a device.
    pub trait IoBase {
        /// Returns the address for the device.
        fn dma_address(&self) -> DmaAddress;

        /// Returns the memory.
        fn as_view(&self) -> View<'_>;
    }

    /// Memory that is shared with a device.
    pub struct View<'a>(&'a Coherent<[u8]>);

    impl IoBase for Coherent<[u8]> {
        fn dma_address(&self) -> DmaAddress {
            self.dma_handle()
        }

        fn as_view(&self) -> View<'_> {
            View(self)
        }
    }

    impl View<'_> {
        /// Writes all of the memory. `bytes` must be of its length.
        pub fn copy_from_slice(&self, bytes: &[u8]) {
            assert_eq!(bytes.len(), self.0.len());

            for (i, byte) in bytes.iter().enumerate() {
                // SAFETY: `i` lies in the memory, which lives as long as the reference. The device
                // may access it meanwhile, hence volatile.
                unsafe {
                    self.0
                        .as_mut_ptr()
                        .cast::<u8>()
                        .add(i)
                        .write_volatile(*byte)
                };
            }
        }

        /// Reads all of the memory. `bytes` must be of its length.
        pub fn copy_to_slice(&self, bytes: &mut [u8]) {
            assert_eq!(bytes.len(), self.0.len());

            for (i, byte) in bytes.iter_mut().enumerate() {
                // SAFETY: `i` lies in the memory, which lives as long as the reference. The device
                // may access it meanwhile, hence volatile.
                *byte = unsafe { self.0.as_ptr().cast::<u8>().add(i).read_volatile() };
            }
        }
    }

    struct OnInterrupt<F>(F);

    impl<F: Fn() -> IrqReturn + Sync + 'static> Handler for OnInterrupt<F> {
        fn handle(&self, _device: &device::Device<Bound>) -> IrqReturn {
            self.0()
        }
    }

    /// Requests the one interrupt of `device`, by message if it can, until the device is unbound.
    ///
    /// The handler must know interrupts that are not the device's, as a line may be shared. Fails
    /// with [`ENOSPC`] where there is none, [`ENOMEM`], and as `request_irq()` does.
    pub fn request_irq<F>(device: &Device<Bound>, name: &'static CStr, handler: F) -> Result
    where
        F: Fn() -> IrqReturn + Send + Sync + 'static,
    {
        let vectors = device.alloc_irq_vectors(1, 1, IrqTypes::all())?;
        // A `Result` is an initialiser, too.
        let handler: Result<OnInterrupt<F>> = Ok(OnInterrupt(handler));
        let registration = device.request_irq(*vectors.start(), Flags::SHARED, name, handler);

        devres::register(device.as_ref(), registration, GFP_KERNEL)
    }
}
