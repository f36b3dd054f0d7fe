# SPDX-License-Identifier: GPL-2.0
"""What is measured: operations, kinds of memory, sizes.

The guest's half of these names is in guest/.
"""

from dataclasses import dataclass
from typing import Tuple

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZES = [4 * KIB, MIB, 64 * MIB, 512 * MIB, 2 * GIB]

DRIVERS = {"c": "/dev/udmabuf", "rust": "/dev/udmabuf_rs"}
# Other memory that is shared by descriptor: dma-bufs of the system heap, a memfd without a dma-buf.
PEERS = {"heap": "/dev/dma_heap/system", "memfd": ""}
SUBJECTS = {**DRIVERS, **PEERS}
FLOOR = "floor"

# Units of values. What an operation costs is time or instructions, as the run has it.
COST, BYTES, ENTRIES, COUNT = "cost", "bytes", "entries", "count"


@dataclass(frozen=True)
class Machine:
    """One boot of the benchmark."""

    name: str
    title: str
    run: Tuple[str, ...] = ()       # options of tools/vm/run
    append: str = ""                # arguments of the kernel
    program: Tuple[str, ...] = ()   # options of the guest's program
    settle: int = 2                 # seconds until the machine is idle

    def name_of(self, operation):
        """What the guest's name of an operation is called that is measured here."""
        return operation if self.name == PLAIN else f"{self.name}_{operation}"


PLAIN = "plain"
# Pages of 1 GiB are taken when the machine boots: later there might be no room for one.
GIGANTIC_PAGES = 2
MACHINES = {each.name: each for each in [
    Machine(PLAIN, "a device that reaches all memory",
            append=f"hugepagesz=1G hugepages={GIGANTIC_PAGES} hugepagesz=2M"),
    Machine("iommu", "a PCI device behind VT-d, strict", ("--iommu", "--edu=0xffffffff"), program=("--edu",)),
    # A SYNC pair copies all of the buffer there.
    Machine("staged", "a device that reaches copies only", append="swiotlb=131072,force",
            program=("--pairs=2",), settle=15),
]}


@dataclass(frozen=True)
class Operation:
    """One thing that is measured."""

    name: str
    title: str
    group: str         # of the guest's program: what is run to measure it
    unit: str = COST
    compared: bool = True   # whether a ratio says something
    machine: str = PLAIN    # the boot in which it is measured: the name begins with it


OPERATIONS = {each.name: each for each in [
    Operation("create", "create", "create"),
    Operation("close", "close, pages dirty", "create"),
    Operation("create_clean", "create, pages clean", "clean"),
    Operation("close_clean", "close, pages clean", "clean"),
    Operation("mmap", "mmap", "mmap"),
    Operation("touch_one", "touch one page", "mmap"),
    Operation("touch_all", "touch all in order", "touch"),
    Operation("mmap_touch", "mmap and touch all in order", "touch"),
    Operation("touch_again", "touch all once more", "touch"),
    Operation("touch_unaligned", "touch all in order, unaligned", "unaligned"),
    Operation("touch_random", "touch all at random", "random"),
    Operation("threads_1", "touch all, a thread", "threads"),
    Operation("threads_2", "touch all, 2 threads", "threads"),
    Operation("threads_4", "touch all, 4 threads", "threads"),
    Operation("munmap", "munmap after touching all", "touch"),
    Operation("munmap_unaligned", "munmap, unaligned", "unaligned"),
    Operation("sync_first", "SYNC pair, the first", "sync"),
    Operation("sync", "SYNC pair", "sync"),
    Operation("sync_1", "SYNC pair, 1 importer", "import"),
    Operation("sync_4", "SYNC pair, 4 importers", "import4"),
    Operation("map", "map by an importer", "import"),
    Operation("unmap", "unmap by an importer", "import"),
    Operation("map_unmap", "attach, map, unmap, detach", "small"),
    Operation("remap", "map and unmap, once more for an attachment", "small"),
    Operation("map_1000", "map, 1,000 mappings live", "live"),
    Operation("map_10000", "map, 10,000 mappings live", "live"),
    Operation("unmap_10000", "unmap of these", "live"),
    Operation("attach_1000", "attach and map, 1,000 attachments live", "attach"),
    Operation("attach_10000", "attach and map, 10,000 attachments live", "attach"),
    Operation("detach_10000", "unmap and detach of these", "attach"),
    Operation("vmap", "vmap", "vmap"),
    Operation("vunmap", "vunmap", "vmap"),
    Operation("create_close_32", "create and close 32 x 32 MiB", "batch"),
    Operation("create_list", "CREATE_LIST of 8,000 x 4 KiB", "list"),
    Operation("close_list", "close of that list", "list"),
    Operation("create_turns", "the same of two memfds in turn", "list"),
    Operation("close_turns", "close of that list", "list"),
    Operation("life", "whole life, the documented way", "life"),
    Operation("life_net", "the same less zeroing", "life"),
    Operation("life_folios", "whole life, a byte of each folio written before CREATE", "life"),
    Operation("life_folios_net", "the same less zeroing", "life"),
    Operation("life_plain", "whole life, written before CREATE, mmap(NULL)", "life"),
    Operation("life_plain_net", "the same less zeroing", "life"),
    *[Operation(f"iommu_{name}", f"{title}, IOMMU", group, machine="iommu") for name, title, group in [
        ("map", "map", "import"),
        ("unmap", "unmap", "import"),
        ("map_unmap", "attach, map, unmap, detach", "small"),
        ("remap", "map and unmap, once more for an attachment", "small"),
        ("map_1000", "map, 1,000 mappings live", "live"),
        ("map_10000", "map, 10,000 mappings live", "live"),
        ("unmap_10000", "unmap of these", "live"),
        ("attach_1000", "attach and map, 1,000 attachments live", "attach"),
        ("attach_10000", "attach and map, 10,000 attachments live", "attach"),
        ("detach_10000", "unmap and detach of these", "attach"),
    ]],
    Operation("staged_map", "map, staged", "import", machine="staged"),
    Operation("staged_unmap", "unmap, staged", "import", machine="staged"),
    Operation("staged_sync_1", "SYNC pair, nothing changed, staged", "import", machine="staged"),
    Operation("memory", "kernel memory of a buffer", "memory", BYTES),
    Operation("page_tables", "page tables after touching all", "touch", BYTES),
    Operation("entries", "page table entries", "touch", ENTRIES),
    Operation("entries_unaligned", "page table entries, unaligned", "unaligned", ENTRIES),
    Operation("segments", "segments for an importer", "import", COUNT),
    Operation("pin", "pin, nothing else", "create", compared=False),
    Operation("unpin", "unpin, nothing else", "create", compared=False),
    Operation("marked_dirty", "clean pages marked dirty (0 or 1)", "clean", COUNT, compared=False),
    Operation("folios", "folios", "create", COUNT, compared=False),
    Operation("runs", "runs of frames", "create", COUNT, compared=False),
]}

# What says nothing where one processor is emulated and instructions are counted.
NEEDS_TIME = {"threads"}
# Operations less what zeroing takes, which is what the floor has of them: the host works it out.
NET = {f"{name}_net": name for name in ("life", "life_folios", "life_plain")}


@dataclass(frozen=True)
class Memory:
    """One way in which a memfd can lie in memory."""

    name: str
    title: str
    page: int                       # what the targets go by: 4 KiB pages, or larger
    folio: int                      # what it is made of
    sizes: Tuple[int, ...] = tuple(SIZES)
    hugetlb: str = ""               # the pool it comes from, as /sys calls it


def _runs(pages):
    return Memory(f"4k-run-{pages}", f"4 KiB pages, {pages} in a row", 4 * KIB, 4 * KIB, (64 * MIB,))


RUN_LENGTHS = [1, 4, 16, 64, 512]
RUNS = [f"4k-run-{pages}" for pages in RUN_LENGTHS]
MAIN_MEMORIES = ["4k-contiguous", "4k-fragmented", "shmem-2m", "hugetlb-2m", "hugetlb-1g"]

# In the order in which they are run: what needs much memory in one piece comes first.
MEMORIES = {each.name: each for each in [
    Memory("hugetlb-1g", "hugetlb, 1 GiB pages", 2 * MIB, GIB, hugetlb="hugepages-1048576kB"),
    Memory("hugetlb-2m", "hugetlb, 2 MiB pages", 2 * MIB, 2 * MIB, hugetlb="hugepages-2048kB"),
    Memory("shmem-2m", "shmem, 2 MiB pages", 2 * MIB, 2 * MIB),
    Memory("4k-contiguous", "shmem, 4 KiB pages, contiguous", 4 * KIB, 4 * KIB),
    *map(_runs, RUN_LENGTHS),
    Memory("4k-fragmented", "shmem, 4 KiB pages, fragmented", 4 * KIB, 4 * KIB),
    Memory("4k", "shmem, 4 KiB pages, as they come", 4 * KIB, 4 * KIB),
]}


@dataclass(frozen=True)
class Session:
    """Groups of operations that are run together, with some kinds of memory."""

    groups: Tuple[str, ...]
    memories: Tuple[str, ...]
    sizes: Tuple[int, ...] = ()         # those of the memory, where there are none
    machine: str = PLAIN
    # Of the next two, at the most, where instructions are counted.
    rounds: int = 100
    warmups: int = 1

    def sizes_of(self, memory):
        """Of a kind of memory. A life has memfds of its own, which are of whole folios."""
        if "life" in self.groups:
            return [size for size in self.sizes if size % memory.folio == 0]
        return list(self.sizes or memory.sizes)


SMALL_SIZES = (4 * KIB, 64 * KIB)
SPLIT_UP = ("4k-contiguous", "4k-fragmented")
# In the order in which they are run.
SESSIONS = [
    Session(("create", "clean", "mmap", "touch", "unaligned", "random", "threads", "sync", "import", "import4", "vmap",
             "memory", "batch", "list"), tuple(MAIN_MEMORIES)),
    Session(("create", "touch", "import", "vmap", "memory"), tuple(RUNS)),
    Session(("create", "import"), ("hugetlb-2m", "shmem-2m", *SPLIT_UP), (64 * KIB,)),
    Session(("small",), ("hugetlb-2m", "shmem-2m", *SPLIT_UP), SMALL_SIZES),
    # From here on: what takes long, and hardly differs from round to round.
    Session(("live", "attach"), ("hugetlb-2m", "4k-fragmented"), SMALL_SIZES, rounds=1),
    Session(("life",), ("hugetlb-2m", "shmem-2m", "4k"), (4 * KIB, MIB, 32 * MIB, 64 * MIB), rounds=1,
            warmups=0),
    Session(("import", "small"), SPLIT_UP, (*SMALL_SIZES, MIB, 64 * MIB), "iommu", rounds=2),
    Session(("live", "attach"), ("4k-fragmented",), SMALL_SIZES, "iommu", rounds=1, warmups=0),
    Session(("import",), ("4k-fragmented",), (8 * MIB,), "staged", rounds=2),
]


def parse_size(text):
    """512M as bytes."""
    units = {"K": KIB, "M": MIB, "G": GIB}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    return int(number) * unit


def show_size(size):
    """Bytes as 512 MiB."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size % (unit // 8) == 0:
            return f"{size / unit:g} {name}"
    return f"{size / MIB:.1f} MiB" if size >= MIB else f"{size} B"
