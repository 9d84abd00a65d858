/*
 * Loaded before User-Mode Linux, for processors whose registers are wider than it can keep.
 *
 * Until Linux 6.12 it has 2696 bytes for the state of a processor (NT_X86_XSTATE), which it gives back as it was got. With AMX there are 11
 * kB of it; the kernel gives any part, and takes no less than the whole. The machine's first program dies by that, and "Attempted to
 * kill init!" is all that is said. So what is refused is tried again as the beginning of all that there is now: what comes behind it
 * is the tiles, which nothing in a machine uses.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The stack of whoever calls is one of a kernel, and small. Only one thread does. */
static char all[64 << 10];

long ptrace(enum __ptrace_request request, ...)
{
	static long (*real)(enum __ptrace_request, ...);
	va_list words;
	va_start(words, request);
	pid_t pid = va_arg(words, pid_t);
	void *addr = va_arg(words, void *), *data = va_arg(words, void *);
	va_end(words);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ptrace");
	long answer = real(request, pid, addr, data);
	if (answer == 0 || request != PTRACE_SETREGSET || addr != (void *)NT_X86_XSTATE)
		return answer;
	struct iovec *part = data, whole = { all, sizeof all };
	if (real(PTRACE_GETREGSET, pid, addr, &whole) != 0 || part->iov_len >= whole.iov_len)
		return answer;
	memcpy(all, part->iov_base, part->iov_len);
	return real(PTRACE_SETREGSET, pid, addr, &whole);
}
