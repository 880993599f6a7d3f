/* Tests the effect of `pthread_cancel` on a waiting thread. The argument is the expected outcome of
 * an epoll wait: `cancelled`, as with the C library's own functions, `interrupted`, which is EINTR,
 * or `undisturbed`. If an eventfd read is not cancelled, libc's signal restarts it. */
#define _GNU_SOURCE
#include <barepoll.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int epfd, fd;
static _Atomic int thread_id, answer;
enum { NONE = 1000 };

static int by_epoll_wait(void)
{
    struct epoll_event event;
    return epoll_wait(epfd, &event, 1, -1);
}

static int by_epoll_pwait(void)
{
    struct epoll_event event;
    return epoll_pwait(epfd, &event, 1, -1, NULL);
}

static int by_epoll_pwait2(void)
{
    struct epoll_event event;
    return epoll_pwait2(epfd, &event, 1, NULL, NULL);
}

static int by_eventfd_read(void)
{
    eventfd_t value;
    return eventfd_read(fd, &value);
}

static void *waiter(void *wait)
{
    thread_id = gettid();
    int got = ((int (*)(void))wait)();
    answer = got == -1 ? -errno : got;
    pthread_testcancel();
    return NULL;
}

/* Whether the thread sleeps. It can sleep only in the tested call. */
static int sleeps(void)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread_id);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    char *name_end = length ? strrchr(text, ')') : NULL;
    return name_end && name_end[2] == 'S';
}

/* Cancels a waiting thread and returns the outcome of its wait. */
static const char *outcome(int (*wait)(void), const char *expected)
{
    pthread_t thread;
    void *result;
    thread_id = 0;
    answer = NONE;
    if (pthread_create(&thread, NULL, waiter, (void *)wait))
        return "not started";
    while (!thread_id || !sleeps())
        usleep(1000);
    pthread_cancel(thread);
    /* A wait that should end has a minute. One that should go on is watched for 0.3 s. */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += strcmp(expected, "undisturbed") ? 60 : 0;
    until.tv_nsec += 300000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int goes_on = pthread_timedjoin_np(thread, &result, &until);
    if (goes_on) {
        eventfd_write(fd, 1);
        pthread_join(thread, &result);
    }
    if (result != PTHREAD_CANCELED)
        return "not cancelled at all";
    if (answer == NONE)
        return "cancelled";
    if (answer == -EINTR)
        return "interrupted";
    return goes_on ? "undisturbed" : "ended by something else";
}

int main(int count, char **arguments)
{
    const char *expected = count > 1 ? arguments[1] : "";
    const struct {
        const char *name;
        int (*wait)(void);
        const char *expected;
    } calls[] = {
        {"epoll_wait", by_epoll_wait, expected},
        {"epoll_pwait", by_epoll_pwait, expected},
        {"epoll_pwait2", by_epoll_pwait2, expected},
        {"eventfd_read", by_eventfd_read, strcmp(expected, "cancelled") ? "undisturbed" : expected},
    };
    int total = sizeof calls / sizeof calls[0], passed = 0;
    for (int i = 0; i < total; i++) {
        epfd = epoll_create1(EPOLL_CLOEXEC);
        fd = eventfd(0, EFD_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN};
        if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event))
            return 1;
        const char *became = outcome(calls[i].wait, calls[i].expected);
        int is_right = !strcmp(became, calls[i].expected);
        printf("%s %s is %s\n", is_right ? "ok" : "FAILED", calls[i].name, became);
        passed += is_right;
        close(fd);
        close(epfd);
    }
    printf("%d of %d passed\n", passed, total);
    return passed != total;
}
