# SPDX-License-Identifier: Apache-2.0
"""
gdb: source core/run/fibers-gdb.py, then

    meerkat-fibers            every waiting fiber of every worker: plugin, what it waits for, how long
    meerkat-fibers bt         the same with backtraces
"""
import gdb


def fibers(pool):
    """The busy fibers of a pool, oldest first."""
    head = pool["busy"].address
    link = pool["busy"]["next"]
    fiber = gdb.lookup_type("struct fiber")
    offset = next(f.bitpos // 8 for f in fiber.fields() if f.name == "link")
    while link != head:
        yield (link.cast(gdb.lookup_type("char").pointer()) - offset).cast(fiber.pointer()).dereference()
        link = link["next"]


# Where a switch left the callee-saved registers, from the saved stack pointer up.
LAYOUT = {
    "i386:x86-64": (["r15", "r14", "r13", "r12", "rbx", "rbp", "rip"], 8, "rsp"),
    "aarch64": (["x%d" % n for n in range(19, 31)], 0, "sp"),
}


class Backtrace:
    """Registers as they were when the fiber was left; the thread's own come back at the end."""

    def __init__(self, fiber):
        frame = gdb.selected_frame()
        self.names, skip, self.stack = LAYOUT[frame.architecture().name()]
        self.sp = int(fiber["sp"])
        self.at = self.sp + skip

    def __enter__(self):
        word = gdb.lookup_type("unsigned long")
        self.saved = {n: int(gdb.parse_and_eval("$" + n).cast(word)) for n in self.names + [self.stack, "pc"]}
        for i, name in enumerate(self.names):
            value = gdb.Value(self.at + 8 * i).cast(word.pointer()).dereference()
            gdb.execute("set $%s = %d" % (name, int(value)))
        if "x30" in self.names:
            gdb.execute("set $pc = $x30")
            gdb.execute("set $sp = %d" % (self.sp + 176))
        else:
            gdb.execute("set $rsp = %d" % (self.at + 8 * len(self.names)))

    def __exit__(self, *unused):
        for name, value in self.saved.items():
            gdb.execute("set $%s = %d" % (name, value))


class Fibers(gdb.Command):
    """List the fibers that wait.  With `bt`, where each of them waits; needs a live process, not a core."""

    def __init__(self):
        super().__init__("meerkat-fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        workers = gdb.parse_and_eval("workers")
        for w in range(int(gdb.parse_and_eval("worker_count"))):
            worker = workers[w].dereference()
            print("worker %d" % w)
            for fiber in fibers(worker["fibers"].dereference()):
                print("  fiber %d waits for %s" % (int(fiber["number"]), self.waits_for(fiber)))
                if argument == "bt":
                    gdb.execute("frame 0", to_string=True)
                    with Backtrace(fiber):
                        gdb.execute("bt")

    @staticmethod
    def waits_for(fiber):
        what = fiber["waits_for"].string() if fiber["waits_for"] else "nothing: it runs"
        ctx = fiber["ctx"]
        if ctx and ctx["inst"]:
            plugin = ctx["inst"]["plugin"]["name"].string()
            return "%s in plugin %s" % (what, plugin)
        return what


Fibers()
