# SPDX-License-Identifier: GPL-2.0
"""The mistakes in the driver's records that tools/testing/interleavings must find, one each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A record, in a copy of whose file one place is replaced."""

    name: str
    record: str
    old: str
    new: str


def _unbind(name, old, new):
    return Mutant(name, "unbind", old, new)


def _registry(name, old, new):
    return Mutant(name, "registry", old, new)


READY = "            // SAFETY: The compare-and-exchange succeeds once.\n            unsafe { BUSES.init() };\n"
DROP_LAST = "        drop(buses);\n        // Dropped without a lock: it may release a dma-buf.\n        drop(receiver);\n"
UNREGISTER = "unsafe { bindings::bus_unregister_notifier(bus, unused.notifier.get()) };"
DELIVER = ("        while let Some((id, receiver)) = this.receiver_from(from) {\n            deliver(&*receiver, device);\n"
           "            from = (address, id + 1);\n        }\n")
FIND = "            let added = buses\n"
REGISTER = ("        to_result(unsafe { bindings::bus_register_notifier(bus, this.notifier.get()) })?;\n"
            "        // INVARIANT: The notifier was just registered.\n        Ok(this)\n")

UNBIND = [
    _unbind("the lock of the buses is ready before it is initialised", READY,
            "            STATE.store(READY, Release);\n" + READY),
    _unbind("the lock of the buses is used without an acquire", "STATE.load(Acquire)", "STATE.load(Relaxed)"),
    _unbind("the lock of the buses is published without a release",
            "STATE.store(READY, Release)", "STATE.store(READY, Relaxed)"),
    _unbind("the last watch does not unregister the notifier", UNREGISTER, "drop(unused);"),
    _unbind("a bus is freed before its notifier is unregistered", UNREGISTER,
            "let notifier = unused.notifier.get();\n            drop(unused);\n"
            "            unsafe { bindings::bus_unregister_notifier(bus, notifier) };"),
    _unbind("any watch that goes unregisters the notifier", "next.bus == bus && next.entries.lock().is_empty()",
            "next.bus == bus"),
    _unbind("the notifier of another bus is unregistered", "next.bus == bus && next.entries.lock().is_empty()",
            "next.bus != bus || next.entries.lock().is_empty()"),
    _unbind("the lock is dropped between registering and adding", FIND,
            "            drop(buses);\n            let mut buses = self::buses();\n" + FIND),
    _unbind("the lock is dropped before the bus of a new watch is looked up",
            "            if !buses.iter().any(|known| known.bus == bus) {\n                buses.push_back(",
            "            let is_known = buses.iter().any(|known| known.bus == bus);\n            drop(buses);\n"
            "            let mut buses = self::buses();\n            if !is_known {\n                buses.push_back("),
    _unbind("a bus whose notifier was refused is used", REGISTER,
            "        let _ = unsafe { bindings::bus_register_notifier(bus, this.notifier.get()) };\n        Ok(this)\n"),
    _unbind("a watch that goes takes others of its receiver along", "        match entry.count {\n            0 =>",
            "        match 0 & entry.count {\n            0 =>"),
    _unbind("a second watch of a receiver is not counted", "            entry.count += 1;\n", ""),
    _unbind("the first receiver of a device goes for another", "        let entry = entries.get_mut(&key)?;\n",
            "        let key = *entries.cursor_lower_bound_mut(&(key.0, 0))?.current().0;\n"
            "        let entry = entries.get_mut(&key)?;\n"),
    _unbind("a receiver is told of other devices", "(*device == from.0).then(|| (*id, entry.receiver.clone()))",
            "(*device >= from.0).then(|| (*id, entry.receiver.clone()))"),
    _unbind("the first receiver of a device alone is told", DELIVER, DELIVER.replace("while let", "if let")),
    _unbind("a receiver is not kept while it is told", DELIVER,
            DELIVER.replace("            deliver", "            let raw = &raw const *receiver;\n            drop(receiver);\n"
                            "            deliver").replace("&*receiver, device", "unsafe { &*raw }, device")),
    _unbind("a receiver is told with the lock of the watches held", DELIVER,
            "        let mut entries = this.entries.lock();\n"
            "        while let Some(cursor) = entries.cursor_lower_bound_mut(&from) {\n"
            "            let ((found, id), entry) = cursor.current();\n            if *found != address {\n"
            "                break;\n            }\n            deliver(&*entry.receiver, device);\n"
            "            from = (address, id + 1);\n        }\n"),
    _unbind("a receiver is dropped with the lock of the buses held", DROP_LAST,
            "        drop(receiver);\n        drop(buses);\n"),
    _unbind("a receiver that is not needed is dropped with the lock of the buses held",
            "            drop(buses);\n            // A receiver that was not needed is dropped without a lock.\n"
            "            drop(node);\n", "            drop(node);\n            drop(buses);\n"),
]

TAKE = ("        // SAFETY: The place has been put into the list, now or by an earlier call, and `stop()` has\n"
        "        // given back any dma-buf.\n        unsafe { self.take(&mut list) }\n")
LEAVE = "        let left = self.current.replace(null_mut());\n        let mut list = LIST.lock();\n"
HELD = "\n        // SAFETY: The lock is held, and the node is valid: this still is among its readers.\n"
IS_LINKED = "!left.is_null() && unsafe { (*left).is_linked }"
MOVE = f"        if {IS_LINKED} {{\n"

REGISTRY = [
    _registry("a dma-buf is released while it is shown", "if readers.load(Acquire) != 0 {", "if false {"),
    _registry("what a reader did is not acquired", "if readers.load(Acquire) != 0 {",
              "if readers.load(Relaxed) != 0 {"),
    _registry("what a reader did is not released", "readers.fetch_sub(1, Full)", "readers.fetch_sub(1, Relaxed)"),
    _registry("a reader looks for tasks that wait without a full barrier", "readers.fetch_sub(1, Full)",
              "readers.fetch_sub(1, kernel::sync::atomic::Release)"),
    _registry("the last reader wakes up no task", "if before == 1 {", "if false {"),
    _registry("a reader that is not the last wakes up instead", "if before == 1 {", "if before == 2 {"),
    _registry("readers are waited for before a dma-buf is removed", "        unsafe { LIST.lock().remove(node) };\n",
              "        if unsafe { (*node).readers.load(Acquire) } != 0 {\n"
              "            unsafe { ffi::wait_until_zero((*node).readers.as_ptr()) };\n        }\n"
              "        unsafe { LIST.lock().remove(node) };\n        return;\n        #[allow(unreachable_code)]\n"),
    _registry("readers are waited for with the lock held", "        unsafe { LIST.lock().remove(node) };\n",
              "        let mut list = LIST.lock();\n        unsafe { list.remove(node) };\n"),
    _registry("a dma-buf is marked without the lock", TAKE,
              "        let node = unsafe { list.dma_buf_after(self.place.get()) };\n        drop(list);\n"
              "        if node.is_null() {\n            return false;\n        }\n"
              "        unsafe { (*node).readers.fetch_add(1, Relaxed) };\n        self.current.set(node);\n        true\n"),
    _registry("a dma-buf is not marked", "        unsafe { (*node).readers.fetch_add(1, Relaxed) };\n", ""),
    _registry("a dma-buf is given back twice", "        unsafe { Self::give_back(left) };\n        found\n",
              "        unsafe { Self::give_back(left) };\n        self.current.set(left);\n        found\n"),
    _registry("a dma-buf is given back before its place is left", LEAVE,
              LEAVE.replace("        let mut", "        unsafe { Self::give_back(left) };\n        let mut")),
    _registry("a reader goes on behind a dma-buf that was removed", IS_LINKED, "!left.is_null()"),
    _registry("a reader looks without the lock whether its dma-buf was removed", LEAVE + HELD + MOVE,
              LEAVE.replace("        let mut", f"        let is_linked = {IS_LINKED};\n        let mut")
              + "        if is_linked {\n"),
    _registry("a removed dma-buf counts as one in the list", "                (*node).is_linked = false;\n", ""),
    _registry("a reader does not move on", MOVE, "        if false {\n"),
    _registry("a closed file stays in the list", "unsafe { LIST.lock().remove(self.place.get()) };", ""),
    _registry("the node behind a removed one keeps its link", "                *self.link_before(next) = prev;\n", ""),
    _registry("the node before a removed one keeps its link", "                *self.link_after(prev) = next;\n", ""),
    _registry("a new dma-buf is not the last", "            *self.link_before(next) = node;\n", ""),
    _registry("places of readers are shown", "(*next).listed.is_none()", "false"),
]

MUTANTS = [*UNBIND, *REGISTRY]
