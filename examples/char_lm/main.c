/* Trains a character model on text files with the C that `mlxcc char_lm.mx -o char_lm.c` writes, then lets it continue a text.
 *
 *   usage: char_lm STEPS FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "char_lm.h"

enum { BATCH = 16, LENGTH = 65, DIMS = 96 };

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "char_lm: %s %s\n", what, name);
	exit(1);
}

/* All files one after the other, ASCII only. */
static unsigned char *read_text(char **names, int n, size_t *size)
{
	unsigned char *text = NULL;
	*size = 0;
	for (int i = 0; i < n; i++) {
		FILE *f = fopen(names[i], "rb");
		if (!f) fail("cannot read", names[i]);
		for (int c; (c = getc(f)) != EOF;) {
			if (c > 126) continue;
			if ((*size & (*size - 1)) == 0 && !(text = realloc(text, *size ? 2 * *size : 1))) fail("out of memory for", names[i]);
			text[(*size)++] = (unsigned char)c;
		}
		fclose(f);
	}
	return text;
}

int main(int argc, char **argv)
{
	int steps = argc > 2 ? atoi(argv[1]) : 0;
	if (steps < 1) return fprintf(stderr, "usage: %s STEPS FILE...\n", argv[0]), 2;
	size_t size;
	unsigned char *text = read_text(argv + 2, argc - 2, &size);
	if (size < 2 * LENGTH) fail("too little text in", argv[2]);

	char_lm_Net net;
	char_lm_Opt opt;
#define ALLOCATE_NET(path, type, dtype, count, rank, ...) if (!(net.path = calloc(count, sizeof(type)))) fail("out of memory for", #path);
#define ALLOCATE_OPT(path, type, dtype, count, rank, ...) if (!(opt.path = calloc(count, sizeof(type)))) fail("out of memory for", #path);
	CHAR_LM_NET_LEAVES(ALLOCATE_NET)
	CHAR_LM_OPT_LEAVES(ALLOCATE_OPT)
	size_t bytes = char_lm_train_step_arena_bytes(BATCH, LENGTH);
	if (bytes < CHAR_LM_NEXT_ARENA_BYTES) bytes = CHAR_LM_NEXT_ARENA_BYTES;
	if (bytes < CHAR_LM_INIT_ARENA_BYTES) bytes = CHAR_LM_INIT_ARENA_BYTES;
	void *arena = malloc(bytes + 1);
	if (!arena || char_lm_init(1, &net, &opt, arena)) fail("char_lm_init", "failed");

	static unsigned char batch[BATCH * LENGTH];
	unsigned s = 7;
	float first = 0, smooth = 0;
	for (int i = 0; i < steps; i++) {
		float loss;
		for (int b = 0; b < BATCH; b++) {
			s ^= s << 13, s ^= s >> 17, s ^= s << 5;
			memcpy(batch + b * LENGTH, text + s % (size - LENGTH), LENGTH);
		}
		if (char_lm_train_step(&net, &opt, batch, &loss, BATCH, LENGTH, arena)) fail("char_lm_train_step", "failed");
		if (i == 0) first = smooth = loss;
		smooth += 0.05f * (loss - smooth);
		if (isatty(1)) printf("\r  step %d/%d  loss %.3f", i + 1, steps, smooth), fflush(stdout);
	}
	printf("%s  %zu characters; loss %.3f at the start, %.3f at the end (nats a character)\n", isatty(1) ? "\n" : "", size, first, smooth);

	float h[DIMS] = {0};
	uint32_t key[2] = {0, 42};
	const char *prompt = "The software ";
	unsigned char c = 0;
	for (const char *p = prompt; *p; p++)
		if (char_lm_next(&net, h, key, (unsigned char)*p, 0.5f, &c, arena)) fail("char_lm_next", "failed");
	printf("  %s", prompt);
	for (int i = 0; i < 200; i++) {
		putchar(c < 32 && c != '\n' ? ' ' : c);
		if (char_lm_next(&net, h, key, c, 0.5f, &c, arena)) fail("char_lm_next", "failed");
	}
	putchar('\n');
#define RELEASE_NET(path, type, dtype, count, rank, ...) free(net.path);
#define RELEASE_OPT(path, type, dtype, count, rank, ...) free(opt.path);
	CHAR_LM_NET_LEAVES(RELEASE_NET)
	CHAR_LM_OPT_LEAVES(RELEASE_OPT)
	free(arena), free(text);
	return 0;
}
