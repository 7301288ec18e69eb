"""Ways out of the sandbox. Each is a program that prints ESCAPED, or something with the planted secret in it, where it gets out.

In braces: what was planted outside (see conftest.py). Those that may be tried on the host as they are, to see that the attempt itself works, are
`PLAIN`; the others would hurt it.
"""

from typing import Final

SECRET: Final = "s3cr3t-3f9a-of-the-server"
_C = "import ctypes,os,socket,struct,sys;L=ctypes.CDLL(None,use_errno=True);S=L.syscall\n"
_SAY = "print('ESCAPED' if {} else ctypes.get_errno())"


def _call(what: str) -> str:
    """A system call that must not succeed."""
    return f"{_C}r={what}\nprint('ESCAPED' if r >= 0 else ctypes.get_errno())"


def _ends(code: str) -> str:
    """Lines of Python; ESCAPED where none of them raises."""
    return f"{_C}{code}\nprint('ESCAPED')"


PLAIN: Final = {
    # files
    "the state's file": "print(open('{state}/key').read())",
    "the configuration": "print(open('{config}').read())",
    "a file of another person": "print(open('{other}/diary.md').read())",
    "the list of another's files": "import os;print(os.listdir('{other}') and 'ESCAPED')",
    "instructions of the assistant": "print(open('{workspace}/AGENTS.md').read())",
    "a symbolic link out": "import os;os.symlink('{state}/key','out-link');print(open('out-link').read())",
    "a link of the folder above": "import os;os.symlink('{state}','up');print(open('up/key').read())",
    "a hard link out": "import os;os.link('{state}/key','hard');print(open('hard').read())",
    "a link that was there before": "print(open('planted-link').read())",
    "a path with dots": "print(open('../' * 20 + '{state}/key').read())",
    "the file moved in": "import os;os.rename('{state}/spare','spare');print(open('spare').read())",
    "a folder of /tmp": "print(open('{tmpfile}').read())",
    "passwd": "print('ESCAPED' if 'root:' in open('/etc/passwd').read() else '')",
    "the root folder": "import os;print('ESCAPED' if {{'home', 'root', 'var', 'boot'}} & set(os.listdir('/')) else '')",
    "the folder of homes": "import os;print(os.listdir('/var') and 'ESCAPED')",
    "the old root of a mount": "import os;print(os.listdir('/oldroot') if os.path.exists('/oldroot') else open('{state}/key').read())",
    "the folder of the parent": "import os;print(open(f'/proc/{{os.getppid()}}/root{state}/key').read())",
    # the environment and other processes
    "the environment": "import os;print(os.environ)",
    "the environment of all": "import glob\nfor f in glob.glob('/proc/[0-9]*/environ'):\n try: print(open(f).read())\n except OSError: pass",
    "the command lines of all": "import glob\nfor f in glob.glob('/proc/[0-9]*/cmdline'):\n try: print(open(f).read())\n except OSError: pass",
    "the environment of the victim": "print(open('/proc/{victim}/environ').read())",
    "the memory of the victim": "open('/proc/{victim}/mem','rb').read(0);print('ESCAPED')",
    "the open files of the victim": "import os;print(os.listdir('/proc/{victim}/fd') and 'ESCAPED')",
    "the folder of the victim": "import os;print(os.readlink('/proc/{victim}/cwd') and 'ESCAPED')",
    "a check whether the victim lives": "import os;os.kill({victim},0);print('ESCAPED')",
    "a limit of the victim": "import resource;resource.prlimit({victim},resource.RLIMIT_NOFILE,(64,64));print('ESCAPED')",
    "the priority of the victim": "import os;os.setpriority(os.PRIO_PROCESS,{victim},19);print('ESCAPED')",
    "the processors of the victim": "import os;os.sched_setaffinity({victim},{{0}});print('ESCAPED')",
    # sockets and the network
    "a socket with a path": "import socket;s=socket.socket(socket.AF_UNIX);s.connect('{socket}');print(s.recv(99))",
    "an abstract socket": "import socket;s=socket.socket(socket.AF_UNIX);s.connect('\\0{abstract}');print(s.recv(99))",
    "a port of the machine": "import socket;s=socket.create_connection(('127.0.0.1',{port}),3);print(s.recv(99))",
    "a port by IPv6": "import socket;s=socket.create_connection(('::ffff:127.0.0.1',{port}),3);print(s.recv(99))",
    "the machine's interfaces": "import socket;print('ESCAPED' if len(socket.if_nameindex()) > 1 else '')",
    "a datagram to the machine": "import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.sendto(b'?',('127.0.0.1',{udp}));s.settimeout(9);"
    "print(s.recv(99))",
    "the list of connections": "print('ESCAPED' if '%04X' % {port} in open('/proc/net/tcp').read() else '')",
    # changing what is outside
    "a write to the state": "open('{state}/key','a').write('x');print('ESCAPED')",
    "a new file in the state": "open('{state}/new','w').write('x');print('ESCAPED')",
    "a write to the instructions": "open('{workspace}/AGENTS.md','a').write('x');print('ESCAPED')",
    "the mode of a file outside": "import os;os.chmod('{state}/key',0o644);print('ESCAPED')",
    "the times of a file outside": "import os;os.utime('{state}/key',(1,1));print('ESCAPED')",
    "the end of a file outside": "import os;os.truncate('{state}/nanobot.db',0);print('ESCAPED')",
    "a socket left outside": "import socket;s=socket.socket(socket.AF_UNIX);s.bind('{state}/sock');print('ESCAPED')",
    "a watch on the state": f"{_C}d=L.inotify_init1(0);r=L.inotify_add_watch(d,b'{{state}}',2)\n{_SAY.format('d >= 0 and r >= 0')}",
}
HARMFUL: Final = {
    "the root of process 1": "print(open('/proc/1/root{state}/key').read())",
    "the environment of the parent": "import os;print(open(f'/proc/{{os.getppid()}}/environ').read())",
    "a program of the system replaced": _ends("open('/usr/bin/nanobot-was-here','w').write('x')"),
    "the list of preloaded libraries": _ends("open('/etc/ld.so.preload','w').write('/workspace/evil.so')"),
    "a file in the root folder": _ends("open('/nanobot-was-here','w').write('x')"),
    "a setting of the kernel": _ends("open('/proc/sys/kernel/core_pattern','r+').write('|/bin/sh')"),
    "the host name": _call("L.sethostname(b'nanobot', 7)"),
    "a device of a disk": _ends("os.mknod('disk',0o60666,os.makedev(254,0));open('disk','rb').read(1)"),
    "the memory of the machine": _ends("open('/dev/mem','rb').read(1)"),
    "the log of the kernel": _ends("open('/dev/kmsg','rb').read(1)"),
    "a write to /sys": _ends("open('/sys/kernel/uevent_helper','w').write('/workspace/x')"),
    "a cgroup": _ends("os.mkdir('/sys/fs/cgroup/memory/nanobot-was-here')"),
    "the cgroup's agent": _call("L.mount(b'cgroup',b'/tmp',b'cgroup',0,b'memory')"),
    "a mount": _call("L.mount(b'none',b'/tmp',b'tmpfs',0,0)"),
    "a mount made writable": _call("L.mount(b'none',b'/usr',0,32|4096,0)"),
    "the end of a mount": _call("L.umount2(b'/usr',2)"),
    "a mount by the new calls": _call("S(428,-100,b'/',1)"),
    "another root": _call("L.chroot(b'/tmp')"),
    "a root turned": _call("S(155,b'/tmp',b'/tmp')"),
    "a user namespace": _call("L.unshare(0x10000000)"),
    "a mount namespace": _call("L.unshare(0x20000)"),
    "a namespace by clone": _call("S(56,0x10000000|17,0,0,0,0)"),
    "a namespace by clone3": _call("S(435,struct.pack('=QQQQQQQQ',0x10000000,0,0,0,17,0,0,0),64)"),
    "the namespace of process 1": _ends("d=os.open('/proc/1/ns/mnt',0);assert L.setns(d,0)==0"),
    "ptrace of the parent": _call("L.ptrace(16,os.getppid(),0,0)"),
    "ptrace of the victim": _call("L.ptrace(16,{victim},0,0)"),
    "the memory of the victim by a call": _call(
        "S(310,{victim},ctypes.byref((ctypes.c_ulong*2)(0,0)),1,ctypes.byref((ctypes.c_ulong*2)(0,0)),1,0)"
    ),
    "a file of the victim": _ends("p=S(434,{victim},0);assert p>=0;assert S(438,p,0,0)>=0"),
    "the end of the victim": _ends("os.kill({victim},9)"),
    "the end of the parent": "import os\ntry: os.kill(os.getppid(),19)\nexcept OSError: print('refused')\n"
    "else: print('ESCAPED' if os.getppid() > 9 else '')",
    "the end of all": "import os\ntry: os.kill(-1,9)\nexcept OSError as e: print(e)",
    "io_uring": _call("S(425,8,ctypes.create_string_buffer(120))"),
    "bpf": _call("S(321,0,ctypes.create_string_buffer(120),120)"),
    "perf": _call("S(298,struct.pack('=II112x',1,120),0,-1,-1,0)"),
    "userfaultfd": _call("S(323,1)"),
    "the keyring": _call("S(250,0,-3,1)"),
    "a key added": _call("S(248,b'user',b'nanobot',b'x',1,-3)"),
    "a file by its handle": _call("S(304,-100,ctypes.create_string_buffer(128),0)"),
    "a handle of a file": _call("S(303,-100,b'/',struct.pack('=Ii120x',120,0),ctypes.byref(ctypes.c_int()),0)"),
    "a kernel module": _call("S(175,b'x',1,b'')"),
    "the clock": _call("L.settimeofday(struct.pack('=qq',1,0),0)"),
    "the ports of the processor": _call("L.iopl(3)"),
    "shared memory": _call("L.shmget(1,4096,0o1600)"),
    "a message queue": _call("S(240,b'nanobot',0o102,0o600,0)"),
    "a file in memory": _call("S(319,b'x',0)"),
    "a packet socket": _ends("socket.socket(17,3,0)"),
    "a netlink socket": _ends("socket.socket(16,3,0)"),
    "a socket of virtual machines": _ends("socket.socket(40,1,0)"),
    "a socket of the kernel's ciphers": _ends("socket.socket(38,5,0)"),
    "a raw socket": _ends("socket.socket(2,3,1)"),
    "typing into a terminal": _ends("import fcntl;m,s=os.openpty();fcntl.ioctl(s,0x5412,b'x')"),
    "a descriptor that was inherited": "import os\nfor n in range(3,4096):\n try: os.fstat(n)\n except OSError: continue\n print('ESCAPED',n)",
    "a privilege gained": "import os\ntry: os.setuid(0)\nexcept OSError: print('refused')\nelse: print('ESCAPED')",
    "a capability": "print('ESCAPED' if any(int(l.split()[1],16) for l in open('/proc/self/status') if l.startswith(('CapEff','CapPrm'))) else '')",
    "a limit raised": _ends("import resource as r;r.setrlimit(r.RLIMIT_NPROC,(9999,9999))"),
    "a core file": "import resource as r\ntry: r.setrlimit(r.RLIMIT_CORE,(9**9,9**9))\n"
    "except (OSError,ValueError): print('refused')\nelse: print('ESCAPED')",
    "a set-user-id program": "import os,stat\nos.system('cp /usr/bin/env suid')\ntry: os.chmod('suid',0o4755)\nexcept OSError: pass\n"
    "print('ESCAPED' if os.path.exists('suid') and os.stat('suid').st_uid == 0 and os.stat('suid').st_mode & stat.S_ISUID else '')",
}
