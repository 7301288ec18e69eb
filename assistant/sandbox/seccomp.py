"""The system calls that no command needs, as a seccomp filter: what the kernel has had most holes in, and what reaches beyond the sandbox."""

import platform
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_ARCHES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32: Final = 0x40000000
_ALLOW, _KILL, _REFUSE, _UNKNOWN, _UNSUPPORTED = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026, 0x0005005F
"""SECCOMP_RET_…; EPERM, ENOSYS where the C library has another way, and ENOTSUP."""
_LOAD, _JUMP_EQ, _JUMP_GE, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NEW_NAMESPACES: Final = 0x7E020080
"""CLONE_NEW… of clone(2)."""
_TERMINAL: Final = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: they type into a terminal."""
_UNIX, _INET, _INET6 = 1, 2, 10

# names with their numbers on x86_64 and aarch64; -: there is none
_NUMBERS: Final = """
    ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, kcmp 312 272, process_madvise 440 440, pidfd_getfd 438 438,
    process_mrelease 448 448, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, unshare 272 97, setns 308 268,
    open_tree 428 428, move_mount 429 429, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433, mount_setattr 442 442,
    swapon 167 224, swapoff 168 225, reboot 169 142, kexec_load 246 104, kexec_file_load 320 294, init_module 175 105,
    finit_module 313 273, delete_module 176 106, acct 163 89, quotactl 179 60, quotactl_fd 443 443, settimeofday 164 170,
    clock_settime 227 112, adjtimex 159 171, clock_adjtime 305 266, sethostname 170 161, setdomainname 171 162, iopl 172 -,
    ioperm 173 -, syslog 103 116, vhangup 153 58, bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, memfd_create 319 279,
    memfd_secret 447 447, io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427, add_key 248 217,
    request_key 249 218, keyctl 250 219, name_to_handle_at 303 264, open_by_handle_at 304 265, fanotify_init 300 262,
    lookup_dcookie 212 18, modify_ldt 154 -, move_pages 279 239, migrate_pages 256 238, personality 135 92, uselib 134 -,
    shmget 29 194, shmat 30 196, msgget 68 186, semget 64 190, mq_open 240 180
"""
# what Landlock does not hold: names, modes and times of files anywhere, and other processes of the same user
_OUTSIDE: Final = """
    chmod 90 -, fchmodat 268 53, fchmodat2 452 452, chown 92 -, lchown 94 -, fchownat 260 54, setxattr 188 5, lsetxattr 189 6,
    removexattr 197 14, lremovexattr 198 15, setxattrat 463 463, removexattrat 466 466, utime 132 -, utimes 235 -, futimesat 261 -,
    inotify_init 253 -, inotify_init1 294 26, setpriority 141 140, ioprio_set 251 30, pidfd_open 434 434
"""
# what tells of files that Landlock hides; `ls -l` asks each file, and takes "there are none here" for an answer
_ATTRIBUTES: Final = "getxattr 191 8, lgetxattr 192 9, listxattr 194 11, llistxattr 195 12"
# calls for a process by its id; 0 is the caller
_OWN_ONLY: Final = """
    prlimit64 302 261, sched_setscheduler 144 119, sched_setparam 142 118, sched_setattr 314 274, sched_setaffinity 203 122
"""
_OTHERS: Final = "clone 56 220, clone3 435 435, socket 41 198, ioctl 16 29, utimensat 280 88"


@dataclass(frozen=True, slots=True)
class _Program:
    """Instructions, in order. Each rule ends in a verdict or falls through to the next."""

    arch: int
    code: list[bytes]

    def add(self, code: int, k: int, yes: int = 0, no: int = 0) -> None:
        self.code.append(struct.pack("=HBBI", code, yes, no, k))

    def refuse(self, number: int, verdict: int = _REFUSE) -> None:
        self.add(_JUMP_EQ, number, 0, 1)
        self.add(_RETURN, verdict)

    def check(self, number: int, *rule: tuple[int, int, int, int]) -> None:
        """For this call go through `rule` (which loads what it looks at), then load the number again for the next rules."""
        self.add(_JUMP_EQ, number, 0, len(rule) + 1)
        for code, k, yes, no in rule:
            self.add(code, k, yes, no)
        self.add(_LOAD, 0)


def _numbers(table: str, column: int) -> dict[str, int]:
    """Those that the machine has, by name."""
    rows = (row.split() for row in table.split(","))
    return {name: int(numbers[column]) for name, *numbers in rows if numbers[column] != "-"}


@lru_cache
def filter_for(machine: str = "", *, alone: bool) -> bytes | None:
    """The filter for this machine (or `machine`), as `struct sock_filter`s; None where its calls are not known. `alone`: the command has namespaces
    of its own; otherwise it also gets no sockets, and nothing that reaches files and processes which Landlock does not hold."""
    machine = machine or platform.machine()
    if machine not in _ARCHES:
        return None
    column = list(_ARCHES).index(machine)
    program = _Program(_ARCHES[machine], [])
    program.add(_LOAD, 4)
    program.add(_JUMP_EQ, program.arch, 1, 0)
    program.add(_RETURN, _KILL)
    program.add(_LOAD, 0)
    if machine == "x86_64":
        program.add(_JUMP_GE, _X32, 0, 1)
        program.add(_RETURN, _REFUSE)
    for number in _numbers(_NUMBERS, column).values():
        program.refuse(number)
    others = _numbers(_OTHERS, column)
    program.refuse(others["clone3"], _UNKNOWN)  # its flags are behind a pointer; clone is tried next
    program.check(others["clone"], (_LOAD, 16, 0, 0), (_AND, _NEW_NAMESPACES, 0, 0), (_JUMP_EQ, 0, 1, 0), (_RETURN, _REFUSE, 0, 0))
    program.check(
        others["ioctl"],
        (_LOAD, 24, 0, 0),
        (_JUMP_EQ, _TERMINAL[0], 1, 0),
        (_JUMP_EQ, _TERMINAL[1], 0, 1),
        (_RETURN, _REFUSE, 0, 0),
    )
    if alone:
        families = [(_JUMP_EQ, family, 3 - place, 0) for place, family in enumerate((_UNIX, _INET, _INET6))]
        program.check(others["socket"], (_LOAD, 16, 0, 0), *families, (_RETURN, _REFUSE, 0, 0))
    else:
        program.refuse(others["socket"])
        for number in _numbers(_OUTSIDE, column).values():
            program.refuse(number)
        for number in _numbers(_ATTRIBUTES, column).values():
            program.refuse(number, _UNSUPPORTED)
        for number in _numbers(_OWN_ONLY, column).values():
            program.check(number, (_LOAD, 16, 0, 0), (_JUMP_EQ, 0, 1, 0), (_RETURN, _REFUSE, 0, 0))
        # times of an open file only: a path is a pointer that is not null
        null = ((_LOAD, 24, 0, 0), (_JUMP_EQ, 0, 0, 2), (_LOAD, 28, 0, 0), (_JUMP_EQ, 0, 1, 0))
        program.check(others["utimensat"], *null, (_RETURN, _REFUSE, 0, 0))
    program.add(_RETURN, _ALLOW)
    return b"".join(program.code)
