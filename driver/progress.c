/* A line on a terminal for what takes more than a second: what it is and how long it has taken. A thread of its own, so that the work
 * needs no calls. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "driver.h"

struct Progress {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done;
	const char *what;
};

static void *show(void *arg)
{
	Progress *p = arg;
	bool shown = false;
	pthread_mutex_lock(&p->lock);
	for (int tenths = 0; !p->done; tenths++) {
		struct timespec t;
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 100000000;
		if (t.tv_nsec >= 1000000000) t.tv_nsec -= 1000000000, t.tv_sec++;
		pthread_cond_timedwait(&p->wake, &p->lock, &t);
		if (tenths < 10 || p->done) continue;
		shown = true;
		fprintf(stderr, "\r%c %s, %d s ", "|/-\\"[tenths % 4], p -> what, tenths / 10);
		fflush(stderr);
	}
	pthread_mutex_unlock(&p->lock);
	if (shown) fprintf(stderr, "\r\033[K");
	return NULL;
}

Progress *progress_begin(const char *what)
{
	if (!isatty(2)) return NULL;
	Progress *p = calloc(1, sizeof *p);
	if (!p) return NULL;
	p->what = what;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	if (!pthread_create(&p->thread, NULL, show, p)) return p;
	free(p);
	return NULL;
}

void progress_end(Progress *p)
{
	if (!p) return;
	pthread_mutex_lock(&p->lock);
	p->done = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->wake);
	free(p);
}
