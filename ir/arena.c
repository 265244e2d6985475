/* Arenas: a list of chunks, allocation by bumping a pointer. Growable text and arrays, maps keyed by pointer, interned strings. */
#include "arena.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Chunk {
	struct Chunk *prev;
	size_t used, cap;
} Chunk;
/* The arenas of one family (a root and its children) share the root's limit. The root knows its children, to free what is left of them. */
struct Arena {
	Chunk *top;
	size_t handed_out;
	Arena *root, *next, **link;
	size_t limit, total;
	void (*on_exhausted)(void *ctx);
	void *ctx;
};
enum { ALIGN = 16, CHUNK_HEAD = (sizeof(Chunk) + ALIGN - 1) / ALIGN * ALIGN };

Arena *arena_new(size_t limit_bytes, void (*on_exhausted)(void *ctx), void *ctx)
{
	Arena *a = calloc(1, sizeof *a);
	if (!a) {
		if (on_exhausted) on_exhausted(ctx);
		exit(1);
	}
	a->root = a;
	a->limit = limit_bytes;
	a->on_exhausted = on_exhausted;
	a->ctx = ctx;
	return a;
}

static void exhausted(Arena *a)
{
	if (a->root->on_exhausted) a->root->on_exhausted(a->root->ctx);
	fprintf(stderr, "mlxcc: out of memory after %zu bytes\n", a->root->total);
	exit(1);
}

Arena *arena_child(Arena *parent)
{
	Arena *root = parent->root, *a = calloc(1, sizeof *a);
	if (!a) exhausted(parent);
	*a = (Arena){.root = root, .next = root->next, .link = &root->next};
	if (a->next) a->next->link = &a->next;
	root->next = a;
	return a;
}

void arena_free(Arena *a)
{
	if (!a) return;
	if (a->root == a)
		while (a->next) arena_free(a->next);
	else {
		*a->link = a->next;
		if (a->next) a->next->link = a->link;
		a->root->total -= a->handed_out;
	}
	for (Chunk *c = a->top, *prev; c; c = prev) {
		prev = c->prev;
		free(c);
	}
	free(a);
}

void *arena_alloc(Arena *a, size_t bytes)
{
	if (bytes > SIZE_MAX / 2) exhausted(a);
	size_t n = bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
	if (a->root->limit && n > a->root->limit - a->root->total) exhausted(a);
	if (!a->top || a->top->cap - a->top->used < n) {
		size_t cap = a->top ? a->top->cap : (size_t)16 << 10;
		if (cap < (size_t)4 << 20) cap *= 2;
		if (cap < n) cap = n;
		Chunk *c = malloc(CHUNK_HEAD + cap);
		if (!c) exhausted(a);
		*c = (Chunk){a->top, 0, cap};
		a->top = c;
	}
	void *p = (char *)a->top + CHUNK_HEAD + a->top->used;
	a->top->used += n;
	a->handed_out += n;
	a->root->total += n;
	return memset(p, 0, n);
}

size_t arena_used(const Arena *a)
{
	return a->handed_out;
}

ArenaMark arena_mark(Arena *a)
{
	return (ArenaMark){a->top, a->top ? a->top->used : 0};
}

static void give_back(Arena *a, size_t bytes)
{
	a->handed_out -= bytes;
	a->root->total -= bytes;
}

void arena_reset(Arena *a, ArenaMark m)
{
	while (a->top && a->top != m.chunk) {
		Chunk *prev = a->top->prev;
		give_back(a, a->top->used);
		free(a->top);
		a->top = prev;
	}
	if (a->top) {
		give_back(a, a->top->used - m.used);
		a->top->used = m.used;
	}
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);
	memcpy(p, s, n);
	return p;
}

char *arena_strdup(Arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(Arena *a, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *p = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return p;
}

void *arena_copy(Arena *a, const void *p, size_t bytes)
{
	void *q = arena_alloc(a, bytes);
	if (bytes) memcpy(q, p, bytes);
	return q;
}

void *vec_grow(Arena *a, void *at, int n, int *cap, size_t item)
{
	*cap = *cap ? 2 * *cap : 8;
	void *p = arena_alloc(a, (size_t)*cap * item);
	if (n) memcpy(p, at, (size_t)n * item);
	return p;
}

void sb_init(StrBuf *b, Arena *a)
{
	*b = (StrBuf){a, NULL, 0, 0};
}

static void sb_room(StrBuf *b, size_t more)
{
	if (b->n + more + 1 <= b->cap) return;
	size_t cap = b->cap ? b->cap : 64;
	while (cap < b->n + more + 1) cap *= 2;
	char *p = arena_alloc(b->arena, cap);
	if (b->n) memcpy(p, b->at, b->n);
	b->at = p;
	b->cap = cap;
}

void sb_putn(StrBuf *b, const char *s, size_t n)
{
	sb_room(b, n);
	memcpy(b->at + b->n, s, n);
	b->n += n;
	b->at[b->n] = 0;
}

void sb_put(StrBuf *b, const char *s)
{
	sb_putn(b, s, strlen(s));
}
void sb_putc(StrBuf *b, char c)
{
	sb_putn(b, &c, 1);
}

void sb_vprintf(StrBuf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	sb_room(b, (size_t)n);
	vsnprintf(b->at + b->n, (size_t)n + 1, fmt, again);
	b->n += (size_t)n;
	va_end(again);
}

void sb_printf(StrBuf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	sb_vprintf(b, fmt, ap);
	va_end(ap);
}

const char *sb_text(StrBuf *b)
{
	sb_room(b, 0);
	b->at[b->n] = 0;
	return b->at;
}

struct MapSlot {
	const void *key;
	void *value;
};

void map_init(Map *m, Arena *a)
{
	*m = (Map){.arena = a};
}

static size_t pointer_hash(const void *p)
{
	uint64_t h = (uint64_t)(uintptr_t)p * 0x9e3779b97f4a7c15u;
	return (size_t)(h ^ h >> 32);
}

static struct MapSlot *map_slot(const Map *m, const void *key)
{
	size_t i = pointer_hash(key) & (size_t)(m->cap - 1);
	while (m->slots[i].key && m->slots[i].key != key) i = (i + 1) & (size_t)(m->cap - 1);
	return &m->slots[i];
}

void *map_get(const Map *m, const void *key)
{
	if (!m->cap) return NULL;
	struct MapSlot *s = map_slot(m, key);
	return s->key ? s->value : NULL;
}

void map_set(Map *m, const void *key, void *value)
{
	if (2 * (m->n + 1) > m->cap) {
		Map old = *m;
		m->cap = old.cap ? 2 * old.cap : 16;
		m->slots = NEW_ARRAY(m->arena, struct MapSlot, m->cap);
		for (int i = 0; i < old.cap; i++)
			if (old.slots[i].key) *map_slot(m, old.slots[i].key) = old.slots[i];
	}
	struct MapSlot *s = map_slot(m, key);
	if (!s->key) m->n++;
	*s = (struct MapSlot){key, value};
}

void intern_init(Intern *t, Arena *a)
{
	*t = (Intern){.arena = a};
}

static const char **intern_slot(const Intern *t, const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	size_t i = (size_t)(h ^ h >> 29) & (size_t)(t->cap - 1);
	while (t->slots[i] && (strlen(t->slots[i]) != n || memcmp(t->slots[i], s, n))) i = (i + 1) & (size_t)(t->cap - 1);
	return &t->slots[i];
}

const char *intern_str(Intern *t, const char *s, size_t n)
{
	if (2 * (t->n + 1) > t->cap) {
		Intern old = *t;
		t->cap = old.cap ? 2 * old.cap : 64;
		t->slots = NEW_ARRAY(t->arena, const char *, t->cap);
		for (int i = 0; i < old.cap; i++)
			if (old.slots[i]) *intern_slot(t, old.slots[i], strlen(old.slots[i])) = old.slots[i];
	}
	const char **slot = intern_slot(t, s, n);
	if (!*slot) {
		*slot = arena_strndup(t->arena, s, n);
		t->n++;
	}
	return *slot;
}
