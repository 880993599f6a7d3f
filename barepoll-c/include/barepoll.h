/* barepoll-c's epoll, eventfd, signalfd and timerfd functions. Types and constants come from the
 * system's headers. The compiler checks these declarations against the system's. The header adds
 * epoll_pwait2 where <sys/epoll.h> lacks it. */
#ifndef BAREPOLL_H
#define BAREPOLL_H

#ifdef __GNUC__
#pragma GCC system_header /* silences warnings about redundant declarations */
#endif

#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

/* C++ requires the same exception specification in every declaration of a function. */
#ifdef __THROW
#define BAREPOLL_THROW __THROW
#else
#define BAREPOLL_THROW
#endif

/* glibc 2.34 has a 64-bit time_t on 32-bit machines, but its header does not choose this function. */
#define BAREPOLL_TIME64(name)
#if defined __USE_TIME_BITS64 && defined __GLIBC_PREREQ
#if !__GLIBC_PREREQ(2, 35)
#undef BAREPOLL_TIME64
#define BAREPOLL_TIME64(name) __asm__(#name)
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

int epoll_create(int size) BAREPOLL_THROW;
int epoll_create1(int flags) BAREPOLL_THROW;
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) BAREPOLL_THROW;
int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout);
int epoll_pwait(int epfd, struct epoll_event *events, int maxevents, int timeout, const sigset_t *sigmask);
int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents, const struct timespec *timeout,
                 const sigset_t *sigmask) BAREPOLL_TIME64(__epoll_pwait2_time64);
int eventfd(unsigned int count, int flags) BAREPOLL_THROW;
int eventfd_read(int fd, eventfd_t *value);
int eventfd_write(int fd, eventfd_t value);
int signalfd(int fd, const sigset_t *mask, int flags) BAREPOLL_THROW;
int timerfd_create(clockid_t clock, int flags) BAREPOLL_THROW;
int timerfd_settime(int fd, int flags, const struct itimerspec *time, struct itimerspec *before) BAREPOLL_THROW;
int timerfd_gettime(int fd, struct itimerspec *time) BAREPOLL_THROW;

#ifdef __cplusplus
}
#endif

#undef BAREPOLL_TIME64
#undef BAREPOLL_THROW

#endif
