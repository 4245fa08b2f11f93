"""Attempts to get out of a sandbox, one group per name; prints a line of JSON for each attempt.

Run as `probes.py GROUP [ARGUMENTS...]`. An attempt is `allowed` when it did what a hostile
program wants. Nothing here harms the machine on which it succeeds, because the tests also run
it outside the sandbox to see that it can succeed.
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import socket
import struct
import sys
import termios

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
CALLS = {
    # name: (x86_64, aarch64)
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "clone": (56, 220),
    "clone3": (435, 435),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "swapon": (167, 224),
    "sethostname": (170, 161),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "settimeofday": (164, 170),
}
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
SIGCHLD = 17


def report(attempt, allowed, why=""):
    print(json.dumps({"attempt": attempt, "allowed": bool(allowed), "why": str(why)}), flush=True)


def attempt(name, action):
    try:
        result = action()
    except OSError as error:
        report(name, False, errno.errorcode.get(error.errno, error.errno))
    else:
        report(name, result is not False, result)


def call(name, *arguments):
    number = CALLS[name][0 if X86 else 1]
    ctypes.set_errno(0)
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(number), *words)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def in_child(action):
    """Whether `action` succeeds in a process of its own, so that it cannot change this one."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            action()
            answer = 0
        except OSError as error:
            answer = error.errno
        os.write(write, struct.pack("i", answer))
        os._exit(0)
    os.waitpid(child, 0)
    (number,) = struct.unpack("i", os.read(read, 4))
    if number:
        raise OSError(number, "in child")
    return True


def write(*paths):
    for path in paths:
        attempt(path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)))


def replace(*paths):
    for path in paths:
        attempt("unlink " + path, lambda: os.unlink(path))
        attempt("chmod " + path, lambda: os.chmod(path, 0o777))


def read(*paths):
    for path in paths:
        if os.path.isdir(path):
            attempt(path, lambda: bool(os.listdir(path)))
        else:
            attempt(path, lambda: bool(open(path, "rb").read(1)))


def rights(process):
    wanted = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
              "NoNewPrivs", "Seccomp", "Seccomp_filters")
    with open("/proc/%s/status" % process) as file:
        lines = [line.split() for line in file]
    held = {line[0]: line[1:] for line in lines if line[0].rstrip(":") in wanted}
    for name in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"):
        held[name] = os.readlink("/proc/%s/ns/%s" % (process, name))
    return held


def processes(target):
    others = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    report("seeing the host's processes", 8 < len(others), others)
    at = "/proc/%s/" % target
    attempt("reading variables", lambda: bool(open(at + "environ", "rb").read()))
    attempt("reading accounts", lambda: bool(open(at + "root/etc/shadow").read()))
    # Its memory can be written to, for it is this user's own; so it must hold no more rights.
    attempt("finding more rights", lambda: rights(target) != rights("self") and rights(target))

    def host_directories():
        return any(os.path.isdir(at + "fd/" + name) for name in os.listdir(at + "fd"))

    attempt("using directories that it holds", host_directories)
    attempt("reaching its parent", lambda: os.getppid() > 1 and os.kill(os.getppid(), 0))


def own_environment(secret):
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/environ" % name, "rb") as file:
                if secret.encode() in file.read():
                    found.append(name)
        except OSError:
            pass
    report("finding the server's variables", found, found)


def kernel_settings():
    for name in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/printk_ratelimit",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sysrq-trigger",
    ]:
        if os.path.exists(name):
            attempt(name, lambda: os.close(os.open(name, os.O_WRONLY)))


def namespaces():
    attempt("mount", lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
    attempt("umount2", lambda: call("umount2", b"/proc", 2))
    attempt("pivot_root", lambda: call("pivot_root", b"/tmp", b"/tmp"))
    attempt("chroot", lambda: in_child(lambda: call("chroot", b"/tmp")))
    attempt("fsopen", lambda: call("fsopen", b"tmpfs", 0))
    attempt("open_tree", lambda: call("open_tree", -100, b"/", 1))
    attempt("setns", lambda: call("setns", os.open("/proc/1/ns/net", os.O_RDONLY), 0))


def new_namespaces():
    attempt("unshare user", lambda: in_child(lambda: call("unshare", CLONE_NEWUSER)))
    attempt("unshare user and mount", lambda: in_child(lambda: call("unshare", CLONE_NEWUSER | CLONE_NEWNS)))
    attempt("unshare user and net", lambda: in_child(lambda: call("unshare", CLONE_NEWUSER | CLONE_NEWNET)))

    def clone():
        child = call("clone", CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return True

    def clone3():
        arguments = struct.pack("8Q", CLONE_NEWUSER, 0, 0, 0, SIGCHLD, 0, 0, 0)
        child = call("clone3", arguments, len(arguments))
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return True

    attempt("clone user", clone)
    attempt("clone3 user", clone3)


def own_memory():
    def read():
        buffer = ctypes.create_string_buffer(8)
        place = struct.pack("QQ", ctypes.addressof(buffer), 8)
        return call("process_vm_readv", os.getpid(), place, 1, place, 1, 0) == 8

    attempt("ptrace", lambda: in_child(lambda: call("ptrace", 0, 0, 0, 0)))
    attempt("process_vm_readv", read)


def first_process():
    """Never run outside: the machine's first process is not to be disturbed."""

    def read():
        buffer = ctypes.create_string_buffer(8)
        local = struct.pack("QQ", ctypes.addressof(buffer), 8)
        return call("process_vm_readv", 1, local, 1, struct.pack("QQ", 0x400000, 8), 1, 0) == 8

    attempt("ptrace pid 1", lambda: call("ptrace", 0x4206, 1, 0, 0))
    attempt("process_vm_readv pid 1", read)


def kernel_interfaces():
    attempt("keyctl", lambda: call("keyctl", 0, -3, 0))
    attempt("add_key", lambda: call("add_key", b"user", b"sightline-probe", b"x", 1, -1))
    attempt("request_key", lambda: call("request_key", b"user", b"sightline-probe", None, 0))
    attempt("io_uring_setup", lambda: os.close(call("io_uring_setup", 1, b"\0" * 120)))
    attempt("userfaultfd", lambda: os.close(call("userfaultfd", 1)))
    event = struct.pack("IIQQQQQ", 1, 112, 0, 0, 0, 0, 0b1100000).ljust(112, b"\0")
    attempt("perf_event_open", lambda: os.close(call("perf_event_open", event, 0, -1, -1, 0)))
    table = struct.pack("IIII", 2, 4, 4, 1).ljust(72, b"\0")
    attempt("bpf", lambda: os.close(call("bpf", 0, table, 72)))
    attempt("fanotify_init", lambda: os.close(call("fanotify_init", 0, 0)))
    attempt("syslog", lambda: call("syslog", 10, None, 0))


def machine():
    """Never run outside: root would be obeyed."""
    attempt("init_module", lambda: call("init_module", b"", 0, b""))
    attempt("finit_module", lambda: call("finit_module", -1, b"", 0))
    attempt("kexec_load", lambda: call("kexec_load", 0, 0, None, 0))
    attempt("reboot", lambda: call("reboot", 0, 0, 0, 0))
    attempt("swapon", lambda: call("swapon", b"/nonexistent", 0))
    attempt("sethostname", lambda: call("sethostname", b"x", 1))
    attempt("settimeofday", lambda: call("settimeofday", None, None))
    attempt("open_by_handle_at", lambda: call("open_by_handle_at", -100, b"\0" * 16, 0))


def devices(directory):
    attempt("mknod block", lambda: os.mknod(directory + "/disk", 0o60666, os.makedev(254, 0)))
    attempt("mknod character", lambda: os.mknod(directory + "/mem", 0o20666, os.makedev(1, 1)))
    attempt("setuid", lambda: in_child(lambda: os.setuid(0)))
    attempt("setgid", lambda: in_child(lambda: os.setgid(0)))
    attempt("setgroups", lambda: in_child(lambda: os.setgroups([0])))
    path = directory + "/mine"
    open(path, "w").close()
    attempt("chown to root", lambda: os.chown(path, 0, 0))
    for node in os.listdir("/dev"):
        mode = os.lstat("/dev/" + node).st_mode
        if mode & 0o170000 == 0o60000 or node in ("mem", "kmsg", "port", "kvm", "fuse", "vsock"):
            attempt("opening /dev/" + node, lambda: os.close(os.open("/dev/" + node, os.O_RDONLY)))


def sockets():
    for name, family, kind, protocol in [
        ("vsock", 40, socket.SOCK_STREAM, 0),
        ("packet", 17, socket.SOCK_DGRAM, 0),
        ("netlink", 16, socket.SOCK_RAW, 0),
        ("alg", 38, socket.SOCK_SEQPACKET, 0),
    ]:
        attempt(name, lambda: socket.socket(family, kind, protocol).close())
    attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close())


def connections(port, abstract):
    def connect(family, address):
        with socket.socket(family, socket.SOCK_STREAM) as opened:
            opened.settimeout(2)
            opened.connect(address)

    attempt("the host's loopback", lambda: connect(socket.AF_INET, ("127.0.0.1", int(port))))
    attempt("the host's abstract socket", lambda: connect(socket.AF_UNIX, "\0" + abstract))
    attempt("cloud metadata", lambda: connect(socket.AF_INET, ("169.254.169.254", 80)))
    attempt("a public address", lambda: connect(socket.AF_INET, ("192.0.2.1", 80)))


def terminals():
    leader, follower = os.openpty()

    def inject(command):
        os.setsid()
        fcntl.ioctl(follower, termios.TIOCSCTTY, 0)
        if LIBC.ioctl(follower, ctypes.c_ulong(command), b"x") == -1:
            raise OSError(ctypes.get_errno(), "ioctl")

    attempt("TIOCSTI", lambda: in_child(lambda: inject(termios.TIOCSTI)))
    attempt("TIOCSTI with high bits", lambda: in_child(lambda: inject(termios.TIOCSTI | 1 << 32)))


def descriptors():
    """What was left open by whoever started this program."""
    names = [name for name in os.listdir("/proc/self/fd") if 2 < int(name)]
    targets = []
    for name in names:
        try:
            targets.append(os.readlink("/proc/self/fd/" + name))
        except OSError:
            pass  # The listing itself.
    for target in targets:
        if not target.endswith("/fd"):
            report("inheriting " + target, True)
    report("inheriting descriptors", any(not t.endswith("/fd") for t in targets), targets)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    print("end of probes", flush=True)
