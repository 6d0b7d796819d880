/*
 * A scheduler at its worst, to be preloaded: whoever begins a thread is held up just after that, a thread just
 * before it leaves OpenSSL, and the process just before it is gone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void (*leave_openssl)(void *);

/* That it was held up must be seen, or a test would pass without it. */
static void held_up(const char *what)
{
	dprintf(2, "held up: %s\n", what);
}

static void leave_late(void *arg)
{
	held_up("the leave of OpenSSL");
	usleep(100000);
	leave_openssl(arg);
}

int pthread_key_create(pthread_key_t *key, void (*leave)(void *))
{
	int (*create)(pthread_key_t *, void (*)(void *)) = dlsym(RTLD_NEXT, "pthread_key_create");
	Dl_info from;

	if (leave != NULL && dladdr((void *)leave, &from) && strstr(from.dli_fname, "libcrypto") != NULL) {
		leave_openssl = leave;
		leave = leave_late;
	}
	return create(key, leave);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
	int error = create(thread, attributes, run, arg);

	held_up("the main thread");
	usleep(1000000);
	return error;
}

static void linger(void)
{
	held_up("the end");
	usleep(500000);
}

__attribute__((constructor)) static void begin(void)
{
	/* What RAUC runs is left alone. */
	unsetenv("LD_PRELOAD");
	/* Handlers run in reverse order, so this is after OpenSSL's. */
	atexit(linger);
}
