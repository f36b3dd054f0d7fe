# SPDX-License-Identifier: GPL-2.0
"""Which boots there are, what runs in each, and what every row asks."""

from dataclasses import dataclass, field, replace
from typing import List, Optional

UPSTREAM = "upstream"
# No program, but the unit tests of the modules that are loaded, see guest.py.
KUNIT = "kunit"
# Programs of samples/ that need the node alone. Each is one test, which its exit status decides.
SAMPLES = ("share_readonly",)

RESERVE_2_GIB = "echo 1024 > /proc/sys/vm/nr_hugepages"
# Of 2 MiB, which are not the usual ones where pages are of 16 KiB.
KEEP_128_MIB = "echo 64 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
# Without it a whole subject would be skipped, and nobody would call that a failure.
LOAD_IMPORTER = "insmod /check/udmabuf_importer.ko || exit 1"
LOAD_SAMPLES = "insmod /check/rust_dma_buf_exporter.ko && insmod /check/rust_dma_buf_importer.ko || exit 1"
SWAP_ON = ("echo 256M > /sys/block/zram0/disksize && mkswap /dev/zram0 > /dev/null && swapon /dev/zram0"
           " || echo '# no swap: the tests that need it are skipped'")


@dataclass(frozen=True)
class Boot:
    """One start of the VM: how it is started, and what runs there in turn.

    A step is the name of a program with its arguments, or "!" and a line of shell.
    """

    name: str
    why: str
    arguments: List[str]
    steps: List[str]
    environment: dict = field(default_factory=dict)
    # As tools/vm knows it.
    kernel: str = "stock"
    # Seconds after which one program is ended; a boot has the sum of its own.
    limit: int = 300
    # What the run must be failed for: a report in the kernel log that matches. Empty: it must be clean.
    report: str = ""
    # Whether the first program that fails is the last one.
    first_failure: bool = False

    @property
    def subjects(self):
        """The programs among the steps."""
        return [step.split()[0] for step in self.steps if not step.startswith("!")]

    def only(self, wanted):
        """The same boot with no other programs than those wanted."""
        steps = [step for step in self.steps if step.startswith("!") or not wanted or step.split()[0] in wanted]
        return replace(self, steps=steps)


# Pages of 1 GiB have a boot of their own.
HUGE = ["hugemap -V hugetlb_1_GiB", "hugetasks -V hugetlb_1_GiB"]

# Where the kernel zeroes what it allocates, so that allocating takes long enough to be seen.
LONG_LIST = "long_list_is_not_made_longer_under_the_lock"

# Behind an IOMMU, which reports the device.
TRANSLATED = "iommu_keeps_a_device_from_writing"

# "device" comes last where it runs: it leaves a buffer behind for good.
EVERYTHING = ["!" + RESERVE_2_GIB, UPSTREAM, "!" + KEEP_128_MIB,
              "create", "create_32", "seals", "create_ext", "create_ext_32", "create_races", "query", "query_32",
              "mmap", "sync", "sync_32", "share", "!" + LOAD_IMPORTER, "import", "dirty", f"readonly -T {TRANSLATED}", "trace", "debugfs", "hostile", "neighbours",
              "accounts", "account_races", "charges", *HUGE, f"limits -T {LONG_LIST}", "memcg", "lifetime",
              "!" + SWAP_ON, "integrity"]

# The programs of the coherence matrix; one more counts cache maintenance, which is for arm64 alone.
COHERENCE = ["coherence", "importers", "brackets", "signals", "races"]

# A device that does DMA, with the address bits that its driver expects.
EDU = ["--edu=0xffffffff"]
# Without init_on_alloc=0 the kernel itself hides half of C1. zram is for swap, vgem for fences.
MAIN = ["--mem", "3G", "--append", "init_on_alloc=0", "--kmod", "zram", "--kmod", "vgem"] + EDU
BOUNCE = ["--append", "swiotlb=force", "--kmod", "vgem"] + EDU

# The core has a WARN for a kernel mapping that fails.
VMAP_WARNS = ["--expect-log", "WARNING: .*dma-buf/dma-buf.c.* dma_buf_vmap"]

# What the IOMMU says of a device that writes where it may not.
IOMMU_FAULTS = ["--expect-log", "DMAR: (DRHD: handling fault|.DMA Write)"]

# Times are compared where the clock counts instructions. One test compares none, and takes long there.
MOST_MAPPINGS = "A5_300000_mappings_work_or_end_in_ENOMEM"
COUNTED = ["!" + LOAD_IMPORTER, "!sleep 2", f"dma_map_many -T {MOST_MAPPINGS}"]
BESIDE = {"UDMABUF_NODE": "/dev/udmabuf_rs"}

MANY = [
    Boot("many", "hundreds of thousands of mappings", ["--replace-c"],
         ["!" + LOAD_IMPORTER, f"dma_map_many -t {MOST_MAPPINGS}"]),
    Boot("many-iommu", "thousands of mappings behind an IOMMU, next to the C driver, instructions counted",
         ["--icount", "--iommu", "--append", "init_on_alloc=0", *EDU], COUNTED, {**BESIDE, "COHERENCE_DEVICE": "edu"}),
    Boot("many-bounce", "thousands of mappings that bounce, instructions counted",
         ["--icount", "--append", "init_on_alloc=0 swiotlb=force"], COUNTED, BESIDE),
    Boot("staging", "what staging costs, next to the C driver, instructions counted",
         ["--icount", "--append", "init_on_alloc=0 swiotlb=131072,force"],
         ["!" + LOAD_IMPORTER, "!sleep 15", "staging_cost"], BESIDE),
]

# Memory above what a device with 32 address bits reaches, and much of it.
LARGE = ["--replace-c", "--mem", "6G"]
LATENCY = "own_512_MiB_do_not_keep_others_waiting"

STAGED = [
    Boot("staged", "devices that reach a part of memory", LARGE,
         ["!" + LOAD_IMPORTER, f"staging -T {LATENCY}", "settle"]),
    Boot("staged-bounce", "the same where every DMA mapping bounces", [*LARGE, "--append", "swiotlb=force"],
         ["!" + LOAD_IMPORTER, f"staging -T {LATENCY}", "settle"]),
    Boot("staged-time", "who waits while a large buffer is settled, instructions counted", [*LARGE, "--icount"],
         ["!" + LOAD_IMPORTER, "!sleep 2", f"staging -t {LATENCY}"]),
    Boot("staged-slow", "merges that take long", [*LARGE, "--with", "CONFIG_UDMABUF_RS_SETTLE_DELAY"],
         ["!" + LOAD_IMPORTER, "settle"], {"SETTLE_SECONDS": "60"}),
]



# The one that mutants with a data race are for.
RACES = "stress-kcsan"


def stress(seconds):
    """Boots in which everything happens at once, each for so many seconds."""
    # The debugging of DMA finds no entry where several contain a page and none is the exact one: a device that maps a
    # page twice, and syncs, is reported for memory that it has not allocated. It reports of this driver only, then.
    spare = "echo nobody > /sys/kernel/debug/dma-api/driver_filter"
    # How many accesses were watched; without any, the kernel was not looking for races.
    watched = "cat /sys/kernel/debug/kcsan && grep -q '^setup_watchpoints: [1-9]' /sys/kernel/debug/kcsan || exit 1"
    # Tasks of the stress test have buffers of their own. These share buffers, and the limits.
    sharing = ["account_races -T random_operations_agree_with_a_model", "races"]
    before, after = {"debug": ["!" + spare]}, {"kcsan": [*sharing, "!" + watched]}

    def boot(name, why, *arguments, kernel="stock"):
        return Boot(name, why, ["--replace-c", "--mem", "2G", *(["--kmod", "zram"] if kernel == "stock" else []), *arguments],
                    ["!" + SWAP_ON, "!" + KEEP_128_MIB, *before.get(kernel, []), "!" + LOAD_IMPORTER, "stress",
                     *after.get(kernel, [])],
                    {"STRESS_SECONDS": str(seconds)}, kernel, limit=300 + 2 * seconds)

    return [
        boot("stress", "everything at once"),
        boot("stress-bounce", "everything at once, where every DMA mapping bounces", "--append", "swiotlb=force"),
        boot("stress-debug", "everything at once, debug kernel", kernel="debug"),
        boot(RACES, "everything at once, on a kernel that reports data races", kernel="kcsan"),
    ]


# What of that every run has.
STRESS_SECONDS = 90


def fuzz(seconds, replay=""):
    """Boots that run programs of operations which a fuzzer makes up, or one such program.

    The first two for so long each. The others, which differ from them in little, or are slow, for two fifths of that.
    """
    # Lines that unit tests reach would count as reached by the fuzzer. See also stress().
    spare = "echo nobody > /sys/kernel/debug/dma-api/driver_filter"

    def boot(name, why, append="", kernel="stock", more=(), seconds=seconds):
        arguments = ["--replace-c", "--mem", "2G", *more, "--with", "CONFIG_UDMABUF_RS_COVERAGE", *EDU,
                     "--append", f"udmabuf_rs.coverage=1 {append}".strip()]
        if replay:
            arguments.append(f"--add={replay}=/check/replay")
        return Boot(name, why, arguments,
                    ["!" + KEEP_128_MIB, *(["!" + spare] if kernel == "debug" else []), "!" + LOAD_IMPORTER,
                     "fuzz replay /check/replay" if replay else "fuzz"],
                    {"FUZZ_SECONDS": str(seconds)}, kernel, limit=600 + 2 * seconds)

    return [
        boot("fuzz", "programs that a fuzzer makes up"),
        boot("fuzz-bounce", "the same, where every DMA mapping bounces", "swiotlb=force"),
        # A device that is mapped for reading writes, and the other way round, or finds other addresses in its table.
        boot("fuzz-iommu", "the same, behind a strict IOMMU",
             more=["--iommu", "--expect-log", "DMAR: (DRHD: handling fault|.DMA (Read|Write))"], seconds=seconds * 2 // 5),
        boot("fuzz-debug", "the same, debug kernel", "kunit.enable=0", "debug", seconds=seconds * 2 // 5),
    ]


FUZZ_SECONDS = 30

OURS = [
    Boot("main", "in place of the C driver", ["--replace-c"] + MAIN,
         EVERYTHING + ["naming", *SAMPLES, "!" + LOAD_SAMPLES, "exporter", "device"]),
    Boot("bounce", "every DMA mapping bounces", ["--replace-c"] + BOUNCE,
         ["!" + KEEP_128_MIB, "!" + LOAD_IMPORTER, "bounce", "import", "dirty", f"readonly -T {TRANSLATED}", "memcg", "sync", "share", "!" + LOAD_SAMPLES,
          "exporter", "device"]),
    Boot("vmapfail", "a kernel mapping fails, of which the core warns",
         ["--replace-c"] + VMAP_WARNS,
         ["!" + LOAD_IMPORTER, "vmapfail"]),
    Boot("iommu", "a device behind a strict IOMMU, mapped for reading, writes",
         ["--replace-c", "--iommu", *EDU, *IOMMU_FAULTS], ["!" + LOAD_IMPORTER, f"readonly -t {TRANSLATED}"]),
    Boot("beside", "next to the C driver", [], ["naming", "create", "create_ext", "query", f"limits -t {LONG_LIST}"],
         {"UDMABUF_NODE": "/dev/udmabuf_rs"}),
    *MANY,
    *STAGED,
    *stress(STRESS_SECONDS)[:2],
    *fuzz(FUZZ_SECONDS)[:2],
]

C_DRIVER = {"UDMABUF_NODE": "/dev/udmabuf", "UDMABUF_MODULE": "udmabuf"}

# The WARNs of rows C11 and C12.
C_WARNS = ["--expect-log", "WARNING: .*mm/"]

THEIRS = [
    Boot("main", "the C driver of the stock kernel", ["--no-module"] + MAIN + C_WARNS, EVERYTHING + ["device"], C_DRIVER),
    Boot("bounce", "the C driver, every DMA mapping bounces", ["--no-module"] + BOUNCE,
         ["!" + KEEP_128_MIB, "!" + LOAD_IMPORTER, "bounce", "import", "device"], C_DRIVER),
]


# On a kernel that looks at everything, and takes its time for it. What the stock kernel has as modules it has built in.
DEBUG_MAIN = ["--replace-c", "--mem", "4G", "--append", "init_on_alloc=0"] + EDU
# Minutes there, of arithmetic that the stock kernel does as well, and of times, which say nothing there: programs, or
# tests of programs.
LONG_ON_DEBUG = {
    "account_races": None,
    "debugfs": "-T reading_many_buffers_holds_up_nobody -T counting_many_folios_holds_up_nobody",
    "hostile": "-T million_bad_calls_log_nothing -T bad_calls_on_a_buffer_log_nothing",
    "neighbours": "-F waits",
}


def _on_debug(steps):
    """The steps without what takes too long."""
    return [f"{step} {LONG_ON_DEBUG[step]}" if step in LONG_ON_DEBUG else step
            for step in steps if LONG_ON_DEBUG.get(step, "") is not None]


# Failing allocations, copies and charges. Unit tests would run each time the module is loaded.
FAULTS = [
    Boot("faults", "every operation, with each allocation and copy failing",
         ["--replace-c", "--append", "kunit.enable=0", *VMAP_WARNS],
         ["!" + LOAD_IMPORTER, "faults"], kernel="debug", limit=1200),
    Boot("faults-bounce", "the same where every DMA mapping bounces",
         ["--replace-c", "--append", "kunit.enable=0 swiotlb=force", *VMAP_WARNS],
         ["!" + LOAD_IMPORTER, "faults"], kernel="debug", limit=1200),
]

# Its DMA zone has all memory below 4 GiB, where that begins at 1 GiB. Emulated from afar, it has a table of its own.
FAULTS_ARM64 = Boot("faults-arm64", "the same on arm64", [*FAULTS[0].arguments, "--mem", "4G"], FAULTS[0].steps,
                    kernel="debug-arm64", limit=3600)

# For mutants: what their mistakes show in.
FAULTS_FEW = Boot("faults-few", "operations of each kind, with each allocation and copy failing", FAULTS[0].arguments,
                  ["!" + LOAD_IMPORTER, "faults -v create_scattered -v create_list -v map_direct -v map_staged"
                   " -v map_staged_writer -v vmap_scattered"],
                  kernel="debug")

DEBUG = [
    Boot("debug", "in place of the C driver, debug kernel", DEBUG_MAIN,
         _on_debug(EVERYTHING) + ["naming", *SAMPLES, "!" + LOAD_SAMPLES, "exporter", "device", KUNIT],
         kernel="debug", limit=400),
    Boot("debug-bounce", "every DMA mapping bounces, debug kernel", ["--replace-c", "--mem", "4G", "--append", "swiotlb=force"] + EDU,
         ["!" + KEEP_128_MIB, "!" + LOAD_IMPORTER, "bounce", "import", "dirty", f"readonly -T {TRANSLATED}", "memcg", "sync", "share", "device", "coherence",
          f"staging -T {LATENCY}", "settle"],
         kernel="debug", limit=400),
    Boot("debug-beside", "next to the C driver, debug kernel", VMAP_WARNS,
         ["naming", "create", "create_ext", "query", "!" + LOAD_IMPORTER, "vmapfail"],
         {"UDMABUF_NODE": "/dev/udmabuf_rs"}, kernel="debug"),
    # The other leak detector, which takes half a minute, has nothing to find here.
    Boot("debug-leak", "a mapping that is leaked on purpose must fail the run", ["--replace-c", "--append", "kmemleak=off"],
         ["!" + LOAD_IMPORTER, "leak"], kernel="debug", report="DMA-API: still mapped"),
    # The other one takes as long again.
    FAULTS[0],
]

# For what is in no other list.
ALSO = [
    Boot("arm64-bounce", "not coherent, and every mapping bounces: the driver's own must not",
         ["--replace-c", "--append", "swiotlb=force"],
         ["bounce", "!" + LOAD_IMPORTER, *COHERENCE, f"staging -T {LATENCY}", "settle"],
         {"COHERENCE_MEMORY": "elsewhere", "SETTLE_SECONDS": "60"}, kernel="arm64"),
    Boot("1-GiB", "huge pages of 1 GiB", ["--replace-c", "--mem", "4G", "--append", "hugepagesz=1G hugepages=1"],
         ["!" + LOAD_IMPORTER, "hugemap -v hugetlb_1_GiB", "hugetasks -v hugetlb_1_GiB"]),
    Boot("16k-pages", "pages of 16 KiB, of which a page table maps 32 MiB", ["--replace-c"],
         ["mmap", "!" + LOAD_IMPORTER, *HUGE], kernel="arm64-16k"),
]


@dataclass(frozen=True)
class Column:
    """One kind of machine of the coherence matrix: a boot with our driver, and perhaps one with the C driver."""

    name: str
    what: str
    ours: Boot
    theirs: Optional[Boot] = None


def _column(name, what, arguments, programs=(), device="faux", memory="direct", kernel="stock", compare=True):
    environment = {"COHERENCE_DEVICE": device, "COHERENCE_MEMORY": memory}
    steps = ["!" + LOAD_IMPORTER, *COHERENCE, *programs]
    ours = Boot(f"matrix-{name}", what, ["--replace-c", *arguments], steps, environment, kernel)
    theirs = Boot(f"matrix-{name}-c", f"{what}; the C driver", ["--no-module", *arguments], steps,
                  {**environment, **C_DRIVER}, kernel)
    return Column(name, what, ours, theirs if compare else None)


# What the C driver gets wrong for sure: a column, and rows of it.
KNOWN_TO_FAIL = ("bounce", [1, 2, 3])

# The rows are in matrix.py.
COLUMNS = [
    _column("stock", "a device that reaches all memory", EDU),
    _column("bounce", "swiotlb=force: every mapping bounces", ["--append", "swiotlb=force", *EDU], memory="elsewhere"),
    _column("iommu", "edu, a PCI device, behind a strict virtual IOMMU", ["--iommu", *EDU], device="edu",
            memory="translated"),
    _column("32-bit", "edu with 32 address bits where memory has 6 GiB", [*EDU, "--mem", "6G"],
            device="edu", memory="elsewhere"),
    _column("debug", "the debug kernel", [], kernel="debug", compare=False),
    _column("arm64", "arm64, a device that is not coherent", [], ["maintenance"], kernel="arm64"),
    _column("16k", "the same with pages of 16 KiB", [], ["maintenance"], kernel="arm64-16k", compare=False),
]


@dataclass(frozen=True)
class Row:
    """A row of what the C driver does wrong, and whether these tests can show it."""

    what: str
    # Why userspace alone on a stock kernel cannot show it; empty: it can.
    needs: str = ""


ROWS = {
    "C1": Row("fallocated memfd: old memory shows, written bytes vanish"),
    "C2": Row("bytes written through the buffer are lost in reclaim"),
    "C3": Row("bounce buffers: devices and CPU see old bytes"),
    "C4": Row("bounce buffers: a bracket brings old bytes back"),
    "C5": Row("no cache maintenance on non-coherent machines", "an importer on such a machine"),
    "C6": Row("caches synced before the fences are waited for", "an importer"),
    "C7": Row("read-only memfd becomes a writable buffer"),
    "C8": Row("racing STARTs leak DMA mappings"),
    "C9": Row("brackets of two directions: DMA debug warning", "a debug kernel"),
    "C10": Row("segments larger than the device takes"),
    "C11": Row("huge request: WARN, or memory spent, before it is looked at"),
    "C12": Row("one page pinned until its count saturates: WARN"),
    "C13": Row("limits accept what corrupts memory"),
    "C14": Row("pinning cannot be killed and holds the inode lock"),
    "C15": Row("pinned memory and arrays are charged to nobody", "accounting, which is a later issue"),
    "C16": Row("failing vmap answers EINVAL", "memory that runs out: it maps what fails for us"),
    "C17": Row("SYNC END without START: EINVAL"),
    "C18": Row("/proc/PID/mem and debuggers cannot read a mapping"),
    "C19": Row("DMA mask set after the node is visible", "a race at boot that userspace is too late for"),
    "C20": Row("punched holes: memfd and buffer part ways",
               "no fix: a limit of memfds; that the buffer stays safe holds for both drivers"),
    "C21": Row("memfd collapsed into a huge page while it is pinned: memfd and buffer part ways"),
}
