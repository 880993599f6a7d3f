/* Tests the counting library's effects on a program. It leaves `errno` unchanged even if its file
 * fails to open, and opens the file with O_CLOEXEC. The library calls this program's `open`. */
#define _GNU_SOURCE
#include <barepoll.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { UNTOUCHED = 77 };
static int opened, flags_of_it;

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    opened++;
    flags_of_it = flags;
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int main(void)
{
    const char *names[] = {"it opens its file once", "it opens with O_CLOEXEC", "errno is as it was"};
    errno = UNTOUCHED;
    int made = epoll_create1(EPOLL_CLOEXEC), number = errno;
    int right[] = {opened == 1, (flags_of_it & O_CLOEXEC) != 0, made >= 0 && number == UNTOUCHED};
    int total = sizeof right / sizeof right[0], passed = 0;
    for (int i = 0; i < total; i++) {
        printf("%s %s\n", right[i] ? "ok" : "FAILED", names[i]);
        passed += right[i];
    }
    printf("%d of %d passed\n", passed, total);
    return passed != total;
}
