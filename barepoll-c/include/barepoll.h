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

#ifdef __cplusplus
extern "C" {
#endif

int epoll_create(int size) BAREPOLL_THROW;
int epoll_create1(int flags) BAREPOLL_THROW;
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) BAREPOLL_THROW;
int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout);
int epoll_pwait(int epfd, struct epoll_event *events, int maxevents, int timeout, const sigset_t *sigmask);
int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents, const struct timespec *timeout,
                 const sigset_t *sigmask);
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

#undef BAREPOLL_THROW

#endif
