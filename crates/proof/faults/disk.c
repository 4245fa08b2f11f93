/* Runs a program whose disk fails on demand.
 *
 *   disk CONTROL PROGRAM ARGUMENT...
 *
 * The program runs under a system call filter that asks a supervisor, a child of it, before each
 * call that changes or flushes a file. The supervisor reads the file CONTROL each time:
 *
 *   KIND ERRNO TEXT
 *
 * and lets the call fail with ERRNO if it is of this KIND and its file's path contains TEXT:
 *
 *   flush    fsync and fdatasync
 *   early    fdatasync alone
 *   grow     what takes space: writes, truncation to a length, new files and folders
 *   change   every call of the above, and renames and removals
 *
 * Any other content lets every call through. The filter sees calls that a program makes without
 * the C library too, which a preloaded library does not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "this machine's system calls are not known here"
#endif

enum { FLUSH = 1, GROW = 2, CHANGE = 4, EARLY = 8 };

static const struct { int number; int kinds; } CALLS[] = {
    {SYS_fsync, FLUSH | CHANGE},      {SYS_fdatasync, FLUSH | CHANGE | EARLY},
    {SYS_write, GROW | CHANGE},       {SYS_writev, GROW | CHANGE},
    {SYS_pwrite64, GROW | CHANGE},    {SYS_pwritev, GROW | CHANGE},
    {SYS_ftruncate, GROW | CHANGE},   {SYS_fallocate, GROW | CHANGE},
    {SYS_openat, GROW | CHANGE},      {SYS_mkdirat, GROW | CHANGE},
    {SYS_renameat2, CHANGE},          {SYS_unlinkat, CHANGE},
#ifdef SYS_renameat
    {SYS_renameat, CHANGE},
#endif
};
#define CALLS_COUNT (sizeof CALLS / sizeof CALLS[0])

static int install(void) {
    struct sock_filter code[4 + 2 * CALLS_COUNT];
    unsigned n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 0, 2 * CALLS_COUNT + 1);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < CALLS_COUNT; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)CALLS[i].number, 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* Reads a small file without any call that the filter watches. */
static void slurp(const char *path, char *text, size_t room) {
    text[0] = 0;
    long file = syscall(SYS_openat2, AT_FDCWD, path, &(uint64_t[3]){O_RDONLY | O_CLOEXEC, 0, 0}, 24);
    if (file < 0)
        return;
    ssize_t read_bytes = read((int)file, text, room - 1);
    text[read_bytes > 0 ? read_bytes : 0] = 0;
    close((int)file);
}

static int kinds_of(const struct seccomp_data *call) {
    if (call->nr == SYS_openat && !(call->args[2] & (O_CREAT | O_WRONLY | O_RDWR)))
        return 0;
    /* Opening what is there for writing takes no space. */
    if (call->nr == SYS_openat && !(call->args[2] & O_CREAT))
        return CHANGE;
    for (unsigned i = 0; i < CALLS_COUNT; i++)
        if (CALLS[i].number == call->nr)
            return CALLS[i].kinds;
    return 0;
}

static int error_for(const struct seccomp_notif *asked, const char *control) {
    char text[4400], kind[16] = "", part[4096] = "", link[64], path[4096] = "";
    int error = 0;
    slurp(control, text, sizeof text);
    if (sscanf(text, "%15s %d %4095s", kind, &error, part) != 3)
        return 0;
    int wanted = !strcmp(kind, "flush") ? FLUSH : !strcmp(kind, "grow") ? GROW
        : !strcmp(kind, "change") ? CHANGE : !strcmp(kind, "early") ? EARLY : 0;
    if (!(kinds_of(&asked->data) & wanted))
        return 0;
    if ((int)asked->data.args[0] == AT_FDCWD)
        return error;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)asked->pid, (int)asked->data.args[0]);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 0 && strstr(path, part) ? error : 0;
}

static void supervise(int listener, const char *control) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        struct seccomp_notif asked;
        struct seccomp_notif_resp answer;
        memset(&asked, 0, sizeof asked);
        memset(&answer, 0, sizeof answer);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked)) {
            if (errno == EINTR || errno == ENOENT)
                continue;
            _exit(0);
        }
        answer.id = asked.id;
        answer.error = -error_for(&asked, control);
        answer.flags = answer.error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) && errno != ENOENT)
            _exit(1);
    }
}

int main(int count, char **words) {
    if (count < 3)
        return 2;
    int listener = install();
    if (listener < 0) {
        perror("disk: the filter cannot be installed");
        return 3;
    }
    pid_t supervisor = fork();
    if (supervisor < 0)
        return 3;
    if (supervisor == 0)
        supervise(listener, words[1]);
    close(listener);
    execv(words[2], words + 2);
    return 4;
}
