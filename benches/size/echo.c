// Copies standard input to standard output until the input ends, with the linked C library.

#include <stdlib.h>
#include <unistd.h>
#ifdef NOLIBC
// The kernel's nolibc lacks these calls.
#include <asm/unistd.h>
#include <linux/eventpoll.h>
#define EFD_CLOEXEC EPOLL_CLOEXEC
#define epoll_create1(flags) my_syscall1(__NR_epoll_create1, flags)
#define epoll_ctl(epfd, op, fd, event) my_syscall4(__NR_epoll_ctl, epfd, op, fd, event)
#define epoll_wait(epfd, events, maxevents, timeout) my_syscall4(__NR_epoll_wait, epfd, events, maxevents, timeout)
#define eventfd(initval, flags) my_syscall2(__NR_eventfd2, initval, flags)
#define DATA(event) ((event).data)
#else
#include <sys/epoll.h>
#include <sys/eventfd.h>
#define DATA(event) ((event).data.u64)
#endif

enum { INPUT, END };

// All calls share this exit.
static __attribute__((cold, noinline, noreturn)) void fail(void)
{
	exit(1);
}

static inline __attribute__((always_inline)) long must(long answer)
{
	if (answer < 0)
		fail();
	return answer;
}

int main(void)
{
	int epoll = must(epoll_create1(EPOLL_CLOEXEC));
	int end = must(eventfd(0, EFD_CLOEXEC));
	struct epoll_event event = { .events = EPOLLIN };
	DATA(event) = INPUT;
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event));
	DATA(event) = END;
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, end, &event));
	for (;;) {
		struct epoll_event events[1];
		long ready = must(epoll_wait(epoll, events, 1, -1));
		for (long at = 0; at < ready; at++) {
			if (DATA(events[at]) == END)
				return 0;
			char bytes[1024];
			long count = must(read(0, bytes, sizeof bytes));
			if (count == 0) {
				unsigned long long one = 1;
				must(write(end, &one, sizeof one));
			}
			for (long written = 0; written < count;)
				written += must(write(1, bytes + written, count - written));
		}
	}
}
