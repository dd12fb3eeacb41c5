"""Programs that a sandbox has to survive. Each defines ``attack()``, which returns True where it succeeds.

``SECRET`` stands for a file that every user of the machine may read, ``OUTSIDE`` for a directory that every
user may write, ``PORT`` for a server on the loopback interface.
"""

import platform
from dataclasses import dataclass

from a360.grading.sandbox.denied import DENIED

_MACHINE = {"x86_64": 1, "aarch64": 2}.get(platform.machine(), 1)
NUMBERS = {
    call.split(":")[0]: call.split(":")[_MACHINE] for calls in DENIED.values() for call in calls.split()
}
TESTS = "assert attack() is True\n"


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One program; ``tests`` pass exactly where it succeeds."""

    name: str
    source: str
    tests: str = TESTS
    verdicts: tuple[str, ...] = ("failed",)
    """How it may end."""


def attack(name: str, body: str, *verdicts: str, tests: str = TESTS) -> Attack:
    """An attack whose body is that of ``attack()``."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    prelude = "import os, sys, ctypes, socket, signal, time, threading, resource\n"
    prelude += "libc = ctypes.CDLL(None, use_errno=True)\n"
    return Attack(
        name=name,
        source=f"{prelude}def attack():\n{lines}",
        tests=tests,
        verdicts=verdicts or ("failed",),
    )


def reached(call: str, *arguments: str) -> str:
    """A body that is True where a system call is not simply forbidden."""
    words = ", ".join((NUMBERS[call], *arguments))
    return f"return libc.syscall({words}) >= 0 or ctypes.get_errno() != 1"


def forgery(name: str, source: str, *verdicts: str) -> Attack:
    """A program that does not know the answer and wants to pass all the same."""
    return Attack(
        name=name,
        source=source,
        tests="assert answer(6) == 720\nassert answer(3) == 6\n",
        verdicts=verdicts or ("failed",),
    )


_VERDICT = """b'{"verdict": "passed", "detail": "", "gone": ""}\\n'"""

REACHING_OUT = [
    attack("opens an internet socket", "return bool(socket.socket())"),
    attack("connects to a server", "return bool(socket.create_connection(('127.0.0.1', PORT)))"),
    attack("opens a local socket", "return bool(socket.socket(socket.AF_UNIX))"),
    attack("makes a pair of sockets", "return bool(socket.socketpair())"),
    attack(
        "listens on an abstract name",
        "s = socket.socket(socket.AF_UNIX)\ns.bind('\\0a360')\nreturn True",
    ),
    attack("reads a planted credential", "return len(open('SECRET').read()) > 0"),
    attack(
        "reads a credential through a link", "os.symlink('SECRET', 'link')\nreturn bool(open('link').read())"
    ),
    attack(
        "reads a credential through a hard link",
        "os.link('SECRET', 'link')\nreturn bool(open('link').read())",
    ),
    attack("lists another candidate's directory", "return bool(os.listdir('OUTSIDE'))"),
    attack("lists where other candidates are", "return bool(os.listdir('..'))"),
    attack("writes outside", "return bool(open('OUTSIDE/written', 'w'))"),
    attack("makes a directory outside", "return os.mkdir('OUTSIDE/made') is None"),
    attack("moves a file out", "open('a', 'w').close()\nreturn os.rename('a', 'OUTSIDE/moved') is None"),
    attack("removes a file outside", "return os.unlink('SECRET') is None"),
    attack("reads its environment", "return any(k for k in os.environ if k != 'LC_CTYPE')"),
    attack("reads the environment it started with", "return b'=' in open('/proc/self/environ', 'rb').read()"),
    attack("reads the parent's memory file", "return bool(open(f'/proc/{os.getppid()}/mem', 'rb'))"),
    attack("reads the parent's environment", "return bool(open(f'/proc/{os.getppid()}/environ').read())"),
    attack("lists the parent's descriptors", "return bool(os.listdir(f'/proc/{os.getppid()}/fd'))"),
    attack("opens the parent's descriptors", "return bool(open(f'/proc/{os.getppid()}/fd/1', 'wb'))"),
    attack(
        "finds an inherited descriptor",
        """
found = []
for number in range(3, 1000):
    try:
        kind = os.fstat(number).st_mode & 0o170000
    except OSError:
        continue
    if kind != 0o040000:  # directories of the library
        found.append(number)
return len(found) > 2  # its two pipes
""",
    ),
    attack("traces its parent", "return libc.ptrace(16, os.getppid(), 0, 0) == 0"),
    attack("lets itself be traced", "return libc.ptrace(0, 0, 0, 0) == 0"),
    attack(
        "reads the parent's memory",
        """
import struct
target = ctypes.create_string_buffer(64)
local = struct.pack('QQ', ctypes.addressof(target), 64)
remote = struct.pack('QQ', 0x400000, 64)
return libc.process_vm_readv(os.getppid(), local, 1, remote, 1, 0) > 0
""",
    ),
    attack("kills its parent", "os.kill(os.getppid(), 9)\nreturn True"),
    attack("signals its parent", "os.kill(os.getppid(), 0)\nreturn True"),
    attack("signals everybody", "os.kill(-1, 15)\nreturn True"),
    attack("signals through a descriptor", "return os.pidfd_open(os.getppid()) >= 0"),
    attack(
        "signals when a pipe is ready",
        "import fcntl\nfcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())\nreturn True",
    ),
    attack("limits its parent", "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, 0))\nreturn True"),
    attack("slows down others", "os.sched_setaffinity(os.getppid(), {0})\nreturn True"),
    attack("makes a user namespace", "return libc.unshare(0x10000000) == 0"),
    attack("makes a mount namespace", "return libc.unshare(0x00020000) == 0"),
    attack("mounts", "return libc.mount(b'none', b'.', b'tmpfs', 0, None) == 0"),
    attack("changes its root", "os.chroot('.')\nreturn True"),
    attack("becomes root", "os.setuid(0)\nreturn True"),
    attack("is root", "return os.getuid() == 0"),
    attack("sets another user", "os.setuid(os.getuid())\nreturn True"),
    attack("makes a program privileged", "open('a', 'w').close()\nos.chmod('a', 0o4755)\nreturn True"),
    attack("empties a file outside", "return os.truncate('SECRET', 0) is None"),
    attack("makes a device", "os.mknod('zero', 0o020666, os.makedev(1, 5))\nreturn True"),
    attack("uses io_uring", reached("io_uring_setup", "0", "0")),
    attack("loads a kernel program", reached("bpf", "9999", "0", "0")),
    attack("watches performance", reached("perf_event_open", "0", "0", "0", "0", "0")),
    attack("reads keys", reached("keyctl", "9999", "0", "0", "0", "0")),
    attack("changes its personality", "return libc.personality(0xffffffff) >= 0"),
    attack("watches files", "return libc.inotify_init1(0) >= 0"),
    attack("shares memory", reached("shmget", "0", "4096", "0o600")),
    attack("makes a file in memory", "return os.memfd_create('a') >= 0"),
    attack(
        "runs a program from memory",
        """
fd = os.memfd_create('a')
os.write(fd, open(os.path.realpath('/bin/true'), 'rb').read())
os.execve(fd, ['true'], {})
""",
    ),
    attack("runs a program", "os.execve('/bin/true', ['true'], {})"),
    attack(
        "looks for a program", "return libc.execve(b'/nowhere', None, None) == -1 and ctypes.get_errno() != 1"
    ),
    attack("starts a process", "return os.fork() == 0 and os._exit(0) or True"),
    attack("starts a shell", "return os.system('true') == 0"),
]

EXHAUSTING = [
    attack("forks without end", "while True:\n    os.fork()"),
    attack(
        "starts threads without end",
        "while True:\n    threading.Thread(target=time.sleep, args=(99,)).start()",
        "failed",
        "resource",
    ),
    attack("takes all memory", "return bool(bytearray(2 * 2**30))", "resource"),
    attack(
        "takes memory bit by bit", "kept = []\nwhile True:\n    kept.append(bytearray(2**20))", "resource"
    ),
    attack("writes one large file", "open('a', 'wb').write(bytes(8 * 2**20))\nreturn True", "resource"),
    attack(
        "fills the disk",
        "for n in range(10000):\n    open(f'{n}', 'wb').write(bytes(3 * 2**20))\nreturn True",
        "resource",
    ),
    attack(
        "makes files without end",
        "for n in range(10**9):\n    open(f'{n}', 'w').close()",
        "resource",
        "timed_out",
    ),
    attack(
        "makes directories without a bottom",
        "while True:\n    os.mkdir('d')\n    os.chdir('d')",
        "resource",
        "timed_out",
        "failed",
    ),
    attack("hides a directory", "os.mkdir('d', 0)\nreturn False", "failed", "resource"),
    attack(
        "opens files without end", "kept = []\nwhile True:\n    kept.append(open('/dev/null'))", "resource"
    ),
    attack("prints without end", "while True:\n    print('x' * 1000)", "resource"),
    attack("prints raw bytes without end", "while True:\n    os.write(2, bytes(2**16))", "resource"),
    attack("loops without end", "while True:\n    pass", "timed_out"),
    attack("sleeps without end", "time.sleep(10**6)", "timed_out"),
    attack(
        "ignores signals",
        "for n in range(1, 32):\n    if n not in (9, 19):\n        signal.signal(n, signal.SIG_IGN)\n"
        "while True:\n    pass",
        "timed_out",
    ),
    attack("stops itself", "os.kill(os.getpid(), signal.SIGSTOP)\nreturn True", "timed_out"),
    attack("recurses without end", "return attack()"),
    attack(
        "recurses through the stack",
        "sys.setrecursionlimit(10**9)\ndef f(x):\n    return f([x])\nreturn f(1)",
        "failed",
        "resource",
        "timed_out",
    ),
    attack("returns much", "return [0] * 10**7", "refused", "resource", "timed_out"),
    attack("returns a long text", "return 'x' * (64 * 2**20)", "refused"),
    attack("returns a long number", "return 1 << (8 * 64 * 2**20)", "refused"),
    attack("returns deep data", "x = []\nfor _ in range(10**4):\n    x = [x]\nreturn x", "refused"),
    attack("returns itself", "x = []\nx.append(x)\nreturn x", "refused"),
    attack(
        "changes an argument into itself",
        "return True",
        "refused",
        tests="x = []\nassert change(x) is None\n",
    ),
    attack(
        "yields without end",
        "import itertools\nreturn itertools.count()",
        "refused",
        "resource",
        "timed_out",
        tests="assert list(attack())\n",
    ),
    attack(
        "daemonises",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\nreturn True",
    ),
    attack(
        "leaves threads behind",
        "for _ in range(8):\n    threading.Thread(target=time.sleep, args=(600,)).start()\nreturn False",
    ),
    attack(
        "compiles for ever",
        "return True",
        "broken",
        "timed_out",
        "resource",
        "failed",
        tests="assert deep() == 1\n",
    ),
]
EXHAUSTING = [
    Attack(name=a.name, source=a.source + extra, tests=a.tests, verdicts=a.verdicts)
    for a in EXHAUSTING
    for extra in [
        {
            "changes an argument into itself": "def change(x):\n    x.append(x)\n",
            "compiles for ever": f"deep = lambda: {'(' * 500}1{')' * 500}\n",
        }.get(a.name, "")
    ]
]

FORGING = [
    forgery("exits with success", "import sys\nsys.exit(0)"),
    forgery("exits at once", "import os\nos._exit(0)"),
    forgery("exits during a call", "import os\ndef answer(n):\n    os._exit(0)"),
    forgery("raises SystemExit during a call", "def answer(n):\n    raise SystemExit(0)"),
    forgery("raises KeyboardInterrupt", "def answer(n):\n    raise KeyboardInterrupt"),
    forgery("says that it passed", f"print({_VERDICT}.decode())\ndef answer(n):\n    return None"),
    forgery(
        "writes a verdict to every descriptor",
        f"""
import os
def answer(n):
    for number in range(200, 0, -1):
        try:
            os.write(number, {_VERDICT})
        except OSError:
            pass
""",
        "refused",
        "failed",
    ),
    forgery(
        "writes raw bytes to its pipe",
        "import os\ndef answer(n):\n    for fd in range(3, 64):\n        try:\n"
        "            os.write(fd, os.urandom(4096))\n"
        "        except OSError:\n            pass\n",
        "refused",
        "failed",
        "timed_out",
    ),
    forgery(
        "promises a large frame",
        "import os\ndef answer(n):\n    for fd in range(3, 64):\n        try:\n"
        "            os.write(fd, b'\\xff' * 4)\n"
        "        except OSError:\n            pass\n",
        "refused",
    ),
    forgery(
        "answers in its own words",
        "import os\nfrom a360.grading.sandbox.codec import encode\n"
        "from a360.grading.sandbox.wire import write_frame\n"
        "def answer(n):\n    for fd in range(3, 64):\n        try:\n            os.fstat(fd)\n"
        "            write_frame(fd, encode(('passed', True)))\n        except BaseException:\n"
        "            pass\n",
        "refused",
        "failed",
    ),
    forgery("closes its output", "import os\nos.close(1)\nos.close(2)\ndef answer(n):\n    return 0"),
    forgery(
        "closes every descriptor",
        "import os\ndef answer(n):\n    os.closerange(0, 1000)\n    import time\n    time.sleep(0.5)\n",
    ),
    forgery(
        "is equal to everything",
        "class Lie(int):\n    def __eq__(self, other): return True\n    def __hash__(self): return 0\n"
        "def answer(n):\n    return Lie(1)",
    ),
    forgery(
        "is an object equal to everything",
        "class Lie:\n    def __eq__(self, other): return True\n    def __hash__(self): return 0\n"
        "def answer(n):\n    return Lie()",
    ),
    forgery(
        "claims to be an int",
        "class Lie:\n    __class__ = int\n    def __eq__(self, other): return True\n"
        "    def __index__(self): return 720\n"
        "def answer(n):\n    return Lie()",
    ),
    forgery(
        "changes the built-in functions",
        "import builtins, sys\nbuiltins.compile = builtins.exec = lambda *a, **k: None\n"
        "builtins.AssertionError = Warning\n"
        "builtins.isinstance = builtins.all = builtins.any = lambda *a: True\ndef answer(n):\n    return 0",
        "failed",
        "refused",
    ),
    forgery(
        "changes the sandbox's own modules",
        "import sys\nfor name, module in list(sys.modules.items()):\n    if name.startswith('a360'):\n"
        "        for key in list(vars(module)):\n"
        "            setattr(module, key, lambda *a, **k: ('passed', ''))\n"
        "def answer(n):\n    return 0",
        "failed",
        "refused",
    ),
    forgery(
        "looks for the tests in memory",
        "import gc\ndef answer(n):\n    for o in gc.get_objects():\n"
        "        if isinstance(o, dict) and 'tests' in o:\n"
        "            return eval(o['tests'].split('==')[1].split()[0])\n",
    ),
    forgery(
        "redefines what the tests use",
        "answer = lambda n: 0\nassert_ = all = any = abs = print = lambda *a: True",
    ),
    forgery("does not define it", "x = 1"),
    forgery(
        "raises what nobody knows",
        "class Odd(BaseException):\n    def __str__(self): raise self\ndef answer(n):\n    raise Odd",
    ),
    forgery("does not compile", "def answer(n:\n    return 720", "broken"),
    forgery("is no text", "\0", "broken"),
]

ATTACKS = [*REACHING_OUT, *EXHAUSTING, *FORGING]
BY_NAME = {found.name: found for found in ATTACKS}
