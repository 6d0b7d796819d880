/*
 * Simulates the worst scheduler, as a preloaded library: delays a thread right after it has created another one, a
 * thread right before it leaves OpenSSL, and the process right before it ends.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void (*leave_openssl)(void *);

/* Logged, so that a test can check that it was delayed. */
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
	/* RAUC's child processes are not delayed. */
	unsetenv("LD_PRELOAD");
	/* Handlers run in reverse order, so this is after OpenSSL's. */
	atexit(linger);
}
