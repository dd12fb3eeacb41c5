"""The system calls that a confined process is denied, by what they would give it.

Source: the kernel's unistd_64.h of x86 and asm-generic/unistd.h, which aarch64 uses.
"""

DENIED: dict[str, str] = {
    "sockets": (
        "socket:41:198 socketpair:53:199 connect:42:203 bind:49:200 listen:50:201 accept:43:202 "
        "accept4:288:242 sendto:44:206 recvfrom:45:207 sendmsg:46:211 recvmsg:47:212 sendmmsg:307:269 "
        "recvmmsg:299:243"
    ),
    "tracing": (
        "ptrace:101:117 process_vm_readv:310:270 process_vm_writev:311:271 process_madvise:440:440 "
        "process_mrelease:448:448 kcmp:312:272 move_pages:279:239 migrate_pages:256:238 "
        "pidfd_getfd:438:438"
    ),
    "signals": (
        "rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240 pidfd_open:434:434 pidfd_send_signal:424:424"
    ),
    "mounts": (
        "mount:165:40 umount2:166:39 pivot_root:155:41 chroot:161:51 mount_setattr:442:442 "
        "open_tree:428:428 move_mount:429:429 fsopen:430:430 fsconfig:431:431 fsmount:432:432 "
        "fspick:433:433 swapon:167:224 swapoff:168:225 quotactl:179:60 quotactl_fd:443:443 "
        "name_to_handle_at:303:264 open_by_handle_at:304:265 mknod:133:- mknodat:259:33 "
        "fanotify_init:300:262 fanotify_mark:301:263 inotify_init:253:- inotify_init1:294:26 "
        "inotify_add_watch:254:27"
    ),
    "namespaces": "unshare:272:97 setns:308:268",
    "processes": "fork:57:- vfork:58:-",
    "programs": "execve:59:221 execveat:322:281",
    "memory files": "memfd_create:319:279 memfd_secret:447:447",
    "io_uring": "io_uring_setup:425:425 io_uring_enter:426:426 io_uring_register:427:427",
    "bpf": "bpf:321:280 perf_event_open:298:241",
    "keys": "add_key:248:217 request_key:249:218 keyctl:250:219",
    "kernel": (
        "userfaultfd:323:282 personality:135:92 init_module:175:105 finit_module:313:273 "
        "delete_module:176:106 kexec_load:246:104 kexec_file_load:320:294 reboot:169:142 iopl:172:- "
        "ioperm:173:- modify_ldt:154:- acct:163:89 syslog:103:116 settimeofday:164:170 "
        "clock_settime:227:112 clock_adjtime:305:266 adjtimex:159:171 sethostname:170:161 "
        "setdomainname:171:162 vhangup:153:58 lookup_dcookie:212:18 uselib:134:- ustat:136:- "
        "sysfs:139:- _sysctl:156:- nfsservctl:180:42 seccomp:317:277"
    ),
    "identity": (
        "setuid:105:146 setgid:106:144 setreuid:113:145 setregid:114:143 setresuid:117:147 "
        "setresgid:119:149 setgroups:116:159 setfsuid:122:151 setfsgid:123:152 capset:126:91"
    ),
    "attributes": (
        "chmod:90:- fchmod:91:52 fchmodat:268:53 chown:92:- fchown:93:55 lchown:94:- fchownat:260:54 "
        "setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7 removexattr:197:14 lremovexattr:198:15 "
        "fremovexattr:199:16 utime:132:- utimes:235:- utimensat:280:88 futimesat:261:- "
        "truncate:76:45"
    ),
    "ipc": (
        "shmget:29:194 shmat:30:196 shmctl:31:195 shmdt:67:197 msgget:68:186 msgsnd:69:189 "
        "msgrcv:70:188 msgctl:71:187 semget:64:190 semop:65:193 semctl:66:191 semtimedop:220:192 "
        "mq_open:240:180 mq_unlink:241:181"
    ),
    "others": (
        "setpriority:141:140 sched_setscheduler:144:119 sched_setparam:142:118 sched_setattr:314:274 "
        "sched_setaffinity:203:122 ioprio_set:251:30 set_mempolicy:238:237 mbind:237:235"
    ),
}
"""Protection -> ``name:number on x86_64:number on aarch64``; ``-`` where a machine does not have it.

``attributes``: Landlock does not govern them (truncate only from ABI 3 on), and a pod's other files may
belong to the same user.
``others``: they can slow down processes of the same user.
"""

NEWEST = 450
"""Later system calls are unknown to the libraries that read this list, and to whoever wrote it."""


def numbers(machine: str, without: tuple[str, ...] = ()) -> list[int]:
    """The denied numbers of a machine; ``without`` leaves out the protections it names."""
    column = {"x86_64": 1, "aarch64": 2}[machine]
    found = []
    for protection, calls in DENIED.items():
        if protection not in without:
            words = [call.split(":")[column] for call in calls.split()]
            found += [int(word) for word in words if word != "-"]
    return sorted(found)
