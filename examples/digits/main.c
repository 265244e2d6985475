/* Trains the digits classifier with the C that `mlxcc digits.mx -o digits.c` writes, tests it on images that it has not seen, saves the
 * weights, and shows a few predictions.
 *
 *   usage: digits DATA_FOLDER WEIGHTS.safetensors
 *
 * Everything that the network needs is memory: the caller allocates it, the generated functions fill it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "digits.h"

enum { EPOCHS = 60, BATCH = 64, PIXELS = 64, CLASSES = 10 };

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "digits: %s %s\n", what, name);
	exit(1);
}

/* The bytes of a .npy file of u8, version 1.0, behind its header; count is checked. */
static unsigned char *read_u8(const char *folder, const char *name, size_t count)
{
	char path[1024];
	unsigned char head[10];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "rb");
	if (!f || fread(head, 1, 10, f) != 10 || memcmp(head, "\x93NUMPY\1", 7) != 0) fail("cannot read", path);
	fseek(f, 10L + head[8] + 256L * head[9], SEEK_SET);
	unsigned char *data = malloc(count);
	if (!data || fread(data, 1, count, f) != count) fail("too short:", path);
	fclose(f);
	return data;
}

static void save(const digits_Net *net, const char *path);

/* xorshift32: the order of the examples. */
static unsigned next_random(unsigned *s)
{
	*s ^= *s << 13, *s ^= *s >> 17, *s ^= *s << 5;
	return *s;
}

static void shuffle(int *order, int n, unsigned *s)
{
	for (int i = n - 1; i > 0; i--) {
		int j = (int)(next_random(s) % (unsigned)(i + 1)), t = order[i];
		order[i] = order[j], order[j] = t;
	}
}

static void progress(int epoch, float loss)
{
	enum { WIDTH = 30 };
	if (!isatty(1)) return;
	int done = (epoch + 1) * WIDTH / EPOCHS;
	printf("\r  training [");
	for (int i = 0; i < WIDTH; i++) fputs(i < done ? "#" : ".", stdout);
	printf("] epoch %2d/%d  loss %.4f", epoch + 1, EPOCHS, loss);
	if (epoch + 1 == EPOCHS) printf("\n");
	fflush(stdout);
}

/* The loss of each epoch as a small picture, log scale. */
static void draw_curve(const float *loss)
{
	enum { ROWS = 8 };
	float hi = 0, lo = 1e30f;
	for (int e = 0; e < EPOCHS; e++) hi = loss[e] > hi ? loss[e] : hi, lo = loss[e] < lo ? loss[e] : lo;
	printf("  mean loss by epoch (each row halves it)\n");
	float top = hi;
	for (int r = 0; r < ROWS && top > lo / 2; r++, top /= 2) {
		printf("  %7.4f |", top);
		for (int e = 0; e < EPOCHS; e++) putchar(loss[e] <= top && loss[e] > top / 2 ? '*' : ' ');
		putchar('\n');
	}
	printf("          +%.*s\n", EPOCHS, "----------------------------------------------------------------");
}

static int best(const float *score)
{
	int k = 0;
	for (int j = 1; j < CLASSES; j++) k = score[j] > score[k] ? j : k;
	return k;
}

static void show(const float *image)
{
	for (int r = 0; r < 8; r++) {
		printf("    ");
		for (int c = 0; c < 8; c++) {
			char ink = " .:-=+*#%@"[(int)(image[8 * r + c] * 9 / 16)];
			putchar(ink), putchar(ink);
		}
		putchar('\n');
	}
}

typedef struct Digits {
	unsigned char *images, *labels;
	digits_Net net;
	digits_Adam adam;
	void *arena;
	unsigned state;            /* of the shuffles */
} Digits;

enum { TOTAL = 1797, FOLDS = 5 };

static void put_image(const Digits *d, int example, float *x)
{
	for (int p = 0; p < PIXELS; p++) x[p] = d->images[example * PIXELS + p];
}

/* Fresh parameters, then EPOCHS passes over order[0..n), shuffled each time; loss[] receives the mean of each pass. */
static void train(Digits *d, int *order, int n, float *loss)
{
	static float x[BATCH * PIXELS];
	static int32_t y[BATCH];
	if (digits_init(7, &d->net, &d->adam, d->arena)) fail("digits_init", "failed");
	for (int e = 0; e < EPOCHS; e++) {
		double sum = 0;
		shuffle(order, n, &d->state);
		for (int at = 0; at < n; at += BATCH) {
			int b = n - at < BATCH ? n - at : BATCH;
			float l;
			for (int i = 0; i < b; i++) {
				y[i] = d->labels[order[at + i]];
				put_image(d, order[at + i], x + i * PIXELS);
			}
			if (digits_train_step(&d->net, &d->adam, x, y, &l, b, d->arena)) fail("digits_train_step", "failed");
			sum += (double)l * b;
		}
		loss[e] = (float)(sum / n);
		progress(e, loss[e]);
	}
}

/* How many of the n held-back examples the network reads right. */
static int test(Digits *d, const int *held, int n, bool picture)
{
	int right = 0;
	for (int i = 0; i < n; i++) {
		float x[PIXELS], scores[CLASSES];
		put_image(d, held[i], x);
		if (digits_predict(&d->net, x, scores, 1, d->arena)) fail("digits_predict", "failed");
		right += best(scores) == d->labels[held[i]];
		if (i == 0 && picture) {
			show(x);
			printf("    is a %d; the network says %d with probability %.2f\n", d->labels[held[i]], best(scores), scores[best(scores)]);
		}
	}
	return right;
}

/* Each fifth of the images is held back once, so that no lucky split decides the figure. */
int main(int argc, char **argv)
{
	if (argc != 3) return fprintf(stderr, "usage: %s DATA_FOLDER WEIGHTS.safetensors\n", argv[0]), 2;
	Digits d = {.images = read_u8(argv[1], "images.npy", (size_t)TOTAL * PIXELS), .labels = read_u8(argv[1], "labels.npy", TOTAL), .state = 1};

	/* The parameters and the optimizer's state: the header lists the leaves of each structure. */
#define ALLOCATE_NET(path, type, dtype, count, rank, ...) if (!(d.net.path = calloc(count, sizeof(type)))) fail("out of memory for", #path);
#define ALLOCATE_ADAM(path, type, dtype, count, rank, ...) if (!(d.adam.path = calloc(count, sizeof(type)))) fail("out of memory for", #path);
	DIGITS_NET_LEAVES(ALLOCATE_NET)
	DIGITS_ADAM_LEAVES(ALLOCATE_ADAM)
	size_t bytes = DIGITS_TRAIN_STEP_ARENA_BYTES;
	if (bytes < DIGITS_PREDICT_ARENA_BYTES) bytes = DIGITS_PREDICT_ARENA_BYTES;
	if (bytes < DIGITS_INIT_ARENA_BYTES) bytes = DIGITS_INIT_ARENA_BYTES;
	if (!(d.arena = malloc(bytes + 1))) fail("out of memory for", "the arena");

	static int all[TOTAL], order[TOTAL];
	static float loss[EPOCHS];
	int right = 0;
	for (int i = 0; i < TOTAL; i++) all[i] = i;
	shuffle(all, TOTAL, &d.state);
	for (int f = 0; f < FOLDS; f++) {
		int from = TOTAL * f / FOLDS, to = TOTAL * (f + 1) / FOLDS, n = TOTAL - (to - from), k = 0;
		for (int i = 0; i < TOTAL; i++)
			if (i < from || i >= to) order[k++] = all[i];
		for (int i = from; i < to; i++) order[k++] = all[i];
		train(&d, order, n, loss);
		if (f == 0) draw_curve(loss);
		int r = test(&d, order + n, to - from, f == 0);
		printf("  fifth %d of %d: trained on %d images, %d of %d unseen ones right (%.1f %%)\n", f + 1, FOLDS, n, r, to - from, 100.0 * r / (to - from));
		right += r;
	}
	save(&d.net, argv[2]);
	printf("  weights of the last run saved to %s\n  test accuracy %.1f %% (%d of %d images, each unseen when it was read)\n", argv[2], 100.0 * right / TOTAL, right, TOTAL);

#define RELEASE_NET(path, type, dtype, count, rank, ...) free(d.net.path);
#define RELEASE_ADAM(path, type, dtype, count, rank, ...) free(d.adam.path);
	DIGITS_NET_LEAVES(RELEASE_NET)
	DIGITS_ADAM_LEAVES(RELEASE_ADAM)
	free(d.arena), free(d.images), free(d.labels);
	return 0;
}

/* The safetensors format: 8 bytes length of a JSON header, the header, the data. */
static void save(const digits_Net *net, const char *path)
{
	char head[2048];
	size_t at = 1, offset = 0;
	strcpy(head, "{");
#define DESCRIBE(path, type, dtype, count, rank, ...)                                                                                        \
	{                                                                                                                                      \
		const long shape[] = __VA_ARGS__;                                                                                                  \
		at += (size_t)snprintf(head + at, sizeof head - at, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", at > 1 ? "," : "", #path, dtype);    \
		for (int i = 0; i < (rank); i++) at += (size_t)snprintf(head + at, sizeof head - at, "%s%ld", i ? "," : "", shape[i]);             \
		at += (size_t)snprintf(head + at, sizeof head - at, "],\"data_offsets\":[%zu,%zu]}", offset, offset + (count) * sizeof(type));     \
		offset += (count) * sizeof(type);                                                                                                  \
	}
	DIGITS_NET_LEAVES(DESCRIBE)
	at += (size_t)snprintf(head + at, sizeof head - at, "}");
	FILE *f = fopen(path, "wb");
	if (!f) fail("cannot write", path);
	for (int i = 0; i < 8; i++) fputc((int)((at >> (8 * i)) & 255), f);
	fwrite(head, 1, at, f);
#define WRITE(path, type, dtype, count, rank, ...) fwrite(net->path, sizeof(type), count, f);
	DIGITS_NET_LEAVES(WRITE)
	if (fclose(f)) fail("cannot write", path);
}
