"""Programs that mean harm, and faulty ones that do it by accident.

Each tries one thing and prints BREACH if it believes that it worked; whether it did is also seen from outside (see
`test_sandbox_hostile`). Names in capitals are given: FILE, FOLDER (a canary's place), PORT, DATAGRAM_PORT, PATH_SOCKET and
NAME (listeners), OWNER (process of the search), SELF (its group).
"""

from __future__ import annotations

from typing import NamedTuple


class Hostile(NamedTuple):
    """`ends`: the statuses it may have, as words; empty: any."""

    category: str
    name: str
    program: str
    ends: tuple[str, ...] = ()


def _all(category: str, programs: dict[str, str], *ends: str) -> list[Hostile]:
    return [Hostile(category, name, program.strip("\n") + "\n", ends) for name, program in programs.items()]


_LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\ncall = libc.syscall\n"

EXHAUSTION = (
    _all(
        "exhaustion",
        {
            "fork bomb": "import os\nwhile True: os.fork()",
            "fork bomb that swallows errors": "import os\nwhile True:\n    try: os.fork()\n    except BaseException: pass",
            "double fork": "import os\nif os.fork() == 0:\n    if os.fork() == 0:\n        while True: pass\nprint('BREACH')",
            "daemon": "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while True: pass\nprint('BREACH')",
            "multiprocessing": "import multiprocessing\nmultiprocessing.Pool(50)\nprint('BREACH')",
            "thread bomb": "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(60,)).start()\n    print('BREACH')",
            "thread pool": "from concurrent.futures import ThreadPoolExecutor as P\nprint(P(99).submit(print, 'BREACH').result())",
            "shell": "import os\nprint('BREACH' if os.system('true') == 0 else 'refused')",
            "exec": "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo BREACH'])",
            "posix_spawn": "import os\nos.posix_spawn('/bin/sh', ['sh', '-c', 'echo BREACH'], {})\nprint('BREACH')",
        },
        "error",
        "timeout",
        "cpu",
        "killed",
        "ok",
    )
    + _all(
        "exhaustion",
        {
            "two gigabytes at once": "x = bytearray(2 << 30)",
            "memory bit by bit": "x = []\nwhile True: x.append(bytearray(1 << 20))",
            "memory that doubles": "x = 'x'\nwhile True: x += x",
            "a list of lists": "x = [0]\nwhile True: x = [x, x[:] * 2] * 100000",
            "memory map": "import mmap\nx = []\nwhile True: x.append(mmap.mmap(-1, 1 << 24, mmap.MAP_PRIVATE))",
            "numpy array": "import numpy as np\nx = np.ones(1 << 29)\nprint('BREACH')",
            "a dictionary without end": "x = {}\nwhile True: x[len(x)] = bytes(1000)",
            "format width": "print(len('%1000000000d' % 1), 'BREACH')",
            "string repetition": "print(len('x' * (1 << 32)), 'BREACH')",
        },
        "memory",
        "error",
        "timeout",
        "cpu",
        "killed",
    )
    + _all(
        "exhaustion",
        {
            "descriptors": "import os\nn = 0\nwhile n < 1000:\n    os.dup(1)\n    n += 1\nprint('BREACH')",
            "open files": "import decimal\nx = [open(decimal.__file__) for _ in range(1000)]\nprint('BREACH')",
            "epolls": "import select\nx = [select.epoll() for _ in range(1000)]\nprint('BREACH')",
            "a file on disk": "open('big', 'wb').write(bytes(1 << 24))\nprint('BREACH')",
            "a file in tmp": "open('/tmp/big-rstar', 'wb').write(bytes(1 << 24))\nprint('BREACH')",
            "shared memory file": "open('/dev/shm/big-rstar', 'wb').write(bytes(1 << 24))\nprint('BREACH')",
            "memfd": "import os\nos.write(os.memfd_create('x'), bytes(1 << 24))\nprint('BREACH')",
            "many folders": "import os\nfor n in range(100000): os.mkdir(str(n))\nprint('BREACH')",
            "temporary file": "import tempfile\ntempfile.TemporaryFile().write(bytes(1 << 24))\nprint('BREACH')",
            "deep recursion": "def f(): return f()\nf()",
            "deep recursion without a limit": "import sys\nsys.setrecursionlimit(1 << 30)\ndef f(): return f()\nf()",
            "nested brackets": "eval('(' * 100000 + ')' * 100000)",
            "a tower of unary operators": "eval('-' * 1000000 + '1')",
            "waiting for input": "input()",
            "reading standard input": "import sys\nprint(repr(sys.stdin.read()))\nopen(0).read()\n1 / 0",
        },
        "error",
        "memory",
        "killed",
        "timeout",
        "cpu",
    )
    + _all(
        "exhaustion",
        {
            "endless loop": "while True: pass",
            "endless loop that catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
            "power in C": "10 ** 10 ** 10",
            "factorial in C": "import math\nmath.factorial(10 ** 9)",
            "sum over a range": "sum(range(10 ** 15))",
            "string of digits": "import sys\nsys.set_int_max_str_digits(0)\nstr(7 ** 10000000)",
            "regular expression": "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
            "endless iterator in C": "import itertools, collections\ncollections.deque(itertools.repeat(1), maxlen=0)",
            "sympy without end": "from sympy import *\nfactorint(2 ** 997 - 1)",
            "sleep": "import time\ntime.sleep(60)",
            "pause": "import signal\nsignal.pause()",
            "every signal blocked": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
            "every signal ignored": "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
            "a deadlock": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
            "finalisers that never end": "class E:\n    def __del__(self):\n        while True: pass\ndel E",
        },
        "timeout",
        "cpu",
        "memory",
        "ok",
    )
    + _all(
        "exhaustion",
        {
            "output": "while True: print('x' * 1000)",
            "output past Python": "import os\nwhile True: os.write(1, b'x' * 4096)",
            "output at once": "print('x' * 100_000_000)",
            "a huge error": "raise ValueError('x' * 10_000_000)",
            "output into both": "import sys\nwhile True: print('x' * 1000, file=sys.stderr)",
        },
        "output-limit",
        "error",
        "timeout",
        "cpu",
        "killed",
    )
)

CONFIDENTIALITY = _all(
    "confidentiality",
    {
        "environment": "import os\nprint(dict(os.environ))",
        "environment of the search": "print(open(f'/proc/{OWNER}/environ').read())",
        "environment of the parent": "import os\nprint(open(f'/proc/{os.getppid()}/environ').read())",
        "own environment": "print(open('/proc/self/environ').read())",
        "a file": "print(open(FILE).read())",
        "a file past Python": "import os\nprint(os.read(os.open(FILE, os.O_RDONLY), 99))",
        "a file through a raw call": _LIBC + "fd = call(257, -100, FILE.encode(), 0, 0)\nprint(fd, os.read(fd, 99))",
        "a file through openat2": _LIBC
        + "how = (ctypes.c_uint64 * 3)(0, 0, 0)\nfd = call(437, -100, FILE.encode(), how, 24)\nprint(os.read(fd, 99))",
        "a file through a link": "import os\nos.symlink(FILE, 'x')\nprint(open('x').read())",
        "a file as a module": "import sys, os\nsys.path.insert(0, os.path.dirname(FILE))\nimport secret\nprint('BREACH')",
        "a file with mmap": "import mmap, os\nprint(mmap.mmap(os.open(FILE, os.O_RDONLY), 0)[:99])",
        "a folder's names": "import os\nprint(os.listdir(FOLDER), 'BREACH')",
        "home": "import os\nprint(os.listdir(os.path.expanduser('~')), 'BREACH')",
        "passwords": "print(open('/etc/passwd').read(), 'BREACH')",
        "the run's folders": "import os\nprint(os.listdir('/tmp'), 'BREACH')",
        "the kernel's log": _LIBC + "print('BREACH' if call(103, 3, ctypes.create_string_buffer(99), 99) > 0 else '')",
        "memory of the search": "print(open(f'/proc/{OWNER}/mem', 'rb').read(1), 'BREACH')",
        "memory of the parent": _LIBC
        + "class V(ctypes.Structure): _fields_ = [('b', ctypes.c_void_p), ('n', ctypes.c_size_t)]\nb = ctypes.create_string_buffer(8)\n"
        "l, r = V(ctypes.addressof(b), 8), V(id(os), 8)\nprint('BREACH' if call(310, os.getppid(), ctypes.byref(l), 1, ctypes.byref(r), 1, 0) > 0 else '')",
        "descriptor of the parent": _LIBC + "fd = call(434, os.getppid(), 0)\nprint('BREACH' if fd >= 0 else fd)",
        "command lines": "import glob\nfor f in glob.glob('/proc/[0-9]*/cmdline'):\n    print(open(f).read(), 'BREACH')",
        "frames of the caller": "import sys\nf = sys._getframe()\nwhile f:\n    print({k: str(v)[:200] for k, v in f.f_locals.items()})\n    f = f.f_back",
        "objects of the collector": "import gc\nprint([str(o)[:200] for o in gc.get_objects() if isinstance(o, (dict, list)) and 'gold' in str(o)[:9999]][:5])",
        "arguments": "import sys\nprint(sys.argv, sys.orig_argv)",
        "inherited descriptors": "import os\nfor fd in range(4, 64):\n    try: os.fstat(fd); print('BREACH', fd)\n    except OSError: pass",
    },
)

INTEGRITY = _all(
    "integrity",
    {
        "write a file": "open(FILE, 'w').write('x')\nprint('BREACH')",
        "append past Python": "import os\nos.write(os.open(FILE, os.O_WRONLY | os.O_APPEND), b'x')\nprint('BREACH')",
        "truncate": "import os\nos.truncate(FILE, 0)\nprint('BREACH')",
        "remove": "import os\nos.remove(FILE)\nprint('BREACH')",
        "rename": "import os\nos.rename(FILE, FILE + '2')\nprint('BREACH')",
        "hard link": "import os\nos.link(FILE, FILE + '2')\nprint('BREACH')",
        "symbolic link": "import os\nos.symlink('/', FILE + '2')\nprint('BREACH')",
        "mode": "import os\nos.chmod(FILE, 0)\nprint('BREACH')",
        "owner": "import os\nos.chown(FILE, 1, 1)\nprint('BREACH')",
        "times": "import os\nos.utime(FILE, (0, 0))\nprint('BREACH')",
        "extended attribute": "import os\nos.setxattr(FILE, 'user.x', b'x')\nprint('BREACH')",
        "a new file beside it": "open(FILE + '2', 'w')\nprint('BREACH')",
        "a new folder": "import os\nos.mkdir(FILE + '2')\nprint('BREACH')",
        "a pipe in the file system": "import os\nos.mkfifo(FILE + '2')\nprint('BREACH')",
        "whole tree": "import shutil, os\nshutil.rmtree(os.path.dirname(FILE))\nprint('BREACH')",
        "byte-code cache": "import decimal\nopen(decimal.__cached__, 'wb').write(b'x')\nprint('BREACH')",
        "a library": "import decimal\nopen(decimal.__file__, 'a').write('#')\nprint('BREACH')",
        "site packages": "import numpy, os\nopen(os.path.join(os.path.dirname(os.path.dirname(numpy.__file__)), 'rstar_evil.pth'), 'w')\nprint('BREACH')",
        "user site packages": "import site, os\nos.makedirs(site.getusersitepackages())\nprint('BREACH')",
        "raw rename": _LIBC
        + "print('BREACH' if call(316, -100, FILE.encode(), -100, (FILE + '2').encode(), 0) == 0 else '')",
        "raw unlink": _LIBC + "print('BREACH' if call(263, -100, FILE.encode(), 0) == 0 else '')",
    },
)

_PROGRAM = "import rstar_math.sandbox.program as p\n"

FORGING = _all(
    "forging",
    {
        "sys.exit": "import sys\nprint('fine')\nsys.exit(0)",
        "SystemExit": "raise SystemExit",
        "exit": "exit(0)",
        "os._exit": "import os\nos._exit(0)",
        "exit_group": _LIBC + "call(231, 0)",
        "kill itself": "import os\nos.kill(os.getpid(), 9)",
        "abort": "import os\nos.abort()",
        "a crash": "import ctypes\nctypes.string_at(0)",
        "every descriptor closed": "import os\nos.closerange(0, 100)",
        "a tampered exit": "import os\nos._exit = lambda code: None\n1 / 0",
        "delimiters and a traceback in words": "print('<end_of_step>\\nTraceback (most recent call last):')\n1 / 0",
        "excepthook": "import sys\nsys.excepthook = lambda *_: None\n1 / 0",
        "an exception that looks like success": "class ok(Exception):\n    def __str__(self): return ''\nraise ok",
        "a generator's exit": "raise GeneratorExit",
        "interrupt": "raise KeyboardInterrupt",
        "a broken standard output": "import sys\nsys.stdout.close()\nprint('x')",
        "a report of its own": "import os\nos.write(3, b'ok\\n')\nos._exit(0)",
        "a report of its own before an error": "import os\nos.write(3, b'ok\\n')\n1 / 0",
        "an empty report": "import os\nos.write(3, b'')",
        "an empty report before another": "import os\nos.write(3, b'')\nos.write(3, b'ok\\n')\nos._exit(0)",
        "a report with a guessed password": "import os\nos.write(3, b'0' * 32 + b'\\nok\\n')\nos._exit(0)",
        "a claim to stay": "import os\nos.write(3, b'kept')\nwhile True: pass",
        "statuses with other meanings": _PROGRAM + "p.Status = type('S', (), {'ERROR': 'ok', 'OK': 'ok', 'MEMORY': 'ok'})\n"
        "p._OK = p._ERROR = p._MEMORY = 'ok'\np._describe = lambda *_: ''\n1 / 0",
        "statuses that read otherwise": _PROGRAM + "p.Status.__format__ = p.Status.__str__ = lambda *_: 'ok'\n"
        "p._describe = lambda *_: ''\n1 / 0",
        "a writer of reports": _PROGRAM + "import rstar_math.sandbox.node as n\nwrite = n._write\n"
        "n._write = lambda where, words: write(where, words.replace(b'error', b'ok'))\np._describe = lambda *_: ''\n1 / 0",
    },
    "error", "killed",
)  # fmt: skip

PROCESSES = _all(
    "processes",
    {
        f"signal {signal} to {whom}": f"import os, signal\nos.kill({target}, signal.{signal})\nprint('BREACH')"
        for signal in ("SIGKILL", "SIGSTOP", "SIGTERM")
        for whom, target in (("the parent", "os.getppid()"), ("the search", "OWNER"), ("everybody", "-1"))
    }
    | {
        "signal by pidfd": "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)\nprint('BREACH')",
        "signal to a group": "import os\nos.killpg(os.getpgid(os.getppid()), 9)\nprint('BREACH')",
        "signal to a thread": _LIBC + "print('BREACH' if call(234, os.getppid(), os.getppid(), 9) == 0 else '')",
        "queued signal": _LIBC
        + "print('BREACH' if call(129, os.getppid(), 9, ctypes.create_string_buffer(128)) == 0 else '')",
        "ptrace of the parent": _LIBC + "print('BREACH' if call(101, 16, os.getppid(), 0, 0) == 0 else '')",
        "ptrace of the search": _LIBC + "print('BREACH' if call(101, 0x4206, OWNER, 0, 0) == 0 else '')",
        "priority of the parent": "import os\nos.setpriority(os.PRIO_PROCESS, os.getppid(), 19)\nprint('BREACH')",
        "own priority": "import os\nos.nice(-5)\nprint('BREACH')",
        "limits of the parent": "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, 0))\nprint('BREACH')",
        "own limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nprint('BREACH')",
        "scheduler": "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))\nprint('BREACH')",
        "affinity of the parent": "import os\nos.sched_setaffinity(os.getppid(), {0})\nprint('BREACH')",
        "a signal by descriptor owner": "import fcntl, os\nfcntl.fcntl(1, fcntl.F_SETOWN, os.getppid())\nprint('BREACH')",
        "a new session": "import os\nos.setsid()\nprint('BREACH')",
    },
)

NETWORK = _all(
    "network",
    {
        "connect": "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)\nprint('BREACH')",
        "datagram": "import socket\nsocket.socket(2, 2).sendto(b'x', ('127.0.0.1', DATAGRAM_PORT))\nprint('BREACH')",
        "path socket": "import socket\nsocket.socket(1).connect(PATH_SOCKET)\nprint('BREACH')",
        "abstract socket": "import socket\nsocket.socket(1).connect(NAME)\nprint('BREACH')",
        "raw connect": _LIBC + "print('BREACH' if call(41, 2, 1, 0) >= 0 else '')",
        "name resolution": "import socket\nsocket.getaddrinfo('localhost', 80)\nimport urllib.request\nurllib.request.urlopen(f'http://127.0.0.1:{PORT}', timeout=1)\nprint('BREACH')",
        "listening": "import socket\nsocket.create_server(('', 0))\nprint('BREACH')",
        "socket pair": "import socket\nsocket.socketpair()\nprint('BREACH')",
        "message on the report": _LIBC + "print('BREACH' if call(44, 3, b'x', 1, 0, 0, 0) > 0 else '')",
        "asyncio": "import asyncio\nasyncio.run(asyncio.open_connection('127.0.0.1', PORT))\nprint('BREACH')",
    }
    | {
        f"family {family}": f"import socket\nsocket.socket(socket.{family}, socket.{kind})\nprint('BREACH')"
        for family, kind in (
            ("AF_INET6", "SOCK_STREAM"), ("AF_NETLINK", "SOCK_RAW"), ("AF_PACKET", "SOCK_RAW"), ("AF_VSOCK", "SOCK_STREAM"),
            ("AF_ALG", "SOCK_SEQPACKET"), ("AF_CAN", "SOCK_RAW"), ("AF_BLUETOOTH", "SOCK_STREAM"),
        )
    },
)  # fmt: skip

#: What these numbers mean on x86-64; with arguments that the kernel would at least look at.
_CALLS = {
    "io_uring_setup": "425, 8, ctypes.create_string_buffer(120)", "unshare": "272, 0x10000000", "setns": "308, 0, 0",
    "bpf": "321, 0, ctypes.create_string_buffer(120), 120", "keyctl": "250, 0, -3, 1", "add_key": "248, b'user', b'x', b'y', 1, -3",
    "mount": "165, b'x', b'/tmp', b'tmpfs', 0, 0", "umount": "166, b'/proc', 0", "pivot_root": "155, b'/', b'/'",
    "chroot": "161, b'/'", "perf_event_open": "298, ctypes.create_string_buffer(120), 0, -1, -1, 0",
    "userfaultfd": "323, 0", "clone3": "435, ctypes.create_string_buffer(88), 88", "clone": "56, 17, 0, 0, 0, 0",
    "vfork": "58", "open_by_handle_at": "304, -100, ctypes.create_string_buffer(120), 0", "fanotify": "300, 0, 0",
    "inotify": "294, 0", "shmget": "29, 0, 4096, 0o1600", "msgget": "68, 0, 0o1600", "semget": "64, 0, 1, 0o1600",
    "process_vm_writev": "311, OWNER, 0, 0, 0, 0, 0", "kexec_load": "246, 0, 0, 0, 0", "reboot": "169, 0, 0, 0",
    "init_module": "175, 0, 0, b''", "swapon": "167, b'/', 0", "sethostname": "170, b'x', 1", "settimeofday": "164, 0, 0",
    "acct": "163, 0", "quotactl": "179, 0, 0, 0, 0", "personality": "135, 0x0040000", "setuid": "105, 0",
    "capset": "126, ctypes.create_string_buffer(8), ctypes.create_string_buffer(24)", "prctl": "157, 4, 1, 0, 0, 0",
    "seccomp": "317, 1, 0, ctypes.create_string_buffer(16)", "landlock": "446, 0, 0", "ioctl TIOCSTI": "16, 1, 0x5412, b'x'",
    "modify_ldt": "154, 0, ctypes.create_string_buffer(16), 16", "iopl": "172, 3", "signalfd": "289, -1, b'', 8, 0",
    "pidfd_getfd": "438, 3, 0, 0", "name_to_handle_at": "303, -100, b'/', 0, 0, 0", "memfd_secret": "447, 0",
}  # fmt: skip
KERNEL = _all(
    "kernel",
    {name: _LIBC + f"print('BREACH' if call({arguments}) >= 0 else 'refused')" for name, arguments in _CALLS.items()},
) + _all(
    "kernel",
    {
        "calls of the x32 kind": _LIBC + "print(call(0x40000000 + 39), 'BREACH')",
        "calls of 32 bits": "import ctypes, mmap\nm = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 7)\n"
        "m.write(bytes.fromhex('b814000000cd80c3'))\nf = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\nprint(f(), 'BREACH')",
    },
    "killed", "error",
)  # fmt: skip

PROGRAMS = [*EXHAUSTION, *CONFIDENTIALITY, *INTEGRITY, *FORGING, *PROCESSES, *NETWORK, *KERNEL]

#: A program that spoils something, one that looks for it, and what that prints in a fresh process.
LEAKS = [
    ("variables", "leaked = 1", "print('leaked' in globals())", "False"),
    ("builtins", "import builtins\nbuiltins.print = builtins.len = None", "print(len('x'))", "1"),
    ("modules", "import math\nmath.pi = 3\nmath.sqrt = None", "import math\nprint(math.pi, math.sqrt(4))", f"{3.141592653589793} 2.0"),
    ("a hidden module", "import sys, types\nsys.modules['leak'] = types.ModuleType('leak')", "import sys\nprint('leak' in sys.modules)", "False"),
    ("sympy's caches", "import sympy\nsympy.core.cache.clear_cache()\nsympy.Integer.__add__ = lambda *_: 0", "import sympy\nprint(sympy.Integer(2) + 2)", "4"),
    ("sympy's symbols", "import sympy\nsympy.pi = 3\nsympy.Symbol.is_real = True", "import sympy\nprint(sympy.pi, sympy.Symbol('x').is_real)", "pi None"),
    ("numpy's options", "import numpy as np\nnp.set_printoptions(precision=1)\nnp.seterr(all='raise')", "import numpy as np\nprint(np.array([1.2345]))", "[1.2345]"),
    ("recursion limit", "import sys\nsys.setrecursionlimit(50)", "import sys\nprint(sys.getrecursionlimit())", "1000"),
    ("descriptors", "import os\nos.close(1)\nos.close(0)", "print('x', input.__name__)", "x input"),
    ("standard output", "import sys, io\nsys.stdout = io.StringIO()", "print('x')", "x"),
    ("random state", "import random\nrandom.seed(7)\nrandom.random()", "import random\nprint(random.random())", "0.8444218515250481"),
    ("numpy's random state", "import numpy as np\nnp.random.seed(7)", "import numpy as np\nprint(np.random.rand())", "0.5488135039273248"),
    ("working directory", "import os\nos.chdir('/')", "import os\nprint(os.getcwd() == '/')", "False"),
    ("timers", "import signal\nsignal.alarm(1)", "import signal\nprint(signal.alarm(0))", "0"),
    ("signal handlers", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)", "import signal\nprint(signal.getsignal(15).name)", "SIG_DFL"),
    ("environment", "import os\nos.environ['LEAK'] = '1'", "import os\nprint('LEAK' in os.environ)", "False"),
    ("decimal context", "import decimal\ndecimal.getcontext().prec = 3", "import decimal\nprint(decimal.Decimal(1) / 7)", "0.1428571428571428571428571429"),
    ("locale", "import locale\nlocale.setlocale(locale.LC_ALL, 'C')", "print(f'{1.5:n}')", "1.5"),
    ("import hooks", "import sys\nsys.meta_path.clear()\nsys.path.clear()", "import colorsys\nprint(colorsys.ONE_THIRD < 1)", "True"),
    ("trace functions", "import sys\nsys.settrace(lambda *_: 1 / 0)", "def f(): return 1\nprint(f())", "1"),
    ("exit handlers", "import atexit\natexit.register(print, 'later')", "print('x')", "x"),
    ("warnings", "import warnings\nwarnings.simplefilter('error')", "import warnings\nwarnings.warn('x')\nprint('x')", "x"),
    ("umask", "import os\nos.umask(0o777)", "import os\nprint(oct(os.umask(0)))", None),
    ("flags of open files", "import fcntl, os\nfor n in (0, 2): fcntl.fcntl(n, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)",
     "import fcntl\nprint([fcntl.fcntl(n, fcntl.F_GETFL) & 0o6000 for n in (0, 2)])", "[0, 0]"),
    ("digits of integers", "import sys\nsys.set_int_max_str_digits(0)", "import sys\nprint(sys.get_int_max_str_digits())", "4300"),
]  # fmt: skip
