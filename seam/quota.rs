// SPDX-License-Identifier: GPL-2.0

//! Pages that users hold, with a limit for each user and one for all.
//!
//! Pages of buffers ([`Held`]) and pages of stagings ([`Staged`]) count apart.

use super::{
    gfp::GFP_CHARGED,
    tally::{
        self,
        HOLDER, //
    },
    user::User, //
};
use core::ptr::NonNull;
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        global_lock, //
    },
};

/// The accounts of all users, by the address of the user.
///
/// An account is in it as long as there are references to it: the last one is given up under the
/// lock.
type Accounts = RBTree<usize, NonNull<Account>>;

/// A pointer in [`Accounts`] is like a reference to an account.
struct Registry(Option<Accounts>);

// SAFETY: An account may be used and freed by any task.
unsafe impl Send for Registry {}

global_lock! {
    // SAFETY: `Quota::new()` initialises the lock before there is an account.
    unsafe(uninit) static ACCOUNTS: Mutex<Registry> = Registry(None);
}

/// Whether `ACCOUNTS` was initialised.
static IS_READY: Atomic<u32> = Atomic::new(0);

/// Pages of all users together; the holders are the [`Held`]s.
static TOTAL: Tally = Tally::new(0);

/// The same of the [`Staged`]s.
static TOTAL_STAGED: Tally = Tally::new(0);

/// A number of holders, and the pages that they hold, in one [word](tally): both change at once.
struct Tally(Atomic<u64>);

impl Tally {
    const fn new(holders: u64) -> Self {
        Self(Atomic::new(holders * HOLDER))
    }

    /// Returns the word.
    #[inline(always)]
    fn load(&self) -> u64 {
        #[cfg(CONFIG_64BIT)]
        // SAFETY: The pointer is valid, and `atomic64_read()` in C does no more on machines of 64
        // bits, where `load()` is a function call.
        let now = unsafe { self.0.as_ptr().read_volatile() };
        #[cfg(not(CONFIG_64BIT))]
        let now = self.0.load(Relaxed);

        now
    }

    /// Returns the number of holders, and the pages.
    fn get(&self) -> (u64, u64) {
        tally::split(self.load())
    }

    /// Adds a holder of `pages`. Fails with [`ENOMEM`] if there would be more than `limit` pages,
    /// which is at most [`Limits::NONE`], or too many holders.
    #[inline]
    fn add(&self, pages: u64, limit: u64) -> Result {
        let mut now = self.load();

        loop {
            let sum = tally::with_holder(now, pages, limit).ok_or(ENOMEM)?;
            match self.0.cmpxchg(now, sum, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => now = other,
            }
        }
    }

    /// Takes a holder of `pages` away, which must have been added.
    #[inline]
    fn sub(&self, pages: u64) {
        self.0.fetch_sub(tally::share(pages), Relaxed);
    }

    /// Takes a holder of `pages` away, which must have been added, unless it is the only one.
    /// Returns whether it did.
    #[inline]
    fn sub_unless_last(&self, pages: u64) -> bool {
        let mut now = self.load();

        while let Some(rest) = tally::without_holder(now, pages) {
            match self.0.cmpxchg(now, rest, Full) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }

    /// Takes a holder of `pages` away, which must have been added. Returns whether it was the last.
    fn sub_last(&self, pages: u64) -> bool {
        tally::split(self.0.fetch_sub(tally::share(pages), Full)).0 == 1
    }
}

/// Adds a holder of `pages` to the tallies of a user and of all users.
///
/// Fails with [`ENOMEM`], and adds none, if there would be more pages than one of the `limits`.
#[inline(always)]
fn add_to_both(user: &Tally, total: &Tally, pages: u64, limits: Limits) -> Result {
    if pages > Limits::NONE {
        return Err(ENOMEM);
    }
    user.add(pages, limits.user.min(Limits::NONE))?;
    if let Err(error) = total.add(pages, limits.total.min(Limits::NONE)) {
        user.sub(pages);
        return Err(error);
    }
    Ok(())
}

/// The right to have accounts, a field of the module.
pub(crate) struct Quota(());

impl Quota {
    /// Fails with [`EBUSY`] if there was one before.
    pub(crate) fn new() -> Result<Self> {
        IS_READY.cmpxchg(0, 1, Relaxed).map_err(|_| EBUSY)?;
        // SAFETY: The compare-and-exchange succeeds once.
        unsafe { ACCOUNTS.init() };
        ACCOUNTS.lock().0 = Some(Accounts::new());
        Ok(Self(()))
    }
}

/// The account of a user.
///
/// # Invariants
///
/// The account is in [`ACCOUNTS`] and lives as long as its tally has holders: a [`Reference`] and a
/// [`Held`] are one each.
struct Account {
    user: ARef<User>,
    tally: Tally,
    /// The [`Staged`]s of the user. They keep the account by a reference each.
    staged: Tally,
}

/// A reference to the account of a user.
///
/// # Invariants
///
/// Points to an account that has a holder of no pages for this value.
pub(crate) struct Reference(NonNull<Account>);

// SAFETY: An account may be used and freed by any task.
unsafe impl Send for Reference {}
// SAFETY: An account can be used by many tasks at once.
unsafe impl Sync for Reference {}

/// Takes a holder of `pages` away from an account, and frees that with the last one.
///
/// # Safety
///
/// `account` must point to an account that has such a holder, which the caller gives up.
#[inline]
unsafe fn give_up(account: NonNull<Account>, pages: u64) {
    // SAFETY: The holder keeps the account, by the safety requirements.
    if !unsafe { account.as_ref() }.tally.sub_unless_last(pages) {
        // SAFETY: The caller gives up a holder of these pages, which has not been taken away yet.
        unsafe { give_up_last(account, pages) };
    }
}

/// [`give_up`] of a holder that may be the last.
///
/// # Safety
///
/// As for [`give_up`].
#[cold]
unsafe fn give_up_last(pointer: NonNull<Account>, pages: u64) {
    // Accounts are found under the lock: none is that has no holders.
    let mut accounts = ACCOUNTS.lock();

    // SAFETY: The holder keeps the account, by the safety requirements.
    let account = unsafe { pointer.as_ref() };
    if !account.tally.sub_last(pages) {
        return;
    }
    let key = key(&account.user);
    let node = accounts.0.as_mut().and_then(|all| all.remove_node(&key));
    drop(accounts);
    drop(node);
    // SAFETY: `Reference::current()` made the account by `KBox::leak()`. It has no holders, and
    // it is in no registry any more.
    drop(unsafe { KBox::from_raw(pointer.as_ptr()) });
}

impl Reference {
    /// Returns the account of the user of the current task. Fails with [`ENOMEM`].
    pub(crate) fn current() -> Result<Self> {
        let user = User::current();
        let key = key(&user);
        // Allocated without the lock, and mostly not needed.
        let new = || -> Result<_> {
            let account = Account {
                user: user.clone(),
                tally: Tally::new(1),
                staged: Tally::new(0),
            };
            let account = KBox::new(account, GFP_CHARGED)?;
            Ok((account, RBTreeNodeReservation::new(GFP_CHARGED)?))
        };
        let mut made = None;

        loop {
            let mut accounts = ACCOUNTS.lock();
            let all = accounts.0.as_mut().ok_or(ENODEV)?;

            if let Some(&account) = all.get(&key) {
                // SAFETY: An account that is found under the lock has holders.
                let added = unsafe { account.as_ref() }.tally.add(0, Limits::NONE);
                drop(accounts);
                // INVARIANT: The holder was just added.
                return added.map(|()| Self(account));
            }
            let Some((account, reservation)) = made.take() else {
                drop(accounts);
                made = Some(new()?);
                continue;
            };
            let account = NonNull::from(KBox::leak(account));
            all.insert(RBTreeNodeReservation::into_node(reservation, key, account));
            // INVARIANT: It was made with one holder, and is in the registry.
            return Ok(Self(account));
        }
    }

    /// Returns whether this is the account of the user of the current task.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.account().user.is_current()
    }

    #[inline]
    fn account(&self) -> &Account {
        // SAFETY: The account lives as long as it has holders, and this value is one.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: The account has a holder of no pages for this value, which is dropped once.
        unsafe { give_up(self.0, 0) };
    }
}

/// Limits, in pages.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Maximum for one user.
    pub(crate) user: u64,
    /// Maximum for all users together.
    pub(crate) total: u64,
}

impl Limits {
    /// No limit: all that a [`Tally`] can count.
    pub(crate) const NONE: u64 = tally::MAX_PAGES;

    /// No limits.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) const UNLIMITED: Self = Self {
        user: Self::NONE,
        total: Self::NONE,
    };
}

/// Pages that a user holds, until dropped.
///
/// # Invariants
///
/// - The account and the total have a holder of `pages` for this value.
/// - With [`LOCKED`], so many pages were added to the locked memory of the user, and not taken
///   away.
pub(crate) struct Held {
    account: NonNull<Account>,
    /// The pages, less than [`HOLDER`], and perhaps [`LOCKED`].
    pages: u64,
}

/// Added to the pages of a [`Held`] whose pages are charged to the locked memory of the user.
const LOCKED: u64 = HOLDER;

// SAFETY: An account may be used and freed by any task.
unsafe impl Send for Held {}
// SAFETY: An account can be used by many tasks at once.
unsafe impl Sync for Held {}

impl Held {
    /// Has the user of `account` hold `pages`. Fails with [`ENOMEM`] if that is more than one of
    /// the `limits`; pages of a call that is about to fail count.
    #[inline]
    pub(crate) fn new(account: &Reference, pages: u64, limits: Limits) -> Result<Self> {
        // A holder that is taken away again is not the last one: the reference is another.
        add_to_both(&account.account().tally, &TOTAL, pages, limits)?;
        // INVARIANT: Just added.
        Ok(Self {
            account: account.0,
            pages,
        })
    }

    /// Charges the pages to the locked memory of the user as well, which is done once.
    ///
    /// Fails with [`ENOMEM`] if the user would have more pages locked than `RLIMIT_MEMLOCK` of the
    /// current task allows.
    #[cold]
    pub(crate) fn lock(&mut self) -> Result {
        if self.pages & LOCKED == 0 {
            self.user().lock_pages(self.pages)?;
            // INVARIANT: Just added.
            self.pages |= LOCKED;
        }
        Ok(())
    }

    /// Charges `pages` of a staging to the same user.
    ///
    /// Fails with [`ENOMEM`] if more pages than one of the `limits` would be staged; pages of a
    /// call that is about to fail count.
    pub(crate) fn stage(&self, pages: u64, limits: Limits) -> Result<Staged> {
        self.account().tally.add(0, Limits::NONE)?;
        // INVARIANT: The holder of no pages was just added, to the tally that keeps the account.
        let account = Reference(self.account);

        add_to_both(&account.account().staged, &TOTAL_STAGED, pages, limits)?;
        // INVARIANT: Just added.
        Ok(Staged { account, pages })
    }

    /// Returns the user.
    pub(crate) fn user(&self) -> &User {
        &self.account().user
    }

    fn account(&self) -> &Account {
        // SAFETY: By the type invariants, the account has a holder for this value, and so lives.
        unsafe { self.account.as_ref() }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        let pages = self.pages & !LOCKED;

        if pages != self.pages {
            // SAFETY: `LOCKED` is set once these pages were added, and this value is dropped once.
            unsafe { self.user().unlock_pages(pages) };
        }
        TOTAL.sub(pages);
        // SAFETY: By the type invariants, the account has this holder.
        unsafe { give_up(self.account, pages) };
    }
}

/// Pages of a staging, charged to a user until dropped.
///
/// Keeps the account: it may outlive the [`Held`] that it was charged through.
///
/// # Invariants
///
/// `staged` of the account and [`TOTAL_STAGED`] have a holder of `pages` for this value.
pub struct Staged {
    account: Reference,
    pages: u64,
}

impl Staged {
    /// Returns the bytes of the pages.
    pub(crate) fn bytes(&self) -> u64 {
        self.pages << PAGE_SHIFT
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        TOTAL_STAGED.sub(self.pages);
        self.account.account().staged.sub(self.pages);
    }
}

/// Returns how many [`Held`]s there are, and their pages.
pub(crate) fn total() -> (u64, u64) {
    TOTAL.get()
}

/// Returns the bytes of all [`Staged`]s.
pub(crate) fn staging_bytes() -> u64 {
    TOTAL_STAGED.get().1 << PAGE_SHIFT
}

fn key(user: &User) -> usize {
    core::ptr::from_ref(user).addr()
}
