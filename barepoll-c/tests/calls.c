/* Checks the thirteen functions' behaviour, and prints a line per check and a final count. The argument
 * `glibc` runs the same checks on glibc's functions, which pass. That validates the checks. */
#define _GNU_SOURCE
#ifdef LIKE_GLIBC_2_34 /* whose <sys/epoll.h> has no epoll_pwait2 */
#include <features.h>
#undef __GLIBC_MINOR__
#define __GLIBC_MINOR__ 34
#define epoll_pwait2 not_in_glibc_2_34
#include <sys/epoll.h>
#undef epoll_pwait2
#endif
#include <barepoll.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static const char *wrong;
static int on_glibc;

/* Ends a check at its first failure. */
#define EXPECT_AS(condition, text) \
    do {                           \
        if (!(condition)) {        \
            wrong = text;          \
            return;                \
        }                          \
    } while (0)
#define EXPECT(condition) EXPECT_AS(condition, #condition)

/* The call returns -1 and sets errno to `number`. */
#define FAILS(call, number) \
    EXPECT_AS((errno = UNTOUCHED, (call) == -1 && errno == (number)), #call " fails with " #number)
/* The call returns `answer` and leaves errno unchanged. */
#define GIVES(call, answer) \
    EXPECT_AS((errno = UNTOUCHED, (call) == (answer) && errno == UNTOUCHED), #call " gives " #answer)

enum { UNTOUCHED = 4000, NOT_OPEN = 1000 };

/* Seconds after which a wait is late, and milliseconds that no wait here takes. */
enum { LATE = 8, LONG_MS = 60000 };

/* Not null, not readable, not writable. `volatile` hides the value from the compiler. */
static void *volatile nowhere = (void *)16;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The wait returns 0 and is never early. A busy machine may delay it, but only a wrong timeout is
 * late three times. */
#define TAKES(call, seconds)                                       \
    do {                                                           \
        int tries = 3;                                             \
        double start, took;                                        \
        do {                                                       \
            start = now();                                         \
            GIVES(call, 0);                                        \
            took = now() - start;                                  \
            EXPECT_AS(took >= (seconds), #call " is early");       \
        } while (took > (seconds) + LATE && --tries);              \
        EXPECT_AS(tries, #call " is late each time");              \
    } while (0)

/* The descriptors that the current check keeps open until its end. */
static int opened[64];
static int open_count;

static int kept(int fd)
{
    if (fd >= 0)
        opened[open_count++] = fd;
    return fd;
}

static int counter(unsigned int value)
{
    return kept(eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK));
}

static int new_epoll(void)
{
    return kept(epoll_create1(EPOLL_CLOEXEC));
}

static int add(int epfd, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event;
    event.events = events;
    event.data.u64 = data;
    return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

/* Sets a handler without SA_RESTART and resets the count. */
static void handle(int number)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(number, &action, NULL);
    signals = 0;
}

/* Raises SIGALRM repeatedly, because one may arrive before the wait. 0 stops it. */
static void alarm_every_ms(int ms)
{
    struct itimerval timer;
    memset(&timer, 0, sizeof timer);
    timer.it_value.tv_usec = timer.it_interval.tv_usec = ms * 1000;
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* Whether the kernel has epoll_pwait2, tested without the C function. */
static int has_pwait2(void)
{
    return syscall(SYS_epoll_pwait2, -1, NULL, 1, NULL, NULL, 0) != -1 || errno != ENOSYS;
}

static void with_no_descriptor_left(int (*call)(void))
{
    struct rlimit before, none;
    int answer, error;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    errno = UNTOUCHED;
    answer = call();
    error = errno;
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT(answer == -1);
    EXPECT(error == EMFILE);
}

/* Creating descriptors. */

static int make_by_size(void) { return epoll_create(1); }
static int make_by_flags(void) { return epoll_create1(0); }
static int make_counter(void) { return eventfd(0, 0); }
static int make_timer(void) { return timerfd_create(CLOCK_MONOTONIC, 0); }

static int make_signalfd(void)
{
    sigset_t none;
    sigemptyset(&none);
    return signalfd(-1, &none, 0);
}

static void epoll_create_takes_any_positive_size(void)
{
    int fd;
    GIVES((fd = kept(epoll_create(1))) >= 0, 1);
    GIVES(fcntl(fd, F_GETFD), 0);
    GIVES(kept(epoll_create(INT_MAX)) >= 0, 1);
    FAILS(epoll_create(0), EINVAL);
    FAILS(epoll_create(-1), EINVAL);
    FAILS(epoll_create(INT_MIN), EINVAL);
}

static void epoll_create1_knows_one_flag(void)
{
    int fd;
    GIVES((fd = kept(epoll_create1(0))) >= 0, 1);
    GIVES(fcntl(fd, F_GETFD), 0);
    GIVES((fd = kept(epoll_create1(EPOLL_CLOEXEC))) >= 0, 1);
    GIVES(fcntl(fd, F_GETFD), FD_CLOEXEC);
    FAILS(epoll_create1(1), EINVAL);
    FAILS(epoll_create1(-1), EINVAL);
}

static void eventfd_knows_three_flags(void)
{
    int fd;
    GIVES((fd = kept(eventfd(0, 0))) >= 0, 1);
    GIVES(fcntl(fd, F_GETFD), 0);
    GIVES(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    GIVES((fd = kept(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) >= 0, 1);
    GIVES(fcntl(fd, F_GETFD), FD_CLOEXEC);
    GIVES(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    FAILS(eventfd(0, 2), EINVAL);
    FAILS(eventfd(0, -1), EINVAL);
}

static void no_descriptor_left_is_EMFILE(void)
{
    with_no_descriptor_left(make_by_size);
    if (!wrong)
        with_no_descriptor_left(make_by_flags);
    if (!wrong)
        with_no_descriptor_left(make_counter);
    if (!wrong)
        with_no_descriptor_left(make_signalfd);
    if (!wrong)
        with_no_descriptor_left(make_timer);
}

/* epoll_ctl. */

static void epoll_ctl_adds_changes_and_forgets(void)
{
    struct epoll_event event = {0}, got;
    int epfd = new_epoll(), fd = counter(1);
    event.events = EPOLLIN;
    event.data.u64 = 1;
    GIVES(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), 0);
    event.events = EPOLLOUT;
    event.data.u64 = 2;
    GIVES(epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event), 0);
    GIVES(epoll_wait(epfd, &got, 1, 0), 1);
    EXPECT(got.events == EPOLLOUT && got.data.u64 == 2);
    GIVES(epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL), 0);
    GIVES(epoll_wait(epfd, &got, 1, 0), 0);
}

static void epoll_ctl_refuses_with_each_error(void)
{
    struct epoll_event event = {0};
    int epfd = new_epoll(), fd = counter(0), other = new_epoll(), file = kept(open("/proc/self/exe", O_RDONLY));
    event.events = EPOLLIN;
    FAILS(epoll_ctl(-1, EPOLL_CTL_ADD, fd, &event), EBADF);
    FAILS(epoll_ctl(NOT_OPEN, EPOLL_CTL_ADD, fd, &event), EBADF);
    FAILS(epoll_ctl(epfd, EPOLL_CTL_ADD, -1, &event), EBADF);
    FAILS(epoll_ctl(epfd, EPOLL_CTL_ADD, epfd, &event), EINVAL);
    FAILS(epoll_ctl(fd, EPOLL_CTL_ADD, epfd, &event), EINVAL);
    FAILS(epoll_ctl(epfd, 0, fd, &event), EINVAL);
    FAILS(epoll_ctl(epfd, -1, fd, &event), EINVAL);
    FAILS(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, NULL), EFAULT);
    FAILS(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, nowhere), EFAULT);
    FAILS(epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event), ENOENT);
    FAILS(epoll_ctl(epfd, EPOLL_CTL_DEL, fd, &event), ENOENT);
    FAILS(epoll_ctl(epfd, EPOLL_CTL_ADD, file, &event), EPERM);
    GIVES(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), 0);
    FAILS(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), EEXIST);
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    FAILS(epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event), EINVAL);
    GIVES(add(epfd, other, EPOLLIN, 0), 0);
    FAILS(add(other, epfd, EPOLLIN, 0), ELOOP);
}

/* epoll_wait. */

static void events_and_data_come_back_whole(void)
{
    struct epoll_event got[5];
    uint64_t seen = 0;
    int epfd = new_epoll(), i;
    for (i = 0; i < 4; i++)
        GIVES(add(epfd, counter(1), EPOLLIN | EPOLLOUT, 0xfedcba9800000000u + (uint64_t)i), 0);
    memset(got, 0x55, sizeof got);
    GIVES(epoll_wait(epfd, got, 5, 0), 4);
    for (i = 0; i < 4; i++) {
        EXPECT(got[i].events == (EPOLLIN | EPOLLOUT));
        EXPECT(got[i].data.u64 >> 32 == 0xfedcba98);
        seen |= 1u << (got[i].data.u64 & 31);
    }
    EXPECT(seen == 15);
    EXPECT(got[4].events == 0x55555555);
}

static void every_member_of_the_union_comes_back(void)
{
    struct epoll_event event = {0}, got;
    int epfd = new_epoll(), fd = counter(1);
    event.events = EPOLLIN;
    event.data.ptr = &event;
    GIVES(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), 0);
    GIVES(epoll_wait(epfd, &got, 1, 0), 1);
    EXPECT(got.data.ptr == &event);
    event.data.u64 = 0;
    event.data.fd = -2;
    GIVES(epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event), 0);
    GIVES(epoll_wait(epfd, &got, 1, 0), 1);
    EXPECT(got.data.fd == -2);
}

static void maxevents_is_a_limit(void)
{
    struct epoll_event got[2];
    volatile int none = 0, negative = -1, too_many = INT_MAX; /* else the compiler warns */
    int epfd = new_epoll();
    GIVES(add(epfd, counter(1), EPOLLIN, 1), 0);
    GIVES(add(epfd, counter(1), EPOLLIN, 2), 0);
    GIVES(epoll_wait(epfd, got, 1, 0), 1);
    GIVES(epoll_pwait(epfd, got, 1, 0, NULL), 1);
    FAILS(epoll_wait(epfd, got, none, 0), EINVAL);
    FAILS(epoll_wait(epfd, got, negative, 0), EINVAL);
    FAILS(epoll_wait(epfd, got, too_many, 0), EINVAL);
    FAILS(epoll_pwait(epfd, got, none, 0, NULL), EINVAL);
}

static void one_shot_edge_and_hang_up(void)
{
    struct epoll_event event = {0}, got;
    int epfd = new_epoll(), fd = counter(1), ends[2];
    GIVES(add(epfd, fd, EPOLLIN | EPOLLET, 0), 0);
    GIVES(epoll_wait(epfd, &got, 1, 0), 1);
    GIVES(epoll_wait(epfd, &got, 1, 0), 0);
    GIVES(eventfd_write(fd, 1), 0);
    GIVES(epoll_wait(epfd, &got, 1, 0), 1);
    event.events = EPOLLIN | EPOLLONESHOT;
    GIVES(epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event), 0);
    GIVES(epoll_wait(epfd, &got, 1, 0), 1);
    GIVES(epoll_wait(epfd, &got, 1, 0), 0);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    kept(ends[0]);
    GIVES(add(epfd, ends[0], EPOLLIN | EPOLLRDHUP, 0), 0);
    EXPECT(close(ends[1]) == 0);
    GIVES(epoll_wait(epfd, &got, 1, 0), 1);
    EXPECT(got.events == (EPOLLIN | EPOLLRDHUP | EPOLLHUP));
}

static void waits_refuse_with_each_error(void)
{
    struct epoll_event got;
    int epfd = new_epoll(), fd = counter(1);
    GIVES(add(epfd, fd, EPOLLIN, 0), 0);
    FAILS(epoll_wait(-1, &got, 1, 0), EBADF);
    FAILS(epoll_wait(NOT_OPEN, &got, 1, 0), EBADF);
    FAILS(epoll_wait(fd, &got, 1, 0), EINVAL);
    FAILS(epoll_wait(epfd, nowhere, 1, 0), EFAULT);
    FAILS(epoll_pwait(-1, &got, 1, 0, NULL), EBADF);
    FAILS(epoll_pwait(fd, &got, 1, 0, NULL), EINVAL);
    FAILS(epoll_pwait(epfd, nowhere, 1, 0, NULL), EFAULT);
    FAILS(epoll_pwait(epfd, &got, 1, 0, nowhere), EFAULT);
}

static void a_timeout_is_milliseconds(void)
{
    struct epoll_event got;
    int epfd = new_epoll();
    TAKES(epoll_wait(epfd, &got, 1, 0), 0);
    TAKES(epoll_wait(epfd, &got, 1, 30), 0.03);
    TAKES(epoll_pwait(epfd, &got, 1, 30, NULL), 0.03);
}

static void *write_later(void *fd)
{
    usleep(30000);
    eventfd_write(*(int *)fd, 1);
    return NULL;
}

static void minus_one_waits_until_something_comes(void)
{
    struct epoll_event got;
    eventfd_t value;
    pthread_t writer;
    int epfd = new_epoll(), fd = counter(0), way;
    GIVES(add(epfd, fd, EPOLLIN, 0), 0);
    for (way = 0; way < 3; way++) {
        double start = now();
        int answer;
        if (way == 2 && !has_pwait2())
            break;
        EXPECT(pthread_create(&writer, NULL, write_later, &fd) == 0);
        answer = way == 0   ? epoll_wait(epfd, &got, 1, -1)
                 : way == 1 ? epoll_pwait(epfd, &got, 1, -1, NULL)
                            : epoll_pwait2(epfd, &got, 1, NULL, NULL);
        pthread_join(writer, NULL);
        EXPECT(answer == 1);
        EXPECT(now() - start >= 0.03);
        GIVES(eventfd_read(fd, &value), 0);
    }
}

static void a_handler_interrupts_a_wait(void)
{
    struct epoll_event got;
    int epfd = new_epoll();
    handle(SIGALRM);
    alarm_every_ms(30);
    FAILS(epoll_wait(epfd, &got, 1, LONG_MS), EINTR);
    FAILS(epoll_pwait(epfd, &got, 1, LONG_MS, NULL), EINTR);
    EXPECT(signals >= 2);
}

/* Signal masks, with the first signals and the last. */

static int wait_by_pwait(int epfd, int ms, const sigset_t *mask)
{
    struct epoll_event got;
    return epoll_pwait(epfd, &got, 1, ms, mask);
}

static int wait_by_pwait2(int epfd, int ms, const sigset_t *mask)
{
    struct epoll_event got;
    struct timespec timeout = {ms / 1000, ms % 1000 * 1000000};
    return epoll_pwait2(epfd, &got, 1, &timeout, mask);
}

static void mask_holds_while_waiting(int (*wait)(int, int, const sigset_t *), int number)
{
    sigset_t mask, before, after;
    int epfd = new_epoll();
    handle(number);
    sigemptyset(&mask);
    sigaddset(&mask, number);
    sigprocmask(SIG_BLOCK, &mask, &before);
    raise(number);
    EXPECT(signals == 0);
    /* The signal is pending and stays blocked. */
    GIVES(wait(epfd, 10, NULL), 0);
    GIVES(wait(epfd, 10, &mask), 0);
    EXPECT(signals == 0);
    /* Only a mask without the signal lets it in. */
    FAILS(wait(epfd, LONG_MS, &before), EINTR);
    EXPECT(signals == 1);
    sigprocmask(SIG_SETMASK, &before, &after);
    EXPECT(sigismember(&after, number) == 1);
    EXPECT(signals == 1);
}

/* The mask blocks signals during the wait. The handler runs after the wait. */
static void mask_blocks_while_waiting(int (*wait)(int, int, const sigset_t *))
{
    sigset_t mask;
    int epfd = new_epoll(), tries;
    handle(SIGALRM);
    sigemptyset(&mask);
    sigaddset(&mask, SIGALRM);
    alarm_every_ms(20);
    EXPECT(wait(epfd, 100, &mask) == 0);
    for (tries = 0; signals == 0 && tries < LONG_MS / 100; tries++)
        usleep(100000); /* an emulator's handler runs late */
    EXPECT(signals >= 1);
}

/* Emulators reserve some signals and refuse to raise them. */
static int last_signal(void)
{
    int number = SIGRTMAX;
    while (handle(number), raise(number) != 0)
        number--;
    return number;
}

static void every_mask(int (*wait)(int, int, const sigset_t *))
{
    int numbers[] = {SIGHUP, SIGUSR1, SIGRTMIN, last_signal()};
    size_t i;
    for (i = 0; i < sizeof numbers / sizeof *numbers && !wrong; i++)
        mask_holds_while_waiting(wait, numbers[i]);
    if (!wrong)
        mask_blocks_while_waiting(wait);
}

static void epoll_pwait_masks_while_waiting(void)
{
    every_mask(wait_by_pwait);
}

/* epoll_pwait2. */

static void epoll_pwait2_is_ENOSYS_or_there(void)
{
    struct epoll_event got;
    struct timespec zero = {0, 0};
    int epfd = new_epoll();
    if (has_pwait2())
        GIVES(epoll_pwait2(epfd, &got, 1, &zero, NULL), 0);
    else
        FAILS(epoll_pwait2(epfd, &got, 1, &zero, NULL), ENOSYS);
}

static void epoll_pwait2_masks_while_waiting(void)
{
    if (has_pwait2())
        every_mask(wait_by_pwait2);
}

static void epoll_pwait2_takes_nanoseconds(void)
{
    struct epoll_event got;
    struct timespec some = {0, 20500000}, more = {1, 1}, bad[] = {{-1, 0}, {0, -1}, {0, 1000000000}};
    int epfd = new_epoll(), fd = counter(1);
    size_t i;
    if (!has_pwait2())
        return;
    TAKES(epoll_pwait2(epfd, &got, 1, &some, NULL), 0.0205);
    TAKES(epoll_pwait2(epfd, &got, 1, &more, NULL), 1);
    EXPECT(some.tv_nsec == 20500000 && more.tv_sec == 1);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS(epoll_pwait2(epfd, &got, 1, &bad[i], NULL), EINVAL);
    GIVES(add(epfd, fd, EPOLLIN, 77), 0);
    GIVES(epoll_pwait2(epfd, &got, 1, &more, NULL), 1);
    EXPECT(got.events == EPOLLIN && got.data.u64 == 77);
    FAILS(epoll_pwait2(-1, &got, 1, &some, NULL), EBADF);
    FAILS(epoll_pwait2(fd, &got, 1, &some, NULL), EINVAL);
    FAILS(epoll_pwait2(epfd, &got, 0, &some, NULL), EINVAL);
    FAILS(epoll_pwait2(epfd, nowhere, 1, &some, NULL), EFAULT);
    FAILS(epoll_pwait2(epfd, &got, 1, &some, nowhere), EFAULT);
    /* With 32-bit longs libc reads the timeout itself and would crash. */
    if (sizeof(long) == 8)
        FAILS(epoll_pwait2(epfd, &got, 1, nowhere, NULL), EFAULT);
}

/* eventfd. */

static void an_eventfd_counts_in_64_bits(void)
{
    eventfd_t value = 1;
    int fd = counter(UINT_MAX);
    GIVES(eventfd_read(fd, &value), 0);
    EXPECT(value == UINT_MAX);
    GIVES(eventfd_write(fd, 0x123456789abcdefu), 0);
    GIVES(eventfd_write(fd, 1), 0);
    GIVES(eventfd_read(fd, &value), 0);
    EXPECT(value == 0x123456789abcdf0u);
    FAILS(eventfd_read(fd, &value), EAGAIN);
    EXPECT(value == 0x123456789abcdf0u);
}

static void a_semaphore_gives_one_at_a_time(void)
{
    eventfd_t value = 9;
    int fd = kept(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    GIVES(eventfd_read(fd, &value), 0);
    EXPECT(value == 1);
    GIVES(eventfd_read(fd, &value), 0);
    FAILS(eventfd_read(fd, &value), EAGAIN);
}

static void a_full_eventfd_is_EAGAIN(void)
{
    eventfd_t value;
    int fd = counter(0);
    FAILS(eventfd_write(fd, UINT64_MAX), EINVAL);
    GIVES(eventfd_write(fd, UINT64_MAX - 1), 0);
    FAILS(eventfd_write(fd, 1), EAGAIN);
    GIVES(eventfd_read(fd, &value), 0);
    EXPECT(value == UINT64_MAX - 1);
}

static void eventfd_functions_refuse_with_each_error(void)
{
    eventfd_t value;
    FAILS(eventfd_read(-1, &value), EBADF);
    FAILS(eventfd_read(NOT_OPEN, &value), EBADF);
    FAILS(eventfd_read(counter(1), nowhere), EFAULT);
    FAILS(eventfd_write(-1, 1), EBADF);
    FAILS(eventfd_write(kept(open("/proc/self/exe", O_RDONLY)), 1), EBADF);
}

/* glibc's function fails too, but leaves errno unchanged. */
static void a_read_that_falls_short_is_EINVAL(void)
{
    eventfd_t value;
    int ends[2];
    EXPECT(pipe(ends) == 0);
    kept(ends[0]), kept(ends[1]);
    EXPECT(write(ends[1], "short", 5) == 5);
    FAILS(eventfd_read(ends[0], &value), on_glibc ? UNTOUCHED : EINVAL);
}

static void a_write_that_falls_short_is_EINVAL(void)
{
    struct rlimit before, four;
    FILE *file = tmpfile();
    int answer, error;
    EXPECT(file != NULL);
    getrlimit(RLIMIT_FSIZE, &before);
    four = before;
    four.rlim_cur = 4;
    setrlimit(RLIMIT_FSIZE, &four);
    errno = UNTOUCHED;
    answer = eventfd_write(fileno(file), 1);
    error = errno;
    setrlimit(RLIMIT_FSIZE, &before);
    fclose(file);
    EXPECT(answer == -1);
    EXPECT(error == (on_glibc ? UNTOUCHED : EINVAL));
}

/* signalfd. */

static sigset_t only(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

/* The next signal that the descriptor reads, or 0. */
static int next_signal(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

static void signalfd_knows_two_flags(void)
{
    sigset_t set = only(SIGUSR1);
    int fd;
    GIVES((fd = kept(signalfd(-1, &set, 0))) >= 0, 1);
    GIVES(fcntl(fd, F_GETFD), 0);
    GIVES(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    GIVES((fd = kept(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK))) >= 0, 1);
    GIVES(fcntl(fd, F_GETFD), FD_CLOEXEC);
    GIVES(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    FAILS(signalfd(-1, &set, 1), EINVAL);
    FAILS(signalfd(-1, &set, -1), EINVAL);
}

static void a_signalfd_reads_its_signals(void)
{
    int numbers[] = {SIGHUP, SIGUSR1, SIGRTMIN, last_signal()};
    struct epoll_event got;
    size_t i;
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigset_t set = only(numbers[i]), other = only(SIGUSR2);
        int epfd = new_epoll(), fd;
        handle(numbers[i]);
        sigprocmask(SIG_BLOCK, &set, NULL);
        GIVES((fd = kept(signalfd(-1, &other, SFD_CLOEXEC | SFD_NONBLOCK))) >= 0, 1);
        GIVES(add(epfd, fd, EPOLLIN, 0), 0);
        raise(numbers[i]);
        GIVES(epoll_wait(epfd, &got, 1, 0), 0);
        GIVES(signalfd(fd, &set, 0), fd);
        GIVES(epoll_wait(epfd, &got, 1, 0), 1);
        EXPECT(next_signal(fd) == numbers[i]);
        EXPECT(next_signal(fd) == 0);
        EXPECT(signals == 0);
    }
}

/* C's set is longer than the kernel's. What follows the kernel's part may be unreadable. */
static void signalfd_reads_only_the_kernels_part(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), part = _NSIG / 8;
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigset_t set = only(last_signal());
    int fd;
    EXPECT(pages != MAP_FAILED);
    EXPECT(mprotect(pages + page, page, PROT_NONE) == 0);
    memcpy(pages + page - part, &set, part);
    sigprocmask(SIG_BLOCK, &set, NULL);
    GIVES((fd = kept(signalfd(-1, (sigset_t *)(pages + page - part), SFD_NONBLOCK))) >= 0, 1);
    raise(last_signal());
    EXPECT(next_signal(fd) == last_signal());
    FAILS(signalfd(fd, (sigset_t *)(pages + page), 0), EFAULT);
    munmap(pages, 2 * page);
}

static void signalfd_refuses_with_each_error(void)
{
    sigset_t set = only(SIGUSR1), *volatile none = NULL;
    FAILS(signalfd(-2, &set, 0), EBADF);
    FAILS(signalfd(NOT_OPEN, &set, 0), EBADF);
    FAILS(signalfd(counter(0), &set, 0), EINVAL);
    FAILS(signalfd(-1, none, 0), EFAULT);
    FAILS(signalfd(-1, nowhere, 0), EFAULT);
}

/* timerfd. */

static int timer(int clock)
{
    return kept(timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK));
}

/* C leaves the bytes between the members undefined. */
static struct itimerspec times(time_t seconds, long nanoseconds, time_t interval, long interval_nanoseconds)
{
    struct itimerspec time;
    memset(&time, 0xff, sizeof time);
    time.it_value.tv_sec = seconds;
    time.it_value.tv_nsec = nanoseconds;
    time.it_interval.tv_sec = interval;
    time.it_interval.tv_nsec = interval_nanoseconds;
    return time;
}

/* Whether the timer has more than `most - 60` seconds left and at most `most`, and this interval. */
static int is_near(const struct itimerspec *time, time_t most, time_t interval, long interval_nanoseconds)
{
    time_t seconds = time->it_value.tv_sec;
    long nanoseconds = time->it_value.tv_nsec;
    return seconds >= most - 60 && (seconds < most || (seconds == most && nanoseconds == 0)) && nanoseconds >= 0 &&
           nanoseconds < 1000000000 && time->it_interval.tv_sec == interval &&
           time->it_interval.tv_nsec == interval_nanoseconds;
}

static int is_zero(const struct itimerspec *time)
{
    return time->it_value.tv_sec == 0 && time->it_value.tv_nsec == 0 && time->it_interval.tv_sec == 0 &&
           time->it_interval.tv_nsec == 0;
}

static void timerfd_create_knows_its_clocks_and_two_flags(void)
{
    int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME}, fd;
    size_t i;
    for (i = 0; i < sizeof clocks / sizeof *clocks; i++)
        GIVES(timer(clocks[i]) >= 0, 1);
    FAILS(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    FAILS(timerfd_create(-1, 0), EINVAL);
    GIVES((fd = kept(timerfd_create(CLOCK_MONOTONIC, 0))) >= 0, 1);
    GIVES(fcntl(fd, F_GETFD), 0);
    GIVES(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    GIVES((fd = timer(CLOCK_MONOTONIC)) >= 0, 1);
    GIVES(fcntl(fd, F_GETFD), FD_CLOEXEC);
    GIVES(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    FAILS(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    FAILS(timerfd_create(CLOCK_MONOTONIC, -1), EINVAL);
}

/* With version 3, the kernel has two records of the effective, permitted and inheritable set. */
static void an_alarm_without_its_capability_is_EPERM(void)
{
    struct {
        uint32_t version;
        int thread;
    } header = {0x20080522, 0};
    uint32_t before[2][3], none[2][3];
    int answer, error;
    EXPECT(syscall(SYS_capget, &header, before) == 0);
    memcpy(none, before, sizeof none);
    none[0][0] = none[1][0] = 0;
    EXPECT(syscall(SYS_capset, &header, none) == 0);
    errno = UNTOUCHED;
    answer = timerfd_create(CLOCK_BOOTTIME_ALARM, 0);
    error = errno;
    EXPECT(syscall(SYS_capset, &header, before) == 0);
    EXPECT(answer == -1);
    EXPECT(error == EPERM);
}

static void a_timer_keeps_its_times(void)
{
    struct itimerspec first = times(100, 0, 7, 500000000), second = times(200, 0, 0, 1), never = times(0, 0, 0, 0), got;
    int fd = timer(CLOCK_MONOTONIC);
    memset(&got, 0x55, sizeof got);
    GIVES(timerfd_gettime(fd, &got), 0);
    EXPECT(is_zero(&got));
    memset(&got, 0x55, sizeof got);
    GIVES(timerfd_settime(fd, 0, &first, &got), 0);
    EXPECT(is_zero(&got));
    GIVES(timerfd_gettime(fd, &got), 0);
    EXPECT(is_near(&got, 100, 7, 500000000));
    memset(&got, 0x55, sizeof got);
    GIVES(timerfd_settime(fd, 0, &second, &got), 0);
    EXPECT(is_near(&got, 100, 7, 500000000));
    GIVES(timerfd_gettime(fd, &got), 0);
    EXPECT(is_near(&got, 200, 0, 1));
    GIVES(timerfd_settime(fd, 0, &never, NULL), 0);
    GIVES(timerfd_gettime(fd, &got), 0);
    EXPECT(is_zero(&got));
}

/* Beyond 32 bits where time_t is wider. Those bits would be lost first. */
static void a_timer_keeps_the_longest_times(void)
{
    time_t most = sizeof(time_t) == 8 ? (time_t)((1ull << 32) + 100) : INT_MAX;
    struct itimerspec time = times(most, 0, most, 999999999), got;
    int fd = timer(CLOCK_MONOTONIC);
    GIVES(timerfd_settime(fd, 0, &time, NULL), 0);
    GIVES(timerfd_gettime(fd, &got), 0);
    EXPECT(is_near(&got, most, most, 999999999));
    GIVES(timerfd_settime(fd, 0, &time, &got), 0);
    EXPECT(is_near(&got, most, most, 999999999));
}

static void a_timer_expires_in_time(void)
{
    struct itimerspec soon = times(0, 20500000, 0, 0), at;
    struct epoll_event got;
    struct timespec then;
    uint64_t expirations = 0;
    double start = now();
    int epfd = new_epoll(), fd = timer(CLOCK_MONOTONIC);
    GIVES(add(epfd, fd, EPOLLIN, 0), 0);
    GIVES(timerfd_settime(fd, 0, &soon, NULL), 0);
    GIVES(epoll_wait(epfd, &got, 1, LONG_MS), 1);
    EXPECT(now() - start >= 0.0205);
    EXPECT(read(fd, &expirations, sizeof expirations) == sizeof expirations && expirations == 1);
    clock_gettime(CLOCK_MONOTONIC, &then);
    start = (double)then.tv_sec + (double)then.tv_nsec / 1e9;
    then.tv_nsec += 30000000;
    at = times(then.tv_sec + then.tv_nsec / 1000000000, then.tv_nsec % 1000000000, 0, 0);
    GIVES(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL), 0);
    GIVES(epoll_wait(epfd, &got, 1, LONG_MS), 1);
    EXPECT(now() - start >= 0.029999);
    EXPECT(read(fd, &expirations, sizeof expirations) == sizeof expirations && expirations == 1);
    /* A time that has passed expires at once. */
    at = times(0, 1, 0, 0);
    GIVES(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL), 0);
    GIVES(epoll_wait(epfd, &got, 1, LONG_MS), 1);
}

static void timerfd_functions_refuse_with_each_error(void)
{
    struct itimerspec good = times(100, 0, 0, 0), got, *volatile none = NULL;
    struct itimerspec bad[] = {times(-1, 0, 0, 0), times(0, -1, 0, 0), times(0, 1000000000, 0, 0),
                               times(1, 0, -1, 0), times(1, 0, 0, -1), times(1, 0, 0, 1000000000)};
    int fd = timer(CLOCK_REALTIME), other = counter(0);
    size_t i;
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS(timerfd_settime(fd, 0, &bad[i], NULL), EINVAL);
    FAILS(timerfd_settime(fd, 4, &good, NULL), EINVAL);
    FAILS(timerfd_settime(fd, -1, &good, NULL), EINVAL);
    FAILS(timerfd_settime(other, 0, &good, NULL), EINVAL);
    FAILS(timerfd_settime(-1, 0, &good, NULL), EBADF);
    FAILS(timerfd_settime(NOT_OPEN, 0, &good, NULL), EBADF);
    FAILS(timerfd_settime(fd, 0, none, NULL), EFAULT);
    FAILS(timerfd_settime(fd, 0, nowhere, NULL), EFAULT);
    GIVES(timerfd_gettime(fd, &got), 0);
    EXPECT(is_zero(&got));
    FAILS(timerfd_settime(fd, 0, &good, nowhere), EFAULT);
    GIVES(timerfd_gettime(fd, &got), 0);
    EXPECT(is_near(&got, 100, 0, 0));
    GIVES(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &good, NULL), 0);
    FAILS(timerfd_gettime(other, &got), EINVAL);
    FAILS(timerfd_gettime(-1, &got), EBADF);
    FAILS(timerfd_gettime(NOT_OPEN, &got), EBADF);
    FAILS(timerfd_gettime(fd, nowhere), EFAULT);
}

/* errno. */

static void *fail_elsewhere(void *error)
{
    epoll_ctl(-1, EPOLL_CTL_DEL, 0, NULL);
    *(int *)error = errno;
    return NULL;
}

static void errno_is_the_threads_own(void)
{
    pthread_t thread;
    int error = 0;
    FAILS(epoll_create1(-1), EINVAL);
    EXPECT(pthread_create(&thread, NULL, fail_elsewhere, &error) == 0);
    pthread_join(thread, NULL);
    EXPECT(error == EBADF);
    EXPECT(errno == EINVAL);
}

#define CHECK(name) {#name, name}

static const struct {
    const char *name;
    void (*run)(void);
} checks[] = {
    CHECK(epoll_create_takes_any_positive_size),
    CHECK(epoll_create1_knows_one_flag),
    CHECK(eventfd_knows_three_flags),
    CHECK(no_descriptor_left_is_EMFILE),
    CHECK(epoll_ctl_adds_changes_and_forgets),
    CHECK(epoll_ctl_refuses_with_each_error),
    CHECK(events_and_data_come_back_whole),
    CHECK(every_member_of_the_union_comes_back),
    CHECK(maxevents_is_a_limit),
    CHECK(one_shot_edge_and_hang_up),
    CHECK(waits_refuse_with_each_error),
    CHECK(a_timeout_is_milliseconds),
    CHECK(minus_one_waits_until_something_comes),
    CHECK(a_handler_interrupts_a_wait),
    CHECK(epoll_pwait_masks_while_waiting),
    CHECK(epoll_pwait2_is_ENOSYS_or_there),
    CHECK(epoll_pwait2_masks_while_waiting),
    CHECK(epoll_pwait2_takes_nanoseconds),
    CHECK(an_eventfd_counts_in_64_bits),
    CHECK(a_semaphore_gives_one_at_a_time),
    CHECK(a_full_eventfd_is_EAGAIN),
    CHECK(eventfd_functions_refuse_with_each_error),
    CHECK(a_read_that_falls_short_is_EINVAL),
    CHECK(a_write_that_falls_short_is_EINVAL),
    CHECK(signalfd_knows_two_flags),
    CHECK(a_signalfd_reads_its_signals),
    CHECK(signalfd_reads_only_the_kernels_part),
    CHECK(signalfd_refuses_with_each_error),
    CHECK(timerfd_create_knows_its_clocks_and_two_flags),
    CHECK(an_alarm_without_its_capability_is_EPERM),
    CHECK(a_timer_keeps_its_times),
    CHECK(a_timer_keeps_the_longest_times),
    CHECK(a_timer_expires_in_time),
    CHECK(timerfd_functions_refuse_with_each_error),
    CHECK(errno_is_the_threads_own),
};

int main(int count, char **arguments)
{
    size_t all = sizeof checks / sizeof *checks, passed = 0, i;
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    on_glibc = count > 1 && strcmp(arguments[1], "glibc") == 0;
    for (i = 0; i < all; i++) {
        wrong = NULL;
        checks[i].run();
        alarm_every_ms(0);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        while (open_count > 0)
            close(opened[--open_count]);
        if (wrong)
            printf("FAILED %s: %s\n", checks[i].name, wrong);
        else
            printf("ok %s\n", checks[i].name);
        passed += !wrong;
        fflush(stdout);
    }
    printf("%zu of %zu passed\n", passed, all);
    return passed == all ? 0 : 1;
}
